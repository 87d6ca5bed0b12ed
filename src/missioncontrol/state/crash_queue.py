"""The queue of crashes to be processed, and which uploads are known.

At least once: a crash leaves the queue only when its worker says that it is done. A worker holds a crash for a while
(`due_at` is when that ends); one that dies lets it go. A crash that fails is tried again later and later, then set
aside with the reason; so is one with which worker after worker ended. Asked for again while a worker holds it, it is
processed once more. Never touches the crash itself.

What comes in is durable at once. What workers say is not: after a loss of power they may do the last seconds again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.state.crash_jobs import URGENT, USUAL, Backlog, Entry, Leased, SetAside, Upload
from missioncontrol.state.database import (
    Database,
    crash_deletions,
    crash_queue,
    crash_uploads,
    once_more,
    write_first,
)
from missioncontrol.state.moments import aware

ATTEMPTS = 5
WORKER_LOST = "worker_lost: each worker that had it ended, or did not come back, before it was processed."
_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=10)
_LONGEST_REASON = 1000
_LONGEST_WAIT = timedelta(hours=1)
"""Longer than any lease or pause."""
# Made once: to make them takes longer than to run them.
_KNOWN = sa.select(crash_uploads.c.identity, crash_uploads.c.crash_id).where(
    crash_uploads.c.identity.in_(sa.bindparam("identities", expanding=True))
)


class CrashQueue:
    """The queue of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, identities: Sequence[bytes]) -> dict[bytes, str]:
        """Crash ids of uploads that are known, by identity."""
        with self._database.engine().connect() as connection:
            return _known(connection, identities)

    def accept(self, uploads: Sequence[Upload], now: datetime) -> list[str]:
        """Note the uploads and queue their crashes, all or none; the crash id that each has from now on.

        An upload whose identity is known, or came twice among these, has the first one's id and is not queued. A crash
        that is in the queue already, set aside perhaps, is to be processed as if it were new. Durable when it returns.
        """
        try:
            return self._accept(uploads, now, {})  # whoever asks has looked: they are new
        except IntegrityError:
            pass
        for _ in range(10):
            try:
                return self._accept(uploads, now)
            except IntegrityError:  # another process took the same upload between our look and our insert
                continue
        return self._accept(uploads, now)

    def _accept(
        self, uploads: Sequence[Upload], now: datetime, known: Mapping[bytes, str] | None = None
    ) -> list[str]:
        with self._database.engine().begin() as connection:
            write_first(connection)
            ids = dict(_known(connection, [u.identity for u in uploads]) if known is None else known)
            new: dict[bytes, str] = {}
            for upload in uploads:
                if upload.identity not in ids:
                    ids[upload.identity] = new[upload.identity] = upload.crash_id
            if new:
                _insert(
                    connection,
                    crash_uploads,
                    [{"identity": i, "crash_id": c, "received_at": now} for i, c in new.items()],
                )
                there = _queued(connection, list(new.values())) if known is None else set()
                rows = [_row(c, USUAL, now) for c in new.values() if c not in there]
                if rows:
                    _insert(connection, crash_queue, rows)
                if there:
                    values = {"set_aside": False, "attempts": 0, "due_at": now, "holder": ""}
                    stale = crash_queue.c.crash_id.in_(list(there))
                    connection.execute(sa.update(crash_queue).where(stale).values(values))
        return [ids[upload.identity] for upload in uploads]

    @once_more
    def want(self, crash_ids: Sequence[str], priority: int, now: datetime) -> None:
        """Process these (again); what waits already is only moved up, what was set aside gets another chance."""
        with self._database.engine().begin() as connection:
            write_first(connection, crash_queue)
            for crash_id in dict.fromkeys(crash_ids):
                # Locked, or a worker could take it out between this look and the change.
                query = sa.select(crash_queue).where(crash_queue.c.crash_id == crash_id).with_for_update()
                row = connection.execute(query).first()
                if row is None:
                    connection.execute(sa.insert(crash_queue), _row(crash_id, priority, now))
                    continue
                values: dict[str, Any] = {"priority": max(row.priority, priority)}
                if row.holder and not row.set_aside:
                    values["again"] = row.again or priority != URGENT
                elif row.set_aside or priority == URGENT:
                    values |= {"due_at": now, "set_aside": False}
                if row.set_aside:
                    values |= {"attempts": 0, "holder": "", "wanted_at": now}
                connection.execute(
                    sa.update(crash_queue).where(crash_queue.c.crash_id == crash_id).values(values)
                )

    def lease(self, holder: str, limit: int, lease_s: float, now: datetime) -> list[Leased]:
        """Up to `limit` crashes that are due, the most urgent first, held by `holder` (a unique name) for so long."""
        if not self.any_due(now):
            return []  # whoever only looks does not take the right to write
        until = now + timedelta(seconds=lease_s)
        due = sa.and_(crash_queue.c.set_aside.is_(False), _due(now))
        order = (crash_queue.c.priority.desc(), crash_queue.c.due_at, crash_queue.c.crash_id)
        with self._unsynced() as connection:
            query = sa.select(crash_queue).where(due).order_by(*order).limit(limit)
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            lost = [row.crash_id for row in rows if row.attempts >= ATTEMPTS]
            if lost:
                values = {"holder": "", "reason": WORKER_LOST, "set_aside": True}
                connection.execute(
                    sa.update(crash_queue).where(crash_queue.c.crash_id.in_(lost)).values(values)
                )
            rows = [row for row in rows if row.attempts < ATTEMPTS]
            # What was begun before is held alone: those beside it would share its fate, and its attempts.
            rows = rows[:1] if rows and rows[0].attempts else [row for row in rows if not row.attempts]
            if not rows:
                return []
            ids = [row.crash_id for row in rows]
            connection.execute(
                sa.update(crash_queue)
                .where(crash_queue.c.crash_id.in_(ids))
                .values(holder=holder, due_at=until, attempts=crash_queue.c.attempts + 1, again=False)
            )
        return [Leased(row.crash_id, row.attempts + 1) for row in rows]

    @once_more
    def hold(self, crash_ids: Sequence[str], holder: str, lease_s: float, now: datetime) -> set[str]:
        """Hold what is still held for longer; which that is."""
        held = sa.and_(crash_queue.c.crash_id.in_(list(crash_ids)), crash_queue.c.holder == holder)
        with self._unsynced() as connection:
            connection.execute(
                sa.update(crash_queue).where(held).values(due_at=now + timedelta(seconds=lease_s))
            )
            return set(connection.execute(sa.select(crash_queue.c.crash_id).where(held)).scalars())

    @once_more
    def done(self, crash_ids: Sequence[str], holder: str, now: datetime) -> None:
        """Take processed crashes out; one that was wanted again meanwhile waits again."""
        held = sa.and_(crash_queue.c.crash_id.in_(list(crash_ids)), crash_queue.c.holder == holder)
        with self._unsynced() as connection:
            connection.execute(sa.delete(crash_queue).where(held, crash_queue.c.again.is_(False)))
            again = {"holder": "", "again": False, "attempts": 0, "due_at": now, "wanted_at": now}
            connection.execute(sa.update(crash_queue).where(held).values(again))

    def failed(self, crash: Leased, holder: str, reason: str, now: datetime) -> bool:
        """Let a crash go that failed: tried again later, or set aside after the last attempt. True when set aside."""
        over = crash.attempts >= ATTEMPTS
        pause = min(_PAUSE * 3 ** (crash.attempts - 1), _LONGEST_PAUSE)
        values = {"holder": "", "due_at": now + pause, "reason": reason[:_LONGEST_REASON], "set_aside": over}
        self._update([crash.crash_id], holder, values)
        return over

    @once_more
    def release(self, crash_ids: Sequence[str], holder: str, now: datetime) -> None:
        """Give back what was not begun; the attempt does not count."""
        values = {"holder": "", "due_at": now, "attempts": crash_queue.c.attempts - 1}
        self._update(crash_ids, holder, values)

    def forget(self, crash_id: str) -> None:
        """Take a crash out, held or not."""
        with self._database.engine().begin() as connection:
            connection.execute(sa.delete(crash_queue).where(crash_queue.c.crash_id == crash_id))

    def remember_upload(self, crash_id: str, now: datetime) -> None:
        """Know the upload that made a crash for as long as if it had come now."""
        made_it = crash_uploads.c.crash_id == crash_id
        with self._database.engine().begin() as connection:
            connection.execute(sa.update(crash_uploads).where(made_it).values(received_at=now))

    def was_deleted(self, crash_id: str) -> bool:
        """Whether somebody deleted this crash, or asked for it."""
        query = sa.select(sa.literal(1)).where(crash_deletions.c.crash_id == crash_id)
        with self._database.engine().connect() as connection:
            return connection.execute(query).first() is not None

    def place(self, crash_id: str) -> int | None:
        """How many are before it; None when it is not in the queue or was set aside."""
        with self._database.engine().connect() as connection:
            query = sa.select(crash_queue).where(
                crash_queue.c.crash_id == crash_id, crash_queue.c.set_aside.is_(False)
            )
            row = connection.execute(query).first()
            if row is None:
                return None
            before = sa.or_(
                crash_queue.c.priority > row.priority,
                sa.and_(crash_queue.c.priority == row.priority, crash_queue.c.due_at < row.due_at),
            )
            count = sa.select(sa.func.count()).where(crash_queue.c.set_aside.is_(False), before)
            return int(connection.execute(count).scalar_one())

    def entry(self, crash_id: str, now: datetime) -> Entry | None:
        """How a crash stands in the queue, set aside or not; None when it is not there."""
        with self._database.engine().connect() as connection:
            row = connection.execute(sa.select(crash_queue).where(crash_queue.c.crash_id == crash_id)).first()
        if row is None:
            return None
        due = aware(row.due_at)
        held = bool(row.holder) and now < due <= now + _LONGEST_WAIT and not row.set_aside
        return Entry(row.priority, aware(row.wanted_at), due, row.attempts, held, row.set_aside, row.reason)

    def any_due(self, now: datetime) -> bool:
        """Whether a worker would find something to do."""
        due = sa.and_(crash_queue.c.set_aside.is_(False), _due(now))
        with self._database.engine().connect() as connection:
            return (
                connection.execute(sa.select(crash_queue.c.crash_id).where(due).limit(1)).first() is not None
            )

    def backlog(self, now: datetime) -> Backlog:
        """How much there is to do, and since when."""
        live = crash_queue.c.set_aside.is_(False)
        held = sa.and_(live, crash_queue.c.holder != "", sa.not_(_due(now)))
        query = sa.select(
            sa.func.count().filter(live),
            sa.func.count().filter(held),
            sa.func.count().filter(crash_queue.c.set_aside.is_(True)),
            sa.func.min(crash_queue.c.wanted_at).filter(live),
            sa.func.count().filter(sa.and_(live, crash_queue.c.priority >= USUAL)),
        )
        with self._database.engine().connect() as connection:
            all_live, now_held, aside, oldest, reports = connection.execute(query).one()
        age = (
            (
                now - aware(datetime.fromisoformat(oldest) if isinstance(oldest, str) else oldest)
            ).total_seconds()
            if oldest
            else 0.0
        )
        return Backlog(all_live - now_held, now_held, aside, max(0.0, age), reports)

    def reports_waiting(self, most: int) -> int:
        """How many new reports are not processed yet, counted up to `most`; what is processed anew is none."""
        new = sa.and_(crash_queue.c.set_aside.is_(False), crash_queue.c.priority >= USUAL)
        some = sa.select(sa.literal(1)).where(new).limit(most).subquery()
        with self._database.engine().connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())

    def set_aside(self, limit: int = 100) -> list[SetAside]:
        """Crashes that could not be processed, the latest first."""
        query = sa.select(crash_queue).where(crash_queue.c.set_aside.is_(True))
        query = query.order_by(crash_queue.c.due_at.desc()).limit(limit)
        with self._database.engine().connect() as connection:
            rows = connection.execute(query).all()
        return [SetAside(r.crash_id, r.attempts, r.reason, aware(r.wanted_at)) for r in rows]

    def received(self, since: datetime) -> int:
        """How many uploads were received since then, processed or not.

        Neither copies of known ones count, nor those whose crash was deleted: they are remembered anew by that.
        """
        kept = ~sa.exists().where(crash_deletions.c.crash_id == crash_uploads.c.crash_id)
        query = sa.select(sa.func.count()).select_from(crash_uploads)
        query = query.where(crash_uploads.c.received_at >= since, kept)
        with self._database.engine().connect() as connection:
            return int(connection.execute(query).scalar_one())

    def received_by(self, step_s: int, since: datetime) -> dict[int, int]:
        """How many of these uploads came in each `step_s` seconds, counted from the epoch; none: left out."""
        kept = ~sa.exists().where(crash_deletions.c.crash_id == crash_uploads.c.crash_id)
        seconds: sa.ColumnElement[Any] = sa.extract("epoch", crash_uploads.c.received_at)
        with self._database.engine().connect() as connection:
            if connection.dialect.name == "postgresql":  # which gives fractions, and a cast would round them
                seconds = sa.func.floor(seconds)
            step = sa.cast(seconds, sa.BigInteger) // step_s
            query = sa.select(step.label("step"), sa.func.count())
            query = query.where(crash_uploads.c.received_at >= since, kept).group_by("step")
            return {int(at): int(n) for at, n in connection.execute(query)}

    def forget_uploads(self, before: datetime) -> int:
        """Forget identities of uploads received before; a resend of those is a crash of its own."""
        with self._database.engine().begin() as connection:
            old = crash_uploads.c.received_at < before
            return connection.execute(sa.delete(crash_uploads).where(old)).rowcount

    def _update(self, crash_ids: Sequence[str], holder: str, values: dict[str, Any]) -> None:
        held = sa.and_(crash_queue.c.crash_id.in_(list(crash_ids)), crash_queue.c.holder == holder)
        with self._unsynced() as connection:
            connection.execute(sa.update(crash_queue).where(held).values(values))

    @contextmanager
    def _unsynced(self) -> Iterator[sa.Connection]:
        """A transaction that does not wait for the disk: nothing but work is lost with it, and the file stays whole."""
        with self._database.engine().connect() as connection:
            sqlite = connection.dialect.name == "sqlite"
            if sqlite:
                connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
            try:
                write_first(connection)
                if not sqlite:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                yield connection
                connection.commit()
            except sa.exc.SQLAlchemyError as error:
                raise StorageError(
                    "state_unavailable", f"State database: {error}", "It is tried again."
                ) from None
            finally:
                try:
                    connection.rollback()
                    if sqlite:  # the connection goes back to the pool
                        connection.exec_driver_sql("PRAGMA synchronous = FULL")
                except (sa.exc.SQLAlchemyError, StorageError, StorageFull):
                    connection.invalidate()


