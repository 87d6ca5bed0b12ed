"""A day of a lake's table as pieces that COPY takes, in bounded memory.

Never talks to a server. Rows that are sums are added where their keys are equal, a piece at a time as compaction
does it: a piece is all rows with the same few leading values, so that no key stands in two pieces. Other rows are
read group by group. Raises `StorageError` for a file that cannot be read, `FileNotFoundError` for one that a vacuum
has deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.lake.merge import added, read, readable, slices, summed_columns
from missioncontrol.lake.parquet import conform
from missioncontrol.lake.place import fetch
from missioncontrol.lake.publishing.relation import Relation
from missioncontrol.lake.publishing.texts import csv, json_objects, table_without_nul
from missioncontrol.lake.snapshot import FileRef, Snapshot
from missioncontrol.lake.tables import CRASH_STATS, LakeTable

_AT_ONCE_ROWS = 150_000
"""Rows that are added in one piece; a wide row takes about half a kB of memory."""
_COPY_ROWS = 4_000
"""Rows that are made into CSV at once."""


class Piece(msgspec.Struct, frozen=True):
    """Some rows of a day."""

    csv: bytes
    """Columns in the order of the relation's fields."""
    rows: int
    read_rows: int
    """Rows of the lake that were read for it."""
    repaired_texts: int = 0
    """Texts in which U+FFFD stands for U+0000."""
    stats_left_out: int = 0
    """Values of statistics that have no column."""


def day_pieces(
    table: LakeTable, relation: Relation, snapshot: Snapshot, files: Sequence[FileRef], day: date
) -> Iterator[Piece]:
    """The rows of the files, all of one day, as pieces; rows of equal key added where the table has sums."""
    if table.sums:
        yield from _sums(table, relation, snapshot, files, day)
    else:
        for file in files:
            yield from _maps(file, day)


def _sums(
    table: LakeTable, relation: Relation, snapshot: Snapshot, files: Sequence[FileRef], day: date
) -> Iterator[Piece]:
    fetch(files)
    large = sum(file.rows for file in files) > _AT_ONCE_ROWS
    for condition in slices(table, files, _AT_ONCE_ROWS) if large else [None]:
        rows, read_rows, repaired = _added(table, snapshot, files, condition)
        yield from _pieces(_with_fields(rows, relation, day), read_rows, repaired)


def _added(
    table: LakeTable, snapshot: Snapshot, files: Sequence[FileRef], condition: Any
) -> tuple[pa.Table, int, int]:
    """The rows that pass the condition, one a key; from how many, and how many texts were repaired."""
    found = pa.concat_tables([read(file, condition) for file in files], promote_options="default")
    # Before rows are added: two keys that differ only in what PostgreSQL cannot hold are one there.
    rows, repaired = table_without_nul(conform(table.name, snapshot.columns, found))
    summed = summed_columns(table, snapshot.columns)
    return added(rows, summed, table.sort_by), found.num_rows, repaired


def _pieces(rows: pa.Table, read_rows: int, repaired_texts: int) -> Iterator[Piece]:
    """The rows cut into pieces, the first of which has the counts of all."""
    for start in range(0, rows.num_rows, _COPY_ROWS):
        part = rows.slice(start, _COPY_ROWS)
        yield Piece(csv(part), part.num_rows, read_rows, repaired_texts)
        read_rows = repaired_texts = 0


def _with_fields(rows: pa.Table, relation: Relation, day: date) -> pa.Table:
    """The rows with every field of the relation in its order: the day, and null for what no file has."""
    count = rows.num_rows
    columns = {field.name: rows[field.name] for field in rows.schema}
    columns["submission_date"] = _constant(day, count)
    names = [field.name for field in relation.fields]
    return pa.table({name: columns.get(name, pa.nulls(count)) for name in names})


def _maps(file: FileRef, day: date) -> Iterator[Piece]:
    with readable(file) as path, pq.ParquetFile(path) as opened:
        for batch in opened.iter_batches(_COPY_ROWS, use_threads=False):
            yield _with_maps(batch, day)


def _with_maps(batch: pa.RecordBatch, day: date) -> Piece:
    """Rows of crash_aggregates: the dimensions as JSON, a column for each statistic."""
    stats = batch["stats"]
    dimensions, repaired = json_objects(batch["dimensions"])
    columns = [_constant(day, batch.num_rows), batch["activity_date"], dimensions]
    columns += [pc.map_lookup(stats, pa.scalar(stat), "first") for stat in CRASH_STATS]
    rows = pa.table(columns, ["submission_date", "activity_date", "dimensions", *CRASH_STATS])
    known = pc.sum(pc.is_in(stats.keys, pa.array(CRASH_STATS))).as_py() or 0
    return Piece(csv(rows), batch.num_rows, batch.num_rows, repaired, len(stats.keys) - known)


def _constant(day: date, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(day, pa.date32()), count)
