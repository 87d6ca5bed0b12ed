"""Addresses of the pages: which view of a measure a URL asks for, and the URL of a view.

Everything that a page shows follows from its address, so this module is the only one that reads or writes
one. It never looks at data. Dimensions are filtered by the names that `/api/v1/aggregates` uses
(`os_name=Linux`, `os_name__isnull=true`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from fastapi import Depends, Request

from missioncontrol.errors import BadRequest
from missioncontrol.query.filters import is_range
from missioncontrol.query.versions import version_key
from missioncontrol.registry.model import Registry

Interval = Literal["5min", "hour", "day"]
Span = Literal["24h", "48h", "7d", "14d", "30d", "newest", "custom"]
Group = Literal["version", "build_id"]
Show = Literal["rate", "count"]
TimeAxis = Literal["clock", "release"]
Smooth = Literal["off", "3h", "24h", "7d"]
Skip = Literal["0", "24h"]
Switch = Literal["off", "on"]

INTERVALS: dict[Interval, timedelta] = {
    "5min": timedelta(minutes=5),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
SPANS: dict[Span, timedelta] = {
    "24h": timedelta(hours=24),
    "48h": timedelta(hours=48),
    "7d": timedelta(days=7),
    "14d": timedelta(days=14),
    "30d": timedelta(days=30),
}
SMOOTHING: dict[Smooth, timedelta] = {
    "3h": timedelta(hours=3),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "group": ("version", "build_id"),
    "interval": tuple(INTERVALS),
    "range": (*SPANS, "newest", "custom"),
    "show": ("rate", "count"),
    "time": ("clock", "release"),
    "smooth": ("off", *SMOOTHING),
    "skip": ("0", "24h"),
    "band": ("off", "on"),
}
SIDES = ("a", "b")
EXPERIMENT = ("experiment_id", "experiment_branch")
"""What a side of a comparison can be told by besides the dimensions of the page."""
MAX_POINTS = 9000
"""Most intervals on the time axis of one view."""
MAX_SERIES = 12
"""Most lines in one chart: more cannot be told apart."""
_FIRST_YEAR, _LAST_YEAR = 1971, 2199
NULL = "~"
"""How a null stands in an address, where it cannot be an absent parameter."""
_NULL_SUFFIX = "__isnull"
_ONCE = (*CHOICES, "start", "end", "zoom", "split", *(f"{side}.start" for side in SIDES))
_OWN = (*_ONCE, "series")
Pairs = Sequence[tuple[str, str]]


class Filter(msgspec.Struct, frozen=True):
    """Keep rows whose dimension has one of the values; `null` instead asks for null or for not null."""

    dimension: str
    values: tuple[str, ...] = ()
    null: bool | None = None
    ranged: bool = False
    """The two values are the ends of a range."""

    @property
    def text(self) -> str:
        """The condition in words."""
        if self.ranged:
            return " to ".join(sorted(self.values, key=version_key if self.dimension == "version" else None))
        if self.null is None:
            return " or ".join(self.values)
        return "unknown" if self.null else "known"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters that stand for it."""
        if self.null is not None:
            return [(self.dimension + _NULL_SUFFIX, str(self.null).lower())]
        return [(self.dimension, value) for value in self.values]


class Side(msgspec.Struct, frozen=True):
    """One of two selections that are compared: what narrows it further than the filters of the page."""

    filters: tuple[Filter, ...] = ()
    start: datetime | None = None
    """Its range begins here, and is as long as that of the page; None: it is that of the page, or begins with its
    publication.
    """

    @property
    def text(self) -> str:
        """The selection in words."""
        words = [f"{one.dimension} {one.text}" for one in self.filters]
        if self.start:
            words.append(f"from {_instant_text(self.start).replace('T', ' ')}")
        return ", ".join(words) or "all"

    def pairs(self, side: str) -> list[tuple[str, str]]:
        """The parameters that stand for it."""
        found = [(f"{side}.{name}", value) for one in self.filters for name, value in one.pairs]
        return [*found, (f"{side}.start", _instant_text(self.start))] if self.start else found


