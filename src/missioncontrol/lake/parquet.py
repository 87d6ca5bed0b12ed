"""How a Parquet file of the lake is written: sorted, zstd, with statistics and without its partition columns.

Never commits anything and never reads a file. Flow: Arrow table -> one file a partition -> its place -> `StagedFile`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import StagedFile, discard
from missioncontrol.lake.delta import storage_error
from missioncontrol.lake.filenames import Kind, new_path
from missioncontrol.lake.place import place_of, upload
from missioncontrol.lake.tables import SHAPES, Column, Type

FRESH_LEVEL = 1
"""zstd level of files that compaction will soon read again."""
COMPACTED_LEVEL = 3
SEALED_LEVEL = 9
SEALED_GROUP_BYTES = 16 * 1024 * 1024
"""Unpacked bodies of a row group of a sealed file. It is one page, which zstd compresses as a whole: it finds
what a few hundred pings have in common."""
_PAGE_BYTES = 1024 * 1024
_DICTIONARY_BYTES = 8 * 1024 * 1024
"""Long texts that come again (stacks, lists) fit: they take less room, and are searched once a text, not once a row."""
_GROUP_ROWS = 100_000
_GROUP_BODY_BYTES = 4 * 1024 * 1024

ARROW_TYPES: dict[Type, pa.DataType] = {
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "binary": pa.binary(),
    "bool": pa.bool_(),
    "sketch": pa.binary(),
    "text_map": pa.map_(pa.string(), pa.string()),
    "number_map": pa.map_(pa.string(), pa.float64()),
}


class _Stats(msgspec.Struct, rename="camel"):
    num_records: int
    min_values: dict[str, str]
    max_values: dict[str, str]
    null_count: dict[str, int]


def write_partitions(
    place: LakePlace, table: str, columns: Sequence[Column], data: pa.Table, level: int = FRESH_LEVEL
) -> list[StagedFile]:
    """Write the rows as one sorted file a partition; all of them or, after an error, none."""
    rows = conform(table, columns, data)
    staged: list[StagedFile] = []
    try:
        for partition, part in _split(rows, partition_by(table)):
            staged.append(write_file(place, table, partition, part, level))
    except BaseException:
        discard(place, staged)
        raise
    return staged


def write_file(
    lake: LakePlace | Path,
    table: str,
    partition: tuple[tuple[str, str], ...],
    rows: pa.Table,
    level: int,
    kind: Kind = "",
) -> StagedFile:
    """Write rows of one partition, without its columns, as one sorted file; after an error none is left."""
    with PartFile(place_of(lake), table, partition, level, kind) as part:
        part.write(sort(table, rows))
        return part.staged()


class PartFile:
    """A Parquet file that is being written, piece by piece in the order of the table.

    Leaving the `with` block without `staged()`, or with an error, deletes it.
    """

    def __init__(
        self,
        place: LakePlace,
        table: str,
        partition: tuple[tuple[str, str], ...],
        level: int,
        kind: Kind = "",
    ) -> None:
        self._place, self._table, self._partition, self._level = place, table, partition, level
        self._path, self._sealed = new_path(partition, kind), kind in ("sealed", "discarded")
        self._full = place.folder / table / self._path
        self._writer: pq.ParquetWriter | None = None
        self._stats = _Stats(0, {}, {}, {})
        self._done = False

    def __enter__(self) -> PartFile:
        return self

    def write(self, rows: pa.Table) -> None:
        """Append rows, all pieces with the same columns; raises `StorageFull` or `StorageError`."""
        with self._failures():
            if self._writer is None:
                self._full.parent.mkdir(parents=True, exist_ok=True)
                page_bytes = 2 * SEALED_GROUP_BYTES if self._sealed else _PAGE_BYTES
                self._writer = open_parquet(rows.schema, self._full, self._level, page_bytes)
            # The pieces of a sealed file are its row groups.
            size = rows.num_rows if self._sealed else group_rows(rows)
            self._writer.write_table(rows, row_group_size=max(1, size))
        self._stats = _with(self._stats, rows)

    def staged(self) -> StagedFile:
        """Finish the file and say what it holds."""
        with self._failures():
            assert self._writer is not None
            self._writer.close()
            size_bytes = self._full.stat().st_size
        upload(self._place, self._table, self._path)
        self._done = True
        stats = msgspec.json.encode(self._stats).decode()
        return StagedFile(
            self._table, self._path, self._partition, size_bytes, self._stats.num_records, stats, time.time()
        )

    def __exit__(self, *_: object) -> None:
        if self._done:
            return
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError:
            pass  # The disk that was full is still full; what counts is that the file goes.
        self._full.unlink(missing_ok=True)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise storage_error(error, self._place.folder / self._table) from error


def open_parquet(
    schema: pa.Schema, path: Path | pa.NativeFile, level: int, page_bytes: int = _PAGE_BYTES
) -> pq.ParquetWriter:
    """A writer of one Parquet file as the lake has them, also into memory; raises `OSError`."""
    wide = any(pa.types.is_binary(f.type) for f in schema)
    narrow = [f.name for f in schema if not pa.types.is_binary(f.type)] if wide else True
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=narrow,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=narrow,
        data_page_size=page_bytes,
    )


def group_rows(rows: pa.Table) -> int:
    """Rows of a row group: many of narrow rows, so many of wide ones (bodies) as make a few MB."""
    if not rows.num_rows or not any(pa.types.is_binary(f.type) for f in rows.schema):
        return _GROUP_ROWS
    return int(max(16, min(_GROUP_ROWS, _GROUP_BODY_BYTES * rows.num_rows // max(1, rows.nbytes))))


def conform(table: str, columns: Sequence[Column], data: pa.Table) -> pa.Table:
    """The data with the types and in the order of the columns; raises `StorageError` (`lake_schema`)."""
    unknown = set(data.column_names) - {c.name for c in columns}
    if unknown:
        raise StorageError(
            "lake_schema",
            f"{table} has no column {', '.join(sorted(unknown))}.",
            "Call ensure() with the registry.",
        )
    present = set(data.column_names)
    schema = pa.schema([(c.name, ARROW_TYPES[c.type]) for c in columns if c.name in present])
    try:
        return data.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise StorageError("lake_schema", f"Rows for {table} do not fit its columns: {error}") from error


def sort(table: str, rows: pa.Table) -> pa.Table:
    """The rows in the order of the table, nulls last."""
    shape = SHAPES.get(table)
    order = [(name, "ascending") for name in (shape.sort_by if shape else ()) if name in rows.column_names]
    return rows.sort_by(order) if order and rows.num_rows > 1 else rows


def partition_by(table: str) -> tuple[str, ...]:
    """Names of the partition columns."""
    return SHAPES[table].partition_by


def _with(stats: _Stats, rows: pa.Table) -> _Stats:
    """The statistics after these rows: their number, smallest and largest value of each timestamp column."""
    low, high = dict(stats.min_values), dict(stats.max_values)
    for field in rows.schema:
        if pa.types.is_timestamp(field.type):
            ends = pc.min_max(rows[field.name]).as_py()
            if ends["min"] is not None:
                # The text form has a fixed width, so it sorts as the instants do.
                first, last = _instant(ends["min"]), _instant(ends["max"])
                low[field.name] = min(low.get(field.name, first), first)
                high[field.name] = max(high.get(field.name, last), last)
    return _Stats(stats.num_records + rows.num_rows, low, high, {})


def _split(rows: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[tuple[tuple[str, str], ...], pa.Table]]:
    """The rows of each partition, without the partition columns."""
    missing = [name for name in names if name not in rows.column_names or rows[name].null_count]
    if missing and rows.num_rows:
        raise StorageError(
            "lake_schema", f"Rows without a value for the partition column {', '.join(missing)}."
        )
    rest = rows.drop_columns([name for name in names if name in rows.column_names])
    values = rows.select(names).group_by(names).aggregate([]).to_pylist() if rows.num_rows else []
    for value in values:
        partition = tuple((name, _text(value[name])) for name in names)
        if len(values) == 1:
            yield partition, rest
            return
        yield partition, rest.filter(_matches(rows, value))


def _matches(rows: pa.Table, value: dict[str, Any]) -> pa.ChunkedArray:
    mask = None
    for name, wanted in value.items():
        same = pc.equal(rows[name], pa.scalar(wanted, rows.schema.field(name).type))
        mask = same if mask is None else pc.and_(mask, same)
    return mask


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
