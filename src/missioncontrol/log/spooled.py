"""What the edge appends to when the log is on Kafka: Kafka itself, or a spool on this disk while Kafka is away.

The spool is an embedded log (`log.sqlite`). What Kafka does not acknowledge in time is made durable there, and counts
as stored; a thread brings it to Kafka once that answers again, in its order, also after a restart. Records leave the
spool only when Kafka has acknowledged them. One whose acknowledgement was lost is in Kafka twice: with a document id it
is told as a duplicate, without one it is counted twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from missioncontrol.clock import Clock, system_clock
from missioncontrol.errors import BadRequest, LimitReached, MissionControlError, StorageAway, StorageError
from missioncontrol.file_lock import try_lock
from missioncontrol.log.kafka import KafkaLog
from missioncontrol.log.kafka_cluster import MESSAGE_BYTES
from missioncontrol.log.kafka_messages import to_message
from missioncontrol.log.protocol import Appended, Entry
from missioncontrol.log.sqlite import SqliteLog

_PAUSE_S = 0.5
_IDLE_S = 5.0
"""After so long a spool is looked at that another process may have left."""
_DRAIN_RECORDS = 2000
_DRAIN_BYTES = 32 * 1024 * 1024
_OVERHEAD_BYTES = 1024

_logger = logging.getLogger(__name__)


class SpoolCounts(msgspec.Struct, frozen=True):
    """What a spool holds, and what this process did with it since it started."""

    records: int
    size_bytes: int
    spooled: int
    """Records that Kafka did not acknowledge in time and that went to the spool."""
    drained: int
    """Records of the spool that Kafka has acknowledged."""
    errors: int
    """Records that could not be produced, each time that it was tried."""
    away: bool
    """Whether Kafka is taken to be away: nothing is tried there but by the thread that drains."""


class SpooledLog:
    """Appends to `kafka`, or to the SQLite file `path` of at most `max_bytes`. `start()` begins to drain."""

    def __init__(self, kafka: KafkaLog, path: Path, max_bytes: int, clock: Clock = system_clock) -> None:
        self._kafka = kafka
        # Without memory of ids: what is a duplicate is told by reading Kafka.
        self._spool = SqliteLog(path, dedup_days=0, max_bytes=max_bytes, clock=clock)
        self._lock_path = path.with_suffix(".drained")
        self._lock_file: IO[str] | None = None
        self._lock = threading.Lock()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._away = False
        self._because = ""
        self._spooled = self._drained = self._errors = 0
        self._position = 0
        self._acknowledged: set[int] = set()
        self._failure = ""

    async def append(self, entry: Entry) -> Appended:
        """Store the entry durably; raises `StorageFull`, `StorageError` (`spool_full` among them) or `BadRequest`."""
        if not self._away:
            try:
                return await self._kafka.append(entry)
            except StorageError as error:
                self._lost(error)
        _require_fit(entry)
        with _within_bound():
            await self._spool.append(entry)
        self._took(1)
        return Appended(None, None)

    def append_many(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store several entries durably; when it raises, some may have been stored."""
        if self._away:
            results: list[Appended | MissionControlError] = [StorageError("log_unwritable", "")] * len(
                entries
            )
        else:
            results = self._kafka.deliver(entries)
            for result in results:
                if isinstance(result, StorageError):
                    self._lost(result)
                elif isinstance(result, MissionControlError):
                    raise result
        left = [
            entry for entry, result in zip(entries, results, strict=True) if not isinstance(result, Appended)
        ]
        for entry in left:
            _require_fit(entry)
        with _within_bound():
            self._spool.append_many(left)
        self._took(len(left))
        return [result if isinstance(result, Appended) else Appended(None, None) for result in results]

    def check(self) -> str:
        """Prove that something can be stored now, in Kafka or in the spool; raises as `append()`.

        The answer is what is wrong with Kafka or its topic, as a code; empty: nothing is.
        """
        trouble = self._trouble()
        because = trouble.code if trouble else self._because if self._away else ""
        if because:
            with _within_bound():
                self._spool.check()
        return because

    def require(self) -> None:
        """As `check()`, for a start: raise also where the topic is missing or does not fit, which no waiting mends."""
        trouble = self._trouble()
        if trouble is not None and trouble.code not in ("log_unwritable", "log_unreadable"):
            raise trouble
        if trouble is not None:
            with _within_bound():
                self._spool.check()

    def _trouble(self) -> StorageError | None:
        """What keeps Kafka from taking submissions."""
        try:
            self._kafka.check()
        except StorageError as error:
            return error
        return None

    def counts(self) -> SpoolCounts:
        """A snapshot for the metrics; raises `StorageError` when the spool cannot be read."""
        records, size_bytes = self._spool.count_after(0), self._spool.size_bytes()
        return SpoolCounts(records, size_bytes, self._spooled, self._drained, self._errors, self._away)

    def start(self) -> None:
        """Begin to bring to Kafka what is in the spool, in a thread."""
        self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and release the spool; what is left in it waits for the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._kafka.close()
        self._spool.close()
        if self._lock_file is not None:
            self._lock_file.close()

    def _lost(self, error: MissionControlError) -> None:
        with self._lock:
            self._errors += 1
            first, self._away, self._because = not self._away, True, error.code
        if first:
            _logger.warning("Kafka does not take submissions, they go to the spool: %s", error.message)
        self._wake.set()

    def _took(self, count: int) -> None:
        with self._lock:
            self._spooled += count
        self._wake.set()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                done = self._step()
                self._failure = ""
            except (MissionControlError, OSError) as error:
                done = False
                if str(error) != self._failure:  # once, not twice a second
                    self._failure = str(error)
                    _logger.error("the spool cannot be brought to Kafka: %s", error)
            if done:
                continue
            if self._away or self._failure:
                self._stop.wait(_PAUSE_S)
            else:
                self._wake.wait(_IDLE_S)
            self._wake.clear()

    def _step(self) -> bool:
        """Bring some records to Kafka; whether it is worth to go on at once."""
        if self._away:
            self._kafka.check()
        if not self._may_drain():
            self._back()  # another process does it
            return False
        # One at first: a broker that lost the others stores what it does not acknowledge, each time that it is tried.
        records = self._spool.read(self._position, 1 if self._away else _DRAIN_RECORDS, _DRAIN_BYTES)
        waiting = [record for record in records if record.offset not in self._acknowledged]
        results = self._kafka.deliver([record.entry for record in waiting])
        taken = [r.offset for r, result in zip(waiting, results, strict=True) if isinstance(result, Appended)]
        self._acknowledged.update(taken)
        with self._lock:
            self._drained += len(taken)
        self._free([record.offset for record in records])
        for result in results:
            if isinstance(result, MissionControlError):
                self._lost(result)
                raise result
        self._back()
        return bool(records)

    def _free(self, offsets: Sequence[int]) -> None:
        """Trim what Kafka has; what it has behind a record that it does not have is remembered."""
        done = next((n for n, offset in enumerate(offsets) if offset not in self._acknowledged), len(offsets))
        if done:
            self._position = offsets[done - 1]
            self._acknowledged.difference_update(offsets[:done])
            self._spool.trim(self._position)

    def _back(self) -> None:
        with self._lock:
            was_away, self._away = self._away, False
        if was_away:
            _logger.warning("Kafka takes submissions again")

    def _may_drain(self) -> bool:
        """Whether this process is the one that drains the spool, of those that share it."""
        if self._lock_file is None:
            self._lock_path.parent.mkdir(parents=True, exist_ok=True)
            file = self._lock_path.open("w")
            if not try_lock(file):
                file.close()
                return False
            self._lock_file = file
        return True


@contextmanager
def _within_bound() -> Iterator[None]:
    """A spool that holds as much as it may is no full disk: it passes when Kafka is back."""
    try:
        yield
    except LimitReached as error:
        raise StorageAway(
            "spool_full",
            "Kafka does not take submissions, and as many wait for it on this disk as may.",
            "See that Kafka runs and has the topic, or raise log.spool_bytes.",
        ) from error


def _require_fit(entry: Entry) -> None:
    """Raises `BadRequest` for what Kafka would refuse for ever."""
    if to_message(entry).size_bytes > MESSAGE_BYTES - _OVERHEAD_BYTES:
        raise BadRequest(
            "log_message_refused", f"A submission is larger than Kafka's topic takes ({MESSAGE_BYTES})."
        )
