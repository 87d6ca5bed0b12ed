"""Folding of crashes: rows that count no more leave `crashes`, and `crash_revisions` keeps one row a crash.

Without it a crash would have as many rows as it was processed. A row leaves when a later revision (or a deletion) was
noted some minutes ago: whoever reads looks at the revisions first and at the rows a moment later, and must find the
row that it was told of. What is superseded stays so, hence workers, readers and other rewriters go on meanwhile. Days
with few such rows are left alone, so that no file is written again and again. Flow: revisions of a day -> what
counts -> its files without the rest -> commit.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.clock import Clock, system_clock
from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import StagedFile
from missioncontrol.lake.compaction import Compacted
from missioncontrol.lake.durability import flush
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.merge import readable
from missioncontrol.lake.parquet import COMPACTED_LEVEL, PartFile, sort
from missioncontrol.lake.place import fetch, place_of
from missioncontrol.lake.plan import day
from missioncontrol.lake.settled import QUIET_S
from missioncontrol.lake.sifting import sifted
from missioncontrol.lake.snapshot import FileRef, LakeReader, Snapshot
from missioncontrol.lake.swap import swap
from missioncontrol.lake.tables import CRASHES, DELETED, REVISIONS

_SHARE = 8
"""Rows that count no more are worth a rewriting when they are one in so many."""


class Folding:
    """Folds the crashes of one lake. Remembers the days in which there was nothing to do."""

    def __init__(self, lake: LakePlace | Path, cache_path: Path, clock: Clock = system_clock) -> None:
        self._place, self._clock = place_of(lake), clock
        self._reader = LakeReader(lake, cache_path)
        self._done: dict[date, frozenset[str]] = {}

    def run(self, full: bool = False, stop: threading.Event | None = None) -> list[Compacted]:
        """Fold the days where it is worth it, with `full` all; `stop` ends it after the next file.

        Raises `StorageFull` at once, and what the first day failed with when all others had their turn
        (`StorageError`); what was committed stays.
        """
        revisions = self._reader.snapshot(REVISIONS)
        crashes = self._reader.snapshot(CRASHES)
        if revisions is None or crashes is None:
            return []
        rows_of, noted_of = _by_day(crashes), _by_day(revisions)
        self._done = {one: seen for one, seen in self._done.items() if one in noted_of}
        folded: list[Compacted] = []
        failure: StorageError | None = None
        for one, noted in noted_of.items():
            if stop is not None and stop.is_set():
                break
            rows = rows_of.get(one, [])
            seen = frozenset(f.path for f in (*rows, *noted))
            worth = _count(noted) * _SHARE >= _count(rows)
            if full or (worth and self._done.get(one) != seen):
                try:
                    folded += self._fold(one, rows, noted, full, seen)
                except FileNotFoundError:
                    continue  # the snapshot is older than a vacuum
                except StorageError as error:
                    failure = failure or error
        if failure is not None:
            raise failure
        return folded

    def _fold(
        self, one: date, rows: Sequence[FileRef], noted: Sequence[FileRef], full: bool, seen: frozenset[str]
    ) -> list[Compacted]:
        fetch((*rows, *noted))
        revisions = pa.concat_tables([_read(file, ("uuid", "revision", "at")) for file in noted])
        limit = pa.scalar((self._clock() // 1000 - QUIET_S * 1_000_000), pa.timestamp("us", "UTC"))
        old = revisions.filter(pc.less_equal(revisions["at"], limit))
        newest = _newest(old)
        held = [file for file in rows if _is_worth(_spare(file, newest), file.rows, full)]
        folded = [self._sift(one, file, newest) for file in held]
        every = _newest(revisions)
        repeated = _is_worth(revisions.num_rows - every.num_rows, revisions.num_rows, full)
        if repeated:
            folded.append(self._merge_revisions(one, noted, every))
        if not held and not repeated and old.num_rows == revisions.num_rows:
            self._done[one] = seen
        return [merge for merge in folded if merge is not None]

    def _sift(self, one: date, file: FileRef, newest: pa.Table) -> Compacted | None:
        """None while another process rewrites the day."""
        with rewriting(self._place, CRASHES, one.isoformat()) as alone:
            if not alone:
                return None
            staged, _ = sifted(self._place, CRASHES, file, partial(_counts, newest))
            return self._swapped(CRASHES, staged, [file])

    def _merge_revisions(self, one: date, noted: Sequence[FileRef], newest: pa.Table) -> Compacted | None:
        with rewriting(self._place, REVISIONS, one.isoformat()) as alone:
            if not alone:
                return None
            with PartFile(self._place, REVISIONS, noted[0].partition, COMPACTED_LEVEL) as part:
                part.write(sort(REVISIONS, newest))
                staged = [part.staged()]
            flush(self._place, staged)
            return self._swapped(REVISIONS, staged, noted)

    def _swapped(self, table: str, staged: Sequence[StagedFile], files: Sequence[FileRef]) -> Compacted:
        return Compacted(
            table=table,
            partition=files[0].partition,
            files=len(files),
            rows_before=_count(files),
            rows_after=sum(f.rows for f in staged),
            bytes_before=sum(f.size_bytes for f in files),
            bytes_after=sum(f.size_bytes for f in staged),
            committed=swap(self._place, table, staged, files, data_change=True),
        )


def _newest(revisions: pa.Table) -> pa.Table:
    """(uuid, revision, at) of what counts, once a crash: a deletion before all others, else the largest revision."""
    grouped = revisions.group_by("uuid", use_threads=False).aggregate(
        [("revision", "min"), ("revision", "max"), ("at", "max")]
    )
    deleted = pc.equal(grouped["revision_min"], DELETED)
    counting = pc.if_else(deleted, DELETED, grouped["revision_max"]).cast(pa.int64())
    return pa.table({"uuid": grouped["uuid"], "revision": counting, "at": grouped["at_max"]})


def _is_worth(spare: int, rows: int, full: bool) -> bool:
    return spare > 0 and (full or spare * _SHARE >= rows)


def _spare(file: FileRef, newest: pa.Table) -> int:
    """How many rows of a file count no more."""
    keys = _read(file, ("uuid", "revision"))
    counting: int = pc.sum(_counts(newest, keys)).as_py() or 0
    return int(keys.num_rows) - counting


def _counts(newest: pa.Table, rows: pa.Table) -> pa.ChunkedArray:
    """Which rows may count still: those of crashes without a revision, of the newest one, or of one to come."""
    place = pc.index_in(rows["uuid"], value_set=newest["uuid"].combine_chunks())
    noted = newest["revision"].take(place)
    superseded = pc.or_(pc.equal(noted, DELETED), pc.less(rows["revision"], noted))
    return pc.invert(pc.fill_null(superseded, False))


def _read(file: FileRef, columns: Sequence[str]) -> pa.Table:
    with readable(file) as path:
        return pq.ParquetFile(path).read(list(columns), use_threads=False)


def _by_day(snapshot: Snapshot) -> dict[date, list[FileRef]]:
    found: dict[date, list[FileRef]] = defaultdict(list)
    for file in snapshot.files:
        found[day(file.partition)].append(file)
    return found


def _count(files: Sequence[FileRef]) -> int:
    return sum(file.rows for file in files)
