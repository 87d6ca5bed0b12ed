"""A file of a table written again with some of its rows, a row group at a time. Never commits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from missioncontrol.config import LakePlace
from missioncontrol.lake.actions import StagedFile
from missioncontrol.lake.durability import flush
from missioncontrol.lake.merge import readable
from missioncontrol.lake.parquet import COMPACTED_LEVEL, PartFile
from missioncontrol.lake.place import place_of
from missioncontrol.lake.snapshot import FileRef


def sifted(
    lake: LakePlace | Path, table: str, ref: FileRef, keeps: Callable[[pa.Table], pa.Array]
) -> tuple[list[StagedFile], int]:
    """The file without the rows that `keeps` says false of, on the disk, and how many those are.

    No file when none stays. Raises `FileNotFoundError` when a vacuum was faster, `StorageError` and `StorageFull`.
    """
    place = place_of(lake)
    kept = removed = 0
    staged: list[StagedFile] = []
    with PartFile(place, table, ref.partition, COMPACTED_LEVEL) as part:
        with readable(ref) as path, pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number, use_threads=False)
                rest = group.filter(keeps(group))
                removed += group.num_rows - rest.num_rows
                kept += rest.num_rows
                if rest.num_rows:
                    part.write(rest)
        if kept:
            staged.append(part.staged())
    flush(place, staged)
    return staged, removed
