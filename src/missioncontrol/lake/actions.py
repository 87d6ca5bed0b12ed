"""The file actions of a Delta commit: what joins a table and what leaves it.

Never decides what to write. A file's modification time is when it was last needed: it is set when the file
joins and when it leaves, and vacuum deletes unreferenced files by it. A file that leaves is touched before
the commit, so that a process that dies in between has done no harm.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from missioncontrol.errors import StorageError
from missioncontrol.lake.snapshot import FileRef


class StagedFile(msgspec.Struct, frozen=True):
    """A Parquet file that is written but that no commit knows yet. Can be pickled."""

    table: str
    path: str
    """Relative to the folder of the table."""
    partition: tuple[tuple[str, str], ...]
    size_bytes: int
    rows: int
    stats: str
    """Delta's statistics of the file: JSON text."""


def joining(lake_path: Path, file: StagedFile, data_change: bool) -> AddAction:
    """The action that makes a staged file part of its table; raises `StorageError` when the file is gone."""
    path = lake_path / file.table / file.path
    try:
        os.utime(path)
    except FileNotFoundError:
        raise StorageError(
            "lake_staged_gone",
            f"The staged file {path} is gone: it waited for its commit longer than unused files are kept.",
            "Stage it again; set lake.vacuum_after_s higher.",
        ) from None
    return AddAction(
        path=file.path,
        size=file.size_bytes,
        partition_values=dict(file.partition),
        modification_time=time.time_ns() // 1_000_000,
        data_change=data_change,
        stats=file.stats,
    )


def leaving(lake_path: Path, table: str, file: FileRef, data_change: bool) -> RemoveAction:
    """The action that takes a file out of its table; readers that hold a snapshot still find it."""
    try:
        os.utime(file.path)
    except FileNotFoundError:
        pass
    return RemoveAction(
        path=str(Path(file.path).relative_to(lake_path / table)),
        data_change=data_change,
        deletion_timestamp=time.time_ns() // 1_000_000,
        size=file.size_bytes,
        partition_values=dict(file.partition),
    )


def write_actions(
    table: DeltaTable,
    actions: Sequence[AddAction | RemoveAction],
    properties: CommitProperties | None = None,
) -> None:
    """Commit the actions to an up-to-date table in one transaction."""
    table.create_write_transaction(
        list(actions),
        "append",
        table.schema(),
        table.metadata().partition_columns,
        commit_properties=properties,
    )


def discard(lake_path: Path, staged: Sequence[StagedFile]) -> None:
    """Delete staged files that will not be committed."""
    for file in staged:
        (lake_path / file.table / file.path).unlink(missing_ok=True)
