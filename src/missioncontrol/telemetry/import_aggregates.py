"""`import aggregates`: 5-minute rows from elsewhere (NDJSON, CSV, Parquet; .gz too) -> a table of the lake.

A file becomes visible whole or not at all. The same content is taken once: its digest is the application
transaction, so that importing it again adds nothing.
"""

from __future__ import annotations

import difflib
import hashlib
import io
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
from missioncontrol.telemetry.import_values import WRITE_AS_TEXT, Place, conformed

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
_BATCH_ROWS = 20_000
_LONGEST_LINE = 1 << 20
_BLOCK_BYTES = 1 << 25
_LONGEST_ERROR = 300


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
    try:
        for part in _gathered(_conformed(path, shape)):
            staged += writer.stage(table, part)
            rows += part.num_rows
    except BaseException:
        writer.discard(staged)
        raise
    writer.commit(table, staged, app, 1)
    return AggregatesReport(rows, False)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _conformed(path: Path, shape: LakeTable) -> Iterator[pa.Table]:
    """The rows of a file as the table has them, some thousands at a time."""
    rows = 0
    for part in _parts(path, shape):
        yield _conform(part, shape, Place(path, rows))
        rows += part.num_rows


def _parts(path: Path, shape: LakeTable) -> Iterator[pa.Table]:
    """The rows of a file as they are written there, some thousands at a time."""
    kinds = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    kind = kinds[-1] if kinds else ""
    try:
        if kind == ".parquet":
            with pq.ParquetFile(path) as file:
                yield from (pa.Table.from_batches([b]) for b in file.iter_batches(_BATCH_ROWS))
            return
        packed = path.suffix.lower() == ".gz"
        with pa.input_stream(str(path), compression="gzip" if packed else None) as stream:
            if kind == ".csv":
                yield from _csv_tables(stream, path, shape)
            elif kind in (".ndjson", ".json", ".jsonl"):
                yield from _json_tables(stream, path, {c.name for c in shape.columns if c.type == "string"})
            else:
                hint = "Names end in .ndjson, .json, .jsonl or .csv, each also with .gz, or in .parquet."
                raise BadRequest("import_format", f"{path}: unknown format `{path.name}`.", hint)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        # What it quotes of the file may be anything, also what a terminal obeys.
        said = "".join(
            c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(error)[:_LONGEST_ERROR]
        )
        raise BadRequest("import_unreadable", f"{path}: {said}", "Nothing of it was imported.") from None


def _csv_tables(stream: Any, path: Path, shape: LakeTable) -> Iterator[pa.Table]:
    """Some rows at a time; a quote that is not closed is refused: it takes the rows after it for its text."""
    before = 0
    for batch in pyarrow.csv.open_csv(stream, convert_options=_csv_options(shape)):
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            broken = pc.index(pc.match_substring(values.cast(pa.string()), "\n"), True).as_py()
            if broken >= 0:
                hint = "Is a quote not closed? A value must end on the line where it begins."
                raise Place(path, before).wrong(
                    name, broken, values[broken].as_py(), "has a line break", hint
                )
        yield pa.Table.from_batches([batch])
        before += batch.num_rows


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


def _json_tables(stream: Any, path: Path, texts: set[str]) -> Iterator[pa.Table]:
    """Some rows at a time; a column may come late, be null for long, or hold whole numbers and others.

    Arrow's own reader knows only the columns and types of the first block. texts: names of the columns of text.
    """
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    before = 0
    for part in _blocks(io.BufferedReader(stream)):
        rows = [_json_row(decode, number, line) for number, line in part]
        names = dict.fromkeys(name for row in rows for name in row)
        place = Place(path, before)
        yield pa.table({n: _json_column(n, [row.get(n) for row in rows], n in texts, place) for n in names})
        before += len(rows)


def _blocks(stream: io.BufferedReader) -> Iterator[list[tuple[int, bytes]]]:
    """Lines with their numbers, but for empty ones, as many at a time as memory holds, however small they pack."""
    block: list[tuple[int, bytes]] = []
    size = 0
    lines = iter(lambda: stream.readline(_LONGEST_LINE + 1), b"")
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST_LINE:
            raise pa.ArrowInvalid(f"line {number} is longer than {_LONGEST_LINE:,} bytes")
        if line.isspace():
            continue
        block.append((number, line))
        size += len(line)
        if len(block) == _BATCH_ROWS or size > _BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _json_row(decode: Callable[[bytes], dict[str, Any]], number: int, line: bytes) -> dict[str, Any]:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise pa.ArrowInvalid(f"line {number}: {error}") from None


