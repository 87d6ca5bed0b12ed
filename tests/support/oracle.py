"""The streaming error aggregator ("v2") once more, slow and plain, to compare the product with.

Written from the description of the predecessor's semantics alone: one JSON object at a time, dicts, exact fractions.
Never imports anything of the product, so that the two can only agree by both being right.

    oracle = Oracle()
    oracle.receive(lines)       # of one import, in order; again for the next import
    oracle.v2, oracle.early, oracle.discards, oracle.other_applications

Values are None where no ping reported the measure: that is not 0. Where the description is silent on what no client
sends, the product's own promise is taken: a count that is no integer from 0 to 2^40, and what would be a sum with it,
is null.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

Json = dict[str, Any]
Row = dict[str, Fraction | None]

DIMENSIONS = (
    "channel", "version", "display_version", "build_id", "application", "os_name", "os_version", "architecture",
    "country",
)  # fmt: skip
TIMES = ("window_start", "window_end", "submission_date_s3")
KEY = (*TIMES, *DIMENSIONS, "experiment_id", "experiment_branch")
KEPT_WITH_EXPERIMENT = ("channel", "version", "os_name", "country")

SUBPROCESSES = ("gpu", "plugin", "gmplugin")
ERROR_HISTOGRAMS = (
    "BROWSER_SHIM_USAGE_BLOCKED", "PERMISSIONS_SQL_CORRUPTED", "DEFECTIVE_PERMISSIONS_SQL_REMOVED",
    "SLOW_SCRIPT_NOTICE_COUNT", "SLOW_SCRIPT_PAGE_COUNT",
)  # fmt: skip
MEASURES = (
    "count", "usage_hours", "main_crashes", "startup_crashes", "content_crashes", "content_shutdown_crashes",
    *(f"{process}_crashes" for process in SUBPROCESSES), *(name.lower() for name in ERROR_HISTOGRAMS),
)  # fmt: skip

THRESHOLDS = {
    "INPUT_EVENT_RESPONSE_COALESCED_MS": (150, 250, 2500),
    "GC_MAX_PAUSE_MS_2": (150, 250, 2500),
    "CYCLE_COLLECTOR_MAX_PAUSE": (150, 250, 2500),
    "GHOST_WINDOWS": (1,),
}
THRESHOLD_PROCESSES = {"main": ("histograms",), "content": ("processes", "content", "histograms")}
EARLY_MEASURES = (
    "subsession_count", "first_subsession_count", "first_paint",
    *(
        f"{histogram.lower()}_{process}_above_{threshold}"
        for histogram, thresholds in THRESHOLDS.items()
        for process in THRESHOLD_PROCESSES
        for threshold in thresholds
    ),
)  # fmt: skip

APPLICATION_FIELDS = (
    "architecture", "buildId", "channel", "name", "platformVersion", "vendor", "version", "xpcomAbi",
)  # fmt: skip
META_FIELDS = ("appBuildId", "appName", "appVersion", "geoCountry", "normalizedChannel", "submissionDate")

WINDOW = timedelta(minutes=5)
NS = 10**9


class Discarded(Exception):
    """A ping that a rule keeps out; the argument names the rule."""


class Oracle:
    """What the tables must hold after all that was received."""

    def __init__(self) -> None:
        self.v2: dict[tuple[Any, ...], Row] = {}
        self.early: dict[tuple[Any, ...], Row] = {}
        self.discards: Counter[tuple[str | None, str]] = Counter()
        """By start of the window (None: not known) and rule."""
        self.other_applications = 0
        self._known: set[str] = set()

    def receive(self, lines: Iterable[bytes]) -> None:
        """Take the lines of one import; of pings with one document id the first received counts."""
        readable = []
        for line in lines:
            try:
                readable.append(_read(line))
            except Discarded as rule:
                self.discards[None, str(rule)] += 1
        # A stable sort: of those received at the same instant the one that stands first.
        for ping in sorted(readable, key=lambda ping: ping["meta"]["Timestamp"]):
            self._one(ping)

    def _one(self, ping: Json) -> None:
        document_id, window = ping["meta"]["documentId"], _times(ping)["window_start"]
        if document_id in self._known:
            self.discards[window, "duplicate"] += 1
            return
        self._known.add(document_id)
        try:
            _check(ping)
        except Discarded as rule:
            if str(rule) == "application":
                self.other_applications += 1
            else:
                self.discards[window, str(rule)] += 1
            return
        self._count(ping)

    def _count(self, ping: Json) -> None:
        times, dimensions = _times(ping), _dimensions(ping)
        _add(self.early, (*times.values(), *dimensions.values()), _early_measures(ping))
        for identity, branch in _experiments(ping):
            kept = {
                name: value if identity is None or name in KEPT_WITH_EXPERIMENT else None
                for name, value in dimensions.items()
            }
            _add(self.v2, (*times.values(), *kept.values(), identity, branch), _measures(ping))


def _read(line: bytes) -> Json:
    try:
        ping = json.loads(line, parse_constant=_refuse)
    except ValueError:
        raise Discarded("no JSON") from None
    meta = dig(ping, "meta")
    if not isinstance(meta, dict) or not isinstance(meta.get("Timestamp"), int):
        raise Discarded("no meta")
    return ping  # type: ignore[no-any-return]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


# Rules, in their order.


def _check(ping: Json) -> None:
    kind, meta = ping["meta"].get("docType"), ping["meta"]
    if kind not in ("main", "crash", "core"):
        raise Discarded("document type")
    if meta.get("appName") is not None and meta["appName"] not in ("Firefox", "Fennec"):
        raise Discarded("application")
    if meta.get("normalizedChannel") == "Other":
        raise Discarded("channel")
    _check_required(ping, kind)
    if _day(meta["submissionDate"]) is None:
        raise Discarded("submission date")
    if kind == "core" and ping.get("os") != "Android":
        raise Discarded("core os")
    _check_build(ping)
    if kind == "crash" and _process(ping) not in (None, "main", "content"):
        raise Discarded("process")
    if kind == "main" and not _is_integer(dig(ping, "payload", "info", "subsessionLength")):
        raise Discarded("length")


def _check_required(ping: Json, kind: str) -> None:
    values = [_meta(ping, name) for name in META_FIELDS]
    if kind != "core":
        values += [dig(ping, "application", name) for name in APPLICATION_FIELDS]
    if kind == "crash":
        values += [dig(ping, "payload", "crashDate"), dig(ping, "payload", "metadata")]
    if None in values:
        raise Discarded("required")


def _meta(ping: Json, name: str) -> Any:
    """A field of the server's, or what stands in for it."""
    value = ping["meta"].get(name)
    own = {"appVersion": "version", "appBuildId": "buildId"}.get(name)
    for section in (("application",), ("environment", "build")):
        if value is None and own is not None:
            value = dig(ping, *section, own)
    return value


