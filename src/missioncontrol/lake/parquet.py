"""How a Parquet file of the lake is written: sorted, zstd, with statistics and without its partition columns.

Never commits anything and never reads a file. Flow: Arrow table -> one file a partition -> `StagedFile`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import StagedFile, discard
from missioncontrol.lake.delta import storage_error
from missioncontrol.lake.tables import SHAPES, Column, Type

FRESH_LEVEL = 1
"""zstd level of files that compaction will soon read again."""
COMPACTED_LEVEL = 3
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
}


class _Stats(msgspec.Struct, rename="camel"):
    num_records: int
    min_values: dict[str, str]
    max_values: dict[str, str]
    null_count: dict[str, int]


def write_partitions(
    lake_path: Path, table: str, columns: Sequence[Column], data: pa.Table, level: int = FRESH_LEVEL
) -> list[StagedFile]:
    """Write the rows as one sorted file a partition; all of them or, after an error, none."""
    rows = conform(table, columns, data)
    staged: list[StagedFile] = []
    try:
        for partition, part in _split(rows, partition_by(table)):
            staged.append(write_file(lake_path, table, partition, part, level))
    except BaseException:
        discard(lake_path, staged)
        raise
    return staged


def write_file(
    lake_path: Path, table: str, partition: tuple[tuple[str, str], ...], rows: pa.Table, level: int
) -> StagedFile:
    """Write rows of one partition, without its columns, as one sorted file; after an error none is left."""
    path = new_path(partition)
    full = lake_path / table / path
    try:
        full.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(sort(table, rows), full, level)
        size_bytes = full.stat().st_size
    except (OSError, pa.ArrowException) as error:
        full.unlink(missing_ok=True)
        raise storage_error(error, lake_path / table) from error
    except BaseException:
        full.unlink(missing_ok=True)
        raise
    return StagedFile(table, path, partition, size_bytes, rows.num_rows, stats(rows))


def write_parquet(rows: pa.Table, path: Path, level: int) -> None:
    """Write one Parquet file; the size of its row groups follows from the width of the rows."""
    binary = [f.name for f in rows.schema if pa.types.is_binary(f.type)]
    narrow = [f.name for f in rows.schema if f.name not in binary]
    group = _GROUP_ROWS
    if binary and rows.num_rows:
        group = max(100, min(group, _GROUP_BODY_BYTES * rows.num_rows // max(1, rows.nbytes)))
    pq.write_table(
        rows,
        path,
        compression="zstd",
        compression_level=level,
        row_group_size=group,
        use_dictionary=narrow,
        write_statistics=narrow,
    )


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


def new_path(partition: tuple[tuple[str, str], ...]) -> str:
    """A path that no file ever had, relative to the folder of the table."""
    folders = [f"{name}={_safe(value)}/" for name, value in partition]
    return f"{''.join(folders)}part-{uuid.uuid4().hex}.parquet"


def stats(rows: pa.Table) -> str:
    """Delta's statistics as JSON text: number of rows, smallest and largest value of each timestamp."""
    low: dict[str, str] = {}
    high: dict[str, str] = {}
    for field in rows.schema:
        if pa.types.is_timestamp(field.type):
            ends = pc.min_max(rows[field.name]).as_py()
            if ends["min"] is not None:
                low[field.name], high[field.name] = _instant(ends["min"]), _instant(ends["max"])
    return msgspec.json.encode(_Stats(rows.num_rows, low, high, {})).decode()


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


def _safe(value: str) -> str:
    """Only the log says what the value is; the folder's name is for people and plain readers."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in value)