def _json_column(name: str, values: list[Any], of_text: bool, place: Place) -> pa.Array:
    """Values as they are; as texts where their types differ, so that each is judged by itself."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        odd = next((row for row, v in enumerate(values) if isinstance(v, float | bool)), None)
        if of_text and odd is not None:
            raise place.wrong(name, odd, values[odd], "cannot be a text", WRITE_AS_TEXT) from None
        return pa.array([v if v is None or isinstance(v, str) else str(v) for v in values], pa.string())
    except UnicodeEncodeError:
        raise pa.ArrowInvalid(f"column `{name}`: a text holds half a character") from None


def _gathered(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Some hundred thousand rows at a time."""
    waiting: list[pa.Table] = []
    rows = 0
    for part in parts:
        waiting.append(part)
        rows += part.num_rows
        if rows >= _STAGE_ROWS:
            yield pa.concat_tables(waiting, promote_options="default")
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting, promote_options="default")


def _conform(part: pa.Table, shape: LakeTable, place: Place) -> pa.Table:
    known = {c.name: c for c in shape.columns}
    of_activity = shape.name in _OF_ACTIVITY
    passed_over = _DERIVED | (_COUNTED_ELSEWHERE if of_activity else set())
    twice = next((n for n in part.column_names if part.column_names.count(n) > 1), None)
    if twice is not None:
        raise BadRequest("import_column", f"{place.path}: there are several columns `{twice}`.")
    if of_activity:
        part = _with_intervals(part, known, place)
    for name in part.column_names:
        if name in _EXPERIMENT - known.keys():
            _refuse_experiments(part[name], name, place)
        elif name not in known and name not in passed_over:
            close = difflib.get_close_matches(name, list(known), 1)
            hint = f"Did you mean `{close[0]}`?" if close else f"Columns: {', '.join(known)}."
            raise BadRequest(
                "import_column", f"{place.path}: table {shape.name} has no column {name[:80]!r}.", hint
            )
    time = "window_start" if "window_start" in known else "arrival"
    if time not in part.column_names:
        raise BadRequest(
            "import_column", f"{place.path}: column `{time}` is missing.", "Times are ISO 8601, UTC."
        )
    columns = {n: conformed(part[n], known[n], place) for n in part.column_names if n in known}
    empty = pc.index(pc.is_null(columns[time]), True).as_py()
    if empty >= 0:
        message = f"{place.path}: row {place.before + empty + 1:,}: `{time}` is empty."
        raise BadRequest("import_value", message, "Every row has one: ISO 8601, UTC.")
    columns["submission_date"] = columns[time].cast(pa.date32())
    return pa.table(columns)


def _with_intervals(part: pa.Table, known: dict[str, Column], place: Place) -> pa.Table:
    """`arrival_hour`, `arrival_window` and `activity_hour` as start and length of their interval."""
    for time, names in _INTERVALS.items():
        for name, length_s in names:
            if name not in part.column_names:
                continue
            given = conformed(part[name], known[time], place, name)
            lengths = pc.if_else(pc.is_valid(given), length_s, pa.scalar(None, pa.int64()))
            part = part.drop_columns([name])
            part = _filled(part, known[time], given, place)
            part = _filled(part, known[f"{time}_length_s"], lengths, place)
    return part


def _filled(part: pa.Table, column: Column, values: pa.ChunkedArray, place: Place) -> pa.Table:
    """The column with these values wherever it has none."""
    if column.name not in part.column_names:
        return part.append_column(column.name, values)
    both = pc.coalesce(conformed(part[column.name], column, place), values)
    return part.set_column(part.column_names.index(column.name), column.name, both)


def _refuse_experiments(values: pa.ChunkedArray, name: str, place: Place) -> None:
    """The predecessor's table repeats each ping for its experiments; those rows would count twice."""
    if values.null_count < len(values):
        hint = (
            "Import the rows without experiment only; those with one go into --table experiment_aggregates."
        )
        raise BadRequest(
            "import_value", f"{place.path}: `{name}` has values, which are no population totals.", hint
        )
