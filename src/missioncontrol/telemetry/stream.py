"""The stream: log -> lake, in micro-batches, exactly once.

A micro-batch takes the log from offset a to b, makes partial rows, and appends them to each table in one Delta
commit that carries the application transaction (`stream:<name of the log>`, b). After a crash some tables may hold b
and others not: the next run cuts its first batches at the offsets that are already in, so that each table skips
exactly what it has.
The log is trimmed only behind what every table holds and what the disk has been told to keep.

One process at a time runs the stream of a data folder (`StreamLock`); a second committer would be refused by the
tables themselves, since both would write the same application transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import structlog

from missioncontrol.clock import Clock, system_clock
from missioncontrol.config import Config
from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.file_lock import try_lock
from missioncontrol.lake.locks import commit_gate
from missioncontrol.lake.tables import STREAMED
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.protocol import Log, Record
from missioncontrol.registry import Registry
from missioncontrol.telemetry.batch import Batch, BatchReport
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fitting import FittingRegistry
from missioncontrol.telemetry.status import LOCK

_ROOMY_BYTES = 256 * 1024 * 1024

logger = structlog.get_logger()


class StreamLock:
    """Held by the one process that runs the stream of a data folder; the system frees it when the process ends."""

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] | None = (data / LOCK).open("w")

    def acquire(self) -> bool:
        """Whether the lock could be had without waiting."""
        assert self._file is not None
        return try_lock(self._file)

    def release(self) -> None:
        """Let another process run the stream."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Stream:
    """Moves what was accepted into the lake. Not thread-safe."""

    def __init__(
        self,
        log: Log,
        writer: LakeWriter,
        registry_source: Callable[[], Registry],
        config: Config,
        clock: Clock = system_clock,
    ) -> None:
        self._log = log
        self._writer = writer
        self._registry = FittingRegistry(writer, registry_source)
        self._config = config
        self._clock = clock
        self._extractor: Extractor | None = None
        self._app = ""
        self._committed: dict[str, int] = {}
        self._trimmed_at = time.monotonic()
        self._trimmable = 0

    def position(self) -> int:
        """The offset up to which every table of the lake holds what was accepted."""
        if not self._committed:
            self._recover()
        return min(self._committed.values())

    def refreshed_position(self) -> int:
        """The position as the tables have it now, for whoever watches another process' stream."""
        self._recover()
        return self.position()

    def run_once(self) -> BatchReport | None:
        """Commit one micro-batch; None when there was nothing to do."""
        extractor = self._adopt_registry()
        if not self._committed:
            self._recover()
        try:
            records = self._next()
        except StorageError:
            self._committed = {}  # the log may be another one when it can be read again
            raise
        if not records:
            self._trim()
            return None
        batch = Batch(extractor, self._config)
        for record in records:
            batch.take(record)
        try:
            with commit_gate(self._config.lake_place):
                self._commit(batch, records[-1].offset)
        except Exception:
            self._committed = {}  # what got in is asked of the tables before the next attempt
            raise
        self._trim()
        return BatchReport(
            len(records),
            batch.counted,
            batch.discarded,
            records[-1].offset,
            min(r.entry.received_ns for r in records),
            self._clock(),
        )

    def run_until_idle(self, report: Callable[[BatchReport], None] = lambda _: None) -> int:
        """Commit everything that is in the log when it is read; returns the number of records."""
        total = 0
        while (done := self.run_once()) is not None:
            total += done.records
            report(done)
        self.trim_now()
        return total

    def _adopt_registry(self) -> Extractor:
        registry = self._registry()
        if self._extractor is None or self._extractor.registry is not registry:
            self._extractor = Extractor(registry)
        return self._extractor

    def _recover(self) -> None:
        self._adopt_registry()
        self._app = app_name(self._log)
        self._committed = {name: self._writer.committed(name, self._app) for name in STREAMED}

    def _next(self) -> list[Record]:
        """The next records, cut where a table that is ahead of the others already stands."""
        position = min(self._committed.values())
        settings = self._config.stream
        records = self._log.read(position, settings.batch_records, settings.batch_bytes)
        ahead = [c for c in self._committed.values() if c > position]
        if ahead and records and records[0].offset <= min(ahead):
            return [r for r in records if r.offset <= min(ahead)]
        return records

    def _commit(self, batch: Batch, through: int) -> None:
        tables = batch.tables()
        for name, committed in self._committed.items():
            if committed >= through:
                continue
            data = tables.get(name)
            if data is not None:
                self._writer.append(name, data, self._app, through, after=committed)
            else:
                self._writer.commit(name, [], self._app, through, after=committed)
            self._committed[name] = through

    def _trim(self) -> None:
        if time.monotonic() - self._trimmed_at >= self._config.stream.trim_interval_s:
            self.trim_now()

    def trim_now(self) -> None:
        """Free the log behind the lake, after the lake's files have reached the disk."""
        self._trimmed_at = time.monotonic()
        position = self.position()
        # A trim gives back only so much room at once, so a log that had grown is trimmed again while idle.
        if position <= self._trimmable and (self._log.size_bytes() or 0) < _ROOMY_BYTES:
            return
        self._writer.sync()
        try:
            self._log.trim(position)
        except StorageFull:
            logger.warning("log_trim_failed", reason="disk full", position=position)
            return
        self._trimmable = position


def app_name(log: Log) -> str:
    """The stream's application transaction. A log that was lost and made anew counts from 1 again, hence its name."""
    return f"stream:{log.identity()}"
