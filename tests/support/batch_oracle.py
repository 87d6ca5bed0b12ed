"""The daily batch once more, independently: what crash_aggregates must hold for some pings under each rule set.

    rows(pings, "cra")      # {(activity date, dimensions): statistics}

Written from the rules, with plain dicts and fractions; never imports anything of the product. `make_pings` makes pings
with everything odd that these rules speak of.
"""

from __future__ import annotations

import random
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

Json = dict[str, Any]
Key = tuple[str, frozenset[tuple[str, str]]]

ABSENT = object()
TEXTS: dict[str, tuple[str, ...]] = {
    "build_version": ("environment", "build", "version"),
    "build_id": ("environment", "build", "buildId"),
    "os_name": ("environment", "system", "os", "name"),
    "os_version": ("environment", "system", "os", "version"),
    "architecture": ("environment", "build", "architecture"),
    "country": ("meta", "geoCountry"),
    "experiment_id": ("environment", "addons", "activeExperiment", "id"),
    "experiment_branch": ("environment", "addons", "activeExperiment", "branch"),
    "e10s_enabled": ("environment", "settings", "e10sEnabled"),
    "e10s_cohort": ("environment", "settings", "e10sCohort"),
    "gfx_compositor": ("environment", "system", "gfx", "features", "compositor"),
}
HISTOGRAMS = {
    "content_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "content"),
    "plugin_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "plugin"),
    "gmplugin_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "gmplugin"),
    "content_shutdown_crashes": ("SUBPROCESS_KILL_HARD", "ShutDownKill"),
    "gpu_crashes": ("SUBPROCESS_CRASHES_WITH_DUMP", "gpu"),
}
CHANNELS = ("release", "esr", "beta", "aurora", "nightly")


class Ignored(Exception):
    """The ping does not count."""


def rows(pings: Sequence[Json], rules: str) -> dict[Key, dict[str, Fraction]]:
    """The rows of one submission date."""
    found: dict[Key, dict[str, Fraction]] = {}
    for ping in pings:
        try:
            key, numbers = (_cra if rules == "cra" else _cav)(ping, rules)
        except Ignored:
            continue
        sums = found.setdefault(key, {})
        for name, number in numbers.items():
            sums[name] = sums.get(name, Fraction(0)) + number
            if name != "ping_count":
                sums[f"{name}_squared"] = sums.get(f"{name}_squared", Fraction(0)) + number * number
    return found


def counts(pings: Sequence[Json], rules: str) -> Counter[tuple[str, bool]]:
    """(type, whether it counts) -> pings."""
    found: Counter[tuple[str, bool]] = Counter()
    for ping in pings:
        try:
            (_cra if rules == "cra" else _cav)(ping, rules)
            found[ping["meta"]["docType"], True] += 1
        except Ignored:
            found[ping["meta"]["docType"], False] += 1
    return found


def _cra(ping: Json, rules: str) -> tuple[Key, dict[str, Fraction]]:
    is_main = ping["meta"]["docType"] == "main"
    _check_build(ping)
    length = dig(ping, "payload", "info", "subsessionLength")
    if length not in (None, ABSENT) and not _is_integer(length):
        raise Ignored
    day = _activity(ping, dig(ping, "creationDate"))
    texts = {name: dig(ping, *path) for name, path in TEXTS.items() if name != "gfx_compositor"}
    texts["channel"], texts["application"] = (
        dig(ping, "application", "channel"),
        dig(ping, "application", "name"),
    )
    shown = {
        n: _text(v).encode("ascii", "replace").decode() for n, v in texts.items() if v not in (None, ABSENT)
    }
    seconds = min(max(length, 0), 90_000) if _is_integer(length) else 0
    numbers = {
        "ping_count": Fraction(is_main),
        "main_crashes": Fraction(not is_main),
        "usage_hours": Fraction(seconds, 3600),
        **{stat: _bucket(ping, path) for stat, path in HISTOGRAMS.items() if stat != "gpu_crashes"},
    }
    return (day, frozenset(shown.items())), numbers


def _cav(ping: Json, rules: str) -> tuple[Key, dict[str, Fraction]]:
    is_main = ping["meta"]["docType"] == "main"
    _check_build(ping)
    length = dig(ping, "payload", "info", "subsessionLength")
    if is_main:
        if not _is_integer(length):
            raise Ignored
        start = dig(ping, "payload", "info", "subsessionStartDate")
        day = _activity(ping, start)
    else:
        if dig(ping, "payload", "processType") not in ("main", None, ABSENT) or length not in (None, ABSENT):
            raise Ignored
        day = _activity(ping, dig(ping, "payload", "crashDate"))
    texts = {name: dig(ping, *path) for name, path in TEXTS.items()}
    if rules == "cav":
        del texts["e10s_cohort"]
    if texts["gfx_compositor"] == "none":
        del texts["gfx_compositor"]
    raw = dig(ping, "meta", "normalizedChannel")
    texts["channel"] = _channel(raw) if isinstance(raw, str) else ABSENT
    texts["application"] = dig(ping, "meta", "appName")
    shown = {name: _text(value) for name, value in texts.items() if value not in (None, ABSENT)}
    numbers = {
        "ping_count": Fraction(is_main),
        "main_crashes": Fraction(not is_main),
        "usage_hours": Fraction(min(max(length, 0), 90_000) if is_main else 0, 3600),
        **{stat: _bucket(ping, path) if is_main else Fraction(0) for stat, path in HISTOGRAMS.items()},
    }
    return (day, frozenset(shown.items())), numbers


