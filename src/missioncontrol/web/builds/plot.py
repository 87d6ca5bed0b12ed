"""The picture of build days: rates with their intervals, and usage below, as coordinates in percent.

Pure. Both axes start at 0; a day without a build is a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.web.numerals import amount, rate
from missioncontrol.web.verdicts.axes import Tick, linear_axis

if TYPE_CHECKING:
    from missioncontrol.web.builds.view import DayRow

_HIGHEST = 3.0
"""The axis ends at so many times the usual rate, if all dots are below: intervals of few hours go on above it."""


class Dot(msgspec.Struct, frozen=True):
    """One day: places from the left and the top, in percent."""

    day: date
    kind: str
    at: float
    wide: float
    dot: float
    low: float
    high: float
    cut: bool
    """The interval goes on above."""
    usage: float
    """Height of the bar of usage, in percent."""
    says: str


class DayPlot(msgspec.Struct, frozen=True):
    """The picture."""

    says: str
    dots: list[Dot]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    usage_ticks: list[Tick]


def plot_of(rows: Sequence[DayRow], title: str, per_title: str) -> DayPlot | None:
    """The days, the oldest first; None where no day has a rate."""
    known = [row.rate for row in rows if row.rate is not None]
    if not known:
        return None
    bounds = [row.high for row in rows if row.high is not None]
    most = max([*known, min(max(bounds, default=0.0), _HIGHEST * median(known))]) * 1.08 or 1.0
    used = max((row.of.hours or 0.0 for row in rows if row.of), default=0.0) * 1.05 or 1.0
    y, usage = linear_axis(0.0, most, amount), linear_axis(0.0, used, amount)
    wide = 100 / len(rows)
    dots = []
    for n, row in enumerate(rows):
        if row.of is None or row.rate is None:
            continue
        low, high = (row.low or 0.0), (row.high if row.high is not None else most * 2)
        dots.append(
            Dot(
                row.day,
                row.mark.verdict if row.mark else "none",
                round((n + 0.5) * wide, 2),
                round(wide, 2),
                y.share(row.rate),
                y.share(low),
                y.share(high),
                high > most,
                round(100 - usage.share(row.of.hours or 0.0), 2),
                _says(row, per_title),
            )
        )
    every = max(1, len(rows) // 5)
    ticks = [
        Tick(round((n + 0.5) * wide, 2), f"{row.day.day} {row.day:%b}")
        for n, row in enumerate(rows)
        if (len(rows) - 1 - n) % every == every // 2 or len(rows) <= 3
    ]
    says = (
        f"{title} per 1,000 {per_title} of the builds of {len(dots)} days, from 0 to {rate(most)}, each with its 95 % "
        "interval. The table below has the same numbers."
    )
    return DayPlot(says, dots, ticks, y.ticks, usage.ticks)


def _says(row: DayRow, per_title: str) -> str:
    word = f", {row.mark.word.lower()} against the day before" if row.mark else ""
    hours = amount(float(round(row.of.hours or 0.0))) if row.of else ""
    high = rate(row.high) if row.high is not None else "more"
    return f"{row.day}: {rate(row.rate)} ({rate(row.low)} to {high}), {hours} {per_title}{word}"
