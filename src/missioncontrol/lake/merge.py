"""How the rows of several files become the rows of one: a pure function of Arrow tables.

Never opens a table and never commits. Rows with equal keys are added, sketches united; every column that is not
summed is a key, also one that the registry has forgotten. Sums of nulls only are null; null is a key value like
any other.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.errors import StorageError
from missioncontrol.lake.parquet import conform, sort
from missioncontrol.lake.place import fetch, source
from missioncontrol.lake.sketches import union
from missioncontrol.lake.snapshot import FileRef
from missioncontrol.lake.tables import Column, LakeTable

_SUM = pc.ScalarAggregateOptions(skip_nulls=True, min_count=1)
_MOST_VALUES = 256
"""Most combinations of leading sort columns to make filters of."""


def summed_columns(table: LakeTable, columns: Sequence[Column]) -> frozenset[str]:
    """Which columns of the Delta table are added: all numbers and sketches that are not keys, declared or not."""
    if not table.sums:
        return frozenset()
    return frozenset(
        c.name for c in columns if c.type in ("int64", "float64", "sketch") and c.name not in table.keys
    )


def merged(table: LakeTable, columns: Sequence[Column], tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of the tables as one sorted table, equal keys added where the lake's table says so."""
    rows = conform(table.name, columns, pa.concat_tables(tables, promote_options="default"))
    return (
        added(rows, summed_columns(table, columns), table.sort_by) if table.sums else sort(table.name, rows)
    )


def added(rows: pa.Table, summed: Collection[str], order: Sequence[str]) -> pa.Table:
    """One row for each distinct value of the columns that are not `summed`, sorted by `order`, then by the rest.

    Takes one column at a time: Arrow's own grouping by text keys needs five times the memory of the rows.
    """
    if not rows.num_rows:
        return rows
    keys = [name for name in rows.column_names if name not in summed]
    order = [name for name in order if name in keys]
    order += [name for name in keys if name not in order]
    permutation = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in order])
    columns = {name: rows[name].take(permutation).combine_chunks() for name in keys}
    first = _first_of_each(columns.values(), rows.num_rows)
    group = pc.cumulative_sum(first.cast(pa.int64()))
    columns = {name: values.filter(first) for name, values in columns.items()}
    for name in rows.column_names:
        if name in summed:
            add = _united if pa.types.is_binary(rows[name].type) else _sums
            columns[name] = add(rows[name].take(permutation), group)
    return pa.table([columns[field.name] for field in rows.schema], schema=rows.schema)


def _sums(values: pa.ChunkedArray, group: pa.Array) -> pa.ChunkedArray:
    """The sum of each group; groups are numbered in order."""
    numbered = pa.table({"group": group, "value": values})
    return numbered.group_by("group", use_threads=False).aggregate([("value", "sum", _SUM)])["value_sum"]


def _united(values: pa.ChunkedArray, group: pa.Array) -> pa.Array:
    """The union of the sketches of each group."""
    pairs = zip(group.to_pylist(), values.to_pylist(), strict=True)
    grouped = itertools.groupby(pairs, operator.itemgetter(0))
    return pa.array([union(sketch for _, sketch in members) for _, members in grouped], values.type)


def _first_of_each(keys: Iterable[pa.Array], rows: int) -> pa.Array:
    """Which of the sorted rows differ from the row before in any key; null equals null."""
    differs = pa.repeat(False, rows - 1)
    for values in keys:
        codes = values.dictionary_encode(null_encoding="encode").indices
        differs = pc.or_(differs, pc.not_equal(codes[1:], codes[:-1]))
    return pa.concat_arrays([pa.array([True]), differs])


def slices(table: LakeTable, files: Sequence[FileRef], at_once_rows: int) -> list[Any]:
    """Filters that cut the rows of the files into pieces to merge one by one, in the order of the table.

    Each row passes exactly one filter, and a piece has at most `at_once_rows` rows unless all of them have
    the same leading sort columns. `[None]`, all rows at once, where there is no good cut.
    """
    for leading in (table.sort_by[:2], table.sort_by[:1]):
        parts = [_columns(file, leading) for file in files]
        if not leading or any(part.num_columns < len(leading) for part in parts):
            continue
        found = pa.concat_tables(parts)
        counted = found.group_by(list(leading), use_threads=False).aggregate([([], "count_all")])
        if counted.num_rows <= _MOST_VALUES:
            ordered = counted.sort_by([(name, "ascending") for name in leading]).to_pylist()
            return [reduce(operator.or_, map(_all_equal, run)) for run in _runs(ordered, at_once_rows)]
    return [None]


def _columns(file: FileRef, names: Sequence[str]) -> pa.Table:
    """Those of the columns that the file has."""
    with readable(file) as path:
        return pq.ParquetFile(path).read(list(names), use_threads=False)


def _runs(counted: list[dict[str, Any]], most_rows: int) -> list[list[dict[str, Any]]]:
    """The values in their order, cut where a run would pass `most_rows`; takes the counts out of them."""
    runs: list[list[dict[str, Any]]] = []
    size = 0
    for value in counted:
        rows = value.pop("count_all")
        if not runs or size + rows > most_rows:
            runs.append([])
            size = 0
        runs[-1].append(value)
        size += rows
    return runs


def read(file: FileRef, condition: Any = None) -> pa.Table:
    """The rows of one file, without partition columns; `condition` picks some of them."""
    with readable(file) as path:
        if condition is None:
            return pq.ParquetFile(path).read(use_threads=False)
        return pq.read_table(path, filters=condition, partitioning=None, use_threads=False)


@contextmanager
def readable(file: FileRef) -> Iterator[str]:
    """The path of a file that is at hand, or made so.

    Raises what goes wrong inside as `StorageError` (`lake_file`) that names the file; a missing one as it is.
    """
    fetch([file])
    with _named(file):
        yield file.path


@contextmanager
def opened(file: FileRef) -> Iterator[pq.ParquetFile]:
    """A file of which some is read: its footer, a column, a row group. On S3 only that is asked for, and not kept.

    Raises as `readable()`, and what S3 refuses.
    """
    with _named(file):
        found = source(file)
        # Columns of a row group lie side by side: one request brings them.
        with pq.ParquetFile(found, pre_buffer=not isinstance(found, str)) as parquet:
            yield parquet


@contextmanager
def _named(file: FileRef) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            "lake_file",
            f"{file.path} cannot be read: {error}",
            "Restore the file from a backup.",
        ) from error


def _all_equal(row: dict[str, Any]) -> Any:
    conditions = [
        pc.field(name).is_null() if value is None else pc.field(name) == value for name, value in row.items()
    ]
    return reduce(operator.and_, conditions)
