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
from urllib.parse import unquote

import msgspec
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from missioncontrol.errors import StorageError
from missioncontrol.lake.delta import DeltaFailure, is_full, open_table, storage_error
from missioncontrol.lake.snapshot import FileRef


class CommitUnsureError(StorageError):
    """It is not known whether a commit was made."""


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


REWRITE = "missioncontrol.rewrite"
"""Application id in the transaction of every commit that removes files.

Delta lets two commits remove the same file when neither changes data, and both merged copies would count.
Two commits of one application conflict, so that the second one of two rewriters that started from the same
version fails.
"""


def rewrite(table: DeltaTable) -> Transaction:
    """The transaction that a commit which removes files must carry."""
    return Transaction(REWRITE, (table.transaction_version(REWRITE) or 0) + 1)


REMOVAL = "missioncontrol.removal"
"""Application id in the transaction of a commit that only removes files, by which it is recognised afterwards:
another rewriter's commit has the version of the rewrite that it would have had."""


def removal(table: DeltaTable) -> Transaction:
    """The transaction that a commit which only removes files must carry beside `rewrite()`."""
    return Transaction(REMOVAL, (table.transaction_version(REMOVAL) or 0) + 1)


def write_actions(
    path: Path,
    table: DeltaTable,
    actions: Sequence[AddAction | RemoveAction],
    transactions: Sequence[Transaction],
) -> None:
    """Commit the actions to an up-to-date table in one transaction.

    Raises `CommitFailedError` when another commit was faster, `StorageFull` or `StorageError` when the
    commit was not made, and `CommitUnsureError` when that cannot be told: then no file may be deleted.
    """
    try:
        table.create_write_transaction(
            list(actions),
            "append",
            table.schema(),
            table.metadata().partition_columns,
            commit_properties=CommitProperties(app_transactions=list(transactions)),
        )
    except DeltaFailure as error:
        # A checkpoint or a clean-up that fails after the commit raises too.
        if _landed(path, actions, transactions, error):
            return
        if isinstance(error, CommitFailedError) and not is_full(error):
            raise
        raise storage_error(error, path) from error


def _landed(
    path: Path,
    actions: Sequence[AddAction | RemoveAction],
    transactions: Sequence[Transaction],
    error: Exception,
) -> bool:
    added = {action.path for action in actions if isinstance(action, AddAction)}
    try:
        table = open_table(path)
        if table is None:
            return False
        named = {unquote(uri).removeprefix(f"{path}/") for uri in table.file_uris()}
        if added:
            return added <= named
        if named & {action.path for action in actions}:
            return False
        return all((table.transaction_version(t.app_id) or 0) >= t.version for t in transactions)
    except Exception:
        raise CommitUnsureError(
            "lake_unsure",
            f"A commit to {path} failed and the table cannot be read to see whether it was made: {error}",
            "Repeat it: a batch that was committed is recognised.",
        ) from error


def discard(lake_path: Path, staged: Sequence[StagedFile]) -> None:
    """Delete staged files that will not be committed."""
    for file in staged:
        (lake_path / file.table / file.path).unlink(missing_ok=True)
