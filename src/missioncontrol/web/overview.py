"""The first page: what arrived in the last day, by application and channel, with the newest versions first.

Takes answers of the `Lookup`, gives Structs for the template; knows no HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import groupby

import msgspec

from missioncontrol.query.versions import version_key
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.address import encode_part, measure_path
from missioncontrol.web.charts import observed
from missioncontrol.web.lookup import Lookup, VersionTotal

NEWEST = 3
SPAN = timedelta(hours=24)
MAX_MEASURES = 4
REPORTS = "crash_reports"
"""The measure of all crash reports."""


class Cell(msgspec.Struct, frozen=True):
    """One measure of one version: what to print and where it leads."""

    value: float | None
    is_rate: bool
    href: str


class VersionRow(msgspec.Struct, frozen=True):
    """One of the newest versions of a channel."""

    label: str
    pings: float | None
    usage_hours: float | None
    cells: list[Cell]
    reports: Cell | None = None
    """Crashes by crash reports, as a number; None when the measure is not declared."""


class ChannelBlock(msgspec.Struct, frozen=True):
    """A channel: its sums over all versions and its newest versions."""

    application: str
    channel: str
    pings: float
    usage_hours: float
    versions: list[VersionRow]
    other_versions: int
    href: str
    reports: float = 0
    """Crashes by crash reports."""


class ApplicationBlock(msgspec.Struct, frozen=True):
    """An application and its channels, the most used first."""

    title: str
    channels: list[ChannelBlock]

    @property
    def pings(self) -> float:
        """Pings of all channels."""
        return sum(channel.pings for channel in self.channels)

    @property
    def reports(self) -> float:
        """Crashes by crash reports, of all channels."""
        return sum(channel.reports for channel in self.channels)


class Overview(msgspec.Struct, frozen=True):
    """All that the first page shows."""

    measures: list[Measure]
    applications: list[ApplicationBlock]


def build_overview(registry: Registry, lookup: Lookup, now: datetime) -> Overview:
    """The last 24 hours up to `now` (UTC)."""
    shown = shown_measures(registry)
    names = list(
        dict.fromkeys(
            ["count", "usage_hours", REPORTS, *(m.name for m in shown), *(m.per for m in shown if m.per)]
        )
    )
    names = [name for name in names if name in registry.measures]
    rows = lookup.versions(names, now - SPAN, now + timedelta(minutes=5))
    blocks = []
    for application, group in _grouped(rows, lambda row: row.application):
        channels = [
            _channel(list(part), names, shown) for _, part in _grouped(group, lambda row: row.channel)
        ]
        channels.sort(key=lambda block: (block.usage_hours, block.pings, block.reports), reverse=True)
        blocks.append(ApplicationBlock(_title(application, registry), channels))
    blocks.sort(key=lambda block: (block.pings, block.reports), reverse=True)
    return Overview(shown, blocks)


def shown_measures(registry: Registry) -> list[Measure]:
    """The first crash measures in the order of declaration."""
    return [m for m in registry.measures.values() if m.group == "crash"][:MAX_MEASURES]


def _grouped(
    rows: Iterable[VersionTotal], key: Callable[[VersionTotal], str | None]
) -> Iterable[tuple[str | None, Iterable[VersionTotal]]]:
    def order(row: VersionTotal) -> tuple[bool, str]:
        return key(row) is None, key(row) or ""

    return ((name, list(part)) for name, part in groupby(sorted(rows, key=order), key=key))


def _title(application: str | None, registry: Registry) -> str:
    if application is None:
        return "Unknown application"
    declared = registry.applications.get(application)
    return declared.title if declared and declared.title else application or "(empty)"


def _channel(rows: list[VersionTotal], names: list[str], shown: list[Measure]) -> ChannelBlock:
    rows.sort(key=lambda row: (row.version is not None, version_key(row.version or "")), reverse=True)
    first = rows[0]
    pings = sum(_value(row, names, "count") or 0 for row in rows)
    reports = sum(_value(row, names, REPORTS) or 0 for row in rows)
    usual = shown[0].name if shown else names[0]
    return ChannelBlock(
        application=encode_part(first.application),
        channel="unknown" if first.channel is None else first.channel or "(empty)",
        pings=pings,
        usage_hours=sum(_value(row, names, "usage_hours") or 0 for row in rows),
        versions=[_version(row, names, shown) for row in rows[:NEWEST]],
        other_versions=max(0, len(rows) - NEWEST),
        href=measure_path(first.application, first.channel, REPORTS if reports and not pings else usual),
        reports=reports,
    )


def _version(row: VersionTotal, names: list[str], shown: list[Measure]) -> VersionRow:
    return VersionRow(
        label="unknown" if row.version is None else row.version or "(empty)",
        pings=_value(row, names, "count"),
        usage_hours=_value(row, names, "usage_hours"),
        cells=[_cell(row, names, measure) for measure in shown],
        reports=Cell(_value(row, names, REPORTS), False, measure_path(row.application, row.channel, REPORTS))
        if REPORTS in names
        else None,
    )


def _cell(row: VersionTotal, names: list[str], measure: Measure) -> Cell:
    href = measure_path(row.application, row.channel, measure.name)
    per = _value(row, names, measure.per) if measure.per else None
    value = observed(_value(row, names, measure.name), per, measure)
    if not measure.per:
        return Cell(value, False, href)
    return Cell(1000 * value / per if value is not None and per else None, True, href)


def _value(row: VersionTotal, names: list[str], name: str) -> float | None:
    return row.values[names.index(name)] if name in names else None
