"""The lines of both charts, interval by interval: by the clock, or by the age of each line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from missioncontrol.web.address import SMOOTHING, SPANS
from missioncontrol.web.measure.lines import group_of
from missioncontrol.web.measure.lookup import Course, Life, Lookup
from missioncontrol.web.measure.question import Question, refuse_too_many
from missioncontrol.web.measure.sums import Values, aligned, rate, smoothed, total
from missioncontrol.web.measure.view import Line, Series

LONGEST_AGE = timedelta(days=60)


class Axis(msgspec.Struct, frozen=True):
    """The time axis of the charts."""

    x0: int
    step_s: int
    count: int


def window_intervals(question: Question) -> int:
    """Intervals that are smoothed over; 1 when they are not."""
    window = SMOOTHING.get(question.state.smooth)
    return max(1, round(window / question.step)) if window else 1


def by_clock(
    question: Question, lookup: Lookup, drawn: Sequence[Line]
) -> tuple[dict[str | None, Course], Axis, int]:
    """Courses by group, the axis, and how many intervals before it were read for the window."""
    step_s = int(question.step.total_seconds())
    lead = window_intervals(question) - 1
    count = int((question.end - question.start) / question.step)
    axis = Axis(int(question.start.timestamp()), step_s, count)
    if not drawn:
        return {}, axis, lead
    state, measure = question.state, question.measure.name
    groups = [group_of(line) for line in drawn]
    first = question.start - lead * question.step
    found = lookup.points(
        question.of, measure, question.per, state.group, groups, first, question.end, state.interval
    )
    return {course.group: course for course in found}, axis, lead


def since_release(
    question: Question, lookup: Lookup, drawn: Sequence[Line]
) -> tuple[dict[str | None, Course], Axis, int]:
    """Each line from its own start on.

    Lines are compared at equal ages, so an interval that has not ended is left out, unless it is the first.
    """
    state, step = question.state, question.step
    span = longest_age(question, [line.started for line in drawn if line.started])
    refuse_too_many(span / step, state)
    lives = lives_of(drawn, span, step, question.now)
    found = lookup.ages(question.of, question.measure.name, question.per, state.group, lives, state.interval)
    x0 = skipped_s(question)
    axis = axis_of_ages(found, x0, int(step.total_seconds()))
    return (
        {course.group: course for course in found},
        axis,
        min(window_intervals(question) - 1, x0 // axis.step_s),
    )


def longest_age(question: Question, starts: Sequence[datetime]) -> timedelta:
    """Up to which age lines are drawn that began at these instants."""
    if question.state.range != "newest":
        return SPANS[question.state.range]
    return min(max(question.now - max(starts), question.step), LONGEST_AGE) if starts else question.step


def reached(start: datetime, span: timedelta, step: timedelta, now: datetime) -> timedelta:
    """The age up to which a line is drawn: whole intervals, at least one."""
    return min(span, max((now - start) // step, 1) * step)


def lives_of(drawn: Sequence[Line], span: timedelta, step: timedelta, now: datetime) -> list[Life]:
    """Each line from its start on, in whole intervals of `step`."""
    began = [(group_of(line), line.started) for line in drawn if line.started]
    return [Life(group, start, start + reached(start, span, step, now)) for group, start in began]


def skipped_s(question: Question) -> int:
    """The age at which the axis begins."""
    return 86_400 if question.state.skip == "24h" else 0


def axis_of_ages(found: Sequence[Course], x0: int, step_s: int) -> Axis:
    """From the first age to the last that has a row."""
    last = max((max(course.places) for course in found), default=0)
    return Axis(x0, step_s, max(1, (last - x0) // step_s + 1))


def series_of(
    key: str, label: str, course: Course | None, question: Question, axis: Axis, lead: int
) -> Series:
    """The line of a course on the axis, smoothed if asked for; `lead`: intervals before it that the course has."""
    x0 = axis.x0 - lead * axis.step_s
    values, per = aligned(course, question.measure, x0, axis.step_s, axis.count + lead)
    width = window_intervals(question)
    if width > 1:
        values, per = smoothed(values, per, width)
        values, per = _short(values[lead:]), _short(per[lead:])
    return Series(key, label, values, per)


def _short(values: Values) -> Values:
    """Seven significant digits: less to send, more than anyone reads."""
    return [None if value is None else float(f"{value:.7g}") for value in values]


def summed(line: Line, question: Question, courses: dict[str | None, Course], axis: Axis) -> Line:
    """The line with the sums of what is drawn: the same ages for all lines, as far as each has come."""
    if not line.drawn:
        return msgspec.structs.replace(line, value=None, per=None, rate=None)
    values, per_values = aligned(
        courses.get(group_of(line)), question.measure, axis.x0, axis.step_s, axis.count
    )
    value, per = total(values), total(per_values)
    of_rate = rate(value, per) if question.measure.per else None
    return msgspec.structs.replace(line, value=value, per=per, rate=of_rate)