def _check_build(ping: Json) -> None:
    build_id = dig(ping, "environment", "build", "buildId")
    if not isinstance(build_id, str) or not re.fullmatch(r"[0-9]{14}", build_id):
        raise Ignored


def _activity(ping: Json, raw: Any) -> str:
    submitted = datetime.strptime(ping["meta"]["submissionDate"], "%Y%m%d").replace(tzinfo=UTC).date()
    try:
        day = datetime.strptime(raw[:10], "%Y-%m-%d").replace(tzinfo=UTC).date()
    except (TypeError, ValueError):
        raise Ignored from None
    return max(submitted - timedelta(days=7), min(submitted, day)).isoformat()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _channel(raw: str) -> str:
    if raw in CHANNELS or not raw:
        return raw
    return "nightly" if raw.startswith("nightly-cck-") else "beta" if raw.startswith("beta") else "Other"


def _bucket(ping: Json, path: Sequence[str]) -> Fraction:
    value = dig(ping, "payload", "keyedHistograms", *path, "values", "0")
    return Fraction(value) if _is_integer(value) and value >= 0 else Fraction(0)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def dig(node: Any, *path: str) -> Any:
    """The value at a path; ABSENT where there is none."""
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return ABSENT
        node = node[key]
    return node


def make_pings(count: int, seed: int, day: date) -> list[Json]:
    """Pings submitted on a day, most of them usable; each key's values are few, so that rows have several pings."""
    rng = random.Random(seed)
    return [_ping(rng, day) for _ in range(count)]


def _ping(rng: random.Random, day: date) -> Json:
    def some(*values: Any, odd: Sequence[Any] = (), often: float = 0.95) -> Any:
        return rng.choice(values) if not odd or rng.random() < often else rng.choice(odd)

    kind = rng.choice(("main", "main", "crash"))
    days = [(day - timedelta(days=n)).isoformat() for n in (0, 1, 3, 6, 7, 8, 400, -1, -30)]
    stamp = some(
        *(f"{d}T23:30:00.0-08:00" for d in days), odd=(None, "", "yesterday", 5, "2016-13-01T00:00", ABSENT)
    )
    counts = [0, 1, 2, 7]
    keyed = {
        "SUBPROCESS_CRASHES_WITH_DUMP": {
            key: some(
                {"values": {"0": rng.choice(counts)}},
                odd=({}, {"values": {"1": 4}}, {"values": {"0": "3"}}, None),
            )
            for key in ("content", "plugin", "gmplugin", "gpu")
            if rng.random() < 0.6
        },
        "SUBPROCESS_KILL_HARD": {"ShutDownKill": {"values": {"0": rng.choice(counts)}}},
    }
    info: Json = {"subsessionStartDate": stamp}
    length = some(0, 60, 3600, 89_999, 90_001, 10**9, odd=(-5, None, ABSENT, 1.5, "60", True), often=0.85)
    if kind == "main" or rng.random() < 0.1:
        info["subsessionLength"] = length
    payload: Json = {"info": info, "keyedHistograms": some(keyed, odd=(ABSENT, {}))}
    if kind == "crash":
        payload["processType"] = some(
            "main", ABSENT, "main", odd=("content", "gpu", None, "Main", 3), often=0.7
        )
        payload["crashDate"] = some(*days, odd=("", None, "14/03/2016", ABSENT))
        payload["metadata"] = {}
    ping = {
        "type": kind,
        "id": str(uuid.UUID(int=rng.getrandbits(128))),
        "creationDate": some(*(f"{d}T00:10:00.000Z" for d in days), odd=(None, "x", ABSENT)),
        "application": {"channel": some("release", "nightly", "default"), "name": some("Firefox", "Füchslein")},
        "environment": {
            "build": {
                "version": some("45.0", "46.0a1", odd=(ABSENT, None)),
                "buildId": some("20160303134406", "20140101000000", odd=("2016030313440", "201603031344060", "x" * 14, ABSENT, 20160303134406, "２０１６０３０３１３４４０６")),
                "architecture": some("x86", "x86-64"),
            },
            "system": {
                "os": {"name": some("Windows_NT", "Darwin"), "version": some("10.0", "15.3.0", odd=(10, 10.5, None))},
                "gfx": some({"features": {"compositor": some("d3d11", "none", "opengl")}}, odd=({}, ABSENT)),
            },
            "settings": {"e10sEnabled": some(True, False, odd=(None, ABSENT)), "e10sCohort": some("test", "control", odd=(ABSENT, "ünknown"))},
            "addons": some({}, {"activeExperiment": {"id": "exp", "branch": some("a", "b")}}, {"activeExperiment": {"branch": "alone"}}),
        },
        "payload": payload,
        "meta": {
            "Timestamp": int(datetime(day.year, day.month, day.day, rng.randrange(24), tzinfo=UTC).timestamp()) * 10**9,
            "submissionDate": day.strftime("%Y%m%d"),
            "geoCountry": some("DE", "US", "??"),
            "normalizedChannel": some("release", "nightly", "beta", "Other", odd=("nightly-cck-x", "betaware", "esr52")),
            "appName": some("Firefox", "Fennec", "Thunderbird"),
            "docType": kind,
            "documentId": str(uuid.UUID(int=rng.getrandbits(128))),
        },
    }  # fmt: skip
    return _without_absent(ping)


def _without_absent(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {key: _without_absent(value) for key, value in node.items() if value is not ABSENT}
