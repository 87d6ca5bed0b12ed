"""`import aggregates`: 5-minute rows from elsewhere (NDJSON, CSV, Parquet; .gz too) -> a table of the lake.

A file becomes visible whole or not at all. The same content is taken once: its digest is the application
transaction, so that importing it again adds nothing.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from missioncontrol.clock import WINDOW_S
from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import Column, LakeTable, lake_tables
from missioncontrol.lake.writer import LakeWriter, StagedFile
from missioncontrol.registry import Registry

IMPORTABLE = (
    "error_aggregates", "experiment_aggregates", "usage_by_activity", "crashes_by_activity", "discards",
)  # fmt: skip
_OF_ACTIVITY = ("usage_by_activity", "crashes_by_activity")
_EXPERIMENT = {"experiment_id", "experiment_branch"}
_DERIVED = {"window_end", "submission_date_s3"}
"""Columns of the published views that follow from others; passed over."""
_COUNTED_ELSEWHERE = {"count", "starts"}
"""Pings of a row of activity and the sessions begun in it, where the table has no such column; passed over."""
_INTERVALS = {
    "arrival": (("arrival_window", WINDOW_S), ("arrival_hour", 3600)),
    "activity": (("activity_hour", 3600),),
}
"""Column of time -> names that say its length too; the first that a row has counts."""
_STAGE_ROWS = 500_000
_JSON_ROWS = 20_000
_TYPES: dict[str, pa.DataType] = {
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
}


class AggregatesReport(msgspec.Struct, frozen=True):
    """Rows imported from one file; `already` when its content was imported before (then no rows)."""

    rows: int
    already: bool


def import_aggregates(registry: Registry, writer: LakeWriter, table: str, path: Path) -> AggregatesReport:
    """Append one file to a table. Raises `BadRequest` naming file and column for what does not fit."""
    if table not in IMPORTABLE:
        hint = f"Tables: {', '.join(IMPORTABLE)}."
        raise BadRequest("import_table", f"Rows cannot be imported into `{table}`.", hint)
    if not path.is_file():
        raise BadRequest("import_missing", f"There is no file {path}.")
    writer.ensure(registry)
    app = f"import:{_digest(path)}"
    if writer.committed(table, app):
        return AggregatesReport(0, True)
    shape = lake_tables(registry)[table]
    staged: list[StagedFile] = []
    rows = 0
    for part in _parts(path, shape):
        staged += writer.stage(table, _conform(part, shape, path))
        rows += part.num_rows
    writer.commit(table, staged, app, 1)
    return AggregatesReport(rows, False)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _parts(path: Path, shape: LakeTable) -> Iterator[pa.Table]:
    """The rows of a file, some hundred thousand at a time."""
    kinds = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    kind = kinds[-1] if kinds else ""
    try:
        if kind == ".parquet":
            with pq.ParquetFile(path) as file:
                yield from (pa.Table.from_batches([b]) for b in file.iter_batches(_STAGE_ROWS))
            return
        with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
            if kind == ".csv":
                yield from _gathered(pyarrow.csv.open_csv(stream, convert_options=_csv_options(shape)))
            elif kind in (".ndjson", ".json", ".jsonl"):
                yield from _gathered(_json_tables(stream))
            else:
                hint = "Names end in .ndjson, .json, .jsonl, .csv or .parquet, each also with .gz."
                raise BadRequest("import_format", f"{path}: unknown format `{path.name}`.", hint)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise BadRequest("import_unreadable", f"{path}: {error}", "Nothing of it was imported.") from None


def _csv_options(shape: LakeTable) -> pyarrow.csv.ConvertOptions:
    """Everything as text, cast later: types guessed from the first rows would refuse what comes after them.

    Arrow's own list of nulls has `NA`, which is Namibia.
    """
    names = [*(c.name for c in shape.columns), *_DERIVED, *_EXPERIMENT]
    return pyarrow.csv.ConvertOptions(
        strings_can_be_null=True,
        null_values=["", "null", "NULL", "\\N", "NaN", "nan"],
        column_types={n: pa.string() for n in names},
    )


def _json_tables(stream: Any) -> Iterator[pa.Table]:
    """Some rows at a time; a column may come late, be null for long, or hold whole numbers and others.

    Arrow's own reader knows only the columns and types of the first block.
    """
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    lines = enumerate(io.BufferedReader(stream), 1)
    while part := list(itertools.islice(lines, _JSON_ROWS)):
        rows = [_json_row(decode, number, line) for number, line in part if not line.isspace()]
        names = dict.fromkeys(name for row in rows for name in row)
        yield pa.table({name: _json_column(name, rows) for name in names})


def _json_row(decode: Callable[[bytes], dict[str, Any]], number: int, line: bytes) -> dict[str, Any]:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise pa.ArrowInvalid(f"line {number}: {error}") from None


def _json_column(name: str, rows: list[dict[str, Any]]) -> pa.Array:
    try:
        return pa.array([row.get(name) for row in rows])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise pa.ArrowInvalid(f"column `{name}`: {error}") from None


def _gathered(batches: Any) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    rows = 0
    for batch in batches:
        waiting.append(batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch]))
        rows += batch.num_rows
        if rows >= _STAGE_ROWS:
            yield pa.concat_tables(waiting, promote_options="permissive")
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting, promote_options="permissive")


def _conform(part: pa.Table, shape: LakeTable, path: Path) -> pa.Table:
    known = {c.name: c for c in shape.columns}
    of_activity = shape.name in _OF_ACTIVITY
    passed_over = _DERIVED | (_COUNTED_ELSEWHERE if of_activity else set())
    if of_activity:
        part = _with_intervals(part, known, path)
    for name in part.column_names:
        if name in _EXPERIMENT - known.keys():
            _refuse_experiments(part[name], name, path)
        elif name not in known and name not in passed_over:
            close = difflib.get_close_matches(name, list(known), 1)
            hint = f"Did you mean `{close[0]}`?" if close else f"Columns: {', '.join(known)}."
            raise BadRequest("import_column", f"{path}: table {shape.name} has no column `{name}`.", hint)
    time = "window_start" if "window_start" in known else "arrival"
    if time not in part.column_names:
        raise BadRequest("import_column", f"{path}: column `{time}` is missing.", "Times are ISO 8601, UTC.")
    columns = {n: _cast(part[n], known[n], path) for n in part.column_names if n in known}
    if columns[time].null_count:
        raise BadRequest("import_value", f"{path}: `{time}` is empty in {columns[time].null_count} rows.")
    if time == "window_start" and _off_grid(columns[time]):
        hint = "Windows are 5 minutes long and start at whole multiples of 5 minutes (UTC)."
        raise BadRequest("import_value", f"{path}: `{time}` is not the start of a window in every row.", hint)
    columns["submission_date"] = columns[time].cast(pa.date32())
    return pa.table(columns)


def _with_intervals(part: pa.Table, known: dict[str, Column], path: Path) -> pa.Table:
    """`arrival_hour`, `arrival_window` and `activity_hour` as start and length of their interval."""
    for time, names in _INTERVALS.items():
        for name, length_s in names:
            if name not in part.column_names:
                continue
            given = _cast(part[name], known[time], path)
            lengths = pc.if_else(pc.is_valid(given), length_s, pa.scalar(None, pa.int64()))
            part = part.drop_columns([name])
            part = _filled(_filled(part, time, given, known, path), f"{time}_length_s", lengths, known, path)
    return part


def _filled(
    part: pa.Table, name: str, values: pa.ChunkedArray, known: dict[str, Column], path: Path
) -> pa.Table:
    """The column with these values wherever it has none."""
    if name not in part.column_names:
        return part.append_column(name, values)
    both = pc.coalesce(_cast(part[name], known[name], path), values)
    return part.set_column(part.column_names.index(name), name, both)


def _refuse_experiments(values: pa.ChunkedArray, name: str, path: Path) -> None:
    """The predecessor's table repeats each ping for its experiments; those rows would count twice."""
    if values.null_count < len(values):
        hint = (
            "Import the rows without experiment only; those with one go into --table experiment_aggregates."
        )
        raise BadRequest(
            "import_value", f"{path}: `{name}` has values, which are no population totals.", hint
        )


