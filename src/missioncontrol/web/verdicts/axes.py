"""Axes and paths of the plots of a verdict, as coordinates of SVG elements in a box of 1000 x 1000.

Pure. Ages are drawn by their square root, so that the first hours, in which a release is decided, have room; ratios by
their logarithm, so that twice and half are equally far from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec

BOX = 1000.0
_STEP = 3.0
"""Of points nearer than this only the highest and the lowest are drawn: nobody sees the others."""
_HALF = 2.0
"""Half the width of an interval that stands alone."""
_AGES = (
    (1 / 12, "5 min"), (0.25, "15 min"), (0.5, "30 min"), (1, "1 h"), (2, "2 h"), (3, "3 h"), (6, "6 h"), (12, "12 h"),
    (24, "1 day"), (48, "2 days"), (96, "4 days"), (168, "7 days"), (240, "10 days"), (336, "14 days"),
)  # fmt: skip
_RATIOS = (1.0, 2.0, 0.5, 1.5, 4.0, 0.25, 1.25, 0.8, 0.67, 3.0, 0.33, 8.0, 6.0, 10.0)
Place = Callable[[float], float]


class Tick(msgspec.Struct, frozen=True):
    """A value with a label at `at`, 0 to 100 % of the axis."""

    at: float
    label: str


class Axis(msgspec.Struct, frozen=True):
    """From `low` to `high`; `place` says where a value is in the box, unclipped."""

    low: float
    high: float
    place: Place
    ticks: list[Tick]

    def share(self, value: float) -> float:
        """Percent of the axis, kept inside."""
        return round(min(max(self.place(value), 0.0), BOX) / BOX * 100, 2)


def age_axis(hours: float) -> Axis:
    """From publication to `hours`, by square root; left to right."""
    high = max(hours, 1 / 12)

    def place(age: float) -> float:
        return BOX * math.sqrt(max(age, 0.0) / high)

    return Axis(0.0, high, place, _spaced(place, [(0.0, "0"), *_AGES[::-1]], high, 100.0))


def ratio_axis(
    values: Iterable[float | None], least: float = 0.5, most: float = 2.0, gap: float = 75.0
) -> Axis:
    """Logarithmic, with all `values` and at least from `least` to `most`, at most from 0.2 to 12; bottom to top.

    Labels are `gap` apart.
    """
    known = [value for value in values if value is not None and value > 0]
    low = max(min([*known, least]) * 0.94, 0.2)
    high = min(max([*known, most]) * 1.06, 12.0)
    span = math.log(high / low)

    def place(ratio: float) -> float:
        return BOX * (1 - math.log(max(ratio, 1e-6) / low) / span)

    inside = [(value, f"{value:g}×") for value in _RATIOS if low <= value <= high]
    return Axis(low, high, place, _spaced(place, inside, high, gap))


def flat(axis: Axis) -> Axis:
    """The same, left to right."""
    ticks = [Tick(round(100 - tick.at, 2), tick.label) for tick in reversed(axis.ticks)]
    return Axis(axis.low, axis.high, lambda value: BOX - axis.place(value), ticks)


def linear_axis(low: float, high: float, label: Callable[[float], str]) -> Axis:
    """Bottom to top, with about four round ticks."""
    span = max(high - low, 1e-9)

    def place(value: float) -> float:
        return BOX * (1 - (value - low) / span)

    step = _round_step(span / 4)
    first = math.ceil(low / step - 1e-9)
    values = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return Axis(low, high, place, [Tick(round(place(v) / 10, 2), label(v)) for v in values])


def line(x: Axis, y: Axis, points: Sequence[tuple[float, float | None]]) -> str:
    """The path of a line; an unknown value is a gap, a point between two gaps a dot."""
    drawn = _pieces(x, y, [(age, value, value) for age, value in points])
    return "".join(
        "M" + "L".join(f"{at:.1f} {high:.1f}" for at, _, high in piece) + ("h0" if len(piece) == 1 else "")
        for piece in drawn
    )


def area(x: Axis, y: Axis, points: Sequence[tuple[float, float | None, float | None]]) -> str:
    """The closed path between two lines, in pieces where one is unknown."""
    return "".join(_closed(piece) for piece in _pieces(x, y, points))


def _pieces(
    x: Axis, y: Axis, points: Sequence[tuple[float, float | None, float | None]]
) -> list[list[tuple[float, float, float]]]:
    """(x, low, high) in the box, from gap to gap, without what nobody sees."""
    pieces: list[list[tuple[float, float, float]]] = [[]]
    for age, low, high in points:
        if low is None or high is None:
            pieces.append([])
        else:
            pieces[-1].append((x.place(age), _inside(y.place(low)), _inside(y.place(high))))
    return [_thinned(piece) for piece in pieces if piece]


def _thinned(piece: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """The ends, and of each step the points with the lowest low and the highest high; the box grows downwards."""
    kept = {0, len(piece) - 1}
    first = 0
    for n, (at, _, _) in enumerate(piece):
        if at - piece[first][0] < _STEP and n < len(piece) - 1:
            continue
        step = range(first, max(n, first + 1))
        kept |= {max(step, key=lambda i: piece[i][1]), min(step, key=lambda i: piece[i][2])}
        first = n
    return [piece[i] for i in sorted(kept)]


def _closed(piece: Sequence[tuple[float, float, float]]) -> str:
    if len(piece) == 1:
        at, low, high = piece[0]
        piece = [(at - _HALF, low, high), (at + _HALF, low, high)]
    there = [f"{at:.1f} {high:.1f}" for at, _, high in piece]
    back = [f"{at:.1f} {low:.1f}" for at, low, _ in reversed(piece)]
    return "M" + "L".join([*there, *back]) + "Z"


def _inside(place: float) -> float:
    """Far outside of the box is as good as just outside."""
    return min(max(place, -BOX), 2 * BOX)


def _spaced(place: Place, wanted: Sequence[tuple[float, str]], high: float, gap: float) -> list[Tick]:
    """Ticks in the order of their importance, as long as they do not touch."""
    found: list[Tick] = []
    for value, label in wanted:
        at = place(value)
        if value <= high and all(abs(at - tick.at * 10) >= gap for tick in found):
            found.append(Tick(round(at / 10, 2), label))
    return sorted(found, key=lambda tick: tick.at)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-12)))
    return next((power * n for n in (1, 2, 5) if power * n >= rough), power * 10)
