"""Counts of crash reports in the aggregates: what is marked is counted again, hour by hour, from the table `crashes`.

An hour is never added to: its rows in error_aggregates and crash_signature_counts are made anew from the crashes that
count, and take the place of those before in one commit a table. So whatever happens to a crash (processed again,
deleted, handed out twice) and to whoever counts (killed anywhere), the sums are those of `crashes`. These rows lie in
files of their own (`part-reports-...`), which nothing else writes. Days whose crashes have left are left as they are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa

from missioncontrol.config import LakePlace
from missioncontrol.crashes.counted_rows import counted_rows, hours_of
from missioncontrol.crashes.report_sums import AGGREGATES, PROCESS, RATE, SIGNATURE, SIGNATURES, ReportSums
from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import StagedFile, discard
from missioncontrol.lake.durability import Unsynced, flush
from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.parquet import FRESH_LEVEL, conform, write_file
from missioncontrol.lake.place import place_of
from missioncontrol.lake.plan import day as day_of_partition
from missioncontrol.lake.snapshot import FileRef, LakeReader
from missioncontrol.lake.swap import swap
from missioncontrol.lake.tables import CRASHES
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.model import Registry
from missioncontrol.registry.reports import ReportPlan
from missioncontrol.state.crash_recounts import CrashRecounts, Mark

_TABLES = (AGGREGATES, SIGNATURES)
_PAUSE_S = 2.0
_SHARE = 10
"""Counting takes at most a tenth of a worker's time: an hour with very many crashes is counted less often."""
_MOST_S = 5.0
"""A worker counts no longer in one go: meanwhile it processes nothing."""
_AT_ONCE_ROWS = 150_000
_ATTEMPTS = 10


