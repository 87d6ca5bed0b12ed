"""What a state asks of the data at one instant: which measures, which rows, which range.

Looks names up in the registry and does the arithmetic of ranges; never touches data.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.query.published import named_by_builds
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.address import INTERVALS, MAX_POINTS, SPANS, MeasureState
from missioncontrol.web.measure.lookup import Selection

if TYPE_CHECKING:
    from missioncontrol.state.release_model import Release

WINDOW = timedelta(minutes=5)


class Question(msgspec.Struct, frozen=True):
    """The state, with all that follows from it and the registry."""

    state: MeasureState
    measure: Measure
    per: str
    """The measure of the second chart, and the divisor of rates; never empty."""
    shows_rate: bool
    of: Selection
    start: datetime
    end: datetime
    now: datetime

    @property
    def step(self) -> timedelta:
        """Length of an interval."""
        return INTERVALS[self.state.interval]


def find_measure(name: str, registry: Registry) -> Measure:
    """The declared measure, or `NotFound` with the name that was probably meant."""
    if name in registry.measures:
        return registry.measures[name]
    close = difflib.get_close_matches(name, list(registry.measures), 1)
    hint = f"Did you mean `{close[0]}`?" if close else f"Declared: {', '.join(registry.measures)}."
    raise NotFound("unknown_measure", f"There is no measure `{name[:60]}`.", hint)


def ask(
    state: MeasureState, registry: Registry, now: datetime, published: Sequence[Release] = ()
) -> Question:
    """The question of a state; raises `NotFound` for an unknown measure, `BadRequest` for too long a range.

    published: releases, whose builds count for the versions that they were published as.
    """
    measure = find_measure(state.measure, registry)
    start, end = _range(state, now)
    per = measure.per or "usage_hours"
    named = named_by_builds(published, state.application, state.channel)
    of = Selection(state.application, state.channel, state.filters, named)
    return Question(state, measure, per, bool(measure.per) and state.show == "rate", of, start, end, now)


def _range(state: MeasureState, now: datetime) -> tuple[datetime, datetime]:
    """First instant and end of the clock range, on borders of intervals."""
    step = INTERVALS[state.interval]
    length = SPANS.get(state.range, timedelta())
    end = ceil(state.end or now, step) if state.range == "custom" else ceil(now, step)
    start = floor(state.start, step) if state.range == "custom" and state.start else floor(now - length, step)
    end = max(end, start + step)
    refuse_too_many((end - start) / step, state)
    return start, end


def refuse_too_many(intervals: float, state: MeasureState) -> None:
    """Raises `BadRequest` (`range_too_long`) for more intervals than a view may have."""
    if intervals > MAX_POINTS:
        raise BadRequest(
            "range_too_long",
            f"The range holds more than {MAX_POINTS:,} intervals of {state.interval}.",
            "Choose a longer interval or a shorter range.",
        )


def floor(instant: datetime, step: timedelta) -> datetime:
    """The newest border of intervals at or before the instant."""
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(instant.timestamp()) // seconds * seconds, UTC)


def ceil(instant: datetime, step: timedelta) -> datetime:
    """The first border of intervals at or after the instant."""
    border = floor(instant, step)
    return border if border == instant else border + step
