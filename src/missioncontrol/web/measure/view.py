"""What the page of a measure shows: lines, the data of the two charts, marks, table rows.

Types only; `charts` and its neighbours make them and the template prints them. None is a gap, never 0.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

from missioncontrol.registry.model import Measure
from missioncontrol.web.address import Interval

MAX_LISTED = 40
"""Lines in the legend, apart from those that are drawn."""


class Line(msgspec.Struct, frozen=True):
    """A version, a build or a side of a comparison: its sums in the range, and where it is drawn."""

    key: str
    label: str
    value: float | None
    per: float | None
    rate: float | None
    first: date | None
    """None: it was asked for, and has no data."""
    last: date | None
    drawn: bool
    usual: bool
    """Drawn when nothing else is asked for: one of the newest."""
    index: int = -1
    """Which colour and dash pattern; -1 when it is not drawn."""
    started: datetime | None = None
    started_by: str = ""
    """`release` or `first data`."""
    ended: datetime | None = None
    """Up to where a side of a comparison is drawn."""


class Series(msgspec.Struct, frozen=True):
    """One line of both charts: the sums of each interval, from the first on.

    Smoothed: the sums over the window that ends with the interval, divided by its intervals that have data.
    """

    key: str
    label: str
    value: list[float | None]
    per: list[float | None]


class Band(msgspec.Struct, frozen=True):
    """What the releases before had at the same age: quantiles of their rates (or counts), interval by interval."""

    names: tuple[str, ...]
    """The newest first."""
    low: list[float | None]
    mid: list[float | None]
    high: list[float | None]


class Mark(msgspec.Struct, frozen=True):
    """A vertical line in the charts: something that happened at an instant."""

    x: int
    label: str
    """What stands at the line."""
    kind: Literal["release", "annotation"]
    instant: datetime
    text: str
    who: str | None = None
    id: int = 0
    """Of an annotation."""
    everywhere: str = ""
    """Of what else the annotation is, in words."""
    line: int = -1
    """Which line it is on, where time counts from the start of each; -1: all."""
    of: str = ""
    """Label of that line."""
    at: str = ""
    """Its age, in words."""


class ChartData(msgspec.Struct, frozen=True):
    """What the browser draws. Interval i begins at `x0 + i * interval_s` seconds: since the epoch (UTC), or since the
    release. A rate is 1,000 times value by per: it is divided where it is shown, so that less is sent.
    """

    time: str
    interval_s: int
    title: str
    unit: str
    per_title: str
    x0: int
    count: int
    open_x: int | None
    """Start of the interval that is still filling."""
    rate: bool
    counted: bool
    """The values are counts of events, so that an interval can be told from the count alone."""
    smooth: str
    """Length of the window; empty: not smoothed."""
    series: list[Series]
    band: Band | None = None
    marks: list[Mark] = []


class Row(msgspec.Struct, frozen=True):
    """One interval of the table; `cells` holds (shown, per) for each drawn line."""

    label: str
    instant: str
    still_filling: bool
    cells: list[tuple[float | None, float | None]]


class Absent(msgspec.Struct, frozen=True):
    """A line that was asked for and has no data in what is shown, in words, and where it has."""

    label: str
    words: str
    link: str = ""
    """What `href` leads to; empty: there is nothing to lead to."""
    href: str = ""


class Ratio(msgspec.Struct, frozen=True):
    """How many times the rate of A is that of B, over the whole range."""

    ratio: float | None
    low: float | None
    high: float | None
    """The 95 % interval; None: there is none, for the reason in `note`."""
    note: str


class SmallChart(msgspec.Struct, frozen=True):
    """One of the small charts. Their paths are in the coordinates of `plots`."""

    key: str
    label: str
    href: str
    """The page with this part alone; empty where the rest is pooled."""
    paths: list[tuple[int, str]]
    """(index of the line, path)"""
    cells: list[tuple[float | None, float | None]]
    """(shown, per) of each line over the range"""
    per: float
    """Usage of all lines."""
    series: list[Series] = []
    """The sums of each line, interval by interval."""


class SmallCharts(msgspec.Struct, frozen=True):
    """All of them, on the same axes."""

    dimension: str
    title: str
    charts: list[SmallChart]
    ticks: list[tuple[float, str]]
    """(height, label) on the vertical axis"""
    times: tuple[str, str]
    """First and last instant."""
    pooled: int
    """How many values the last chart pools."""
    interval: Interval
    cut: bool
    """Values above the axis are marked at its end."""
    x0: int
    """Start of the first interval, as in `ChartData`."""
    interval_s: int
    count: int


class MeasureView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    measure: Measure
    shows_rate: bool
    unit: str
    per_title: str
    """Title of the second chart; empty: there is none."""
    start: datetime
    end: datetime
    lines: list[Line]
    chart: ChartData
    rows: list[Row]
    cut_rows: int
    no_per: str
    """Title of the measure that rates are per, when there is none of it to divide by: only counts are shown then."""
    csv_url: str
    """The rows as the API has them; empty where one question to it does not give them."""
    json_url: str
    permalink: str
    """The address of exactly what is shown, which new data do not move."""
    notes: list[str]
    """What is to be known of what is drawn."""
    ratio: Ratio | None = None
    small: SmallCharts | None = None
    absent: list[Absent] = []

    @property
    def drawn(self) -> list[Line]:
        """The lines in the charts, in their order."""
        return sorted((line for line in self.lines if line.drawn), key=lambda line: line.index)

    @property
    def listed(self) -> list[Line]:
        """The lines in the legend: the newest, and those that are drawn."""
        return [line for i, line in enumerate(self.lines) if i < MAX_LISTED or line.drawn]

    @property
    def noted(self) -> list[tuple[Mark, list[Mark]]]:
        """What happened, by time, and where in the charts it is."""
        found: dict[tuple[str, datetime, str], list[Mark]] = {}
        for mark in self.chart.marks:
            found.setdefault((mark.kind, mark.instant, mark.label), []).append(mark)
        ordered = sorted(found.values(), key=lambda alike: alike[0].instant)
        return [(alike[0], sorted(alike, key=lambda mark: mark.line)) for alike in ordered]

    @property
    def empty(self) -> bool:
        """No version has data in the range."""
        return all(line.first is None for line in self.lines)