class MeasureState(msgspec.Struct, frozen=True):
    """All that can be chosen on the page of a measure. Instants are aware and UTC."""

    application: str | None
    channel: str | None
    measure: str
    group: Group = "version"
    interval: Interval = "hour"
    range: Span = "48h"
    start: datetime | None = None
    end: datetime | None = None
    show: Show = "rate"
    time: TimeAxis = "clock"
    smooth: Smooth = "off"
    skip: Skip = "0"
    """So much after each release is left out; only where time counts from the release."""
    band: Switch = "off"
    """Whether the releases before are drawn as a band; only where time counts from the release."""
    split: str = ""
    """The dimension that small charts are made by; empty: none."""
    a: Side = Side()
    b: Side = Side()
    """What is compared; nothing is, when both are empty."""
    series: tuple[str | None, ...] = ()
    """The groups that are drawn; empty: the newest, and up to four more that are in use."""
    filters: tuple[Filter, ...] = ()
    zoom: str = ""
    """`<from>_<to>` on the time axis, in seconds as the chart counts them; only the browser uses it."""

    @property
    def compares(self) -> bool:
        """Whether two selections are compared."""
        return self.a != Side() or self.b != Side()

    @property
    def path(self) -> str:
        """The page without its parameters."""
        return measure_path(self.application, self.channel, self.measure)

    def url(self, without: str = "", **changes: object) -> str:
        """The address of this view with `changes`; `without` names a dimension whose filter is dropped."""
        state = msgspec.structs.replace(self, **changes)
        pairs = [p for p in state.pairs() if p[0].removesuffix(_NULL_SUFFIX) != (without or None)]
        return f"{state.path}?{urlencode(pairs)}" if pairs else state.path

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters that differ from what an address without any means."""
        pairs = [(n, str(getattr(self, n))) for n in CHOICES if getattr(self, n) != DEFAULTS[n]]
        if self.range == "custom":
            pairs += [(n, _instant_text(getattr(self, n))) for n in ("start", "end") if getattr(self, n)]
        pairs += [("split", self.split)] if self.split else []
        pairs += [*self.a.pairs("a"), *self.b.pairs("b")]
        pairs += [("series", encode_part(value)) for value in self.series]
        pairs += [pair for one in self.filters for pair in one.pairs]
        return [*pairs, ("zoom", self.zoom)] if self.zoom else pairs


DEFAULTS = {f.name: f.default for f in msgspec.structs.fields(MeasureState)}


def encode_part(value: str | None) -> str:
    """A value as one part of a path: `~` for null, `~e` for the empty text, `~0` `~1` `~2` for `~` `/` `.`.

    A dot is only replaced where the part would otherwise mean this folder or the one above.
    """
    if value is None:
        return NULL
    if value in (".", ".."):
        return value.replace(".", "~2")
    return value.replace("~", "~0").replace("/", "~1") or "~e"


def decode_part(part: str) -> str | None:
    """The inverse of `encode_part`."""
    if part == NULL:
        return None
    return "" if part == "~e" else part.replace("~1", "/").replace("~2", ".").replace("~0", "~")


def measure_path(application: str | None, channel: str | None, measure: str) -> str:
    """`/measure/<application>/<channel>/<measure>`."""
    parts = (encode_part(application), encode_part(channel), measure)
    return "/measure/" + "/".join(quote(part, safe="~") for part in parts)


def range_from(start: datetime, length: timedelta, end: datetime) -> dict[str, str]:
    """The parameters of a range on the page of a measure that begins at `start`: of this length, or up to now where
    less than that has passed by `end`, the end of the data.
    """
    over = {"end": _instant_text(start + length)} if end - start > length else {}
    return {"start": _instant_text(start), **over}


def builds_path(application: str | None, channel: str | None) -> str:
    """`/builds/<application>/<channel>`."""
    return "/builds/" + "/".join(quote(encode_part(part), safe="~") for part in (application, channel))


def read_once(pairs: Pairs, known: Sequence[str]) -> dict[str, str]:
    """The parameters of an address; raises `BadRequest` (`unknown_parameter`, `repeated_parameter`)."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            close = difflib.get_close_matches(name[:60], known, 1)
            others = f"Known: {', '.join(known)}." if known else "It has none."
            hint = f"Did you mean `{close[0]}`?" if close else others
            raise BadRequest("unknown_parameter", f"This page has no parameter `{name[:60]}`.", hint)
        if name in found:
            raise BadRequest("repeated_parameter", f"`{name}` is there more than once.", "Say it once.")
        found[name] = value
    return found