class CrashCounts:
    """Counts the crashes of one installation. Any number of processes may; an hour is counted by one at a time."""

    def __init__(
        self,
        lake: LakePlace | Path,
        cache_path: Path,
        writer: LakeWriter,
        registry: Callable[[], Registry],
        marks: CrashRecounts,
    ) -> None:
        self._place, self._writer, self._registry, self._marks = place_of(lake), writer, registry, marks
        self._reader = LakeReader(lake, cache_path)
        self._unsynced = Unsynced(lake)
        self._next_at = 0.0
        self._failed: set[date] = set()

    def run_if_due(self) -> None:
        """Count what is marked, unless that was done just now; raises `StorageError` and `StorageFull`."""
        if time.monotonic() < self._next_at:
            return
        started = time.monotonic()
        try:
            self.run(_MOST_S)
        finally:
            took_s = time.monotonic() - started
            self._next_at = time.monotonic() + max(_PAUSE_S, _SHARE * took_s)

    def run(self, most_s: float = math.inf) -> int:
        """Count what is marked, for about `most_s` at most; how many hours that were.

        Hours of a day that another process is rewriting keep their marks. Raises `StorageFull` at once, and what the
        first day failed with when all others had their turn (`StorageError`); a day that failed has its turn last.
        """
        hours, failure = 0, None
        ends = time.monotonic() + most_s
        for day in sorted(
            _by_day(self._marks.marked()), key=lambda day: (day in self._failed, -day.toordinal())
        ):
            if time.monotonic() > ends:
                break
            marks = _by_day(self._marks.marked()).get(day, [])  # others count too, and mark anew
            try:
                hours += self._count_marks(day, marks)
                self._failed.discard(day)
            except StorageError as error:
                self._failed.add(day)
                failure = failure or error
        if failure is not None:
            raise failure
        return hours

    def _count_marks(self, day: date, marks: Sequence[Mark]) -> int:
        """How many hours were counted."""
        wanted = {mark.hour for mark in marks}
        if not wanted:
            return 0
        if day < self._marks.first_day():
            self._marks.counted(marks)
            return 0
        if not self.count(day, wanted):
            return 0
        self._marks.counted(marks)
        return len(wanted)

    def days(self, first: date, last: date) -> list[date]:
        """The days from first to last that can be counted: those with crashes, or with counts of some."""
        held = {
            day_of_partition(file.partition)
            for table in (CRASHES, *_TABLES)
            if (snapshot := self._reader.snapshot(table)) is not None
            for file in snapshot.files
            if table == CRASHES or kind_of(file.path) == "reports"
        }
        return sorted(day for day in held if max(first, self._marks.first_day()) <= day <= last)

    def count_again(self, days: Iterable[date]) -> None:
        """Mark whole days and count what is marked."""
        self._marks.mark_days(days)
        self.run()

    def count(self, day: date, hours: Collection[int]) -> bool:
        """Count hours of a day; False, and nothing was done, while another process rewrites the day."""
        with self._alone(day) as alone:
            if not alone:
                return False
            registry = self._registry()
            self._writer.ensure(registry)
            held = {table: self._files(table, day) for table in _TABLES}
            wanted = _whole(hours, [hours_of(f, day) for files in held.values() for f in files])
            staged = self._staged(registry, day, wanted)
            if day < self._marks.first_day():  # the rows began to leave while they were read
                self._discard(staged)
                return True
            for table in _TABLES:
                old = [f for f in held[table] if hours_of(f, day) & wanted]
                self._replace(table, staged.pop(table), old, staged)
        return True

    @contextmanager
    def _alone(self, day: date) -> Iterator[bool]:
        """Whether nobody else rewrites this day of these tables meanwhile."""
        with ExitStack() as stack:
            locks = (rewriting(self._place, table, day.isoformat()) for table in sorted(_TABLES))
            yield all(stack.enter_context(lock) for lock in locks)

    def _files(self, table: str, day: date) -> list[FileRef]:
        snapshot = self._reader.snapshot(table)
        files = snapshot.files if snapshot else ()
        return [f for f in files if kind_of(f.path) == "reports" and day_of_partition(f.partition) == day]

    def _staged(self, registry: Registry, day: date, hours: set[int]) -> dict[str, list[StagedFile]]:
        """The files of the hours, by table."""
        plan = ReportPlan(registry, (RATE, SIGNATURE, PROCESS))
        staged: dict[str, list[StagedFile]] = {table: [] for table in _TABLES}
        try:
            for some in self._pieces(day, hours):
                for table, rows in self._sums(registry, plan, day, some).tables():
                    staged[table].append(self._write(table, day, rows))
        except BaseException:
            self._discard(staged)
            raise
        return staged

    def _pieces(self, day: date, hours: set[int]) -> list[set[int]]:
        """The hours, in pieces whose sums fit into memory however many crashes the day has."""
        snapshot = self._reader.snapshot(CRASHES)
        files = [f for f in snapshot.files if day_of_partition(f.partition) == day] if snapshot else []
        at_once = max(1, _AT_ONCE_ROWS * 24 // max(1, sum(f.rows for f in files)))
        ordered = sorted(hours)
        return [set(ordered[i : i + at_once]) for i in range(0, len(ordered), at_once)]

    def _sums(self, registry: Registry, plan: ReportPlan, day: date, hours: set[int]) -> ReportSums:
        for attempt in range(_ATTEMPTS):
            sums = ReportSums(registry, plan, day)
            try:
                for rows in counted_rows(self._reader, day, hours, plan.paths):
                    sums.add(rows)
            except FileNotFoundError as error:  # merged and vacuumed meanwhile: another snapshot has the rows
                if attempt == _ATTEMPTS - 1:
                    hint = "Restore it from a backup."
                    raise StorageError(
                        "lake_file_missing", f"A file of crashes is gone: {error}.", hint
                    ) from None
                continue
            return sums
        raise AssertionError

    def _write(self, table: str, day: date, rows: pa.Table) -> StagedFile:
        snapshot = self._reader.snapshot(table)
        assert snapshot is not None  # ensured
        partition = (("submission_date", day.isoformat()),)
        fitting = conform(table, snapshot.columns, rows)
        return write_file(self._place, table, partition, fitting, FRESH_LEVEL, "reports")

    def _replace(
        self, table: str, new: list[StagedFile], old: list[FileRef], others: dict[str, list[StagedFile]]
    ) -> None:
        if not new and not old:
            return
        try:
            flush(self._place, new)
            if swap(self._place, table, new, old, data_change=True, attempts=_ATTEMPTS):
                self._unsynced.add(table, ())  # its files were flushed before, its log is now:
                self._unsynced.sync()  # the marks go next, for good
                return
        except BaseException:
            self._discard(others)
            raise
        self._discard(others)
        raise StorageError(
            "lake_conflict", f"Other commits to {table} were faster {_ATTEMPTS} times.", "It is tried again."
        )

    def _discard(self, staged: dict[str, list[StagedFile]]) -> None:
        for files in staged.values():
            discard(self._place, files)


def _by_day(marks: Iterable[Mark]) -> dict[date, list[Mark]]:
    days: dict[date, list[Mark]] = {}
    for mark in marks:
        days.setdefault(mark.day, []).append(mark)
    return days


def _whole(hours: Collection[int], spans: Collection[set[int]]) -> set[int]:
    """The hours, and all that lie in one file with any of them: a file is replaced as a whole."""
    found = set(hours)
    while True:
        more = found.union(*(span for span in spans if span & found))
        if more == found:
            return found
        found = more
