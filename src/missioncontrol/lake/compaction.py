"""Compaction: fewer, larger, sorted files, with rows of equal key added. Never changes what a query returns.

A merge reads immutable files, stages one and swaps them in one atomic commit. Whoever reads keeps their
files; whoever appends goes on; another rewriter that was faster makes this commit fail, and nothing is lost
but the work. A process killed before the commit leaves an orphan that vacuum deletes. Flow: snapshot ->
plan -> merge -> commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from missioncontrol.clock import Clock, system_clock
from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import StagedFile
from missioncontrol.lake.durability import flush
from missioncontrol.lake.filenames import Kind, kind_of
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.merge import merged, read, readable, slices
from missioncontrol.lake.parquet import COMPACTED_LEVEL, PartFile
from missioncontrol.lake.place import fetch, place_of
from missioncontrol.lake.plan import Merge, Partition, day, partitions, plan
from missioncontrol.lake.settled import is_over, is_quiet
from missioncontrol.lake.snapshot import FileRef, LakeReader, Snapshot
from missioncontrol.lake.swap import swap
from missioncontrol.lake.tables import Column, LakeTable

_AT_ONCE_ROWS = 150_000
"""Aggregate rows that are merged in one piece; a wide row takes about half a kB of memory."""


class Compacted(msgspec.Struct, frozen=True):
    """One merge that was committed, or lost to another commit."""

    table: str
    partition: Partition
    files: int
    rows_before: int
    rows_after: int
    bytes_before: int
    bytes_after: int
    committed: bool
    """False: another commit was faster; nothing has changed."""


Progress = Callable[[Compacted, int, int], None]
"""Called after each merge with (what was done, merges done, merges planned)."""


def compact(
    lake: LakePlace | Path,
    cache_path: Path,
    table: LakeTable,
    target_file_bytes: int,
    clock: Clock = system_clock,
    full: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    leave_settled: bool = False,
    reader: LakeReader | None = None,
) -> list[Compacted]:
    """Do the merges that are worth it now; with `full` every partition as far as the target size allows.

    With `leave_settled` days that are over and quiet are left alone: they are going to be sealed. An empty
    list when there is no such table or nothing to do. Raises `StorageError` and `StorageFull`; merges that
    were committed before stay.
    """
    snapshot = (reader or LakeReader(lake, cache_path)).snapshot(table.name)
    if snapshot is None:
        return []
    reports = _of_kind(snapshot, "reports")
    snapshot = _of_kind(snapshot, "")  # what is sealed, only sealing merges
    settled = _settled(snapshot, clock, full)
    if leave_settled:
        snapshot = _without(snapshot, settled)
    merges = plan(snapshot, target_file_bytes, settled)
    # Counts of an hour are made again while it goes on, so their files stay apart until the day is settled.
    over = _settled(reports, clock, full)
    merges += plan(_only(reports, over), target_file_bytes, over)
    done: list[Compacted] = []
    failure: StorageError | None = None
    for merge in merges:
        if stop is not None and stop.is_set():
            break
        try:
            result = _merge(place_of(lake), table, snapshot.columns, merge, target_file_bytes)
        except StorageError as error:
            failure = failure or error
            continue
        if result is not None:
            done.append(result)
            if progress:
                progress(result, len(done), len(merges))
    if done:
        pa.default_memory_pool().release_unused()
    if failure:
        raise failure
    return done


def _of_kind(snapshot: Snapshot, kind: Kind) -> Snapshot:
    return msgspec.structs.replace(
        snapshot, files=tuple(f for f in snapshot.files if kind_of(f.path) == kind)
    )


def _only(snapshot: Snapshot, kept: Collection[Partition]) -> Snapshot:
    return msgspec.structs.replace(snapshot, files=tuple(f for f in snapshot.files if f.partition in kept))


def _without(snapshot: Snapshot, left: Collection[Partition]) -> Snapshot:
    return msgspec.structs.replace(
        snapshot, files=tuple(f for f in snapshot.files if f.partition not in left)
    )


def _settled(snapshot: Snapshot, clock: Clock, full: bool) -> frozenset[Partition]:
    """The partitions of days that are over, and to which nothing was added for a while."""
    return frozenset(
        partition
        for partition, files in partitions(snapshot)
        if full or (len(files) > 1 and is_over(partition, clock) and is_quiet(files, clock))
    )


def _merge(
    place: LakePlace, table: LakeTable, columns: Sequence[Column], merge: Merge, target_file_bytes: int
) -> Compacted | None:
    with rewriting(place, table.name, day(merge.partition).isoformat()) as alone:
        return _merge_alone(place, table, columns, merge, target_file_bytes) if alone else None


def _merge_alone(
    place: LakePlace, table: LakeTable, columns: Sequence[Column], merge: Merge, target_file_bytes: int
) -> Compacted | None:
    try:
        files = merge.files if table.sums else _fitting(merge.files, target_file_bytes)
        if len(files) < 2:
            return None
        fetch(files)
        staged = _write(place, table, columns, merge.partition, files)
    except FileNotFoundError:
        # The snapshot is older than a vacuum: another process has merged these files.
        return None
    # What takes the place of files that may have been flushed long ago is flushed before they leave.
    flush(place, [staged])
    committed = swap(place, table.name, [staged], files)
    return Compacted(
        table=table.name,
        partition=merge.partition,
        files=len(files),
        rows_before=sum(f.rows for f in files),
        rows_after=staged.rows,
        bytes_before=sum(f.size_bytes for f in files),
        bytes_after=staged.size_bytes,
        committed=committed,
    )


def _fitting(files: Sequence[FileRef], most_bytes: int) -> tuple[FileRef, ...]:
    """The smallest files that, inflated, stay below a size: rows with bodies are merged in memory."""
    fitting: list[FileRef] = []
    size = 0
    for file in files:
        with readable(file) as path:
            footer = pq.read_metadata(path)
        size += sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
        if size > most_bytes:
            break
        fitting.append(file)
    return tuple(fitting)


def _write(
    place: LakePlace,
    table: LakeTable,
    columns: Sequence[Column],
    partition: Partition,
    files: Sequence[FileRef],
) -> StagedFile:
    large = table.sums and sum(file.rows for file in files) > _AT_ONCE_ROWS
    pieces = slices(table, files, _AT_ONCE_ROWS) if large else [None]
    with PartFile(place, table.name, partition, COMPACTED_LEVEL, kind_of(files[0].path)) as part:
        for condition in pieces:
            part.write(merged(table, columns, [read(file, condition) for file in files]))
        return part.staged()