def only(*known: str) -> Any:
    """A dependency of a route that refuses other parameters than these, as `read_once` does."""

    def read(request: Request) -> None:
        read_once(request.query_params.multi_items(), known)

    return Depends(read)


def read_state(
    application: str, channel: str, measure: str, query: Pairs, registry: Registry
) -> MeasureState:
    """The view that path parts (already percent-decoded) and parameters ask for.

    Raises `BadRequest` for a parameter, choice, instant or zoom that is not understood.
    """
    dimensions = filterable(registry)
    _refuse_unknown(query, dimensions)
    _refuse_doubled(query)
    values: dict[str, object] = {name: _choice(name, query) for name in CHOICES if _has(name, query)}
    dated = _has("start", query) or _has("end", query)
    if values.get("range", "custom" if dated else "") == "custom":
        values |= {"range": "custom", "start": _instant("start", query), "end": _instant("end", query)}
    if values.get("time") != "release":  # they mean nothing by the clock, and are kept in a form that is sent
        values = {name: value for name, value in values.items() if name not in ("skip", "band")}
    state = MeasureState(
        decode_part(application),
        decode_part(channel),
        measure,
        series=tuple(
            dict.fromkeys(decode_part(value) for name, value in query if name == "series" and value)
        ),
        filters=_filters(query, dimensions, registry),
        zoom=_zoom(query),
        split=_split(query, dimensions),
        a=_side("a", query, dimensions, registry),
        b=_side("b", query, dimensions, registry),
        **values,  # type: ignore[arg-type]
    )
    _refuse_unreasonable(state)
    return state


def filterable(registry: Registry) -> list[str]:
    """The dimensions that the page can filter by: all but those in its path."""
    return [d.name for d in registry.keys if d.name not in ("application", "channel")]


def _has(name: str, query: Pairs) -> bool:
    return any(key == name and value for key, value in query)


def _last(name: str, query: Pairs) -> str:
    return next((value.strip() for key, value in reversed(query) if key == name), "")


def _choice(name: str, query: Pairs) -> str:
    value = _last(name, query)
    if value not in CHOICES[name]:
        raise BadRequest(
            "bad_parameter",
            f"`{name}` cannot be `{value[:60]}`.",
            f"Choose one of: {', '.join(CHOICES[name])}.",
        )
    return value


def _refuse_unknown(query: Pairs, dimensions: Iterable[str]) -> None:
    of_rows = [*dimensions, *(d + _NULL_SUFFIX for d in dimensions)]
    of_sides = [*of_rows, *EXPERIMENT, *(d + _NULL_SUFFIX for d in EXPERIMENT)]
    known = [*_OWN, *of_rows, *(f"{side}.{name}" for side in SIDES for name in of_sides)]
    for name, _ in query:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join([*_OWN, *dimensions])}."
            raise BadRequest("unknown_parameter", f"This page has no parameter `{name[:60]}`.", hint)


def _refuse_doubled(query: Pairs) -> None:
    for name in _ONCE:
        if len([value for key, value in query if key == name and value]) > 1:
            raise BadRequest("repeated_parameter", f"The parameter `{name}` is there twice.", "Say it once.")


