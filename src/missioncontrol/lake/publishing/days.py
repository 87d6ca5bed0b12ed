"""The days of a lake's table, by what they hold, and which of them have been published so far.

A day's fingerprint is made of the names of its files: these never change what they hold, and each name is used once.
Merged files have new names, so that a day is published once more after compaction, with the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date

import msgspec
from psycopg import sql

from missioncontrol.lake.plan import day, partitions
from missioncontrol.lake.publishing.catalog import LEDGER, qualified
from missioncontrol.lake.publishing.server import Connection
from missioncontrol.lake.snapshot import FileRef, Snapshot

_FORM = b"1"
"""To be changed with the way in which rows are published: all days are then published anew."""


class LakeDay(msgspec.Struct, frozen=True):
    """A submission date of one table, as of a snapshot."""

    table: str
    date: date
    files: tuple[FileRef, ...]

    @property
    def rows(self) -> int:
        """Rows of the files, before any are added up."""
        return sum(file.rows for file in self.files)

    @property
    def fingerprint(self) -> str:
        """Equal for two states of a day only if they hold the same."""
        digest = hashlib.sha256(_FORM)
        for name in sorted(file.path.rpartition("/")[2] for file in self.files):
            digest.update(b"/" + name.encode())
        return digest.hexdigest()[:32]


class DayRange(msgspec.Struct, frozen=True):
    """Submission dates from first to last, both included; None: no bound."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


def lake_days(snapshot: Snapshot) -> dict[date, LakeDay]:
    """Every day that the table has rows of, oldest first."""
    return {
        day(partition): LakeDay(snapshot.table, day(partition), files)
        for partition, files in reversed(partitions(snapshot))
    }


class Ledger:
    """The list of published days that stands beside the tables; changed in the transaction of the day."""

    def __init__(self, schema: str) -> None:
        self._table = qualified(schema, LEDGER.name)

    def fingerprints(self, connection: Connection, table: str) -> dict[date, str]:
        """Fingerprint of each published day of a table."""
        query = sql.SQL("SELECT submission_date, fingerprint FROM {} WHERE table_name = %s").format(
            self._table
        )
        return dict(connection.execute(query, (table,)).fetchall())

    def fingerprint(self, connection: Connection, table: str, day: date) -> str | None:
        """Fingerprint of one day as it was published last; None: never."""
        query = sql.SQL("SELECT fingerprint FROM {} WHERE table_name = %s AND submission_date = %s").format(
            self._table
        )
        row = connection.execute(query, (table, day)).fetchone()
        return row[0] if row else None

    def record(self, connection: Connection, day: LakeDay, rows: int) -> None:
        """Say that the day is published in this state."""
        query = sql.SQL(
            "INSERT INTO {} (table_name, submission_date, fingerprint, rows, published_at)"
            " VALUES (%s, %s, %s, %s, clock_timestamp()) ON CONFLICT (table_name, submission_date) DO UPDATE"
            " SET fingerprint = excluded.fingerprint, rows = excluded.rows, published_at = excluded.published_at"
        ).format(self._table)
        connection.execute(query, (day.table, day.date, day.fingerprint, rows))

    def forget(self, connection: Connection, table: str, day: date) -> None:
        """Take a day off the list."""
        query = sql.SQL("DELETE FROM {} WHERE table_name = %s AND submission_date = %s").format(self._table)
        connection.execute(query, (table, day))


def spans(days: Iterable[date]) -> str:
    """Days for people: first, last and how many."""
    ordered = sorted(days)
    if not ordered:
        return "none"
    ends = f"{ordered[0]}" if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
    return f"{ends} ({len(ordered):,} {'day' if len(ordered) == 1 else 'days'})"
