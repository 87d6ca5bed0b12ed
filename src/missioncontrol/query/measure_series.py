"""One measure over time, build by build: the question of `/api/measure/`.

By the clock, or by the age of each build: since its first window. Both ends of the time that is asked for are included,
as the predecessor has it. Reads the whole population, no experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.query import dialect
from missioncontrol.query.aggregates import unknown
from missioncontrol.query.engine import Engine
from missioncontrol.query.field_time import published_us, versions_of
from missioncontrol.query.fielded_builds import (
    DAY,
    KEYS,
    Build,
    BuildSpan,
    FieldedBuilds,
    spans_joined,
    whole_span,
)
from missioncontrol.query.parameters import refuse_unknown
from missioncontrol.query.relation import Span
from missioncontrol.query.summary_scope import USAGE, Choice, Combination, listed_combinations
from missioncontrol.query.versions import newest_first, version_key
from missioncontrol.registry.model import Registry

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release

MOST_ITEMS = 100_000
NEWEST_VERSIONS = 4
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SWITCH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
_ONCE = frozenset(("channel", "platform", "measure", "interval", "start", "relative"))
_EXAMPLE = "As in channel=release&platform=linux&measure=main_crashes&interval=86400."

Item = tuple[str | int, float, float]
"""(start of the window in ISO 8601 or seconds since the build's first window, sum of the measure, usage hours)"""


class SeriesQuery(msgspec.Struct, frozen=True):
    """What is asked for; applications, channel and platform in lower case."""

    choice: Choice
    measure: str
    interval_s: int
    start_s: int | None
    """Since the epoch, or since a build's first window."""
    relative: bool
    versions: frozenset[str]
    """Empty: every one, or the newest four if `relative`."""


class Series(msgspec.Struct):
    """A build: its version and its items, the oldest first."""

    version: str
    data: list[Item]


class MeasureSeries(msgspec.Struct, frozen=True):
    """The answer by build id, the newest build first. Cut at `limit` items when it is not `complete`."""

    measure_data: dict[str, Series]
    complete: bool
    limit: int = MOST_ITEMS


def parse_series_query(pairs: Sequence[tuple[str, str]], registry: Registry) -> SeriesQuery:
    """The question in the parameters.

    Raises `BadRequest`: `unknown_parameter`, `missing_parameter`, `repeated_parameter`, `bad_interval`, `bad_start`,
    `bad_relative`, and `NotFound`: `unknown_measure`.
    """
    refuse_unknown(pairs, _ONCE, ("application", "version"))
    given = {name: value for name, value in pairs if name in _ONCE}
    for name in ("channel", "platform", "measure", "interval"):
        if not given.get(name):
            raise BadRequest("missing_parameter", f"The parameter {name} is missing.", _EXAMPLE)
    if given["measure"] not in registry.measures:
        refusal = unknown("measure", given["measure"], registry.measures)
        raise NotFound(refusal.code, refusal.message, refusal.hint)
    # Without an application those of the predecessor are meant: on no platform are there two of them.
    applications = {v.lower() for k, v in pairs if k == "application" and v} or {"firefox", "fennec"}
    choice = Choice(
        frozenset(applications),
        frozenset((given["channel"].lower(),)),
        frozenset((given["platform"].lower(),)),
    )
    return SeriesQuery(
        choice,
        given["measure"],
        _seconds("interval", given["interval"]),
        _seconds("start", given["start"]) if "start" in given else None,
        _relative(given.get("relative", "0")),
        frozenset(v for k, v in pairs if k == "version" and v),
    )


def series(
    engine: Engine, fielded: FieldedBuilds, releases: Sequence[Release], query: SeriesQuery, now: datetime
) -> MeasureSeries:
    """The items of each build. Raises `NotFound` (`unknown_combination`), else as `Engine.over()`."""
    if query.relative:
        builds = _of_versions(fielded.find(query.choice, releases), query, releases)
        spans = _by_age(builds, query, fielded.newest())
    else:
        span = _by_clock(query, now)
        builds = _of_versions(fielded.find(query.choice, releases, span), query, releases)
        first_us, last_us = (int(t.timestamp() * 1_000_000) for t in (span.first or _EPOCH, span.last or now))
        spans = [BuildSpan(b, 0, first_us, last_us) for b in builds]
    found, reported = _items(engine, spans, query)
    if not reported:
        _require_known(engine, fielded, query)
    return found


def _items(engine: Engine, spans: Sequence[BuildSpan], query: SeriesQuery) -> tuple[MeasureSeries, bool]:
    """Items of the spans, and whether anything reported the measure.

    They are added up by build id: a build may come from several operating systems of a platform.
    """
    if not spans:
        return MeasureSeries({}, True), False
    newest = sorted(spans, key=lambda s: (version_key(s.build.name), s.build.build_id or ""), reverse=True)
    order = {b: place for place, b in enumerate(dict.fromkeys(s.build.build_id or "" for s in newest))}
    begin_us = _first_windows([s.build for s in spans])
    numbered = [msgspec.structs.replace(s, group=order[s.build.build_id or ""]) for s in spans]
    joined, parameters = spans_joined(numbered)
    sums = ", ".join(f"coalesce(sum(r.{dialect.name(c)}), 0)" for c in (query.measure, USAGE))
    found = engine.over_sums(
        tuple(dict.fromkeys((*KEYS, "window_start", query.measure, USAGE))),
        f"SELECT s.span_group, epoch_us(r.window_start), {sums}, count(r.{dialect.name(query.measure)}) {joined} "
        f"GROUP BY 1, 2 ORDER BY 1, 2 LIMIT {MOST_ITEMS + 1}",
        parameters,
        whole_span(spans),
    )
    # Of several versions of one build id, the one that is used counts.
    used = sorted(spans, key=lambda s: (s.build.recent_hours, version_key(s.build.name)))
    ids, names = list(order), {s.build.build_id or "": s.build.name for s in used}
    made: dict[str, Series] = {}
    for place, window_us, value, hours, _ in found[:MOST_ITEMS]:
        build_id = ids[place]
        at = (window_us - begin_us[build_id]) // 1_000_000 if query.relative else _text(window_us)
        own = made.setdefault(build_id, Series(names[build_id], []))
        own.data.append((at, float(value), float(hours)))
    return MeasureSeries(made, len(found) <= MOST_ITEMS), any(row[-1] for row in found)


def _of_versions(builds: Sequence[Build], query: SeriesQuery, releases: Sequence[Release]) -> list[Build]:
    wanted = query.versions
    if not wanted and query.relative:
        grouped: dict[Combination, list[Build]] = {}
        for build in builds:
            grouped.setdefault(build.combination, []).append(build)
        out = {v.name for c, own in grouped.items() for v in versions_of(own, published_us(c, releases))}
        wanted = frozenset(newest_first(out)[:NEWEST_VERSIONS])
    return [b for b in builds if not wanted or b.name in wanted]


def _by_age(builds: Sequence[Build], query: SeriesQuery, newest: datetime | None) -> list[BuildSpan]:
    """From `start_s` of each build's age on; an interval of 0 is as long as the newest build is known."""
    first_us = _first_windows(builds)
    length_us = query.interval_s * 1_000_000
    if not length_us and builds:
        day_ago_us = int((newest - DAY).timestamp() * 1_000_000) if newest else 0
        living = [b for b in builds if b.last_us > day_ago_us] or list(builds)
        key = max(living, key=lambda b: (version_key(b.name), b.build_id or "")).build_id or ""
        length_us = max(b.last_us for b in builds if (b.build_id or "") == key) - first_us[key]
    skipped_us = (query.start_s or 0) * 1_000_000
    starts = [(b, first_us[b.build_id or ""] + skipped_us) for b in builds]
    return [BuildSpan(b, 0, start_us, start_us + length_us) for b, start_us in starts]


def _first_windows(builds: Sequence[Build]) -> dict[str, int]:
    first_us: dict[str, int] = {}
    for build in builds:
        key = build.build_id or ""
        first_us[key] = min(first_us.get(key, build.first_us), build.first_us)
    return first_us


def _by_clock(query: SeriesQuery, now: datetime) -> Span:
    length = timedelta(seconds=query.interval_s)
    if query.start_s is None:
        return Span(now - length, now)
    start = _EPOCH + timedelta(seconds=query.start_s)
    return Span(start, start + length)


def _require_known(engine: Engine, fielded: FieldedBuilds, query: SeriesQuery) -> None:
    """Raise `NotFound` unless the combination has the measure: it is listed for it, or was reported in it."""
    listed = [c for c in listed_combinations() if query.choice.has(c)]
    if any(query.measure in c.listed_measures for c in listed):
        return
    builds = fielded.find(query.choice, ())
    names = (*sorted(query.choice.applications), *query.choice.channels, *query.choice.platforms)
    of = ", ".join(name[:40] for name in names[:5])
    hint = "GET /api/channel-platform-summary/ tells what there is; not for Firefox or Fennec, say application= too."
    if not builds and not listed:
        raise NotFound("unknown_combination", f"There is no data of {of}.", hint)
    spans = [BuildSpan(b, 0, b.first_us, b.last_us) for b in builds]
    if not _items(engine, spans, query)[1]:
        raise NotFound("unknown_measure", f"There is no {query.measure} of {of}.", hint)


def _seconds(name: str, text: str) -> int:
    """A number of seconds; up to the year 2200, so that every time that follows is one."""
    most = (_LATEST - _EPOCH).total_seconds()
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most):
        raise BadRequest(
            f"bad_{name}", f"{name} must be a number of seconds, not {text[:40]!r}.", "As in 86400."
        )
    return int(text)


def _relative(text: str) -> bool:
    known = _SWITCH.get(text.lower())
    if known is None:
        raise BadRequest(
            "bad_relative", f"relative must be 1 or 0, not {text[:40]!r}.", "1: by the age of each build."
        )
    return known


def _text(window_us: int) -> str:
    return f"{datetime.fromtimestamp(window_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
