"""What the page of a measure shows: lines, the data of the two charts, table rows.

Types only; `charts` makes them and the template prints them. None is a gap, never 0.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from missioncontrol.registry.model import Measure

MAX_LISTED = 40
"""Lines in the legend, apart from those that are drawn."""


class Line(msgspec.Struct, frozen=True):
    """A version or build: its sums in the range, and where it is drawn."""

    key: str
    label: str
    value: float | None
    per: float | None
    rate: float | None
    first: date
    last: date
    drawn: bool
    usual: bool
    """Drawn when nothing else is asked for: one of the newest."""
    index: int = -1
    """Which colour and dash pattern; -1 when it is not drawn."""
    started: datetime | None = None
    started_by: str = ""
    """`release` or `first data`."""


class Series(msgspec.Struct, frozen=True):
    """One line of both charts, aligned with `ChartData.x`."""

    key: str
    label: str
    shown: list[float | None]
    per: list[float | None]


class ChartData(msgspec.Struct, frozen=True):
    """What the browser draws. `x` is seconds since the epoch (UTC), or since the release."""

    time: str
    interval_s: int
    title: str
    unit: str
    per_title: str
    x: list[int]
    open_x: int | None
    """Start of the interval that is still filling."""
    series: list[Series]


class Row(msgspec.Struct, frozen=True):
    """One interval of the table; `cells` holds (shown, per) for each drawn line."""

    label: str
    instant: str
    still_filling: bool
    cells: list[tuple[float | None, float | None]]


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
    json_url: str

    @property
    def drawn(self) -> list[Line]:
        """The lines in the charts, in their order."""
        return sorted((line for line in self.lines if line.drawn), key=lambda line: line.index)

    @property
    def listed(self) -> list[Line]:
        """The lines in the legend: the newest, and those that are drawn."""
        return [line for i, line in enumerate(self.lines) if i < MAX_LISTED or line.drawn]

    @property
    def empty(self) -> bool:
        """No version has data in the range."""
        return not self.lines
