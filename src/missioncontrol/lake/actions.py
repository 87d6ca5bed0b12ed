"""The file actions of a Delta commit: what joins a table and what leaves it.

Never decides what to write. In a folder a file's modification time is when it was last needed: it is set when the
file joins and when it leaves, and vacuum deletes unreferenced files by it. A file that leaves is touched before
the commit, so that a process that dies in between has done no harm. On S3 nothing can be touched: there a staged
file must be committed within `STAGED_S`, and vacuum waits longer than that for every file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.delta import (
    DeltaFailure,
    is_full,
    last_transaction,
    named_files,
    open_table,
    storage_error,
)
from missioncontrol.lake.place import place_of, relative, remove, uri
from missioncontrol.lake.snapshot import FileRef
from missioncontrol.s3 import plain


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
    staged_s: float = 0.0
    """When it was there as a whole, in seconds since 1970 by the clock of who staged it."""


class Move(msgspec.Struct, frozen=True):
    """How far an application's transaction on a table goes with a commit."""

    app: str
    version: int
    after: int | None = None
    """Its last version must be exactly this one; None: any lower one."""


STAGED_S = 1800.0
"""On S3 a staged file must be committed within so many seconds."""


def joining(place: LakePlace, file: StagedFile, data_change: bool) -> AddAction:
    """The action that makes a staged file part of its table; raises `StorageError` when the file is gone."""
    if not _still_there(place, file):
        raise StorageError(
            "lake_staged_gone",
            f"The staged file {uri(place, file.table)}/{file.path} is gone: "
            "it waited for its commit longer than unused files are kept.",
            "Stage it again." if place.url else "Stage it again; set lake.vacuum_after_s higher.",
        )
    return AddAction(
        path=file.path,
        size=file.size_bytes,
        partition_values=dict(file.partition),
        modification_time=time.time_ns() // 1_000_000,
        data_change=data_change,
        stats=file.stats,
    )


def _still_there(place: LakePlace, file: StagedFile) -> bool:
    if place.url:
        return time.time() - file.staged_s < STAGED_S
    try:
        os.utime(place.folder / file.table / file.path)
    except FileNotFoundError:
        return False
    return True


def leaving(place: LakePlace, table: str, file: FileRef, data_change: bool) -> RemoveAction:
    """The action that takes a file out of its table; readers that hold a snapshot still find it."""
    try:
        os.utime(file.path)
    except FileNotFoundError:
        pass
    return RemoveAction(
        path=relative(place, table, file.path),
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
    return Transaction(REWRITE, last_transaction(table, REWRITE) + 1)


REMOVAL = "missioncontrol.removal"
"""Application id in the transaction of a commit that only removes files, by which it is recognised afterwards:
another rewriter's commit has the version of the rewrite that it would have had."""


def removal(table: DeltaTable) -> Transaction:
    """The transaction that a commit which only removes files must carry beside `rewrite()`."""
    return Transaction(REMOVAL, last_transaction(table, REMOVAL) + 1)


def write_actions(
    place: LakePlace,
    name: str,
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
        if _landed(place, name, actions, transactions, error):
            return
        if isinstance(error, CommitFailedError) and not is_full(error):
            raise
        raise storage_error(error, uri(place, name)) from error


def _landed(
    place: LakePlace,
    name: str,
    actions: Sequence[AddAction | RemoveAction],
    transactions: Sequence[Transaction],
    error: Exception,
) -> bool:
    added = {action.path for action in actions if isinstance(action, AddAction)}
    try:
        table = open_table(place, name)
        if table is None:
            return False
        named = named_files(place, name, table)
        if added:
            return added <= named
        if named & {action.path for action in actions}:
            return False
        return all(last_transaction(table, t.app_id) >= t.version for t in transactions)
    except Exception:
        raise CommitUnsureError(
            "lake_unsure",
            f"A commit to {uri(place, name)} failed and the table cannot be read to see whether it was made: "
            f"{plain(str(error))}",
            "Repeat it: a batch that was committed is recognised.",
        ) from error


def discard(lake: LakePlace | Path, staged: Sequence[StagedFile]) -> None:
    """Delete staged files that will not be committed; what cannot be deleted is left to vacuum."""
    place = place_of(lake)
    for table in {file.table for file in staged}:
        with suppress(StorageError):
            remove(place, table, [file.path for file in staged if file.table == table])
