"""What a table of the lake consists of now: its columns and its files, as of one version.

Never reads a Parquet file and never writes anything; imports neither Arrow nor DuckDB, so that idle readers
stay small. A query takes a `Snapshot` once and reads its files, whatever is committed meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import msgspec
from deltalake import DeltaTable

from missioncontrol.config import LakePlace
from missioncontrol.lake.delta import columns_of, delta_failures, open_table, storage_error, time_column
from missioncontrol.lake.place import log_name, log_objects, place_of, uri
from missioncontrol.lake.tables import Column
from missioncontrol.lake.transactions import Transactions

_TICK_NS = 50_000_000


class FileRef(msgspec.Struct, frozen=True):
    """One immutable Parquet file of a table."""

    path: str
    """Absolute. Of a lake on S3 the file is there once it was fetched (`place.fetch()`)."""
    partition: tuple[tuple[str, str], ...]
    """(column, value as text) in the order of the partition columns; these columns are not in the file."""
    size_bytes: int
    rows: int
    first_window: datetime | None
    """Smallest and largest `window_start` (`arrival`, `received`, `date` where there is none); None: not known."""
    last_window: datetime | None
    place: LakePlace | None = None
    """Where it is to be fetched or read from; None: it is in the folder."""
    joined_s: float = 0.0
    """Of a lake on S3: when it joined its table, in seconds since 1970."""


class Snapshot(msgspec.Struct, frozen=True):
    """A table as of one version."""

    table: str
    version: int
    columns: tuple[Column, ...]
    """As the Delta table has them now, partition columns included; an older file may lack some."""
    files: tuple[FileRef, ...]


class LakeReader:
    """Snapshots of the lake's tables, each kept and brought up to date when it is asked for. Thread-safe.

    `look_s`: a table on S3 is asked for news at most so often, in seconds.
    """

    def __init__(self, lake: LakePlace | Path, cache_path: Path, look_s: float = 0.0) -> None:
        self._place, self._look_s = place_of(lake), look_s
        self._rollups = RollupFolder(cache_path)
        self._lock = threading.Lock()
        self._tables: dict[str, _Watched] = {}

    def snapshot(self, table: str) -> Snapshot | None:
        """The table as it is now, or None while there is no such table; raises `StorageError`."""
        return self._watched(table).current()

    def committed(self, table: str, apps: Sequence[str]) -> list[int]:
        """Version of the last transaction of each application on the table as it is now; 0 where there was none.

        Raises `StorageError`.
        """
        return self._watched(table).committed(apps)

    def _watched(self, table: str) -> _Watched:
        with self._lock:
            watched = self._tables.get(table)
            if watched is None:
                watched = self._tables[table] = (
                    _WatchedObjects(self._place, table, self._look_s)
                    if self._place.url
                    else _Watched(self._place, table)
                )
            return watched

    def rollup(self, file: FileRef) -> str | None:
        """Absolute path of the slim rollup made from exactly this file, or None while there is none."""
        return self._rollups.path_of(file)


class RollupFolder:
    """Which rollups exist: one listing of the folder, repeated only when the folder has changed."""

    def __init__(self, cache_path: Path) -> None:
        self.path = cache_path.absolute() / "rollup" / "error_aggregates"
        self._changed_ns = -1
        self._names: frozenset[str] = frozenset()

    def path_of(self, file: FileRef) -> str | None:
        """Path of the rollup of this file, if it exists."""
        name = file.path.rpartition("/")[2]
        return str(self.path / name) if name in self.names() else None

    def names(self) -> frozenset[str]:
        """Names of the rollups that exist, each equal to the name of its base file."""
        try:
            changed_ns = self.path.stat().st_mtime_ns
            # Two changes within one tick of the file system's clock have the same time.
            if changed_ns != self._changed_ns or time.time_ns() - changed_ns < _TICK_NS:
                names = frozenset(p.name for p in self.path.iterdir() if p.suffix == ".parquet")
                self._names, self._changed_ns = names, changed_ns
        except FileNotFoundError:
            self._names, self._changed_ns = frozenset(), -1
        return self._names


class _Watched:
    """One table, opened once and then followed."""

    def __init__(self, place: LakePlace, table: str) -> None:
        self._place, self._name = place, table
        self._path = place.folder / table
        self._lock = threading.Lock()
        self._table: DeltaTable | None = None
        self._mark: tuple[int, ...] = ()
        self._snapshot: Snapshot | None = None
        self._transactions = Transactions(place, table)

    def committed(self, apps: Sequence[str]) -> list[int]:
        self.current()
        with self._lock:
            if self._table is None:
                return [0] * len(apps)
            return self._transactions.last(self._table, apps)

    def current(self) -> Snapshot | None:
        with self._lock:
            try:
                if self._table is None or not self._unchanged():
                    self._refresh()
            except PermissionError as error:
                raise storage_error(error, self._path) from error
            return self._snapshot

    def _unchanged(self) -> bool:
        """Two looks at the file system instead of a refresh, which lists the log folder."""
        assert self._snapshot is not None
        following = self._path / "_delta_log" / f"{self._snapshot.version + 1:020}.json"
        return self._mark == _mark(self._path) and not following.exists()

    def _refresh(self) -> None:
        mark = _mark(self._path)
        self._follow(anew=mark[:1] != self._mark[:1])
        if self._table is not None:
            self._mark = mark

    def _follow(self, anew: bool) -> None:
        if self._table is None or anew:
            self._snapshot, self._transactions = None, Transactions(self._place, self._name)
            self._table = open_table(self._place, self._name)
        else:
            self._advance(self._table)
        if self._table is not None:
            self._snapshot = _read(self._place, self._name, self._table, self._snapshot)

    def _advance(self, table: DeltaTable) -> None:
        try:
            with delta_failures(uri(self._place, self._name)):
                table.update_incremental()
        except Exception:
            # What followed the version we hold may have been cleaned away; the newest checkpoint has it all.
            self._table = open_table(self._place, self._name)


def _mark(path: Path) -> tuple[int, ...]:
    """Changes when the table is made anew (first part) or gets a checkpoint (second part)."""
    log = path / "_delta_log"
    try:
        folder = log.stat().st_ino
    except FileNotFoundError:
        return (-1, -1)
    try:
        return (folder, (log / "_last_checkpoint").stat().st_mtime_ns)
    except FileNotFoundError:
        return (folder, -1)


class _WatchedObjects(_Watched):
    """One table on S3. One listing of what the log has from the known version on tells whether there is news."""

    def __init__(self, place: LakePlace, table: str, look_s: float) -> None:
        super().__init__(place, table)
        self._look_s, self._look_at = look_s, 0.0
        self._seen: dict[str, str] = {}

    def current(self) -> Snapshot | None:
        with self._lock:
            if time.monotonic() >= self._look_at:
                if self._snapshot is None or not self._unchanged():
                    self._refresh()
                self._look_at = time.monotonic() + self._look_s
            return self._snapshot

    def _unchanged(self) -> bool:
        assert self._snapshot is not None
        return log_objects(self._place, self._name, self._snapshot.version) == self._seen

    def _refresh(self) -> None:
        if self._snapshot is None:
            self._follow(anew=True)
        else:
            own = log_name(self._snapshot.version)
            now = log_objects(self._place, self._name, self._snapshot.version)
            # Where our own commit is gone, or another one, the log was cleaned past it or the table is made anew.
            self._follow(anew=now.get(own) != self._seen.get(own))
        if self._snapshot is not None:
            version = self._snapshot.version
            found = log_objects(self._place, self._name, version)
            # What came in between is news to the next look.
            self._seen = {name: tag for name, tag in found.items() if not _follows(name, version)}


def _follows(name: str, version: int) -> bool:
    number, _, kind = name.partition(".")
    return kind == "json" and number.isdigit() and int(number) > version


def _read(place: LakePlace, name: str, table: DeltaTable, before: Snapshot | None) -> Snapshot:
    with delta_failures(uri(place, name)):
        columns = columns_of(table)
        known = {file.path: file for file in before.files} if before else {}
        files = tuple(_files(place, name, table, columns, known))
        return Snapshot(table=name, version=table.version(), columns=columns, files=files)


def _files(
    place: LakePlace, table_name: str, table: DeltaTable, columns: Sequence[Column], known: dict[str, FileRef]
) -> Iterator[FileRef]:
    """One FileRef an add action; files that the snapshot before had are taken from it."""
    partition_by = table.metadata().partition_columns
    by = time_column(tuple(columns))
    actions = cast(Any, table.get_add_actions(flatten=True))
    names = set(actions.schema.names)

    def column(name: str) -> Any:
        return actions.column(name) if name in names else None

    sizes, rows = column("size_bytes"), column("num_records")
    first, last = column(f"min.{by}"), column(f"max.{by}")
    parts = [(name, column(f"partition.{name}")) for name in partition_by]
    remote = place if place.url else None
    joined = column("modification_time") if remote else None
    root = str(place.folder / table_name)
    for i, name in enumerate(actions.column("path").to_pylist()):
        full = f"{root}/{unquote(name)}"
        yield known.get(full) or FileRef(
            path=full,
            partition=tuple((part, _text(_at(values, i))) for part, values in parts),
            size_bytes=_at(sizes, i) or 0,
            rows=_at(rows, i) or 0,
            first_window=_instant(_at(first, i)),
            last_window=_instant(_at(last, i)),
            place=remote,
            joined_s=_seconds(_at(joined, i)),
        )


def _at(values: Any, i: int) -> Any:
    return None if values is None else values[i].as_py()


def _seconds(value: datetime | int | None) -> float:
    return value.timestamp() if isinstance(value, datetime) else (value or 0) / 1000


def _instant(value: datetime | None) -> datetime | None:
    return value and value.astimezone(UTC)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else "" if value is None else str(value)
