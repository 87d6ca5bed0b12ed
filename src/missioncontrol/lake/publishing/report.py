"""What a publisher did, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import msgspec

from missioncontrol.lake.publishing.days import LakeDay


class TablePublished(msgspec.Struct, frozen=True):
    """What was done with one table, or with one day of it."""

    table: str
    days: tuple[date, ...] = ()
    """Published now."""
    same_days: int = 0
    """Days that were published before in the state that the lake has."""
    pruned_days: tuple[date, ...] = ()
    rows: int = 0
    """Rows in PostgreSQL of the days published now."""
    read_rows: int = 0
    """Rows of the lake that these were made from."""
    repaired_texts: int = 0
    """Texts in which U+FFFD stands for U+0000, which PostgreSQL cannot hold."""
    stats_left_out: int = 0
    """Values of statistics that have no column."""

    def plus(self, other: TablePublished) -> TablePublished:
        """Both together; the table is this one's."""
        fields = self.__struct_fields__[1:]
        return TablePublished(self.table, *(getattr(self, name) + getattr(other, name) for name in fields))


class Step(msgspec.Struct, frozen=True):
    """How far a run is."""

    table: str
    date: date
    days: int
    """Days done, of `all_days`."""
    all_days: int
    rows: int
    """Rows of the lake read, of `all_rows`."""
    all_rows: int


Progress = Callable[[Step], None]
"""Called after each piece of a day, in the middle of its transaction."""


class Count:
    """Counts the days and rows of a run for whoever shows them. A day that is begun anew counts anew."""

    def __init__(self, progress: Progress, all_days: int, all_rows: int) -> None:
        self._progress, self._all_days, self._all_rows = progress, all_days, all_rows
        self._days = self._rows = 0

    def rows_read(self, day: LakeDay, rows: int) -> None:
        """So many rows of this day have been read."""
        self._tell(day, self._rows + rows)

    def day_done(self, day: LakeDay) -> None:
        """The day, as it was planned, is done."""
        self._days += 1
        self._rows += day.rows
        self._tell(day, self._rows)

    def _tell(self, day: LakeDay, rows: int) -> None:
        self._progress(Step(day.table, day.date, self._days, self._all_days, rows, self._all_rows))
