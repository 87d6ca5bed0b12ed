"""The page of a measure: from a state to lines, table rows and the data of the two charts.

State and answers of the `Lookup` go in, a `MeasureView` comes out. Nothing here knows HTML. The table, the
charts and the legend are made of the same numbers. An interval without rows is None in all of them, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.registry.model import Registry
from missioncontrol.web.address import MeasureState
from missioncontrol.web.measure.band import LEAST_PREDECESSORS, band_of, predecessors
from missioncontrol.web.measure.beginnings import Beginning, beginnings, version_of
from missioncontrol.web.measure.compare import compare
from missioncontrol.web.measure.lines import (
    Releases,
    absent_of,
    group_of,
    lines_of,
    with_starts,
    without_per,
)
from missioncontrol.web.measure.lookup import Lookup
from missioncontrol.web.measure.marks import Covered, marks_by_age, marks_of
from missioncontrol.web.measure.question import Question, ask, floor
from missioncontrol.web.measure.series import (
    Axis,
    by_clock,
    series_of,
    since_release,
    summed,
    window_intervals,
)
from missioncontrol.web.measure.split import small_charts
from missioncontrol.web.measure.sums import counts_events
from missioncontrol.web.measure.table import api_url, page_rows
from missioncontrol.web.measure.view import Band, ChartData, Line, Mark, MeasureView, Series

if TYPE_CHECKING:
    from missioncontrol.state.annotations import Annotation

Annotations = Callable[[datetime, datetime, str | None, str | None], "Sequence[Annotation]"]
"""Of a time, an application and a channel."""


class Sources(msgspec.Struct, frozen=True):
    """Where the numbers of the page come from."""

    lookup: Lookup
    releases: Releases
    annotations: Annotations


def releases_of(stored: Releases) -> Releases:
    """Releases of a page: rows whose application or channel is null are of none, where the store means any."""
    return lambda application, channel: (
        [] if application is None or channel is None else stored(application, channel)
    )


def notes_of(stored: Annotations) -> Annotations:
    """Annotations of a page: of rows whose application or channel is null those that are of all of them."""

    def found(
        start: datetime, end: datetime, application: str | None, channel: str | None
    ) -> Sequence[Annotation]:
        return [
            one
            for one in stored(start, end, application, channel)
            if one.application in (None, application) and one.channel in (None, channel)
        ]

    return found


def build_view(
    state: MeasureState, registry: Registry, sources: Sources, now: datetime, protected: bool = False
) -> MeasureView:
    """Look up and lay out the view that `state` asks for at the instant `now` (UTC).

    `protected`: the reader may see who noted something. Raises `NotFound` for a measure that is not declared,
    `BadRequest` for a range of too many intervals or a comparison that cannot be made.
    """
    question = ask(state, registry, now, sources.releases(state.application, state.channel))
    if state.compares:
        return _comparison(question, registry, sources, protected)
    lookup = sources.lookup
    lines = lines_of(question, lookup)
    no_per = without_per(question, registry, lines)
    if no_per:
        question = msgspec.structs.replace(question, shows_rate=False)
    if state.time == "release":
        lines = with_starts(lines, question, lookup, sources.releases)
    drawn = sorted((line for line in lines if line.drawn), key=lambda line: line.index)
    if state.time == "release":
        courses, axis, lead = since_release(question, lookup, drawn)
        lines = [summed(line, question, courses, axis) for line in lines]
        covered = _covered(question, drawn, sources, axis)
        marks = _marks_by_age(question, covered, sources, protected)
    else:
        courses, axis, lead = by_clock(question, lookup, drawn)
        marks = _marks(question, drawn, sources, protected)
    series = [
        series_of(line.key, line.label, courses.get(group_of(line)), question, axis, lead) for line in drawn
    ]
    band, notes = _band(question, sources, [line for line in drawn if line.first], axis, lead)
    chart = _chart(question, registry, axis, series, band, marks)
    if no_per:
        chart = msgspec.structs.replace(chart, per_title="")
    view = _view(question, lines, chart, no_per, notes)
    view = msgspec.structs.replace(view, absent=absent_of(lines, question, lookup))
    if state.split:
        small = small_charts(question, registry, lookup, drawn)
        return msgspec.structs.replace(view, small=small)
    return view


def _view(
    question: Question, lines: list[Line], chart: ChartData, no_per: str, notes: list[str]
) -> MeasureView:
    rows, cut_rows = page_rows(chart, question.state)
    drawn = [line for line in lines if line.drawn]
    return MeasureView(
        measure=question.measure,
        shows_rate=question.shows_rate,
        unit=chart.unit,
        per_title=chart.per_title,
        start=question.start,
        end=question.end,
        lines=lines,
        chart=chart,
        rows=rows,
        cut_rows=cut_rows,
        no_per=no_per,
        csv_url=api_url(question, drawn, "csv"),
        json_url=api_url(question, drawn, "json"),
        permalink=_permalink(question, drawn),
        notes=[*_smoothing_note(question), *notes],
    )


def _permalink(question: Question, drawn: Sequence[Line]) -> str:
    """The address of these lines in these dates; by age the lines alone, whose ages new data may lengthen."""
    state = question.state
    series = () if state.compares else tuple(line.key for line in sorted(drawn, key=lambda line: line.index))
    keys = tuple(dict.fromkeys(group_of(line) for line in drawn)) if series else ()
    if state.time == "release":
        return state.url(series=keys)
    return state.url(series=keys, range="custom", start=question.start, end=question.end)


def _band(
    question: Question, sources: Sources, drawn: Sequence[Line], axis: Axis, lead: int
) -> tuple[Band | None, list[str]]:
    state = question.state
    if state.band == "off" or not drawn:
        return None, []
    if state.group != "version":
        return None, ["No band: the releases before are versions, and the lines are builds."]
    before = predecessors(drawn, sources.releases(state.application, state.channel), question)
    of = f"accepted releases before {drawn[0].label}"
    if len(before) < LEAST_PREDECESSORS:
        return None, [f"No band: {len(before)} {of} are known, and {LEAST_PREDECESSORS} are needed."]
    band = band_of(question, sources.lookup, before, axis.x0, axis.count, window_intervals(question))
    if band is None:
        return None, [f"No band: of the {len(before)} {of}, too few have data at these ages."]
    return band, [
        f"Band: 10 % to 90 % of the {len(band.names)} {of} at the same age, interval by interval, and their median"
        f" as a thin line: {', '.join(band.names)}."
    ]


def _marks(question: Question, drawn: Sequence[Line], sources: Sources, protected: bool) -> list[Mark]:
    state = question.state
    releases = sources.releases(state.application, state.channel)
    notes = sources.annotations(question.start, question.end, state.application, state.channel)
    return marks_of(question, drawn, releases, notes, protected)


def _covered(question: Question, drawn: Sequence[Line], sources: Sources, axis: Axis) -> list[Covered]:
    """What each line covers, since its release."""
    state = question.state
    releases = sources.releases(state.application, state.channel)
    found = []
    for line in drawn:
        if line.started:
            group = group_of(line) or ""
            version = group if state.group == "version" else version_of(group, releases)
            found.append(_covers(line, version, line.started, axis, question.now))
    return found


def _covers(line: Line, version: str, zero: datetime, axis: Axis, now: datetime) -> Covered:
    start = zero + timedelta(seconds=axis.x0)
    return Covered(line, version, zero, start, min(start + timedelta(seconds=axis.count * axis.step_s), now))


def _marks_by_age(
    question: Question, covered: Sequence[Covered], sources: Sources, protected: bool
) -> list[Mark]:
    if not covered:
        return []
    state = question.state
    first, last = min(one.start for one in covered), max(one.end for one in covered)
    notes = sources.annotations(first, last, state.application, state.channel) if first < last else []
    return marks_by_age(covered, sources.releases(state.application, state.channel), notes, protected)


def _chart(
    question: Question,
    registry: Registry,
    axis: Axis,
    series: list[Series],
    band: Band | None,
    marks: list[Mark],
) -> ChartData:
    measure, state = question.measure, question.state
    per = registry.measures.get(question.per)
    title = per.title if per and per.name != measure.name else ""
    unit = f"{measure.unit} per 1,000 {per.title.lower()}" if question.shows_rate and per else measure.unit
    filling = int(floor(question.now, question.step).timestamp())
    end = axis.x0 + axis.count * axis.step_s
    is_open = state.time == "clock" and end - 2 * axis.step_s <= filling < end
    smooths = window_intervals(question) > 1
    return ChartData(
        time=state.time,
        interval_s=axis.step_s,
        title=measure.title,
        unit=unit,
        per_title=title,
        x0=axis.x0,
        count=axis.count,
        open_x=filling if is_open else None,
        rate=question.shows_rate,
        counted=question.shows_rate and counts_events(measure) and not smooths,
        smooth=_words(state.smooth) if smooths else "",
        series=series,
        band=band,
        marks=marks,
    )


def _words(window: str) -> str:
    """`3h` as `3 h`."""
    return f"{window[:-1]} {window[-1]}"


def _smoothing_note(question: Question) -> list[str]:
    state = question.state
    if state.smooth == "off":
        return []
    if window_intervals(question) == 1:
        return [f"Not smoothed: {_words(state.smooth)} is no longer than an interval."]
    what = "the ratio of the sums" if question.shows_rate else "the mean of an interval"
    return [
        f"Smoothed: each point is {what} over the {_words(state.smooth)} that end with it. Usage, table"
        " and CSV as shown are smoothed alike; sums over the range are not."
    ]


def _comparison(question: Question, registry: Registry, sources: Sources, protected: bool) -> MeasureView:
    """The view of two selections."""
    notes: list[str] = []
    began: list[Beginning] = []
    if question.state.time == "release":
        began, lacking = beginnings(question, sources.lookup, sources.releases)
        if lacking:
            began = []
            question = msgspec.structs.replace(
                ask(_by_the_clock(question.state), registry, question.now), of=question.of
            )
            notes = [f"By the clock, not since release: {'; '.join(lacking)}."]
        elif question.state.band == "on":
            notes = ["No band: it is of the releases before a version, and the lines are selections."]
    found = compare(question, sources.lookup, began, window_intervals(question) - 1)
    no_per = ""
    if found.no_per:
        question = msgspec.structs.replace(question, shows_rate=False)
        per = registry.measures.get(question.measure.per)
        no_per = per.title if per else ""
    axis, seen = found.axis, question
    if found.by_age:
        seen = msgspec.structs.replace(
            question, state=msgspec.structs.replace(question.state, time="release")
        )
        versions = [one.version for one in began] or ["", ""]
        covered = [
            _covers(line, version, start, axis, question.now)
            for line, version, start in zip(found.lines, versions, found.starts, strict=True)
        ]
        marks = _marks_by_age(question, covered, sources, protected)
    else:
        end = found.starts[0] + axis.count * question.step
        seen = msgspec.structs.replace(question, start=found.starts[0], end=end)
        marks = _marks(seen, found.lines, sources, protected)
    series = [
        series_of(line.key, line.label, course, seen, axis, found.lead)
        for line, course in zip(found.lines, found.courses, strict=True)
    ]
    chart = _chart(seen, registry, axis, series, None, marks)
    if found.no_per:
        chart = msgspec.structs.replace(chart, per_title="")
    rows, cut_rows = page_rows(chart, seen.state)
    return MeasureView(
        measure=question.measure,
        shows_rate=question.shows_rate,
        unit=chart.unit,
        per_title=chart.per_title,
        start=seen.start,
        end=seen.end,
        lines=found.lines if any(line.value or line.per for line in found.lines) else [],
        chart=chart,
        rows=rows,
        cut_rows=cut_rows,
        no_per=no_per,
        csv_url="",
        json_url="",
        permalink=_permalink(question, found.lines),
        notes=[*notes, *_smoothing_note(question), *found.notes],
        ratio=found.ratio,
    )


def _by_the_clock(state: MeasureState) -> MeasureState:
    """The state without what is said of ages."""
    span = "48h" if state.range == "newest" else state.range
    return msgspec.structs.replace(state, time="clock", range=span, skip="0", band="off")