def _check_build(ping: Json) -> None:
    if _build_id(ping) is None:
        raise Discarded("no build")
    built, submitted = _day(_build_id(ping)), _day(ping["meta"]["submissionDate"])
    if built is None or submitted is None or not 0 <= complete_months(built, submitted) <= 6:
        raise Discarded("build")


def _day(text: Any) -> date | None:
    if not isinstance(text, str) or not re.match("[0-9]{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def complete_months(start: date, end: date) -> int:
    """Whole months from one day to another, towards zero where the end comes first."""
    if end < start:
        return -complete_months(end, start)
    months = 12 * (end.year - start.year) + end.month - start.month
    return months - (end.day < start.day)


# Dimensions.


def _times(ping: Json) -> dict[str, str]:
    seconds = ping["meta"]["Timestamp"] // NS
    start = datetime.fromtimestamp(seconds - seconds % 300, UTC)
    received = datetime.fromtimestamp(seconds, UTC)
    values = (f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{start + WINDOW:%Y-%m-%dT%H:%M:%SZ}", f"{received:%Y%m%d}")
    return dict(zip(TIMES, values, strict=True))


def _dimensions(ping: Json) -> dict[str, str | None]:
    core = ping["meta"]["docType"] == "core"
    return {
        "channel": _meta(ping, "normalizedChannel"),
        "version": _meta(ping, "appVersion") if core else dig(ping, "environment", "build", "version"),
        "display_version": _display_version(ping),
        "build_id": _build_id(ping),
        "application": _meta(ping, "appName"),
        "os_name": ping["os"] if core else _os_name(ping),
        "os_version": ping.get("osversion") if core else _os_version(ping),
        "architecture": ping.get("arch") if core else dig(ping, "environment", "build", "architecture"),
        "country": _meta(ping, "geoCountry"),
    }


def _display_version(ping: Json) -> Any:
    if ping["meta"]["docType"] != "core":
        return dig(ping, "application", "displayVersion")
    own = ping.get("displayVersion")
    return _meta(ping, "appVersion") if own is None else own


def _build_id(ping: Json) -> Any:
    if ping["meta"]["docType"] == "core":
        return _meta(ping, "appBuildId")
    return dig(ping, "environment", "build", "buildId")


def _os_name(ping: Json) -> Any:
    name = dig(ping, "environment", "system", "os", "name")
    is_fennec_crash = ping["meta"]["docType"] == "crash" and ping["meta"]["appName"] == "Fennec"
    return "Android" if is_fennec_crash and name == "Linux" else name


def _os_version(ping: Json) -> str | None:
    version = dig(ping, "environment", "system", "os", "version")
    found = re.match(r"[0-9]+(\.[0-9]+(\.[0-9]+)?)?", version) if isinstance(version, str) else None
    return found[0] if found else None


def _experiments(ping: Json) -> set[tuple[str | None, str | None]]:
    nobody: tuple[str | None, str | None] = (None, None)
    if ping["meta"]["docType"] == "core":
        return {nobody}
    new_style = dig(ping, "environment", "experiments")
    found = {nobody}
    if isinstance(new_style, dict):
        found |= {(identity, dig(entry, "branch")) for identity, entry in new_style.items()}
    old_style = dig(ping, "environment", "addons", "activeExperiment")
    return found | {(dig(old_style, "id"), dig(old_style, "branch"))}


# Measures.


def _measures(ping: Json) -> Row:
    row: Row = dict.fromkeys(MEASURES)
    row["count"] = Fraction(1)
    row |= {"main": _main_measures, "crash": _crash_measures, "core": _core_measures}[
        ping["meta"]["docType"]
    ](ping)
    return row


def _main_measures(ping: Json) -> Row:
    hours = Fraction(dig(ping, "payload", "info", "subsessionLength"), 3600)
    row: Row = {"usage_hours": max(Fraction(0), min(Fraction(25), hours))}
    crashes = dig(ping, "payload", "keyedHistograms", "SUBPROCESS_CRASHES_WITH_DUMP")
    for process in SUBPROCESSES:
        row[f"{process}_crashes"] = _bucket_0(dig(crashes, process))
    for name in ERROR_HISTOGRAMS:
        row[name.lower()] = _bucket_0(dig(ping, "payload", "histograms", name))
    return row


def _bucket_0(histogram: Any) -> Fraction | None:
    count = dig(histogram, "values", "0")
    return Fraction(count) if _is_count(count) else None


def _crash_measures(ping: Json) -> Row:
    metadata = dig(ping, "payload", "metadata")
    if _process(ping) == "content":
        shutdown = dig(metadata, "ipc_channel_error") == "ShutDownKill"
        return {"content_shutdown_crashes" if shutdown else "content_crashes": Fraction(1)}
    row: Row = {"main_crashes": Fraction(1)}
    if dig(metadata, "StartupCrash") == "1":
        row["startup_crashes"] = Fraction(1)
    return row


def _core_measures(ping: Json) -> Row:
    durations = ping.get("durations")
    return {} if durations is None else {"usage_hours": Fraction(durations) / 3600}


def _early_measures(ping: Json) -> Row:
    """What was removed from the aggregates later on: of main pings only."""
    row: Row = dict.fromkeys(EARLY_MEASURES)
    if ping["meta"]["docType"] != "main":
        return row
    counter = dig(ping, "payload", "info", "subsessionCounter")
    first = _is_integer(counter) and counter == 1
    paint = dig(ping, "payload", "simpleMeasurements", "firstPaint")
    row["subsession_count"] = Fraction(1)
    row["first_subsession_count"] = Fraction(first)
    row["first_paint"] = Fraction(paint) if first and _is_integer(paint) else None
    for histogram, thresholds in THRESHOLDS.items():
        for process, path in THRESHOLD_PROCESSES.items():
            buckets = _buckets(ping, "payload", *path, histogram, "values")
            for threshold in thresholds:
                row[f"{histogram.lower()}_{process}_above_{threshold}"] = _at_least(buckets, threshold)
    return row


def _buckets(node: Any, *keys: str) -> dict[int, int] | None:
    """Counts by lower bound, of a histogram that is not there none; None for what is no histogram."""
    for key in keys:
        if node is None:
            return {}
        if not isinstance(node, dict):
            return None
        node = node.get(key)
    if node is None:
        return {}
    if not isinstance(node, dict):
        return None
    found = {int(key): count for key, count in node.items() if re.fullmatch("-?[0-9]+", key)}
    return found if all(_is_count(count) for count in found.values()) else None


def _at_least(buckets: dict[int, int] | None, threshold: int) -> Fraction | None:
    if buckets is None:
        return None
    return Fraction(sum(count for lower, count in buckets.items() if lower >= threshold))


def _process(ping: Json) -> Any:
    return dig(ping, "payload", "processType")


# Plumbing.


def dig(node: Any, *keys: str) -> Any:
    """What stands at a path; None where the path leads nowhere."""
    for key in keys:
        if not isinstance(node, dict):
            return None
        node = node.get(key)
    return node


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_integer(value) and 0 <= value <= 2**40


def _add(rows: dict[tuple[Any, ...], Row], key: tuple[Any, ...], measures: Row) -> None:
    row = rows.setdefault(key, dict.fromkeys(measures))
    for name, value in measures.items():
        held = row[name]
        if value is not None:
            row[name] = value if held is None else held + value


def without_times(rows: dict[tuple[Any, ...], Row]) -> dict[tuple[Any, ...], Row]:
    """The rows summed over all windows: keys lose their first three parts."""
    summed: dict[tuple[Any, ...], Row] = {}
    for key, row in rows.items():
        _add(summed, key[len(TIMES) :], row)
    return summed
