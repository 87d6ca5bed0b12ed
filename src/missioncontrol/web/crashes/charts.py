"""Small charts as the coordinates of SVG elements, made on the server so that they need no script.

Pure. Numbers stand beside every chart; layers of a bar stand in the order of its legend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from missioncontrol.query.crash_reports import Bucket
from missioncontrol.query.crash_selection import Intervals, Selection

SPARK_WIDTH, SPARK_HEIGHT = 96, 20
WIDTH, HEIGHT = 960, 180
MOST_LAYERS = 6
"""Groups with a colour of their own."""
_MINUTE = timedelta(minutes=1)
_MOST_BARS = 60


class Spark(msgspec.Struct, frozen=True):
    """Bars of one row of a table."""

    path: str
    """Data of an SVG path in a box of `SPARK_WIDTH` x `SPARK_HEIGHT`."""
    says: str
    """The same in words."""


class Layer(msgspec.Struct, frozen=True):
    """One group of a chart: its part of every bar."""

    index: int
    """Which colour it has; 0 stands at the bottom."""
    name: str
    path: str
    """Data of an SVG path in a box of `WIDTH` x `HEIGHT`."""
    unfinished: str
    """The same of the last bar, where the span ends within it; else empty."""
    total: float
    counts: list[float]


class Interval(msgspec.Struct, frozen=True):
    """What one bar is about."""

    label: str
    """Its day, or its hour; of a longer one where it begins."""
    says: str
    """Its counts in words."""


class TimeChart(msgspec.Struct, frozen=True):
    """Counts of a few groups over time, as bars of calendar days or hours (UTC)."""

    layers: list[Layer]
    intervals: list[Interval]
    last: str
    """The last day or hour of the span."""
    top: float
    """What the upper edge means."""
    every: str
    """Length of an interval in words."""
    partial: str
    """When the span begins, where that is within the first interval; else empty."""
    until: str = ""
    """When the span ends, where that is within the last interval; else empty."""


def intervals_of(selection: Selection) -> Intervals:
    """Calendar days that cover the span, or hours of up to two days; of long spans several days each."""
    if selection.by == "report" and selection.length <= timedelta(days=2):
        start, width = selection.start.replace(minute=0, second=0, microsecond=0), timedelta(hours=1)
    else:
        start = selection.start.replace(hour=0, minute=0, second=0, microsecond=0)
        days = math.ceil((selection.end - start) / timedelta(days=1))
        width = timedelta(days=max(1, math.ceil(days / _MOST_BARS)))
    return Intervals(start, width, max(1, math.ceil((selection.end - start) / width)))


def filled(buckets: Sequence[Bucket], number: int) -> dict[str | None, list[float]]:
    """The counts of each group in every interval, 0 where there was nothing."""
    found: dict[str | None, list[float]] = {}
    for bucket in buckets:
        if 0 <= bucket.number < number:
            found.setdefault(bucket.group, [0.0] * number)[bucket.number] += bucket.count
    return found


def spark(counts: Sequence[float]) -> Spark:
    """Bars, the highest as high as the box; one with nothing is a gap."""
    most = max(counts, default=0.0)
    step = SPARK_WIDTH / max(1, len(counts))
    gap = 1.0 if step > 3 else 0.0
    bars = [
        f"M{n * step:.1f} {SPARK_HEIGHT}v-{max(1.0, SPARK_HEIGHT * count / most):.1f}h{step - gap:.1f}V{SPARK_HEIGHT}z"
        for n, count in enumerate(counts)
        if count > 0
    ]
    return Spark("".join(bars), ", ".join(f"{count:,.0f}" for count in counts))


def time_chart(selection: Selection, buckets: Sequence[Bucket], intervals: Intervals) -> TimeChart:
    """The groups with most crashes, a layer each, and all others in one."""
    by_group = filled([one for one in buckets if not one.pooled], intervals.number)
    pooled = filled([one for one in buckets if one.pooled], intervals.number)
    ordered = sorted(by_group.items(), key=lambda item: (-sum(item[1]), item[0] or ""))
    named = [(name or "(none)", counts) for name, counts in ordered]
    shown, rest = named[:MOST_LAYERS], named[MOST_LAYERS:]
    if rest or pooled:
        small = [*(counts for _, counts in rest), *pooled.values()]
        number = len(rest) + max((one.pooled for one in buckets), default=0)
        shown.append((f"{number} others", [sum(column) for column in zip(*small, strict=True)]))
    heights = [sum(column) for column in zip(*(counts for _, counts in shown), strict=True)]
    top = max(heights, default=0.0)
    below = [0.0] * intervals.number
    # A build day has ended or not whatever the span says.
    cut = selection.by == "report" and intervals.starts()[-1] + intervals.width - selection.end >= _MINUTE
    layers = []
    for n, (name, counts) in enumerate(shown):
        bars = _bars(counts, below, top)
        ready = len(bars) - 1 if cut else len(bars)
        layers.append(Layer(n, name, "".join(bars[:ready]), "".join(bars[ready:]), sum(counts), counts))
        below = [under + count for under, count in zip(below, counts, strict=True)]
    labels = [_label(start, intervals.width) for start in intervals.starts()]
    says = [_says(label, n, shown) for n, label in enumerate(labels)]
    return TimeChart(
        layers,
        [Interval(label, text) for label, text in zip(labels, says, strict=True)],
        _label(selection.end - timedelta(microseconds=1), intervals.width),
        top,
        _words(intervals.width),
        f"{selection.start:%m-%d %H:%M}" if selection.start - intervals.start >= _MINUTE else "",
        f"{selection.end:%m-%d %H:%M}" if cut else "",
    )


def _bars(counts: Sequence[float], below: Sequence[float], top: float) -> list[str]:
    """A box for each count, on what stands below it; of 0 there is none."""
    step = WIDTH / len(counts)
    gap, wide = step * 0.1, step * 0.8
    room = (HEIGHT - 4) / (top or 1.0)
    return [
        f"M{n * step + gap:.1f} {HEIGHT - 1 - room * under:.1f}v-{room * count:.1f}h{wide:.1f}v{room * count:.1f}z"
        if count > 0
        else ""
        for n, (count, under) in enumerate(zip(counts, below, strict=True))
    ]


def _label(start: datetime, width: timedelta) -> str:
    return f"{start:%m-%d %H}:00" if width < timedelta(days=1) else f"{start:%Y-%m-%d}"


def _says(label: str, number: int, shown: Sequence[tuple[str, Sequence[float]]]) -> str:
    parts = [f"{name}: {counts[number]:,.0f}" for name, counts in shown if counts[number]]
    return f"{label}: {', '.join(parts) or 'none'}"


def _words(width: timedelta) -> str:
    hours = width.total_seconds() / 3600
    return "hour" if hours == 1 else "day" if hours == 24 else f"{hours / 24:.0f} days"
