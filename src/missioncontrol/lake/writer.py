"""How rows get into the lake: Parquet files are staged first, then one Delta commit makes them visible.

`stage()` may run in any process, for a lake on S3 on any machine; `commit()` carries an application transaction (who,
how far), so that a batch which was committed already is skipped after a restart. Never merges rows and never drops a
column.
Flow: Arrow table -> one sorted file a partition -> commit.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from missioncontrol.config import LakePlace
from missioncontrol.errors import ConfigError, StorageError
from missioncontrol.lake.actions import (
    CommitUnsureError,
    Move,
    StagedFile,
    discard,
    joining,
    leaving,
    rewrite,
    write_actions,
)
from missioncontrol.lake.delta import (
    CONFIGURATION,
    columns_of,
    delta_failures,
    field_of,
    named_files,
    open_table,
    options,
    schema_of,
)
from missioncontrol.lake.durability import Unsynced
from missioncontrol.lake.parquet import FRESH_LEVEL, write_partitions
from missioncontrol.lake.place import place_of, relative, uri
from missioncontrol.lake.snapshot import FileRef
from missioncontrol.lake.tables import Column, LakeTable, changed_type, lake_tables
from missioncontrol.lake.transactions import Transactions
from missioncontrol.registry.model import Registry

__all__ = ["LakeWriter", "Move", "StagedFile"]

UNFIT = "lake_column_type"
"""Of a registry that wants a column of another type than the lake has."""
_ATTEMPTS = 10


class LakeWriter:
    """Writes to the tables of one lake. Thread-safe; several writers in any process may work at once."""

    def __init__(self, lake: LakePlace | Path) -> None:
        self._place = place_of(lake)
        self._revision: str | None = None
        self._lock = threading.RLock()
        self._tables: dict[str, DeltaTable] = {}
        self._columns: dict[str, tuple[Column, ...]] = {}
        self._transactions: dict[str, Transactions] = {}
        self._unsynced = Unsynced(self._place)

    def ensure(self, registry: Registry) -> None:
        """Create the tables that are missing and add the columns that are missing; never drop any.

        Cheap when the registry is the one of the call before. Raises `ConfigError` (`lake_column_type`) for a
        column that the lake holds with another type, `StorageError` and `StorageFull`.
        """
        with self._lock:
            if self._revision is not None and registry.revision == self._revision:
                return
            for table in lake_tables(registry).values():
                self._ensure_table(table)
            # A registry without revision cannot be recognised again.
            self._revision = registry.revision or None

    def committed(self, table: str, app: str) -> int:
        """Version of the application's last transaction on the table; 0 if there was none."""
        return self.committed_each(table, [app])[0]

    def committed_each(self, table: str, apps: Sequence[str]) -> list[int]:
        """The same for several applications, as of one version of the table."""
        with self._lock:
            opened = self._fresh(table)
            known = self._transactions.setdefault(table, Transactions(self._place, table))
            return known.last(opened, apps)

    def stage(self, table: str, data: pa.Table, level: int = FRESH_LEVEL) -> list[StagedFile]:
        """Write the rows (with partition columns) as one sorted file a partition, visible to nobody yet.

        Columns may be missing (read as null). Raises `StorageError` (`lake_schema`) for a column that the
        table lacks or that cannot be cast, `StorageFull` when there is no room; then no file is left behind.
        """
        columns = self._columns_for(table, data)
        return write_partitions(self._place, table, columns, data, level)

    def discard(self, staged: Sequence[StagedFile]) -> None:
        """Delete staged files that will not be committed."""
        discard(self._place, staged)

    def commit(
        self,
        table: str,
        staged: Sequence[StagedFile],
        app: str,
        version: int,
        removed: Sequence[FileRef] = (),
        after: int | None = None,
    ) -> bool:
        """Make the staged files visible in one commit that records (app, version).

        False when `committed(table, app) >= version`: nothing is committed and the staged files are
        deleted. Without files the transaction is recorded all the same. `removed` files leave the table in
        the same commit (a rebuilt day). With `after`, the application's last version must be exactly that
        one: a second stream on the same data, whose batches overlap, is refused. Raises `StorageError`
        (`lake_staged_gone`, `lake_conflict`) or `StorageFull`; the table is then as it was, and the staged
        files are still there.
        """
        return self.commit_moves(table, staged, [Move(app, version, after)], removed)

    def commit_moves(
        self, table: str, staged: Sequence[StagedFile], moves: Sequence[Move], removed: Sequence[FileRef] = ()
    ) -> bool:
        """As `commit()`, for several applications at once: each of them moves on, or none does.

        False when all are that far already.
        """
        with self._lock:
            for _ in range(_ATTEMPTS):
                try:
                    lasts = self.committed_each(table, [move.app for move in moves])
                    if all(last >= move.version for last, move in zip(lasts, moves, strict=True)):
                        discard(self._place, staged)
                        return False
                    for last, move in zip(lasts, moves, strict=True):
                        if move.after is not None and last != move.after:
                            why = f"version {last} was committed, not {move.after}"
                            raise self._conflict(table, move.app, why)
                    self._commit(table, staged, [Transaction(m.app, m.version) for m in moves], removed)
                    self._unsynced.add(table, staged)
                    return True
                except CommitFailedError as error:
                    failure = error
            raise self._conflict(table, moves[0].app, str(failure)) from failure

    def append(self, table: str, data: pa.Table, app: str, version: int, after: int | None = None) -> bool:
        """Stage and commit; False, with nothing done, when this version was committed before."""
        if self.committed(table, app) >= version:
            return False
        staged = self.stage(table, data)
        try:
            return self.commit(table, staged, app, version, after=after)
        except CommitUnsureError:
            raise
        except Exception:
            discard(self._place, staged)
            raise

    def sync(self) -> None:
        """Return when all that this writer has committed so far survives a loss of power.

        Meant for whoever is about to give up what the rows were made from (trims the log). Raises
        `StorageError`.
        """
        self._unsynced.sync()

    def _ensure_table(self, table: LakeTable) -> None:
        with delta_failures(uri(self._place, table.name)):
            opened = open_table(self._place, table.name) or _create(self._place, table)
            self._tables[table.name] = opened
            self._add_columns(table, opened)
            self._columns[table.name] = columns_of(opened)

    def _add_columns(self, table: LakeTable, opened: DeltaTable) -> None:
        for attempt in range(_ATTEMPTS):
            present = {column.name: column for column in columns_of(opened)}
            _refuse_changed_types(table, present)
            missing = [field_of(c) for c in table.columns if c.name not in present]
            if not missing:
                return
            try:
                opened.alter.add_columns(missing)
            except CommitFailedError:
                if attempt == _ATTEMPTS - 1:
                    raise
            opened.update_incremental()

    def _fresh(self, table: str) -> DeltaTable:
        """The table, brought up to the newest version."""
        opened = self._tables.get(table)
        if opened is not None:
            try:
                opened.update_incremental()
                return opened
            except Exception:
                # The log may have been cleaned past the version we hold; open from the newest checkpoint.
                self._tables.pop(table)
                self._transactions.pop(table, None)
        reopened = open_table(self._place, table)
        if reopened is None:
            raise StorageError(
                "lake_no_table", f"There is no table at {uri(self._place, table)}.", "Call ensure() first."
            )
        self._tables[table] = reopened
        return reopened

    def _columns_for(self, table: str, data: pa.Table) -> tuple[Column, ...]:
        """The columns of the Delta table; read again when the data has one that was not known."""
        with self._lock:
            known = self._columns.get(table)
            if known is None or not {c.name for c in known}.issuperset(data.column_names):
                known = self._columns[table] = columns_of(self._fresh(table))
            return known

    def _commit(
        self,
        table: str,
        staged: Sequence[StagedFile],
        transactions: list[Transaction],
        removed: Sequence[FileRef],
    ) -> None:
        """One attempt; raises `CommitFailedError` when another commit came in between."""
        opened = self._tables[table]
        actions: list[AddAction | RemoveAction] = [self._joining(table, file) for file in staged]
        if removed:
            self._refuse_gone(table, opened, removed)
            actions += [leaving(self._place, table, file, data_change=True) for file in removed]
            transactions.append(rewrite(opened))
        write_actions(self._place, table, opened, actions, transactions)

    def _joining(self, table: str, file: StagedFile) -> AddAction:
        if file.table != table:
            raise StorageError("lake_schema", f"A file staged for {file.table} is not one of {table}.")
        return joining(self._place, file, data_change=True)

    def _refuse_gone(self, table: str, opened: DeltaTable, removed: Sequence[FileRef]) -> None:
        leave = {relative(self._place, table, file.path) for file in removed}
        gone = leave - named_files(self._place, table, opened)
        if gone:
            raise StorageError(
                "lake_conflict",
                f"{len(gone)} files to be replaced are no longer part of {uri(self._place, table)}.",
                "Take a new snapshot and repeat: compaction has merged them meanwhile.",
            )

    def _conflict(self, table: str, app: str, why: str) -> StorageError:
        return StorageError(
            "lake_conflict",
            f"The commit of {app} to {uri(self._place, table)} lost to another one: {why}",
            "Is a second stream running on the same data folder?",
        )


def _create(place: LakePlace, table: LakeTable) -> DeltaTable:
    if not place.url:
        (place.folder / table.name).mkdir(parents=True, exist_ok=True)
    try:
        return DeltaTable.create(
            uri(place, table.name),
            schema=schema_of(table.columns),
            mode="ignore",
            partition_by=list(table.partition_by),
            name=table.name,
            description=table.description,
            configuration=_configuration(table),
            storage_options=options(place),
        )
    except CommitFailedError:
        # Another process has created it in the same moment.
        return DeltaTable(uri(place, table.name), storage_options=options(place))


def _configuration(table: LakeTable) -> dict[str, str | None]:
    times = [c.name for c in table.columns if c.type == "timestamp"]
    # Only these have statistics in the log; readers would otherwise expect them for the first 32 columns.
    return {**CONFIGURATION, "delta.dataSkippingStatsColumns": ",".join(times)}


def _refuse_changed_types(table: LakeTable, present: dict[str, Column]) -> None:
    changed = changed_type(table, present.values())
    if changed:
        raise ConfigError(
            UNFIT,
            changed,
            "Give the changed declaration a new name: what a column holds never changes its type.",
        )