def _off_grid(times: pa.ChunkedArray) -> bool:
    floor = pc.floor_temporal(times, WINDOW_S // 60, "minute")
    return bool(pc.any(pc.not_equal(floor, times)).as_py())


def _cast(values: pa.ChunkedArray, column: Column, path: Path) -> pa.ChunkedArray:
    kind = _TYPES[column.type]
    try:
        if column.type == "timestamp" and pa.types.is_timestamp(values.type) and values.type.tz is None:
            values = pc.assume_timezone(values, "UTC")
        elif column.type == "timestamp" and pa.types.is_string(values.type):
            values = _instants(values)
        elif column.type == "date" and pa.types.is_string(values.type):
            return pa.chunked_array([pa.nulls(len(values), pa.date32())])
        elif column.type == "int64" and pa.types.is_string(values.type):
            values = values.cast(pa.float64())  # some writers give whole numbers a fraction of .0
        cast = values.cast(kind)
        if column.type == "float64" and not pc.all(pc.is_finite(cast)).as_py():
            raise BadRequest("import_value", f"{path}: column `{column.name}` holds NaN or infinity.")
        return cast
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadRequest("import_value", f"{path}: column `{column.name}`: {error}") from None


def _instants(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 text to instants; text without a zone is UTC."""
    zoned = pc.match_substring_regex(values, r"(Z|[+-]\d\d:?\d\d)$")
    text = pc.if_else(zoned, values, pc.binary_join_element_wise(values, "Z", ""))
    return text.cast(pa.timestamp("us", "UTC"))
