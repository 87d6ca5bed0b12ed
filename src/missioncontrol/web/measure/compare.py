"""Two selections next to each other: any rows of the page's channel, narrowed by dimensions, dates or an experiment.

By the clock; or by age, where each begins at an instant of its own: dates that differ, or their releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from missioncontrol.web.address import EXPERIMENT, SIDES, Side
from missioncontrol.web.measure.beginnings import Beginning
from missioncontrol.web.measure.lookup import Course, Lookup
from missioncontrol.web.measure.question import Question, floor, refuse_too_many
from missioncontrol.web.measure.ratio import ratio_of
from missioncontrol.web.measure.series import Axis, longest_age, reached, skipped_s
from missioncontrol.web.measure.sums import aligned, rate, total
from missioncontrol.web.measure.table import age_label
from missioncontrol.web.measure.view import Line, Ratio


class Compared(msgspec.Struct, frozen=True):
    """The two lines, A first, and what they come to."""

    lines: list[Line]
    courses: list[Course]
    starts: list[datetime]
    """Age 0 of each, or the first instant where time is that of the clock."""
    axis: Axis
    lead: int
    """Intervals before the axis that the courses have."""
    by_age: bool
    """Places count from the starts."""
    no_per: bool
    """Neither has anything to divide by."""
    ratio: Ratio | None
    notes: list[str]


def compare(question: Question, lookup: Lookup, began: Sequence[Beginning], lead: int) -> Compared:
    """Look both sides of the question up. `began`: where each begins since its release; empty: by the clock.

    `lead`: intervals before the range that are read too, for a moving window. Raises `BadRequest`
    (`not_kept_for_experiments`, `range_too_long`).
    """
    state, step = question.state, question.step
    sides = [state.a, state.b]
    step_s = int(step.total_seconds())
    if began:
        starts = [one.start for one in began]
        span = longest_age(question, starts)
        refuse_too_many(span / step, state)
        x0, by_age = skipped_s(question), True
        lead = min(lead, x0 // step_s)
        ends = [reached(start, span, step, question.now) for start in starts]
        count = max(1, max(end // step for end in ends) - x0 // step_s)
    else:
        starts = [floor(side.start, step) if side.start else question.start for side in sides]
        by_age = starts[0] != starts[1]
        count = round((question.end - question.start) / step)
        x0 = 0 if by_age else int(starts[0].timestamp())
        ends = [count * step, count * step]
    axis = Axis(x0, step_s, count)
    courses = [
        _course(question, lookup, side, start, axis, lead, by_age, end)
        for side, start, end in zip(sides, starts, ends, strict=True)
    ]
    sums = [aligned(course, question.measure, x0, step_s, count) for course in courses]
    by = [one.by for one in began] or ["start", "start"]
    lines = [
        _line(question, n, sides[n], starts[n], starts[n] + ends[n], by[n], *sums[n])
        for n in range(len(sides))
    ]
    no_per = bool(question.measure.per) and not any(line.per for line in lines)
    ratio, notes = None, _notes(sides, question)
    if question.measure.per and not no_per:
        common = max(0, min(ends) // step - x0 // step_s) if by_age else count
        a, b = ((values[:common], per[:common]) for values, per in sums)
        ratio = ratio_of(a, b, step_s, starts[0] == starts[1])
        if common < count:
            notes.append(
                f"The ratio is that of the ages that both have reached: before {age_label(x0 + common * step_s)}."
            )
    return Compared(lines, courses, starts, axis, lead, by_age, no_per, ratio, notes)


def _course(
    question: Question,
    lookup: Lookup,
    side: Side,
    start: datetime,
    axis: Axis,
    lead: int,
    by_age: bool,
    length: timedelta,
) -> Course:
    of = msgspec.structs.replace(question.of, filters=(*question.of.filters, *side.filters))
    step = question.step
    ahead = timedelta(seconds=axis.x0) if by_age else timedelta()
    first, end = start + ahead - lead * step, start + length
    if end <= first:
        return Course(None, [], [], [])
    since = start if by_age else None
    return lookup.course(of, question.measure.name, question.per, first, end, question.state.interval, since)


def _line(
    question: Question,
    index: int,
    side: Side,
    start: datetime,
    end: datetime,
    by: str,
    values: list[float | None],
    per_values: list[float | None],
) -> Line:
    value, per = total(values), total(per_values)
    return Line(
        key=SIDES[index],
        label=f"{SIDES[index].upper()}: {side.text}",
        value=value,
        per=per,
        rate=rate(value, per) if question.measure.per else None,
        first=start.date(),
        last=end.date(),
        drawn=True,
        usual=True,
        index=index,
        started=start,
        started_by=by,
        ended=end,
    )


def _notes(sides: list[Side], question: Question) -> list[str]:
    if not any(one.dimension in EXPERIMENT for side in sides for one in side.filters):
        return []
    note = "Rows of experiments are of every application: they do not say which."
    return [note] if question.of.application is not None else []