def _split(query: Pairs, dimensions: Iterable[str]) -> str:
    name = _last("split", query)
    names = [one for one in dimensions if one != "build_id"]
    if name and name not in names:
        close = difflib.get_close_matches(name, names, 1)
        hint = f"Did you mean `{close[0]}`?" if close else f"Choose one of: {', '.join(names)}."
        raise BadRequest("bad_parameter", f"`split` cannot be `{name[:60]}`.", hint)
    return name


def _side(side: str, query: Pairs, dimensions: Iterable[str], registry: Registry) -> Side:
    own = [(key.removeprefix(f"{side}."), value) for key, value in query if key.startswith(f"{side}.")]
    return Side(_filters(own, [*dimensions, *EXPERIMENT], registry, f"{side}."), _instant("start", own))


def _instant(name: str, query: Pairs) -> datetime | None:
    text = _last(name, query)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
            raise ValueError
        return found
    except (ValueError, OverflowError):
        raise BadRequest(
            "bad_time",
            f"`{name}` is no date or time: `{text[:60]}`.",
            "Write 2026-01-31 or 2026-01-31T14:00, in UTC.",
        ) from None


def _instant_text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M")


def _zoom(query: Pairs) -> str:
    text = _last("zoom", query)
    ends = text.split("_")
    if text and not (len(ends) == 2 and all(e.isascii() and e.isdigit() and len(e) < 12 for e in ends)):
        raise BadRequest(
            "bad_parameter", "`zoom` must be two numbers of seconds, as in 1800000000_1800003600."
        )
    return text


def _filters(
    query: Pairs, dimensions: Iterable[str], registry: Registry, prefix: str = ""
) -> tuple[Filter, ...]:
    found = []
    for name in dimensions:
        values = tuple(dict.fromkeys(value for key, value in query if key == name and value))
        null = _last(name + _NULL_SUFFIX, query)
        if null and null not in ("true", "false"):
            raise BadRequest(
                "bad_parameter", f"`{prefix}{name}{_NULL_SUFFIX}` must be true or false, not `{null[:60]}`."
            )
        if null and values:
            raise BadRequest(
                "bad_parameter", f"`{prefix}{name}` cannot both have a value and be asked for null."
            )
        if values or null:
            declared = registry.dimensions.get(name)
            ranged = is_range(name, values, declared is not None and declared.ordered)
            found.append(Filter(name, values, null == "true" if null else None, ranged))
    return tuple(found)


def _refuse_unreasonable(state: MeasureState) -> None:
    if len(state.series) > MAX_SERIES:
        raise BadRequest(
            "too_many_series", f"At most {MAX_SERIES} lines fit one chart.", "Choose fewer `series`."
        )
    _refuse_mixed(state)
    if state.range != "custom":
        return
    if state.time == "release":
        raise BadRequest(
            "bad_parameter",
            "Custom dates cannot be combined with hours since release.",
            f"Choose a `range` of {', '.join(SPANS)}, or `time=clock`.",
        )
    if state.start is None:
        raise BadRequest(
            "bad_time", "A custom range needs its `start`.", "Write it as 2026-01-31T14:00, in UTC."
        )
    if state.end is not None and state.end <= state.start:
        raise BadRequest("bad_time", "The range ends before it starts.", "Swap `start` and `end`.")


def _refuse_mixed(state: MeasureState) -> None:
    """Refuse what is two pages in one."""
    since = state.time == "release"
    mixed = {
        "`range=newest` is an age of a release.": (
            state.range == "newest" and not since,
            "Add `time=release`.",
        ),
        f"The lines are by {state.group} already.": (state.split == state.group, "Choose another `split`."),
        "Small charts and a comparison are two pages.": (
            bool(state.split) and state.compares,
            "Drop `split`, or what begins with `a.` and `b.`.",
        ),
    }
    for message, (wrong, hint) in mixed.items():
        if wrong:
            raise BadRequest("bad_parameter", message, hint)
