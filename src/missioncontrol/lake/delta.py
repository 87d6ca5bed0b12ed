"""How this package opens Delta tables and what their failures are called.

Never reads or writes rows. Imports `deltalake` only: neither Arrow nor DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError, TableNotFoundError
from deltalake.schema import MapType, PrimitiveType

from missioncontrol.config import LakePlace
from missioncontrol.errors import NO_ROOM, MissionControlError, StorageError, StorageFull
from missioncontrol.lake.place import uri
from missioncontrol.lake.tables import Column, Type
from missioncontrol.s3 import delta_options, plain, trouble

DeltaFailure = (DeltaError, DeltaProtocolError, TableNotFoundError, CommitFailedError, OSError, ValueError)
"""All that `deltalake` raises for a table that cannot be used."""

TIME_COLUMNS = ("window_start", "arrival", "received", "as_of", "date")
"""The first of these that a table has is the time by which its files are known."""

CONFIGURATION: dict[str, str | None] = {
    # A commit and a refresh list the log folder, at 10 us a file: few files keep them flat.
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 2 minutes",
    "delta.enableExpiredLogCleanup": "true",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
}
"""Delta table properties of every table of the lake."""

_DELTA_TYPES: dict[Type, str] = {
    "timestamp": "timestamp",
    "date": "date",
    "string": "string",
    "int64": "long",
    "float64": "double",
    "binary": "binary",
    "bool": "boolean",
    "sketch": "binary",
}
_TEXT = PrimitiveType("string")
_DELTA_MAPS: dict[Type, MapType] = {
    "text_map": MapType(_TEXT, _TEXT, value_contains_null=False),
    "number_map": MapType(_TEXT, PrimitiveType("double"), value_contains_null=False),
}
_COLUMN_TYPES: dict[str, Type] = {delta: ours for ours, delta in _DELTA_TYPES.items() if ours != "sketch"}
_SKETCHES = ("clients", "sessions")
"""Columns of bytes whose names end like this are sketches: Delta knows no such type."""


def open_table(place: LakePlace, table: str) -> DeltaTable | None:
    """The Delta table at its newest version; None when there is none yet.

    Raises `StorageError` (`lake_corrupt`) for a table that cannot be read.
    """
    log = place.folder / table / "_delta_log"
    if not place.url and not log.is_dir():
        return None
    with delta_failures(uri(place, table)):
        try:
            return DeltaTable(uri(place, table), storage_options=options(place))
        except TableNotFoundError:
            if place.url or (not any(log.glob("*.json")) and not any(log.glob("*.parquet"))):
                return None
            raise


def options(place: LakePlace) -> dict[str, str] | None:
    """How `deltalake` reaches the place."""
    return delta_options() if place.url else None


def named_files(place: LakePlace, table: str, opened: DeltaTable) -> set[str]:
    """The files of an open table, relative to it."""
    root = f"{uri(place, table)}/"
    return {unquote(name).removeprefix(root) for name in opened.file_uris()}


def last_transaction(table: DeltaTable, app: str) -> int:
    """Version of the application's last transaction; 0 if there was none. Reads the log. Raises `StorageError`."""
    with delta_failures(table.table_uri):
        return table.transaction_version(app) or 0


def columns_of(table: DeltaTable) -> tuple[Column, ...]:
    """The columns as the Delta table has them now; raises `StorageError` for a foreign type."""
    return tuple(
        Column(f.name, _type_of(f), str(f.metadata.get("comment", "")), f.nullable)
        for f in table.schema().fields
    )


def schema_of(columns: tuple[Column, ...]) -> Schema:
    """The Delta schema of the columns. All are nullable: older files may lack any of them."""
    return Schema([field_of(column) for column in columns])


def field_of(column: Column) -> Field:
    """The Delta field of one column."""
    metadata = {"comment": column.description} if column.description else {}
    kind = _DELTA_MAPS.get(column.type) or PrimitiveType(_DELTA_TYPES[column.type])
    return Field(column.name, kind, nullable=True, metadata=metadata)


def time_column(columns: tuple[Column, ...]) -> str | None:
    """Name of the column whose smallest and largest value a file is known by."""
    names = {column.name for column in columns}
    return next((name for name in TIME_COLUMNS if name in names), None)


@contextmanager
def delta_failures(path: Path | str) -> Iterator[None]:
    """Raise what `deltalake` or the file system raise inside as `StorageFull` or `StorageError`.

    `path`: the table, as a folder or as `uri()` names it.
    """
    try:
        yield
    except DeltaFailure as error:
        raise storage_error(error, path) from error


_DENIED = ("ermission denied", "ead-only file system", "os error 30")


def storage_error(error: BaseException, path: Path | str) -> MissionControlError:
    """The error of the house that says the same: `lake_full`, `lake_denied` or `lake_corrupt`; of a table on S3 also
    `lake_bucket`, `lake_credentials` or `lake_away`."""
    found = trouble(error) if str(path).startswith("s3://") else None
    if found is not None:
        kind = StorageFull if found.kind == "full" else StorageError
        return kind(f"lake_{found.kind}", f"The lake at {path} {found.what}: {plain(str(error))}", found.hint)
    if is_full(error):
        return StorageFull(
            "lake_full", f"No room left for the lake at {path}.", "Free disk space; it goes on by itself."
        )
    if isinstance(error, PermissionError) or any(words in str(error) for words in _DENIED):
        return StorageError(
            "lake_denied",
            f"No permission for the lake at {path}: {error}",
            "Check the owner of the folder, and whether its disk is mounted for writing.",
        )
    return StorageError(
        "lake_corrupt",
        f"The Delta table at {path} cannot be used: {str(error).splitlines()[0] if str(error) else error!r}",
        "Restore `_delta_log` from a backup, or move the folder away: the table is made anew, empty.",
    )


def is_full(error: BaseException) -> bool:
    """Whether the error says that the disk, or the quota, is full."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return True
    text = str(error)
    return (
        "No space left" in text
        or "os error 28" in text
        or "quota exceeded" in text.lower()
        or ("<Code>" in text and (found := trouble(error)) is not None and found.kind == "full")
    )


def _type_of(field: Field) -> Type:
    for ours, delta in _DELTA_MAPS.items():
        if field.type == delta:
            return ours
    kind = field.type.type if isinstance(field.type, PrimitiveType) else str(field.type)
    if kind == "binary" and field.name.endswith(_SKETCHES):
        return "sketch"
    try:
        return _COLUMN_TYPES[kind]
    except KeyError:
        raise StorageError(
            "lake_type", f"Column {field.name} has the Delta type {kind}, which the lake never writes."
        ) from None
