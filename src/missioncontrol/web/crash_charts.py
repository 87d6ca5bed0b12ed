"""Small charts as the coordinates of SVG elements, made on the server so that they need no script.

Pure. Numbers stand beside every chart; a line has a dash and a name beside its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from missioncontrol.query.crash_reports import Bucket
from missioncontrol.query.crash_selection import Selection

SPARK_WIDTH, SPARK_HEIGHT = 96, 20
WIDTH, HEIGHT = 960, 180
_MOST_LINES = 6
_MOST_BUCKETS = 60


class Spark(msgspec.Struct, frozen=True):
    """Bars of one row of a table."""

    path: str
    """Data of an SVG path in a box of `SPARK_WIDTH` x `SPARK_HEIGHT`."""
    says: str
    """The same in words."""


class Line(msgspec.Struct, frozen=True):
    """One line of a chart."""

    index: int
    """Which dash and colour it has."""
    name: str
    points: str
    total: float
    counts: list[float]


class TimeChart(msgspec.Struct, frozen=True):
    """Counts of a few groups over time."""

    lines: list[Line]
    labels: list[str]
    """Start of each interval."""
    top: float
    """What the upper edge means."""
    every: str
    """Length of an interval in words."""


def buckets_of(selection: Selection) -> int:
    """Into how many intervals a span is cut: hours of up to two days, else days, else longer ones."""
    days = max(1, round(selection.length / timedelta(days=1)))
    if selection.by == "report" and days <= 2:
        return days * 24
    return days if days <= _MOST_BUCKETS else _MOST_BUCKETS


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


def time_chart(selection: Selection, buckets: Sequence[Bucket], number: int) -> TimeChart:
    """The groups with most crashes, a line each, and all others in one."""
    by_group = filled(buckets, number)
    ordered = sorted(by_group.items(), key=lambda item: (-sum(item[1]), item[0] or ""))
    named = [(name or "(none)", counts) for name, counts in ordered]
    shown, rest = named[:_MOST_LINES], named[_MOST_LINES:]
    if rest:
        others = [sum(column) for column in zip(*(counts for _, counts in rest), strict=True)]
        shown.append((f"{len(rest)} others", others))
    top = max((max(counts) for _, counts in shown), default=0.0)
    lines = [
        Line(n, name, _points(counts, top or 1.0), sum(counts), counts)
        for n, (name, counts) in enumerate(shown)
    ]
    width = selection.length / number
    return TimeChart(lines, _labels(selection.start, width, number), top, _words(width))


def _points(counts: Sequence[float], top: float) -> str:
    """In the middle of each interval."""
    step = WIDTH / max(1, len(counts))
    room = HEIGHT - 6
    return " ".join(f"{(n + 0.5) * step:.1f},{HEIGHT - 2 - room * c / top:.1f}" for n, c in enumerate(counts))


def _labels(start: datetime, width: timedelta, number: int) -> list[str]:
    exact = width < timedelta(days=1) or start.hour or start.minute
    return [f"{start + n * width:{'%m-%d %H:%M' if exact else '%Y-%m-%d'}}" for n in range(number)]


def _words(width: timedelta) -> str:
    hours = width.total_seconds() / 3600
    return "hour" if hours == 1 else "day" if hours == 24 else f"{hours:.0f} hours"
