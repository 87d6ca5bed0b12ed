"""Two selections next to each other: any rows of the page's channel, narrowed by dimensions, dates or an experiment."""

from __future__ import annotations

from datetime import datetime

import msgspec

from missioncontrol.web.address import EXPERIMENT, SIDES, Side
from missioncontrol.web.measure.lookup import Course, Lookup, Selection
from missioncontrol.web.measure.question import Question, floor
from missioncontrol.web.measure.ratio import ratio_of
from missioncontrol.web.measure.sums import aligned, rate, total
from missioncontrol.web.measure.view import Line, Ratio


class Compared(msgspec.Struct, frozen=True):
    """The two lines, A first, and what they come to."""

    lines: list[Line]
    courses: list[Course]
    starts: list[datetime]
    count: int
    """Intervals of each."""
    time: str
    """`clock`, or `release`: they begin at different instants, and their places count from there."""
    no_per: bool
    """Neither has anything to divide by."""
    ratio: Ratio | None
    notes: list[str]


def compare(question: Question, lookup: Lookup, lead: int) -> Compared:
    """Look both sides of the question up. `lead`: intervals before the range that are read too, for a moving window.

    Raises `BadRequest` (`not_kept_for_experiments`).
    """
    state, step = question.state, question.step
    sides = [state.a, state.b]
    count = round((question.end - question.start) / step)
    starts = [floor(side.start, step) if side.start else question.start for side in sides]
    shifted = starts[0] != starts[1]
    courses = [
        _moved(_course(question, lookup, side, start, count, lead), start if shifted else None)
        for side, start in zip(sides, starts, strict=True)
    ]
    x0 = [0 if shifted else int(start.timestamp()) for start in starts]
    step_s = int(step.total_seconds())
    sums = [
        aligned(course, question.measure, first, step_s, count)
        for course, first in zip(courses, x0, strict=True)
    ]
    lines = [
        _line(question, index, side, start, count, values, per)
        for index, (side, start, (values, per)) in enumerate(zip(sides, starts, sums, strict=True))
    ]
    no_per = bool(question.measure.per) and not any(line.per for line in lines)
    ratio = None
    if question.measure.per and not no_per:
        ratio = ratio_of(sums[0], sums[1], step_s, not shifted)
    return Compared(
        lines,
        courses,
        starts,
        count,
        "release" if shifted else "clock",
        no_per,
        ratio,
        _notes(sides, question),
    )


def _course(question: Question, lookup: Lookup, side: Side, start: datetime, count: int, lead: int) -> Course:
    of = Selection(question.of.application, question.of.channel, (*question.of.filters, *side.filters))
    first, end = start - lead * question.step, start + count * question.step
    return lookup.course(of, question.measure.name, question.per, first, end, question.state.interval)


def _moved(course: Course, start: datetime | None) -> Course:
    """The course with places that count from its start."""
    if start is None:
        return course
    since = int(start.timestamp())
    return msgspec.structs.replace(course, places=[place - since for place in course.places])


def _line(
    question: Question,
    index: int,
    side: Side,
    start: datetime,
    count: int,
    values: list[float | None],
    per_values: list[float | None],
) -> Line:
    value, per = total(values), total(per_values)
    last = start + count * question.step
    return Line(
        key=SIDES[index],
        label=f"{SIDES[index].upper()}: {side.text}",
        value=value,
        per=per,
        rate=rate(value, per) if question.measure.per else None,
        first=start.date(),
        last=last.date(),
        drawn=True,
        usual=True,
        index=index,
        started=start,
        started_by="start",
    )


def _notes(sides: list[Side], question: Question) -> list[str]:
    if not any(one.dimension in EXPERIMENT for side in sides for one in side.filters):
        return []
    note = "Rows of experiments are of every application: they do not say which."
    return [note] if question.of.application is not None else []
