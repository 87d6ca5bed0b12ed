"""The publisher: brings the published tables up to the lake, one day in one transaction.

A day is replaced whole or stays as it was, whatever ends the publisher or the server. Two publishers take turns by a
lock on the day, and the second finds the day done. A connection that is lost is made again a few times. Never deletes
a day of which the lake has nothing any more, unless it is told to prune.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import partial
from typing import TypeVar

import psycopg
import structlog
from psycopg import sql

from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.lake.publishing.catalog import prepare, qualified
from missioncontrol.lake.publishing.days import DayRange, LakeDay, lake_days, spans
from missioncontrol.lake.publishing.relation import Relation, relation
from missioncontrol.lake.publishing.replacement import Replacement
from missioncontrol.lake.publishing.report import Count, Progress, TablePublished
from missioncontrol.lake.publishing.server import Connection, Server, passing, transaction
from missioncontrol.lake.snapshot import LakeReader, Snapshot
from missioncontrol.lake.tables import LakeTable

_log = structlog.get_logger(__name__)

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""How long to wait before each new attempt after a connection was lost."""
_SNAPSHOTS = 5
"""How often a day is begun anew because the lake's table has changed under it."""

T = TypeVar("T")


class _ChangedError(Exception):
    """The lake's table has new columns, or lost files to a vacuum, since it was looked at."""


class Publisher:
    """Publishes tables of one lake into one schema of one database."""

    def __init__(
        self,
        reader: LakeReader,
        tables: Sequence[LakeTable],
        server: Server,
        schema: str,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._reader, self._server, self._schema, self._pauses_s = reader, server, schema, pauses_s
        self._tables = {table.name: table for table in tables}
        self._relations: dict[str, Relation] = {}
        self._replacement = Replacement(schema)
        self._connection: Connection | None = None
        self._connected = False

    def run(
        self, within: DayRange, prune: bool = False, progress: Progress = lambda step: None
    ) -> list[TablePublished]:
        """Publish every day within the range whose state in the lake is not the published one.

        With `prune`, delete the published days within the range of which the lake has nothing. Raises
        `StorageError` or `StorageFull`, saying which days are done: these stay, the others are as they were.
        """
        done = {name: TablePublished(name) for name in self._tables}
        try:
            self._run(within, prune, progress, done)
        except MissionControlError as error:
            raise _with_days(error, done.values()) from error
        finally:
            self._disconnect()
        return list(done.values())

    def _run(
        self, within: DayRange, prune: bool, progress: Progress, done: dict[str, TablePublished]
    ) -> None:
        self._repeat(self._prepare)
        waiting = [day for name in self._tables for day in self._waiting(name, within, done)]
        count = Count(progress, len(waiting), sum(day.rows for day in waiting))
        for day in waiting:
            part = self._repeat(partial(self._publish, planned=day, count=count))
            done[day.table] = done[day.table].plus(part)
            count.day_done(day)
        for name in self._tables if prune else ():
            for gone in self._gone(name, within):
                self._repeat(partial(self._prune, name=name, day=gone))
                done[name] = done[name].plus(TablePublished(name, pruned_days=(gone,)))
        self._repeat(lambda connection: self._analyze(connection, done.values()))

    def _prepare(self, connection: Connection) -> None:
        relations = {name: self._relation(name, self._reader.snapshot(name)) for name in self._tables}
        prepare(connection, self._schema, list(relations.values()))
        self._relations = relations

    def _relation(self, name: str, snapshot: Snapshot | None) -> Relation:
        return relation(self._tables[name], snapshot.columns if snapshot else ())

    def _waiting(self, name: str, within: DayRange, done: dict[str, TablePublished]) -> list[LakeDay]:
        """The days to publish, oldest first; those that need not be are counted."""
        published = self._published(name)
        days = [day for day in self._days(name).values() if day.date in within]
        waiting = [day for day in days if published.get(day.date) != day.fingerprint]
        done[name] = done[name].plus(TablePublished(name, same_days=len(days) - len(waiting)))
        return waiting

    def _gone(self, name: str, within: DayRange) -> list[date]:
        """Published days of which the lake has nothing; none where there is no such table at all."""
        if self._reader.snapshot(name) is None:
            return []
        return sorted(day for day in self._published(name).keys() - self._days(name).keys() if day in within)

    def _days(self, name: str) -> dict[date, LakeDay]:
        snapshot = self._reader.snapshot(name)
        return lake_days(snapshot) if snapshot else {}

    def _published(self, name: str) -> dict[date, str]:
        return self._repeat(lambda connection: self._replacement.ledger.fingerprints(connection, name))

    def _publish(self, connection: Connection, planned: LakeDay, count: Count) -> TablePublished:
        """Replace one day, unless another publisher has done it meanwhile."""
        for _ in range(_SNAPSHOTS):
            try:
                with transaction(connection, self._lock(planned.table, planned.date)):
                    return self._replace(connection, planned, count)
            except _ChangedError:
                self._prepare(connection)
        raise StorageError(
            "lake_file",
            f"Files of {planned.table} of {planned.date} are named by the table, but gone.",
            "Restore them from a backup.",
        )

    def _replace(self, connection: Connection, planned: LakeDay, count: Count) -> TablePublished:
        # Under the lock: whoever had it before may have published a newer state than the planned one.
        snapshot = self._reader.snapshot(planned.table)
        day = lake_days(snapshot).get(planned.date) if snapshot else None
        published = self._replacement.ledger.fingerprint(connection, planned.table, planned.date)
        if snapshot is None or day is None or day.fingerprint == published:
            return TablePublished(planned.table, same_days=1)
        table, wanted = self._tables[planned.table], self._relations[planned.table]
        if self._relation(planned.table, snapshot) != wanted:
            raise _ChangedError
        try:
            return self._replacement.replace(
                connection, table, wanted, snapshot, day, lambda rows: count.rows_read(planned, rows)
            )
        except FileNotFoundError as error:
            raise _ChangedError from error

    def _prune(self, connection: Connection, name: str, day: date) -> None:
        with transaction(connection, self._lock(name, day)):
            if day not in self._days(name):
                self._replacement.remove(connection, name, day)

    def _analyze(self, connection: Connection, done: Iterable[TablePublished]) -> None:
        """Tell the planner at once what is in the tables: autovacuum may take a minute to."""
        for table in done:
            if table.days or table.pruned_days:
                connection.execute(sql.SQL("ANALYZE {}").format(qualified(self._schema, table.table)))

    def _lock(self, table: str, day: date) -> str:
        return f"{self._schema}.{table} {day}"

    def _repeat(self, work: Callable[[Connection], T]) -> T:
        """Do the work on the connection; when it is lost, on a new one, after ever longer pauses."""
        for pause_s in (*self._pauses_s, None):
            try:
                if self._connection is None:
                    self._connection = self._server.connect()
                    self._connected = True
                return work(self._connection)
            except psycopg.Error as error:
                self._disconnect()
                failure = self._server.failure(error)
                if pause_s is None or not passing(error, self._connected):
                    raise failure from error
                _log.warning("publish_again", after_s=pause_s, why=failure.message)
                time.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _with_days(error: MissionControlError, done: Iterable[TablePublished]) -> MissionControlError:
    """The error, with what was published before it."""
    finished = [f"{table.table} {spans(table.days)}" for table in done if table.days]
    said = "Nothing was published: all days are as they were."
    if finished:
        said = f"Published before that: {'; '.join(finished)}. All other days are as they were."
    return type(error)(error.code, error.message, f"{error.hint}\n{said}" if error.hint else said)