def _due(now: datetime) -> sa.ColumnElement[bool]:
    """What waits for longer than anything does was noted by a clock that has been put back since: it is due."""
    return sa.or_(crash_queue.c.due_at <= now, crash_queue.c.due_at > now + _LONGEST_WAIT)


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of all columns by the driver's own means: for a few, the library's take several times as long."""
    statement, positions, processors = _insertion(table, connection.dialect)
    stored = [
        {name: process(row[name]) if process else row[name] for name, process in processors.items()}
        for row in rows
    ]
    if positions is None:
        connection.exec_driver_sql(statement, stored)
    else:
        connection.exec_driver_sql(statement, [tuple(row[name] for name in positions) for row in stored])


@lru_cache(maxsize=8)
def _insertion(table: sa.Table, dialect: sa.Dialect) -> tuple[str, list[str] | None, dict[str, Any]]:
    """The statement, the order of its values (None when they go by name), and what makes each as it is stored."""
    compiled = sa.insert(table).compile(dialect=dialect)
    processors = {c.name: c.type.dialect_impl(dialect).bind_processor(dialect) for c in table.columns}
    return str(compiled), list(compiled.positiontup or ()) if compiled.positional else None, processors


def _known(connection: sa.Connection, identities: Sequence[bytes]) -> dict[bytes, str]:
    found = connection.execute(_KNOWN, {"identities": list(identities)})
    return {row.identity: row.crash_id for row in found}


def _queued(connection: sa.Connection, crash_ids: Sequence[str]) -> set[str]:
    """Which of these are in the queue; until the end of the transaction no worker takes them out."""
    return set(
        connection.execute(
            sa.select(crash_queue.c.crash_id).where(crash_queue.c.crash_id.in_(crash_ids)).with_for_update()
        ).scalars()
    )


def _row(crash_id: str, priority: int, now: datetime) -> dict[str, Any]:
    return {
        "crash_id": crash_id, "priority": priority, "wanted_at": now, "due_at": now, "attempts": 0, "holder": "",
        "again": False, "set_aside": False, "reason": "",
    }  # fmt: skip
