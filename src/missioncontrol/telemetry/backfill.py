"""The backfill: days of aggregate tables made again from the archived pings, under today's registry.

A day is replaced in one commit a table: readers see the old day or the new one. Sums of the archive as it was at one
moment take the place of exactly the files that the table had at that moment, so what stream and imports add
meanwhile stays, and nothing is lost or counted twice. Twice gives the same rows. A day of which the archive has
nothing stays as it is. Flow: archive -> `Summing` -> sums -> one sorted file.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from itertools import chain

import msgspec
import pyarrow as pa

from missioncontrol.config import Config
from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.lake.actions import CommitUnsureError, StagedFile, discard
from missioncontrol.lake.durability import flush
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.merge import merged
from missioncontrol.lake.parquet import COMPACTED_LEVEL
from missioncontrol.lake.snapshot import FileRef, LakeReader, Snapshot
from missioncontrol.lake.tables import lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry import Registry
from missioncontrol.registry.rules import rule_registry
from missioncontrol.telemetry.archive import parts
from missioncontrol.telemetry.backfill_plan import ARCHIVE, CRASHES, Plan
from missioncontrol.telemetry.backfill_scope import (
    Held,
    counted_when_they_came,
    days_of,
    files_of,
    of_each,
    refuse_incomplete,
    refuse_shrunk,
)
from missioncontrol.telemetry.backfill_sums import Summing
from missioncontrol.telemetry.backfill_worker import Day, Sums
from missioncontrol.telemetry.consistent import consistent_snapshots
from missioncontrol.telemetry.crash_sums import crash_rows

_WAIT_S = 60.0


class DayReport(msgspec.Struct, frozen=True):
    """What became of one day."""

    day: date
    rows: dict[str, int]
    """Rows by table."""
    pings: int
    """Pings that were read."""
    archived: dict[str, int]
    """Pings that the archive has for the day, by table."""
    counting: int
    """Of those submitted on the day: that counted when they came, or do so now in crash_aggregates."""
    received: dict[tuple[str, str], int]
    """(document, reason; empty: processed) -> pings, for the tables of the stream."""
    submitted: dict[tuple[str, str], int]
    """The same for crash_aggregates."""
    duration_s: float


class Backfill:
    """Makes days again. Use it as a context manager."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        writer: LakeWriter,
        stream_apps: Sequence[str],
        summing: Summing,
    ) -> None:
        self._config, self._registry, self._writer = config, registry, writer
        self._stream_apps = stream_apps
        self._summing = summing
        writer.ensure(registry)

    def __enter__(self) -> Backfill:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def days(self, plan: Plan) -> dict[date, int]:
        """The days of the plan that the archive has pings of, oldest first, with how many may have to be read."""
        found: Counter[date] = Counter()
        archive = LakeReader(self._config.lake_place, self._config.cache_path).snapshot(ARCHIVE)
        for file in archive.files if archive else ():
            for day in days_of(file, plan):
                found[day] += file.rows
        return dict(sorted(found.items()))

    def run_day(
        self, plan: Plan, day: date, read: Callable[[int], None] = lambda _: None, before: Held = Held(0, 0)
    ) -> DayReport:
        """Make one day again; `read` is told how many pings were read since the last call.

        `before`: what the archive held of the day when crash_aggregates was made of it.

        Raises `BadRequest` (`archive_incomplete`), `StorageError` and `StorageFull`; the day is then as it was
        in every table that was not committed yet.
        """
        try:
            return self._run_day(plan, day, read, before)
        except BaseException:
            self._summing.end()
            raise

    def close(self) -> None:
        """Let go of what reads the archive; the next day starts it again."""
        self._summing.close()

    def _run_day(self, plan: Plan, day: date, read: Callable[[int], None], before: Held) -> DayReport:
        started = time.monotonic()
        with self._alone(plan.tables, day):
            snapshots = consistent_snapshots(
                self._config, self._writer, self._stream_apps, (*plan.tables, ARCHIVE)
            )
            files = [f for f in snapshots[ARCHIVE].files if day in days_of(f, plan)]
            asked = Day(day, plan.of_stream, plan.rules if plan.of_crashes else "")
            sums = self._summing.sums(asked, list(chain.from_iterable(of_each(parts, files))), read)
            held = Held(
                sum(f.rows for f in files_of(snapshots[ARCHIVE], day)),
                counted_when_they_came(snapshots[ARCHIVE], day) + sum(s.rescued for s in sums),
            )
            if plan.of_crashes and not plan.incomplete:
                refuse_shrunk(plan, day, held, before)
            received, submitted = _total(s.received for s in sums), _total(s.submitted for s in sums)
            tables = [t for t in plan.tables if (submitted if t == CRASHES else received)]
            if not plan.incomplete:
                for table in tables:
                    refuse_incomplete(plan, snapshots[table], day, sum(s.readable for s in sums))
            rows = {table: self._replace(plan, day, snapshots[table], sums) for table in tables}
        pings = sum(f.rows for f in files)
        archived = {table: held.pings if table == CRASHES else pings for table in plan.tables}
        duration_s = time.monotonic() - started
        return DayReport(
            day, rows, pings, archived, held.counting, dict(received), dict(submitted), duration_s
        )

    @contextmanager
    def _alone(self, tables: Sequence[str], day: date) -> Iterator[None]:
        """Nobody else rewrites this day of these tables meanwhile."""
        with ExitStack() as stack:
            for table in sorted(tables):
                lock = rewriting(self._config.lake_place, table, day.isoformat(), _WAIT_S)
                if not stack.enter_context(lock):
                    hint = "Wait for the other backfill or the compaction, and repeat."
                    raise StorageError(
                        "lake_busy", f"Another process is rewriting this day of {table}.", hint
                    )
            yield

    def _replace(self, plan: Plan, day: date, snapshot: Snapshot, sums: Sequence[Sums]) -> int:
        """Commit the new day of one table; how many rows it has."""
        data = self._rows(plan, day, snapshot, sums)
        staged = self._writer.stage(snapshot.table, data, COMPACTED_LEVEL) if data is not None else []
        self._commit(snapshot.table, day, staged, files_of(snapshot, day))
        return sum(file.rows for file in staged)

    def _rows(self, plan: Plan, day: date, snapshot: Snapshot, sums: Sequence[Sums]) -> pa.Table | None:
        if snapshot.table == CRASHES:
            found = [s.crashes for s in sums if s.crashes is not None]
            return crash_rows(found, rule_registry(plan.rules, self._registry), day)
        tables = [s.tables[snapshot.table] for s in sums if snapshot.table in s.tables]
        shape = lake_tables(self._registry)[snapshot.table]
        return merged(shape, snapshot.columns, tables) if tables else None

    def _commit(self, table: str, day: date, staged: list[StagedFile], removed: list[FileRef]) -> None:
        app = f"backfill:{day}"
        try:
            flush(self._config.lake_place, staged)
            self._writer.commit(table, staged, app, self._writer.committed(table, app) + 1, removed)
        except CommitUnsureError:
            raise
        except MissionControlError:
            # Only of these is it known that nothing was committed; an interrupt may come right behind the commit.
            discard(self._config.lake_place, staged)
            raise
        self._writer.sync()


def _total(counts: Iterator[Counter[tuple[str, str]]]) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for each in counts:
        total += each
    return total
