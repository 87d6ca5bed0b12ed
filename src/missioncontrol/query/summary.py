"""Rates of crashes by version on every channel and platform: the question of `/api/channel-platform-summary/`.

Two or three queries for all that is asked: which builds there are and since when (`fielded_builds`), then sums over the
windows that count (`field_time`). Rates are ratios of sums, per 1,000 usage hours; no window is left out of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.query import dialect
from missioncontrol.query.engine import Engine
from missioncontrol.query.field_time import Period, periods_of, published_us, versions_of
from missioncontrol.query.fielded_builds import (
    KEYS,
    Build,
    BuildSpan,
    FieldedBuilds,
    spans_joined,
    whole_span,
)
from missioncontrol.query.parameters import refuse_unknown
from missioncontrol.query.summary_scope import (
    KEY_MEASURES,
    USAGE,
    Choice,
    Combination,
    crash_measures,
    listed_combinations,
)

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release

MOST_COMBINATIONS = 500
_ONLY = "only_crash_measures"
_YES = frozenset({"1", "true", "yes", "on", "t", "y"})
_NO = frozenset({"0", "false", "no", "off", "f", "n", ""})

Sums = tuple[float | None, ...]
"""Usage hours, then the measures; null: nobody reported it."""


class SummaryQuery(msgspec.Struct, frozen=True):
    """What is asked for."""

    choice: Choice = Choice()
    only_crash_measures: bool = False


class VersionSummary(msgspec.Struct, frozen=True, rename="camel"):
    """A measure of a version or a major: seconds in the field, sums and rates; null where there is no data."""

    version: str
    field_duration: int
    count: int | None
    rate: float | None
    adjusted_count: int | None
    adjusted_rate: float | None


class MeasureSummary(msgspec.Struct, frozen=True, rename="camel"):
    """A measure of a combination; `last_updated` is the newest window."""

    name: str
    last_updated: str
    versions: list[VersionSummary]


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """A combination of application, channel and platform."""

    application: str
    channel: str
    platform: str
    expected_measures: list[str]
    latest_version_seen: str | None
    latest_version_field_duration: int | None
    measures: list[MeasureSummary]


class Line(msgspec.Struct, frozen=True):
    """A period and its sums; None where nothing arrived in its windows."""

    period: Period
    whole: Sums | None
    adjusted: Sums | None

    @property
    def sums(self) -> list[Sums]:
        """Those that there are."""
        return [s for s in (self.whole, self.adjusted) if s is not None]


class Summaries(msgspec.Struct, frozen=True):
    """The answer; `complete` is false when there are more combinations than are told."""

    summaries: list[Summary]
    complete: bool


def parse_summary_query(pairs: Sequence[tuple[str, str]]) -> SummaryQuery:
    """The question in the parameters; applications, channels and platforms that nobody knows are no error.

    Raises `BadRequest`: `unknown_parameter`, `repeated_parameter`, `bad_filter`.
    """
    refuse_unknown(pairs, (_ONLY,), ("application", "channel", "platform"))

    def given(name: str) -> frozenset[str]:
        return frozenset(value.lower() for key, value in pairs if key == name)

    only = next((value.strip().lower() for key, value in pairs if key == _ONLY), "")
    if only not in _YES and only not in _NO:
        raise BadRequest("bad_filter", f"{_ONLY} must be 1 or 0, not {only[:40]!r}.", "1: crashes alone.")
    choice = Choice(given("application"), given("channel"), given("platform"))
    return SummaryQuery(choice, only in _YES)


def summarise(
    engine: Engine, builds: FieldedBuilds, releases: Sequence[Release], query: SummaryQuery
) -> Summaries:
    """The summaries, those that the predecessor listed first. Raises as `Engine.over()`."""
    measures = crash_measures(engine.registry())
    if query.only_crash_measures:
        measures = [m for m in measures if m in KEY_MEASURES]
    grouped: dict[Combination, list[Build]] = {}
    for build in builds.find(query.choice, releases):
        grouped.setdefault(build.combination, []).append(build)
    listed = [c for c in listed_combinations() if query.choice.has(c)]
    asked = sorted({*listed, *grouped}, key=lambda c: c.rank)
    told = asked[:MOST_COMBINATIONS]
    periods = [
        periods_of(versions_of(grouped.get(c, []), published_us(c, releases)), c.channel) for c in told
    ]
    lines = iter(_lines(engine, [p for own in periods for p in own], measures))
    summaries = [
        _summary(c, list(islice(lines, len(own))), measures) for c, own in zip(told, periods, strict=True)
    ]
    return Summaries(summaries, len(told) == len(asked))


def _lines(engine: Engine, periods: Sequence[Period], measures: Sequence[str]) -> list[Line]:
    """Each period with its sums, in the same order."""
    groups: dict[tuple[int, tuple[int, int]], int] = {}
    spans: list[BuildSpan] = []
    for number, period in enumerate(periods):
        for windows in dict.fromkeys((period.whole, period.adjusted)):
            spans += [BuildSpan(b, len(groups), *windows) for b in period.builds]
            groups[number, windows] = len(groups)
    sums = _sums(engine, spans, measures) if spans else {}
    return [
        Line(p, sums.get(groups[number, p.whole]), sums.get(groups[number, p.adjusted]))
        for number, p in enumerate(periods)
    ]


def _sums(engine: Engine, spans: Sequence[BuildSpan], measures: Sequence[str]) -> dict[int, Sums]:
    """Sums by group; a group in whose windows nothing arrived is not there."""
    joined, parameters = spans_joined(spans)
    columns = (USAGE, *measures)
    select = ", ".join(f"CAST(sum(r.{dialect.name(c)}) AS DOUBLE)" for c in columns)
    rows = engine.over_sums(
        (*KEYS, "window_start", *columns),
        f"SELECT s.span_group, {select} {joined} GROUP BY s.span_group",
        parameters,
        whole_span(spans),
    )
    return {row[0]: row[1:] for row in rows}


def _summary(combination: Combination, lines: Sequence[Line], measures: Sequence[str]) -> Summary:
    listed = combination.listed_measures
    shown = [
        (place, name)
        for place, name in enumerate(measures, 1)
        if name in listed or any(s[place] is not None for line in lines for s in line.sums)
    ]
    names = [name for _, name in shown]
    if not lines:
        return Summary(*combination.names, names, None, None, [])
    newest = lines[0].period
    updated_us = max(b.last_us for line in lines for b in line.period.builds)
    updated = f"{datetime.fromtimestamp(updated_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Summary(
        *combination.names,
        names,
        newest.name,
        newest.field_us // 1_000_000,
        [MeasureSummary(name, updated, [_version(line, place) for line in lines]) for place, name in shown],
    )


def _version(line: Line, place: int) -> VersionSummary:
    return VersionSummary(
        line.period.name,
        line.period.field_us // 1_000_000,
        _count(line.whole, place),
        _rate(line.whole, place),
        _count(line.adjusted, place),
        _rate(line.adjusted, place),
    )


def _count(sums: Sums | None, place: int) -> int | None:
    return int(sums[place] or 0) if sums else None


def _rate(sums: Sums | None, place: int) -> float | None:
    """Per 1,000 usage hours, to 2 decimals."""
    return round(1000 * (sums[place] or 0) / sums[0], 2) if sums and sums[0] else None
