"""Compaction: fewer, larger, sorted files, with rows of equal key added. Never changes what a query returns.

A merge reads immutable files, stages one and swaps them in one atomic commit. Whoever reads keeps their
files; whoever appends goes on; another rewriter that was faster makes this commit fail, and nothing is lost
but the work. A process killed before the commit leaves an orphan that vacuum deletes. Flow: snapshot ->
plan -> merge -> commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from missioncontrol.clock import Clock, system_clock, utc_date
from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.lake.actions import (
    CommitUnsureError,
    StagedFile,
    discard,
    joining,
    leaving,
    rewrite,
    write_actions,
)
from missioncontrol.lake.delta import delta_failures, open_table
from missioncontrol.lake.durability import flush
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.merge import merged, read, readable, slices
from missioncontrol.lake.parquet import COMPACTED_LEVEL, PartFile
from missioncontrol.lake.plan import Merge, Partition, day, partitions, plan
from missioncontrol.lake.snapshot import FileRef, LakeReader, Snapshot
from missioncontrol.lake.tables import Column, LakeTable

QUIET_S = 600
"""A past day counts as over when none of its files is younger than this."""
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
    lake_path: Path,
    cache_path: Path,
    table: LakeTable,
    target_file_bytes: int,
    clock: Clock = system_clock,
    full: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> list[Compacted]:
    """Do the merges that are worth it now; with `full` every partition as far as the target size allows.

    An empty list when there is no such table or nothing to do. Raises `StorageError` and `StorageFull`;
    merges that were committed before stay.
    """
    snapshot = LakeReader(lake_path, cache_path).snapshot(table.name)
    if snapshot is None:
        return []
    merges = plan(snapshot, target_file_bytes, _settled(snapshot, clock, full))
    done: list[Compacted] = []
    failure: StorageError | None = None
    for merge in merges:
        if stop is not None and stop.is_set():
            break
        try:
            result = _merge(lake_path.absolute(), table, snapshot.columns, merge, target_file_bytes)
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


def _settled(snapshot: Snapshot, clock: Clock, full: bool) -> frozenset[Partition]:
    """The partitions of days that are over, and to which nothing was added for a while."""
    return frozenset(
        partition
        for partition, files in partitions(snapshot)
        if full or (len(files) > 1 and day(partition) < utc_date(clock()) and _quiet(files, clock))
    )


def _quiet(files: Sequence[FileRef], clock: Clock) -> bool:
    quiet_since = clock() / 1e9 - QUIET_S
    try:
        return all(Path(file.path).stat().st_mtime < quiet_since for file in files)
    except FileNotFoundError:
        return False


def _merge(
    lake_path: Path, table: LakeTable, columns: Sequence[Column], merge: Merge, target_file_bytes: int
) -> Compacted | None:
    with rewriting(lake_path, table.name, day(merge.partition).isoformat()) as alone:
        return _merge_alone(lake_path, table, columns, merge, target_file_bytes) if alone else None


def _merge_alone(
    lake_path: Path, table: LakeTable, columns: Sequence[Column], merge: Merge, target_file_bytes: int
) -> Compacted | None:
    try:
        files = merge.files if table.sums else _fitting(merge.files, target_file_bytes)
        if len(files) < 2:
            return None
        staged = _write(lake_path, table, columns, merge.partition, files)
    except FileNotFoundError:
        # The snapshot is older than a vacuum: another process has merged these files.
        return None
    # What takes the place of files that may have been flushed long ago is flushed before they leave.
    with delta_failures(lake_path / table.name):
        flush([lake_path / table.name / staged.path])
    committed = _swap(lake_path, table.name, staged, files)
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
        with readable(file.path):
            footer = pq.read_metadata(file.path)
        size += sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
        if size > most_bytes:
            break
        fitting.append(file)
    return tuple(fitting)


def _write(
    lake_path: Path,
    table: LakeTable,
    columns: Sequence[Column],
    partition: Partition,
    files: Sequence[FileRef],
) -> StagedFile:
    paths = [file.path for file in files]
    large = table.sums and sum(file.rows for file in files) > _AT_ONCE_ROWS
    pieces = slices(table, paths, _AT_ONCE_ROWS) if large else [None]
    with PartFile(lake_path, table.name, partition, COMPACTED_LEVEL) as part:
        for condition in pieces:
            part.write(merged(table, columns, [read(path, condition) for path in paths]))
        return part.staged()


def _swap(lake_path: Path, table: str, staged: StagedFile, files: Sequence[FileRef]) -> bool:
    """Put the staged file in the place of the files, in one commit; False when another commit was faster."""
    try:
        opened = open_table(lake_path / table)
        if opened is None or not {f.path for f in files} <= set(map(unquote, opened.file_uris())):
            discard(lake_path, [staged])
            return False
        actions: list[AddAction | RemoveAction] = [joining(lake_path, staged, data_change=False)]
        actions += [leaving(lake_path, table, file, data_change=False) for file in files]
        write_actions(lake_path / table, opened, actions, [rewrite(opened)])
        return True
    except CommitFailedError:
        discard(lake_path, [staged])
        return False
    except CommitUnsureError:
        raise
    except MissionControlError:
        discard(lake_path, [staged])
        raise
