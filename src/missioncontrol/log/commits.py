"""Group commit: one thread that makes everything that arrived meanwhile durable in one transaction.

Callers hand in jobs from any thread or event loop; the writer takes all that wait (up to a bound), commits
them together, and answers each. When a commit fails, all of its jobs get the error and nothing of them is
stored; the next group starts afresh, on a new connection if need be. Knows nothing of what a job does inside
the transaction.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.log.bodies import BodyWriter
from missioncontrol.log.database import PAGE_BYTES, WAL_BYTES, begin, connect, failure, is_busy, roll_back
from missioncontrol.log.protocol import Appended
from missioncontrol.log.room import SCARCE_BYTES, require_room
from missioncontrol.log.rows import Row

Store = Callable[[sqlite3.Connection, Sequence[Row]], list[Appended]]
Task = Callable[[sqlite3.Connection], Any]

_GROUP_JOBS = 2000
_GROUP_BYTES = 32 * 1024 * 1024
_CHECKPOINT_BYTES = 4 * 1024 * 1024


class Job(msgspec.Struct, frozen=True, eq=False):
    """Rows to append, or a task to run in the transaction; `loop` is that of an asyncio future."""

    future: Future[Any] | asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop | None = None
    rows: Sequence[Row] = ()
    size_bytes: int = 0
    """About what rows and task write."""
    task: Task | None = None


class GroupCommit:
    """The writer of one log in this process. Its thread and connection start with the first job."""

    def __init__(self, path: Path, max_bytes: int, bodies: BodyWriter, store: Store) -> None:
        self.commits = 0
        """Transactions made durable so far."""
        self._path = path
        self._max_bytes = max_bytes
        share_bytes = max_bytes // 8 or _GROUP_BYTES  # of a small log the write-ahead log may take a quarter
        self._group_bytes = min(_GROUP_BYTES, share_bytes)
        self._checkpoint_bytes = min(_CHECKPOINT_BYTES, share_bytes)
        self._bodies = bodies
        self._store = store
        self._jobs: queue.SimpleQueue[Sequence[Job] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._uncopied_bytes = 0
        self._is_scarce = False

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue the jobs for one commit; their futures are resolved once they are durable or have failed."""
        with self._lock:
            if self._closed:
                raise StorageError("log_closed", f"The log {self._path} is closed.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="log-writer", daemon=True)
                self._thread.start()
            for group in _groups(jobs, self._group_bytes):
                self._jobs.put(group)

    def run(self, rows: Sequence[Row] = (), task: Task | None = None, task_bytes: int = 0) -> Any:
        """Submit a job and wait for what it returns. `task_bytes`: about what a large task writes."""
        future: Future[Any] = Future()
        size_bytes = task_bytes + sum(row.size_bytes for row in rows)
        self.submit([Job(future, rows=rows, size_bytes=size_bytes, task=task)])
        return future.result()

    def close(self) -> None:
        """Commit what is queued, then end the thread."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while self._round():
            self._checkpoint_when_due()
        self._disconnect()

    def _round(self) -> bool:
        """Take one group and answer it; false at the end. Its bodies are let go before the next wait."""
        jobs = self._take()
        if jobs:
            answer(jobs, self._commit(jobs))
        return bool(jobs)

    def _take(self) -> list[Job]:
        jobs: list[Job] = []
        size_bytes = 0
        arrived = self._jobs.get()
        while arrived is not None:
            jobs += arrived
            size_bytes += sum(job.size_bytes for job in arrived)
            if len(jobs) >= _GROUP_JOBS or size_bytes >= self._group_bytes:
                return jobs
            try:
                arrived = self._jobs.get_nowait()
            except queue.Empty:
                return jobs
        if jobs:
            self._jobs.put(None)  # the end is seen again by the next round
        return jobs

    def _commit(self, jobs: Sequence[Job]) -> list[Any]:
        """What each job gets: its result, or an exception of its own."""
        rows = [row for job in jobs for row in job.rows]
        is_unsure = False
        try:
            if self._connection is None:
                self._connection = connect(self._path, writes=True, max_bytes=self._max_bytes)
            # A page of `seen` for each row, and a small task.
            size_bytes = sum(job.size_bytes for job in jobs) + PAGE_BYTES * (len(rows) + 8)
            self._bodies.prepare()
            self._is_scarce = require_room(self._path.parent, size_bytes) < SCARCE_BYTES
            begin(self._connection)
            places = iter(self._store(self._connection, rows))
            results = [
                job.task(self._connection) if job.task else [next(places) for _ in job.rows] for job in jobs
            ]
            is_unsure = True
            self._connection.execute("COMMIT")
        except Exception as error:
            self._abandon(error, is_unsure)
            return [failure(error, self._path) for _ in jobs]
        self.commits += 1
        self._uncopied_bytes += size_bytes - sum(len(row.body) for row in rows)
        return results

    def _abandon(self, error: Exception, is_unsure: bool) -> None:
        """Roll back; keep the connection only where the failure left it sound for certain.

        When it was the COMMIT that failed, a crash before the next one may bring its rows back, so their bodies stay.
        """
        if self._connection is None:
            return
        is_held = isinstance(error, sqlite3.Error) and is_busy(error)
        try:
            if self._connection.in_transaction and not is_unsure:
                self._bodies.cut()  # still under the write lock
            roll_back(self._connection)
        except (sqlite3.Error, OSError):
            self._disconnect()
            return
        if not (is_held or isinstance(error, MissionControlError)):
            self._disconnect()

    def _disconnect(self) -> None:
        self._bodies.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                pass  # what was acknowledged is durable already

    def _checkpoint_when_due(self) -> None:
        """After the answers: copy the write-ahead log into the file, so that it can start over.

        What was acknowledged is safe in the write-ahead log, so a failure here costs nobody anything; where
        it lasts, the next commits fail and say so.
        """
        if self._connection is None or not self._uncopied_bytes:
            return
        try:
            if self._uncopied_bytes >= self._checkpoint_bytes or self._is_scarce:
                self._uncopied_bytes = 0
                _checkpoint(self._connection, self._path)
        except (sqlite3.Error, OSError):
            pass


def _checkpoint(connection: sqlite3.Connection, path: Path) -> None:
    """Copy while others may append; where they keep the end from being reached, keep them out for the rest.

    Once all is copied, the next writer starts the write-ahead log over. SQLite's own RESTART hardly ever gets
    the lock from a busy writer, and a transaction cannot make its own connection copy: hence the second one.
    """
    if _copy(connection) * PAGE_BYTES <= WAL_BYTES:
        return
    begin(connection)
    try:
        with closing(connect(path)) as copier:
            _copy(copier)
    finally:
        roll_back(connection)


def _copy(connection: sqlite3.Connection) -> int:
    """Copy what can be copied without waiting; how many pages the write-ahead log holds."""
    return int(connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])


def _groups(jobs: Sequence[Job], most_bytes: int) -> Iterator[list[Job]]:
    """The jobs in order, cut where a group has reached `most_bytes`."""
    group: list[Job] = []
    size_bytes = 0
    for job in jobs:
        group.append(job)
        size_bytes += job.size_bytes
        if size_bytes >= most_bytes:
            yield group
            group, size_bytes = [], 0
    if group:
        yield group


def answer(jobs: Sequence[Job], results: Sequence[Any]) -> None:
    """Resolve every future, those of an event loop in one call into it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Any]]] = defaultdict(list)
    for job, result in zip(jobs, results, strict=True):
        if job.loop is None:
            _settle([(job.future, result)])
        else:
            by_loop[job.loop].append((job.future, result))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:
            pass  # the loop is closed, nobody waits any more


def _settle(settled: Sequence[tuple[Any, Any]]) -> None:
    for future, result in settled:
        if future.done():  # the waiter was cancelled
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
