"""The band of predecessors: what the accepted releases before had at the same age."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from missioncontrol.query.versions import version_key
from missioncontrol.state.release_model import group
from missioncontrol.web.address import NULL
from missioncontrol.web.measure.lookup import Course, Life, Lookup
from missioncontrol.web.measure.question import WINDOW, Question, floor
from missioncontrol.web.measure.sums import aligned, rate, smoothed
from missioncontrol.web.measure.view import Band, Line

if TYPE_CHECKING:
    from missioncontrol.state.release_model import Release, Version

MOST_PREDECESSORS = 12
LEAST_PREDECESSORS = 3
_QUANTILES = (0.1, 0.5, 0.9)


def predecessors(drawn: Sequence[Line], releases: Sequence[Release], question: Question) -> list[Version]:
    """The accepted versions that were published before the newest of the lines, the latest first, at most twelve.

    A version whose number is higher than that of the newest line comes from another train, and is none.
    """
    if not drawn or question.state.group != "version":
        return []
    newest = drawn[0]
    known = group(releases)
    own = next((one for one in known if one.version == newest.label), None)
    since = own.published_at if own else newest.started
    if since is None or newest.key == NULL:
        return []
    found = [
        one
        for one in known
        if one.status == "accepted"
        and one.published_at < since
        and version_key(one.version) < version_key(newest.label)
    ]
    return found[::-1][:MOST_PREDECESSORS]


def band_of(
    question: Question, lookup: Lookup, before: Sequence[Version], x0: int, count: int, width: int
) -> Band | None:
    """The 10 %, 50 % and 90 % quantiles at each age where at least three have data; None if too few have any.

    Quantiles between two values are interpolated. `width`: intervals that are smoothed over; 1: none.
    """
    step_s = int(question.step.total_seconds())
    length = timedelta(seconds=x0 + count * step_s)
    lives = []
    for one in before:
        start = floor(one.published_at, WINDOW)
        lives.append(Life(one.version, start, max(start, min(start + length, question.now))))
    state, measure = question.state, question.measure
    found = lookup.ages(question.of, measure.name, question.per, "version", lives, state.interval)
    courses = {course.group: _shown(course, question, x0, count, width) for course in found}
    names = tuple(one.version for one in before if any(v is not None for v in courses.get(one.version, [])))
    if len(names) < LEAST_PREDECESSORS:
        return None
    rows = [
        sorted(v for v in at if v is not None) for at in zip(*(courses[name] for name in names), strict=True)
    ]
    low, mid, high = ([_quantile(row, share) for row in rows] for share in _QUANTILES)
    return Band(names, low, mid, high)


def _shown(course: Course, question: Question, x0: int, count: int, width: int) -> list[float | None]:
    step_s = int(question.step.total_seconds())
    values, per = aligned(course, question.measure, x0, step_s, count)
    if width > 1:
        values, per = smoothed(values, per, width)
    if not question.shows_rate:
        return values
    return [rate(value, of) for value, of in zip(values, per, strict=True)]


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Of values in order; None of fewer than three."""
    if len(ordered) < LEAST_PREDECESSORS:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(f"{ordered[below] + (ordered[above] - ordered[below]) * (place - below):.6g}")
