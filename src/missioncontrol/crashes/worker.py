"""A worker: takes crashes from the queue, processes and stores them, makes them searchable, takes them out, counts.

In this order, so that a worker that dies anywhere leaves a crash that the next one processes again to the same end. A
crash that fails is tried again later, by whoever; after some attempts it is set aside with the reason.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

import structlog

from missioncontrol.blobs.crash_objects import pack_processed_crash
from missioncontrol.crashes.counts import CrashCounts
from missioncontrol.crashes.fields import Fields
from missioncontrol.crashes.holding import LEASE_S, Holding
from missioncontrol.crashes.index import CrashIndex, Row, crash_row
from missioncontrol.crashes.work import CrashWork
from missioncontrol.errors import MissionControlError, NotFound, StorageAway, StorageFull
from missioncontrol.state.crash_jobs import Leased
from missioncontrol.state.crash_queue import CrashQueue

_AT_ONCE = 32
"""Taking some waits for whoever writes to the database, which on a busy disk is long."""
_INDEX_EVERY_S = 0.5
_INDEX_ROWS = 200
_IDLE_S = 0.2
_FULL_PAUSE_S = 5.0

_NOT_THERE = "There is nothing of it in the store of objects. Do all machines have the same `blobs.url`?"

logger = structlog.get_logger()


class _Ready(NamedTuple):
    """A processed crash that is neither stored nor searchable yet."""

    crash_id: str
    packed: bytes
    row: Row


class Worker:
    """Works until it is told to stop."""

    def __init__(
        self,
        queue: CrashQueue,
        work: CrashWork,
        index: CrashIndex,
        fields: Callable[[], Fields],
        now: Callable[[], datetime],
        counts: CrashCounts,
    ) -> None:
        self._queue, self._work, self._index, self._fields, self._now = queue, work, index, fields, now
        self._counts = counts
        self._name = uuid.uuid4().hex
        self._holding = Holding(queue, self._name, now)
        self._ready: list[_Ready] = []
        self._last_index = time.monotonic()
        self._indexer = ThreadPoolExecutor(1, thread_name_prefix="crash index")
        self._indexing: Future[None] | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what is processed by then is searchable."""
        with self._holding.renewed():
            while not stop.is_set():
                if not self._turn(stop):
                    stop.wait(_FULL_PAUSE_S)
            try:
                self._end_index()
            except Exception:  # what is ready by now is none of that
                logger.exception("crash_worker_failed")
            self._index_now()  # what is not counted by then, the next worker counts

    def _turn(self, stop: threading.Event) -> bool:
        """Process some, or wait a moment for others to come; False when that failed."""
        try:
            leased = self._lease()
            self._process(leased, stop)
            self._index_if_due(idle=not leased)
            self._count_if_due()
        except (StorageFull, StorageAway) as error:
            logger.error("crashes_wait_for_store", code=error.code, message=error.message)
            return False
        except MissionControlError as error:
            logger.error("crash_worker_failed", code=error.code, message=error.message)
            return False
        except Exception:  # whatever it is, crashes that come later can be processed
            logger.exception("crash_worker_failed")
            return False
        if not leased:
            stop.wait(_IDLE_S)
        return True

    def run_until_idle(self) -> int:
        """Process all that is due; how many crashes that were."""
        count = 0
        with self._holding.renewed():
            while self._queue.any_due(self._now()):
                leased = self._lease()
                self._process(leased, threading.Event())
                count += len(leased)
                if len(leased) < _AT_ONCE:
                    self._index_now()  # then those are due that were wanted again meanwhile
            self._index_now()
            self._counts.run()
        return count

    def _lease(self) -> list[Leased]:
        leased = self._queue.lease(self._name, _AT_ONCE, LEASE_S, self._now())
        self._holding.take(crash.crash_id for crash in leased)
        return leased

    def _release(self, crash_ids: Sequence[str]) -> None:
        self._holding.drop(crash_ids)
        self._queue.release(crash_ids, self._name, self._now())

    def _process(self, leased: Sequence[Leased], stop: threading.Event) -> None:
        if leased:
            self._work.learn()
        for number, crash in enumerate(leased):
            if stop.is_set():
                self._release([c.crash_id for c in leased[number:]])
                return
            try:
                self._process_one(crash)
                self._index_if_due(idle=False)  # others must not wait for dumps that are slow
            except Exception:
                self._release([c.crash_id for c in leased[number + 1 :]])
                raise

    def _process_one(self, crash: Leased) -> None:
        try:
            document = self._work.process(crash.crash_id, crash.attempts)
            row = crash_row(document, self._fields(), self._index.columns)
            self._ready.append(_Ready(crash.crash_id, pack_processed_crash(document), row))
        except NotFound:
            self._holding.drop([crash.crash_id])
            if self._queue.was_deleted(crash.crash_id):  # while it waited
                self._queue.forget(crash.crash_id)
            else:  # perhaps this machine looks into another store than the one that took it
                logger.error("crash_not_in_store", crash_id=crash.crash_id, attempt=crash.attempts)
                self._queue.failed(crash, self._name, _NOT_THERE, self._now())
        except (StorageFull, StorageAway):
            self._release([crash.crash_id])
            raise
        except Exception as error:  # one crash must not stop the others, whatever it is made of
            reason = (
                error.message
                if isinstance(error, MissionControlError)
                else f"{type(error).__name__}. The server's log says more."
            )
            logger.exception("crash_failed", crash_id=crash.crash_id, attempt=crash.attempts)
            self._holding.drop([crash.crash_id])
            self._queue.failed(crash, self._name, reason, self._now())

    def _count_if_due(self) -> None:
        """Counting that fails keeps nobody from processing; the marks stay."""
        try:
            self._counts.run_if_due()
        except MissionControlError as error:
            logger.error("crash_counts_failed", code=error.code, message=error.message)

    def _index_if_due(self, idle: bool) -> None:
        """Index what is ready in the thread for it, which waits for the disk while the next crashes are processed.

        Raises what the round before failed with.
        """
        full = len(self._ready) >= _INDEX_ROWS
        if self._indexing is not None and (full or self._indexing.done()):
            self._end_index()
        waited = time.monotonic() - self._last_index
        if self._indexing is None and (idle or full or waited > _INDEX_EVERY_S):
            self._begin_index()

    def _index_now(self) -> None:
        self._end_index()
        self._begin_index()
        self._end_index()

    def _begin_index(self) -> None:
        ready, self._ready = self._ready, []
        self._last_index = time.monotonic()
        if ready:
            self._indexing = self._indexer.submit(self._index_all, ready)

    def _end_index(self) -> None:
        indexing, self._indexing = self._indexing, None
        if indexing is not None:
            indexing.result()

    def _index_all(self, ready: Sequence[_Ready]) -> None:
        """Store what is ready and make it searchable, then it is done.

        What is held by another meanwhile is that one's. What fails here is processed again when its lease ends, at once
        when there was no room, or no store.
        """
        ids = [r.crash_id for r in ready]
        try:
            held = self._queue.hold(ids, self._name, LEASE_S, self._now())
            self._index_held([r for r in ready if r.crash_id in held])
        finally:
            self._holding.drop(ids)

    def _index_held(self, ready: Sequence[_Ready]) -> None:
        ids = [r.crash_id for r in ready]
        try:
            gone = self._work.store({r.crash_id: r.packed for r in ready})
            self._index.add([r.row for r in ready if r.crash_id not in gone], self._now())
        except (StorageFull, StorageAway):
            self._queue.release(ids, self._name, self._now())
            raise
        for crash_id in gone:
            self._queue.forget(crash_id)
        self._queue.done(ids, self._name, self._now())
