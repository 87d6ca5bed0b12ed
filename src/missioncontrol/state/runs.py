"""Runs of jobs: what was asked, how it went, and which days of which tables it built.

A run is waiting, running, done or failed. A running one says every few seconds that it is still there (`seen_at`); one
that has not been seen for a while was killed, and the next run of the same arguments goes on where it stood.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import Database, built_days, runs, write_first
from missioncontrol.state.moments import aware

Status = Literal["waiting", "running", "done", "failed", "stopped"]
Origin = Literal["schedule", "command", "page"]
SEEN_EVERY_S = 5.0
LARGEST_ID = 2**31 - 1
STOPPED_AFTER = timedelta(seconds=60)
"""A running run that was not seen for this long has been killed."""


class Run(msgspec.Struct, frozen=True):
    """One run of a job. `arguments` is JSON text; times are aware."""

    id: int
    job: str
    arguments: str
    origin: Origin
    status: Status
    """`stopped`: it was running when it was seen last, too long ago."""
    attempts: int
    created_at: datetime
    started_at: datetime | None = None
    seen_at: datetime | None = None
    finished_at: datetime | None = None
    message: str = ""
    days: int | None = None
    """Days that there is something to make of, as far as is known; None: not known."""
    made: int | None = None
    """Those of them that are made."""
    left_at: datetime | None = None
    """When somebody said that the days whose archive is too little may stay as they are."""

    @property
    def made_nothing(self) -> bool:
        """It is done, and there was nothing to make."""
        return self.status == "done" and self.days == 0

    @property
    def duration_s(self) -> float | None:
        """From the start to the end, or to when it was seen last."""
        end = self.finished_at or self.seen_at
        return (end - self.started_at).total_seconds() if end and self.started_at else None


class BuiltDay(msgspec.Struct, frozen=True):
    """A day of a table as it was built last."""

    table_name: str
    day: date
    run_id: int
    rules: str
    revision: str
    """Of the registry."""
    pings: int
    """That the archive held for it."""
    counting: int
    """Of those submitted on the day: that counted when they came, or in crash_aggregates when it was built."""
    rows: int
    duration_s: float
    built_at: datetime


class Runs:
    """The runs of one installation. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, job: str, arguments: str, origin: Origin, now: datetime) -> Run:
        """A running run: the newest of these arguments unless it is done, else a new one.

        It does what all others of these arguments wait for, so they wait no longer. The caller makes sure that no
        other process is at the same: one that is said to be running was killed.
        """
        with self._database.engine().begin() as connection:
            write_first(connection, runs)
            known = self._newest(connection, job, arguments, now)
            values: dict[str, Any] = {
                "status": "running", "started_at": now, "seen_at": now, "finished_at": None, "message": "",
                "days": None, "made": None,
            }  # fmt: skip
            if known and known.status != "done":
                values["attempts"] = known.attempts + 1
                connection.execute(sa.update(runs).where(runs.c.id == known.id).values(values))
                run = self._one(connection, known.id, now)
            else:
                run = self._insert(connection, job, arguments, origin, now, values | {"attempts": 1})
            others = sa.and_(_same(job, arguments), runs.c.status == "waiting")
            closed = {"status": "done", "finished_at": now, "message": f"Run {run.id} did it."}
            connection.execute(sa.update(runs).where(others).values(closed))
            return run

    def want(self, job: str, arguments: str, origin: Origin, now: datetime) -> Run:
        """A waiting run, for whoever runs jobs; one that waits or runs already is not doubled."""
        with self._database.engine().begin() as connection:
            write_first(connection, runs)
            known = self._newest(connection, job, arguments, now)
            if known and known.status in ("waiting", "running"):
                return known
            return self._insert(
                connection, job, arguments, origin, now, {"status": "waiting", "attempts": 0, "message": ""}
            )

    def retry(self, run_id: int, origin: Origin, now: datetime) -> Run:
        """A waiting run with the arguments of one that failed or stopped; one that waits or runs is not doubled.

        Raises `NotFound` (`unknown_run`) and `BadRequest` (`nothing_to_retry`).
        """
        run = self.get(run_id, now)
        if run.status == "done":
            hint = "Only runs that failed or stopped can be retried; days are made again by a new run."
            raise BadRequest("nothing_to_retry", f"Run {run_id} is done.", hint)
        return self.want(run.job, run.arguments, origin, now)

    def leave(self, run_id: int, now: datetime) -> Run:
        """Note that what a failed run could not make may stay as it is. Raises `NotFound` (`unknown_run`)."""
        run = self.get(run_id, now)
        if run.left_at is None:
            self._update(run.id, left_at=now)
        return self.get(run_id, now)

    def progress(self, run: Run, days: int, made: int, now: datetime) -> None:
        """Say how far it is, and with that that it is still running."""
        self._update(run.id, days=days, made=made, seen_at=now)

    def seen(self, run: Run, now: datetime) -> None:
        """Say that it is still running."""
        self._update(run.id, seen_at=now)

    def finish(self, run: Run, status: Status, message: str, now: datetime) -> None:
        """Say how it went."""
        self._update(run.id, status=status, message=message[:2000], seen_at=now, finished_at=now)

    def put_back(self, run: Run) -> None:
        """It is no longer running and waits for whoever runs jobs next."""
        self._update(run.id, status="waiting")

    def get(self, run_id: int, now: datetime) -> Run:
        """One run; raises `NotFound` (`unknown_run`)."""
        with self._database.engine().connect() as connection:
            return self._one(connection, run_id, now)

    def list(self, now: datetime, limit: int = 100, status: Sequence[Status] = ()) -> builtins.list[Run]:
        """The newest runs first; `status`: only those of which one of these was noted."""
        query = sa.select(runs).order_by(runs.c.id.desc()).limit(limit)
        if status:
            query = query.where(runs.c.status.in_(status))
        with self._database.engine().connect() as connection:
            return [_run(row, now) for row in connection.execute(query)]

    def waiting(self, now: datetime) -> builtins.list[Run]:
        """Those that wait, the oldest first."""
        query = sa.select(runs).where(runs.c.status == "waiting").order_by(runs.c.id)
        with self._database.engine().connect() as connection:
            return [_run(row, now) for row in connection.execute(query)]

    def of(self, job: str, arguments: str, now: datetime) -> Run | None:
        """The newest run with these arguments."""
        with self._database.engine().connect() as connection:
            return self._newest(connection, job, arguments, now)

    def built(self, days: Sequence[BuiltDay]) -> None:
        """Note days that were built; what was known of them is replaced."""
        with self._database.engine().begin() as connection:
            write_first(connection, built_days)
            for day in days:
                same = sa.and_(built_days.c.table_name == day.table_name, built_days.c.day == day.day)
                connection.execute(sa.delete(built_days).where(same))
                connection.execute(sa.insert(built_days).values(msgspec.structs.asdict(day)))

    def built_days(
        self,
        table: str | None = None,
        run_id: int | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> builtins.list[BuiltDay]:
        """Days that were built, the newest first; `first` and `last` are both included."""
        query = sa.select(built_days).order_by(built_days.c.day.desc(), built_days.c.table_name)
        if table is not None:
            query = query.where(built_days.c.table_name == table)
        if run_id is not None:
            query = query.where(built_days.c.run_id == run_id)
        if first is not None:
            query = query.where(built_days.c.day >= first)
        if last is not None:
            query = query.where(built_days.c.day <= last)
        with self._database.engine().connect() as connection:
            found = connection.execute(query).mappings().all()
        return [BuiltDay(**{**row, "built_at": aware(row["built_at"])}) for row in found]

    def _insert(
        self,
        connection: sa.Connection,
        job: str,
        arguments: str,
        origin: Origin,
        now: datetime,
        values: dict[str, Any],
    ) -> Run:
        given = {"job": job, "arguments": arguments, "origin": origin, "created_at": now, **values}
        key = connection.execute(sa.insert(runs).values(given)).inserted_primary_key
        assert key is not None
        return self._one(connection, key[0], now)

    def _newest(self, connection: sa.Connection, job: str, arguments: str, now: datetime) -> Run | None:
        query = sa.select(runs).where(_same(job, arguments))
        row = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).first()
        return _run(row, now) if row else None

    def _one(self, connection: sa.Connection, run_id: int, now: datetime) -> Run:
        known = 0 < run_id <= LARGEST_ID
        row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).first() if known else None
        if row is None:
            raise NotFound(
                "unknown_run", f"There is no run {str(run_id)[:20]}.", "See `missioncontrol jobs list`."
            )
        return _run(row, now)

    def _update(self, run_id: int, **values: Any) -> None:
        with self._database.engine().begin() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(values))


def _same(job: str, arguments: str) -> sa.ColumnElement[bool]:
    return sa.and_(runs.c.job == job, runs.c.arguments == arguments)


def _run(row: sa.Row[Any], now: datetime) -> Run:
    values = dict(row._mapping)
    for name in ("created_at", "started_at", "seen_at", "finished_at", "left_at"):
        values[name] = aware(values[name])
    run = Run(**values)
    if run.status == "running" and (run.seen_at is None or abs(now - run.seen_at) > STOPPED_AFTER):
        return msgspec.structs.replace(run, status="stopped")
    return run
