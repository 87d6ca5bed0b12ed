"""How the numbers of the page of a measure were computed: sums of lines, interval by interval, and by a dimension.

Takes the view and the question that it answers; asks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from missioncontrol.query import dialect, filters
from missioncontrol.query.published import published_sql
from missioncontrol.web.address import EXPERIMENT, INTERVALS, Filter
from missioncontrol.web.measure.lines import group_of
from missioncontrol.web.measure.question import Question
from missioncontrol.web.measure.series import lives_of, longest_age, skipped_s
from missioncontrol.web.measure.sums import counts_events
from missioncontrol.web.measure.view import Line, MeasureView
from missioncontrol.web.numerals import amount
from missioncontrol.web.reckoning import (
    MOST_OTHERS,
    Reckoning,
    Sums,
    among,
    between,
    grouped_query,
    place_conditions,
    rows_of,
)

_DOC = "/docs/reference/pages#a-measure-over-time"
_RANGE_OF_VERSIONS = "A range of versions is filtered for, which SQL does not know by their order."
By = Sequence[tuple[str, str]]


class _Part(msgspec.Struct, frozen=True):
    """Rows of one table, told apart by the columns `by`; `since`: SQL of the instant that places count from."""

    table: str
    conditions: list[str]
    by: By
    since: str = ""


def shortened(question: Question, view: MeasureView) -> Question:
    """The question with the builds of what is drawn, and the newest others: more would not fit an address."""
    drawn = {group_of(line) for line in view.drawn}
    own = [pair for pair in question.of.named if pair[1] in drawn]
    others = [pair for pair in question.of.named if pair[1] not in drawn]
    of = msgspec.structs.replace(question.of, named=(*own, *others[-MOST_OTHERS:]))
    return msgspec.structs.replace(question, of=of)


def sums_of(view: MeasureView, question: Question, per_title: str) -> Reckoning:
    """Of the rates and sums of all lines in the range."""
    parts = _parts(view, question, view.lines)
    return Reckoning(
        "rates and sums in the range",
        _formula(view, per_title, "all sums of the line in the range"),
        [_rows(view, question)],
        _union(view, question, parts, ()),
        "" if parts else _RANGE_OF_VERSIONS,
    )


def intervals_of(view: MeasureView, question: Question, per_title: str) -> Reckoning:
    """Of the table of intervals."""
    parts = _parts(view, question, view.drawn)
    step_s = int(question.step.total_seconds())
    first = "start" if view.chart.time == "clock" else "age_s"
    notes = [] if parts else [_RANGE_OF_VERSIONS]
    if view.chart.smooth:
        notes.append(
            f"Shown are means over the {view.chart.smooth} that end with an interval; the SQL does not smooth."
        )
    return Reckoning(
        "numbers of the intervals",
        _formula(view, per_title, "the sums of the interval"),
        [("Length", f"{amount(step_s // 60)} min"), _rows(view, question)],
        _union(view, question, parts, ((first, step_s),)),
        " ".join(notes),
    )


def small_of(view: MeasureView, question: Question, per_title: str) -> Reckoning | None:
    """Of the table below small charts; None where there are none."""
    small = view.small
    if small is None:
        return None
    step = INTERVALS[small.interval]
    spanned = question
    if question.state.time == "clock":
        start = datetime.fromtimestamp(small.x0, UTC)
        spanned = msgspec.structs.replace(question, start=start, end=start + small.count * step)
    parts = _parts(view, spanned, view.drawn, step)
    split = question.state.split
    parts = [msgspec.structs.replace(one, by=[(split, _column(split, question)), *one.by]) for one in parts]
    notes = [] if parts else [_RANGE_OF_VERSIONS]
    if small.pooled:
        notes.append("The values that the last row pools are listed one by one by the SQL.")
    return Reckoning(
        "sums by value",
        _formula(view, per_title, "the sums of the line with the value"),
        [_rows(view, spanned)],
        _union(view, spanned, parts, ()),
        " ".join(notes),
    )


def ratio_of(view: MeasureView, question: Question, per_title: str) -> Reckoning | None:
    """Of the ratio of two selections; None where there is none."""
    found = view.ratio
    if found is None or found.ratio is None:
        return None
    low, high = found.low, found.high
    interval = [("95 % interval", f"{low:.2f} to {high:.2f}")] if low is not None and high is not None else []
    query = _union(view, question, _sides(view, question, common=True), ())
    return Reckoning(
        "ratio of A to B",
        f"Rate of A ÷ rate of B = {found.ratio:.2f}, of the ages that both have reached",
        [*interval, _rows(view, question)],
        note="The interval rests on how both vary over blocks of the range.",
        inputs=[("Both rates by SQL", query)] if query else [],
        doc=_DOC,
    )


def _formula(view: MeasureView, per_title: str, of: str) -> str:
    title = view.measure.title.lower()
    if view.measure.per and not view.no_per:
        return f"Rate: 1,000 × {title} ÷ {per_title.lower()}, of {of}"
    return f"Sum of {title}: {of} added up"


def _rows(view: MeasureView, question: Question) -> tuple[str, str]:
    if view.chart.time == "release":
        return "Rows", "sums of 5 minutes, of each line from its time 0 on"
    return rows_of("sums of 5 minutes", question.start, question.end)


def _parts(
    view: MeasureView, question: Question, lines: Sequence[Line], step: timedelta | None = None
) -> list[_Part]:
    """The rows of these lines; empty: no SQL has them. step: length of an interval, if not that of the question."""
    state = question.state
    if state.compares:
        return _sides(view, question)
    own = _selected(question, question.of.filters, [group_of(line) for line in lines])
    if own is None:
        return []
    table, conditions = own
    if len(lines) < len(view.lines):
        conditions.append(among(_column(state.group, question), [group_of(line) for line in lines]))
    by = [(state.group, _column(state.group, question))]
    if state.time == "clock":
        return [_Part(table, [*conditions, *between(question.start, question.end)], by)]
    span = longest_age(question, [line.started for line in view.drawn if line.started])
    lives = lives_of(view.drawn, span, step or question.step, question.now)
    if not lives:
        return []
    spans, cases = [], []
    for one in lives:
        named = among(_column(state.group, question), [one.group])
        window = between(one.start + timedelta(seconds=skipped_s(question)), one.end)
        spans.append(" AND ".join([named, *window]))
        cases.append(f"WHEN {named} THEN {dialect.instant(one.start)}")
    conditions.append("(" + "\n  OR ".join(spans) + ")")
    return [_Part(table, conditions, by, f"CASE {' '.join(cases)} END")]


def _sides(view: MeasureView, question: Question, common: bool = False) -> list[_Part]:
    """The two selections of a comparison; `common`: of the ages alone that both have reached."""
    if not view.lines:  # nothing fits
        return []
    by_age = view.chart.time == "release"
    skipped = timedelta(seconds=view.chart.x0 if by_age else 0)
    reached = [line.ended - line.started for line in view.lines if line.started and line.ended]
    found = []
    for line, side in zip(view.lines, (question.state.a, question.state.b), strict=True):
        own = _selected(question, (*question.of.filters, *side.filters), None)
        if own is None or line.started is None or line.ended is None:
            return []
        table, conditions = own
        name = [("selection", dialect.text(line.key.upper()))]
        since = dialect.instant(line.started) if by_age else ""
        end = line.started + min(reached) if common else line.ended
        found.append(_Part(table, [*conditions, *between(line.started + skipped, end)], name, since))
    return found


def _selected(
    question: Question, selected: Sequence[Filter], groups: Sequence[str | None] | None
) -> tuple[str, list[str]] | None:
    """The table, and the conditions on its rows; None: SQL cannot say them. groups: the versions or builds that fit."""
    of, group = question.of, question.state.group
    experiments = any(one.dimension in EXPERIMENT for one in selected)
    conditions = place_conditions(of.application, of.channel)[1 if experiments else 0 :]
    for one in selected:
        column = dialect.name(one.dimension)
        if one.null is not None:
            conditions.append(f"{column} IS {'' if one.null else 'NOT '}NULL")
            continue
        told = filters.text_filter(one.dimension, one.values)
        if told.how == "in":
            conditions.append(_one_of(one.dimension, told.values, question))
        elif one.dimension != "version":
            low, high = (dialect.text(value) for value in told.values)
            conditions.append(f"{column} BETWEEN {low} AND {high}")
        elif groups is not None and group == "version":
            conditions.append(among(_column(group, question), groups))
        else:
            return None
    return "experiment_aggregates" if experiments else "error_aggregates", conditions


def _column(name: str, question: Question) -> str:
    """SQL of a dimension; of a version what the build of the row was published as."""
    named = question.of.named
    return published_sql(named) if name == "version" and named else dialect.name(name)


def _one_of(name: str, values: Sequence[str], question: Question) -> str:
    said, published = dialect.name(name), _column(name, question)
    if said == published:
        return among(said, values)
    return f"({among(said, values)} OR {among(published, values)})"


def _union(
    view: MeasureView, question: Question, parts: Sequence[_Part], places: Sequence[tuple[str, int]]
) -> str:
    """places: name of the column and seconds of an interval, where there are some."""
    measure = view.measure
    sums = Sums(
        measure.name,
        question.per,
        bool(measure.per) and counts_events(measure),
        bool(measure.per) and not view.no_per,
    )
    made = []
    for part in parts:
        at = [(name, _place(part.since, step_s)) for name, step_s in places]
        order = (
            f"1{' DESC' if view.chart.time == 'clock' else ''}, 2"
            if places
            else "denominator DESC NULLS LAST"
        )
        made.append(
            grouped_query(
                sums, [*at, *part.by], part.conditions, part.table, order if len(parts) == 1 else ""
            )
        )
    return "\nUNION ALL\n".join(made)


def _place(since: str, step_s: int) -> str:
    """SQL of the start of the interval: an instant, or seconds since another."""
    step_us = step_s * 1_000_000
    if since:
        return f"(epoch_us(window_start) - epoch_us({since})) // {step_us} * {step_s}"
    return f"to_timestamp(epoch_us(window_start) // {step_us} * {step_s})"
