"""Mozilla's probe files, recognised by their content: what each entry is, in one form.

Three formats: probe-info of Firefox (`"histogram/GC_MS": {history: {channel: [...]}}`), probe-info of a Glean
application (`"category.name": {history: [...]}`), an application in the Glean Dictionary (`{metrics: [...]}`).
An odd entry is counted and passed over, never fatal; nothing here writes a file.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.registry.probes import FIREFOX, Family, Probe

_LONGEST_TEXT = 500
_LARGEST_FILE = 1 << 30
_LEGACY = ("histogram", "scalar", "event", "environment", "simple_measures")
_CHANNELS = ("nightly", "beta", "release")
"""Of definitions that end in the same version, that of the last of these is taken."""
_DIGITS = re.compile(r"[0-9]{1,6}").match
_EXPECTED = (
    "Expected is probe-info JSON of Firefox (all_probes) or of a Glean application (metrics), or an application's"
    " index.json of the Glean Dictionary."
)


class ProbeFile(msgspec.Struct, frozen=True):
    """What one file holds."""

    source: str
    probes: list[Probe]
    skipped: dict[str, int]
    """Why entries were passed over -> how many."""

    @property
    def by_kind(self) -> dict[str, int]:
        """Number of probes by kind, the most frequent first."""
        kinds = Counter(
            p.kind if p.family in ("glean", p.kind) else f"{p.family} {p.kind}" for p in self.probes
        )
        return dict(kinds.most_common())


def read_probe_file(path: Path, source: str = "") -> ProbeFile:
    """The probes of a file (.gz too); `source` names a Glean application that the file itself does not name.

    Raises `BadRequest` that says where, when the file cannot be read or is none of the formats.
    """
    content = _json(path)
    if isinstance(content, dict) and isinstance(content.get("metrics"), list):
        source = source or _text(content.get("app_name") or content.get("app")) or _named_by(path)
        return _collect(source, _dictionary_entries(source, content["metrics"]))
    forms = Counter(map(_form, content.items())) if isinstance(content, dict) else Counter[str]()
    if forms["legacy"] > forms["glean"]:
        newest = _newest_versions(content.values())
        return _collect(FIREFOX, (_legacy(value, newest) for value in content.values()))
    if forms["glean"]:
        source = source or _named_by(path)
        return _collect(source, (_glean(source, key, value) for key, value in content.items()))
    raise BadRequest("probe_file_invalid", f"{path} holds no probes.", _EXPECTED)


def _json(path: Path) -> Any:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                data = packed.read(_LARGEST_FILE)
    except FileNotFoundError:
        raise BadRequest("probe_file_missing", f"There is no file {path}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadRequest("probe_file_invalid", f"{path} cannot be read: {error}") from None
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            "probe_file_invalid", f"{path}{_place(str(error), data)}: {error}", _EXPECTED
        ) from None


def _place(message: str, data: bytes) -> str:
    """`:line:column` of the byte that the decoder complains of; of the end when the file was cut off."""
    match = re.search(r"byte (\d+)", message)
    before = data[: int(match[1])] if match else data
    return f":{before.count(10) + 1}:{len(before) - before.rfind(10)}"


def _named_by(path: Path) -> str:
    """A Glean source named by its file: `firefox-desktop-metrics.json`, or `firefox-desktop/metrics`."""
    stem = re.sub(r"(\.json)?(\.gz)?$", "", path.name)
    return re.sub(r"[-_.]?(metrics|index)$", "", stem) or path.absolute().parent.name or "glean"


def _form(item: tuple[str, Any]) -> str:
    key, value = item
    history = value.get("history") if isinstance(value, dict) else None
    if "/" in key and isinstance(history, dict | list):
        return "legacy"
    return "glean" if isinstance(history, list) else ""


def _collect(source: str, entries: Iterator[Probe | str]) -> ProbeFile:
    """Probes, each name once, and the reasons of the entries that are none."""
    probes: dict[tuple[str, str], Probe] = {}
    skipped: Counter[str] = Counter()
    for entry in entries:
        if isinstance(entry, str):
            skipped[entry] += 1
        else:
            probes[entry.family, entry.name] = entry
    return ProbeFile(source, list(probes.values()), dict(skipped.most_common()))


def _legacy(value: Any, newest: dict[str, int]) -> Probe | str:
    """A probe of Firefox, or why it is none."""
    family = _text(value.get("type")) if isinstance(value, dict) else ""
    if family not in _LEGACY:
        return f"unknown type {family[:50]}" if family else "no type"
    name, history = _text(value.get("name")), _histories(value.get("history"))
    if not name or not history:
        return "no name" if not name else "no history"
    latest = max(history, key=lambda h: (_version(h[1], "last"), _rank(h[0])))[1]
    details = latest.get("details")
    details = details if isinstance(details, dict) else {}
    kind = _text(details.get("kind")) or (family if family not in ("histogram", "scalar") else "")
    if not kind:
        return "no kind"
    firsts = [v for _, h in history if (v := _version(h, "first"))]
    last = max(_version(h, "last") for _, h in history)
    return Probe(
        name=name,
        source=FIREFOX,
        family=cast(Family, family),
        kind=kind,
        keyed=details.get("keyed") in (True, "true"),
        keys=_texts(details.get("keys")),
        labels=_texts(details.get("labels")),
        processes=[_process(p) for p in _texts(details.get("record_in_processes"))],
        low=_integer(details.get("low")),
        high=_integer(details.get("high")),
        buckets=_integer(details.get("n_buckets")),
        description=_text(latest.get("description")),
        first=str(min(firsts)) if firsts else "",
        last=str(last) if last else "",
        retired=all(_version(h, "last") < newest[channel] for channel, h in history),
        on_release=any(h.get("optout") is not False for _, h in history),
    )


def _histories(history: Any) -> list[tuple[str, dict[str, Any]]]:
    """(channel, definition) of every definition; some writers give one list for all channels."""
    channels = history.items() if isinstance(history, dict) else [("", history)]
    return [
        (channel, entry)
        for channel, entries in channels
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]


def _rank(channel: str) -> int:
    return _CHANNELS.index(channel) if channel in _CHANNELS else -1


def _newest_versions(values: Iterable[Any]) -> dict[str, int]:
    """The newest version of each channel that any probe is defined in."""
    newest: dict[str, int] = {}
    for value in values:
        for channel, entry in _histories(value.get("history")) if isinstance(value, dict) else ():
            newest[channel] = max(newest.get(channel, 0), _version(entry, "last"))
    return newest


def _version(entry: dict[str, Any], end: str) -> int:
    """The leading number of the first or last version of a definition, 0 when it says none."""
    versions = entry.get("versions")
    text = str(versions.get(end, "")) if isinstance(versions, dict) else ""
    match = _DIGITS(text)
    return int(match[0]) if match else 0


def _process(name: str) -> str:
    """As pings call it."""
    return {"main": "parent", "all_childs": "all_children"}.get(name, name)


def _dictionary_entries(source: str, metrics: list[Any]) -> Iterator[Probe | str]:
    for metric in metrics:
        if not isinstance(metric, dict) or not _text(metric.get("name")):
            yield "no name"
        else:
            retired = metric.get("in_source") is False
            yield _metric(source, _text(metric["name"]), metric, [metric], retired)


def _glean(source: str, key: str, value: Any) -> Probe | str:
    """A metric of probe-info, or why it is none."""
    history = [h for _, h in _histories(value.get("history"))] if isinstance(value, dict) else []
    if not history:
        return "no history"
    latest = max(history, key=lambda h: _day(h, "last"))
    whole = {"type": value.get("type"), **latest}
    return _metric(source, _text(value.get("name")) or key, whole, history, value.get("in-source") is False)


def _metric(
    source: str, name: str, latest: dict[str, Any], history: list[dict[str, Any]], retired: bool
) -> Probe | str:
    kind = _text(latest.get("type"))
    if not kind:
        return "no type"
    firsts = [d for h in history if (d := _day(h, "first"))]
    return Probe(
        name=name,
        source=source,
        family="glean",
        kind=kind,
        keyed=kind.startswith("labeled_"),
        keys=_texts(latest.get("labels")),
        pings=_texts(latest.get("send_in_pings") or latest.get("pings")),
        unit=next((u for k in ("time_unit", "memory_unit", "unit") if (u := _text(latest.get(k)))), ""),
        low=_integer(latest.get("range_min")),
        high=_integer(latest.get("range_max")),
        buckets=_integer(latest.get("bucket_count")),
        spacing=_text(latest.get("histogram_type")),
        description=_text(latest.get("description")),
        first=min(firsts, default=""),
        last=max(_day(h, "last") for h in history),
        retired=retired,
    )


def _day(entry: dict[str, Any], end: str) -> str:
    dates = entry.get("dates")
    return _text(dates.get(end))[:10] if isinstance(dates, dict) else ""


def _text(value: Any) -> str:
    return " ".join(value.split())[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    """The texts in a list; of an object its keys."""
    return [v for v in value if isinstance(v, str) and v] if isinstance(value, list | dict) else []


def _integer(value: Any) -> int | None:
    """A number; old files hold expressions of C++ in its place."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return value if is_number else None
