"""Arithmetic of the lines: rates, what nobody reported, sums over a moving window.

Pure functions of lists that have one place for each interval. None is a gap, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from missioncontrol.registry.model import Measure
from missioncontrol.web.measure.lookup import Course

Values = list[float | None]


def add(one: float | None, other: float | None) -> float | None:
    """The sum of what is there; None if nothing is."""
    return other if one is None else one if other is None else one + other


def total(values: Iterable[float | None]) -> float | None:
    """The sum of what is there; None if nothing is."""
    held = [value for value in values if value is not None]
    return sum(held) if held else None


def rate(value: float | None, per: float | None) -> float | None:
    """`value` per 1,000 of `per`; None where there is nothing to divide, or to divide by."""
    return None if value is None or not per else 1000 * value / per


def counts_events(measure: Measure) -> bool:
    """Whether it counts pings of a kind, such as crashes: then no ping at all means 0, not unknown."""
    return all(source.kind == "predicate" and source.absent is None for source in measure.sources)


def observed(value: float | None, per: float | None, measure: Measure) -> float | None:
    """The sum, with 0 for an event that did not happen while there was usage; otherwise null stays null.

    Leaving those intervals out would draw a line only through the bad ones.
    """
    return 0.0 if value is None and per and measure.per and counts_events(measure) else value


def aligned(
    course: Course | None, measure: Measure, x0: int, step_s: int, count: int
) -> tuple[Values, Values]:
    """Values and per of a course on the time axis of a chart: `count` places, the first at `x0`."""
    values: Values = [None] * count
    per: Values = [None] * count
    if course is None:
        return values, per
    for place, value, of in zip(course.places, course.values, course.per, strict=True):
        i = (place - x0) // step_s
        if 0 <= i < count:
            values[i], per[i] = value, of
    if measure.per and counts_events(measure):
        values = [0.0 if v is None and p else v for v, p in zip(values, per, strict=True)]
    return values, per


def smoothed(
    values: Sequence[float | None], per: Sequence[float | None], width: int
) -> tuple[Values, Values]:
    """Means over the `width` intervals that end with each, of those that have data: their ratio is that of the sums.

    A gap stays a gap. An interval whose value is unknown adds nothing to either sum, or rates would sink.
    """
    values_out: Values = []
    per_out: Values = []
    value_sum = per_sum = 0.0
    known = 0
    pairs = list(zip(values, per, strict=True))
    for i, (value, of) in enumerate(pairs):
        if value is not None:
            value_sum, per_sum, known = value_sum + value, per_sum + (of or 0.0), known + 1
        if i >= width and pairs[i - width][0] is not None:
            gone, gone_per = pairs[i - width]
            value_sum, per_sum, known = value_sum - (gone or 0.0), per_sum - (gone_per or 0.0), known - 1
        if not known:
            value_sum = per_sum = 0.0  # what rounding left
        fine = value is not None and known > 0
        values_out.append(max(value_sum, 0.0) / known if fine else None)
        per_out.append(max(per_sum, 0.0) / known if fine else None)
    return values_out, per_out
