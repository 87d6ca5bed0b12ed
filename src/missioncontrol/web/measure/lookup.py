"""What the pages ask of the lake: typed questions and answers, and no more.

`EngineLookup` (see `engine_lookup`) answers them. Sums are null (None) where nobody reported the measure;
they are never made 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

import msgspec

from missioncontrol.web.address import Filter, Group, Interval


class Selection(msgspec.Struct, frozen=True):
    """The rows that a page is about."""

    application: str | None
    channel: str | None
    filters: tuple[Filter, ...] = ()


class GroupTotal(msgspec.Struct, frozen=True):
    """Sums of one version or build id, and the days of its first and last row in the range."""

    group: str | None
    value: float | None
    per: float | None
    first: date
    last: date


class Point(msgspec.Struct, frozen=True):
    """Sums of one group in one interval, which starts at `start` (UTC)."""

    start: datetime
    group: str | None
    value: float | None
    per: float | None


class VersionTotal(msgspec.Struct, frozen=True):
    """Sums of one version in one channel; `values` in the order of the measures asked for."""

    application: str | None
    channel: str | None
    version: str | None
    values: tuple[float | None, ...]


class ChannelRef(msgspec.Struct, frozen=True):
    """A channel of an application that has data."""

    application: str | None
    channel: str | None


class FirstData(msgspec.Struct, frozen=True):
    """Start of the first window that holds a row of the group."""

    group: str | None
    start: datetime


class Lookup(Protocol):
    """Answers about the tables as they are now. Calls block: run them in a thread."""

    def channels(self, start: datetime, end: datetime) -> list[ChannelRef]:
        """The channels with rows in [start, end), the busiest first."""

    def versions(self, measures: Sequence[str], start: datetime, end: datetime) -> list[VersionTotal]:
        """Sums for each application, channel and version with rows in [start, end)."""

    def totals(
        self, of: Selection, measure: str, per: str, group: Group, start: datetime, end: datetime
    ) -> list[GroupTotal]:
        """Sums of two measures for each group with rows in [start, end)."""

    def points(
        self,
        of: Selection,
        measure: str,
        per: str,
        group: Group,
        only: Sequence[str | None],
        start: datetime,
        end: datetime,
        interval: Interval,
    ) -> list[Point]:
        """Sums of two measures for each interval and each of the groups `only`, in [start, end)."""

    def first_data(self, of: Selection, group: Group, only: Sequence[str | None]) -> list[FirstData]:
        """The first window of each of the groups; one without rows is left out."""
