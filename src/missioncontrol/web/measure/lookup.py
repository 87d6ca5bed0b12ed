"""What the pages ask of the lake: typed questions and answers, and no more.

`EngineLookup` (see `engine_lookup`) answers them. Sums are null (None) where nobody reported the measure;
they are never made 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

import msgspec

from missioncontrol.query.published import Named
from missioncontrol.web.address import Filter, Group, Interval

MOST_PARTS = 5000
"""Courses that are read at once by a dimension."""


class Selection(msgspec.Struct, frozen=True):
    """The rows that a page is about."""

    application: str | None
    channel: str | None
    filters: tuple[Filter, ...] = ()
    named: Named = ()
    """Builds whose rows are of the version that they were published as, whatever version their pings say."""


class GroupTotal(msgspec.Struct, frozen=True):
    """Sums of one version or build id, and the days of its first and last row in the range."""

    group: str | None
    value: float | None
    per: float | None
    first: date
    last: date


class Course(msgspec.Struct, frozen=True):
    """Sums of two measures over time: at each of `places` (seconds; since the epoch, or since a life began) one of
    each. Places without rows are left out, in no order.
    """

    group: str | None
    places: list[int]
    values: list[float | None]
    per: list[float | None]
    part: str | None = None
    """Value of the dimension that the sums are split by."""


class ChannelRef(msgspec.Struct, frozen=True):
    """A channel of an application that has data."""

    application: str | None
    channel: str | None


class BuildRef(msgspec.Struct, frozen=True):
    """A build that has data, and the days of its first and last row."""

    application: str | None
    channel: str | None
    build_id: str
    first: date
    last: date


class Life(msgspec.Struct, frozen=True):
    """A group from an instant on, which is its age 0, until before another."""

    group: str | None
    start: datetime
    end: datetime


class FirstData(msgspec.Struct, frozen=True):
    """Start of the first window that holds a row of the group."""

    group: str | None
    start: datetime


class Lookup(Protocol):
    """Answers about the tables as they are now. Calls block: run them in a thread."""

    def channels(self, start: datetime, end: datetime) -> list[ChannelRef]:
        """The channels with rows in [start, end), the busiest first."""

    def builds(self, begins: str, start: datetime, end: datetime) -> list[BuildRef]:
        """The builds with rows on the days of [start, end) whose id begins so, the highest id first."""

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
    ) -> list[Course]:
        """Sums of two measures for each interval and each of the groups `only`, in [start, end)."""

    def course(
        self,
        of: Selection,
        measure: str,
        per: str,
        start: datetime,
        end: datetime,
        interval: Interval,
        since: datetime | None = None,
    ) -> Course:
        """Sums of two measures for each interval in [start, end), all groups together.

        `since`: intervals are laid from this instant on and places count from it; None: both are those of the clock.
        Rows of experiments have no application: where `of` names an experiment, its application is not looked at.
        Raises `BadRequest` (`not_kept_for_experiments`).
        """

    def parts(
        self,
        of: Selection,
        measure: str,
        per: str,
        dimension: str,
        group: Group,
        groups: Sequence[str | None],
        start: datetime,
        end: datetime,
        interval: Interval,
    ) -> list[Course]:
        """Sums for each interval, of each of the groups by value of a dimension, in [start, end).

        Of more than `MOST_PARTS` courses those with the most usage.
        """

    def age_parts(
        self,
        of: Selection,
        measure: str,
        per: str,
        dimension: str,
        group: Group,
        lives: Sequence[Life],
        interval: Interval,
    ) -> list[Course]:
        """As `parts()`, for each interval of the age of each life; no two are of one group."""

    def ages(
        self, of: Selection, measure: str, per: str, group: Group, lives: Sequence[Life], interval: Interval
    ) -> list[Course]:
        """Sums of two measures for each interval of the age of each life; no two are of one group."""

    def first_data(self, of: Selection, group: Group, only: Sequence[str | None]) -> list[FirstData]:
        """The first window of each of the groups; one without rows is left out."""
