"""Slim rollups: for a large file of error_aggregates, the same sums over fewer dimensions.

A rollup is derived from exactly one immutable file and has its name, so it is never wrong and can be
deleted at any time. It is removed when its base file is gone from the disk, not before: running queries may
still hold both. Flow: base file -> sums by row group -> sums of those -> tmp file -> rename.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from missioncontrol.config import LakePlace
from missioncontrol.lake.delta import storage_error
from missioncontrol.lake.merge import added, summed_columns
from missioncontrol.lake.parquet import COMPACTED_LEVEL, group_rows, open_parquet
from missioncontrol.lake.place import fetch, place_of
from missioncontrol.lake.snapshot import FileRef, LakeReader, RollupFolder, Snapshot
from missioncontrol.lake.tables import Column, LakeTable

TABLE = "error_aggregates"
DIMENSIONS = ("window_start", "channel", "application", "version", "build_id", "os_name")
MIN_ROWS = 20_000
"""A smaller base file is as quick to read as its rollup."""
_STALE_TMP_S = 3600


class Rolled(msgspec.Struct, frozen=True):
    """What one pass did."""

    made: int
    removed: int


def refresh_rollups(
    lake: LakePlace | Path,
    cache_path: Path,
    table: LakeTable,
    min_rows: int = MIN_ROWS,
    reader: LakeReader | None = None,
) -> Rolled:
    """Make the rollups that are missing and remove those whose base file is gone.

    Raises `StorageFull` or `StorageError`; what was made before stays.
    """
    reader = reader or LakeReader(lake, cache_path)
    folder = RollupFolder(cache_path)
    snapshot = reader.snapshot(TABLE)
    if snapshot is None:
        return Rolled(0, 0)
    removed = _remove_orphans(folder, place_of(lake), snapshot)
    _remove_stale(folder.path)
    made = 0
    for file in snapshot.files:
        if file.rows >= min_rows and folder.path_of(file) is None:
            made += make_rollup(folder.path, table, snapshot.columns, file)
            pa.default_memory_pool().release_unused()
    return Rolled(made, removed)


def make_rollup(folder: Path, table: LakeTable, columns: Sequence[Column], file: FileRef) -> bool:
    """Write the rollup of one file, whole or not at all; False when the base file is gone meanwhile."""
    target = folder / Path(file.path).name
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch([file])
        rows = rolled_up(file.path, summed_columns(table, columns), table.sort_by)
        with open_parquet(rows.schema, temporary, COMPACTED_LEVEL) as writer:
            writer.write_table(rows, row_group_size=group_rows(rows))
        temporary.rename(target)
        return True
    except FileNotFoundError:
        return False
    except (OSError, pa.ArrowException) as error:
        raise storage_error(error, folder) from error
    finally:
        temporary.unlink(missing_ok=True)


def rolled_up(path: str, summed: frozenset[str], order: Sequence[str]) -> pa.Table:
    """The rows of a base file, added over all dimensions but `DIMENSIONS`; loads one row group at a time."""
    file = pq.ParquetFile(path)
    names = [n for n in file.schema_arrow.names if n in DIMENSIONS or n in summed]
    groups = [
        added(file.read_row_group(i, columns=names, use_threads=False), summed, order)
        for i in range(file.num_row_groups)
    ]
    return added(pa.concat_tables(groups), summed, order) if len(groups) != 1 else groups[0]


def _remove_stale(folder: Path) -> None:
    """Delete what killed processes have left half-written."""
    for temporary in folder.glob("*.tmp"):
        if temporary.stat().st_mtime < time.time() - _STALE_TMP_S:
            temporary.unlink(missing_ok=True)


def _remove_orphans(folder: RollupFolder, place: LakePlace, snapshot: Snapshot) -> int:
    bases = {path.name for path in (place.folder / TABLE).glob("*/*.parquet")}
    if place.url:  # a base file that is not at hand is not gone
        bases |= {Path(file.path).name for file in snapshot.files}
    orphans = folder.names() - bases
    for name in orphans:
        (folder.path / name).unlink(missing_ok=True)
    return len(orphans)
