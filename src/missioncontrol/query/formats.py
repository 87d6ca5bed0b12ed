"""Writers of answers: JSON, NDJSON, CSV, Parquet, Arrow and a table for the terminal.

Rows go from the query to the sink batch by batch, so memory is bounded by a batch and not by the answer.
Arrow is imported only for the formats that need it.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Literal

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.query.plain import ENCODER, Convert, json_converters, text_converters
from missioncontrol.query.rows import ResultColumn, Rows

Format = Literal["json", "ndjson", "csv", "parquet", "arrow", "table"]
Envelope = Literal["list", "results", "columns"]
"""JSON as a bare list, as `{"results", "complete"}`, or as `{"columns", "results", "complete"}`."""

MEDIA_TYPES = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "table": "text/plain; charset=utf-8",
}
TYPED_FORMATS = frozenset({"parquet", "arrow"})
TABLE_ROWS = 1000


def write(rows: Rows, form: str, sink: BinaryIO, envelope: Envelope = "list") -> None:
    """Write all rows to the sink; `rows.complete` and `rows.count` are final afterwards.

    Raises what reading rows raises, and `BadRequest` (`not_in_format`) for a type that the format cannot
    hold.
    """
    if form == "json":
        _write_json(rows, sink, envelope)
    elif form == "ndjson":
        for chunk in _objects(rows):
            sink.write(ENCODER.encode_lines(chunk))
    elif form == "csv":
        _write_csv(rows, sink)
    elif form == "table":
        _write_table(rows, sink)
    else:
        _write_arrow(rows, sink, form)


def unique_names(columns: Sequence[ResultColumn]) -> list[str]:
    """Names of the columns; a repeated one gets a number, so that no value hides another."""
    names: list[str] = []
    for column in columns:
        numbered = (f"{column.name}_{i}" for i in itertools.count(1))
        name = column.name
        while name in names:
            name = next(numbered)
        names.append(name)
    return names


def _converted(rows: Rows, changes: Sequence[tuple[int, Convert]]) -> Iterator[list[Sequence[Any]]]:
    for batch in rows.batches():
        yield [_convert(row, changes) for row in batch] if changes else list(batch)


def _convert(row: Sequence[Any], changes: Sequence[tuple[int, Convert]]) -> Sequence[Any]:
    values = list(row)
    for i, convert in changes:
        values[i] = convert(values[i])
    return values


def _objects(rows: Rows) -> Iterator[list[Any]]:
    row_object = _row_object(unique_names(rows.columns))
    for batch in _converted(rows, json_converters(rows.columns)):
        yield list(itertools.starmap(row_object, batch))


def _row_object(names: Sequence[str]) -> Callable[..., Any]:
    """Makes of a row what is written as an object. Structs are written twice as fast as dicts."""
    fields = {f"f{number}": name for number, name in enumerate(names)}
    try:
        return msgspec.defstruct("Row", [(field, Any) for field in fields], rename=fields, gc=False)
    except ValueError:  # a name that JSON writes with escapes
        return lambda *row: dict(zip(names, row, strict=True))


def _write_json(rows: Rows, sink: BinaryIO, envelope: Envelope) -> None:
    if envelope == "columns":
        named = zip(rows.columns, unique_names(rows.columns), strict=True)
        columns = [msgspec.structs.replace(c, name=name) for c, name in named]
        sink.write(b'{"columns":' + ENCODER.encode(columns) + b',"results":[')
    else:
        sink.write(b"[" if envelope == "list" else b'{"results":[')
    separator = b""
    for chunk in _objects(rows):
        sink.write(separator + ENCODER.encode(chunk)[1:-1])
        separator = b","
    sink.write(b"]\n" if envelope == "list" else b"]")
    if envelope != "list":
        cut = b"" if rows.complete else b',"limit":' + str(rows.limit).encode()
        sink.write(b',"complete":' + (b"true" if rows.complete else b"false") + cut + b"}")


def _write_csv(rows: Rows, sink: BinaryIO) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(unique_names(rows.columns))
    for batch in _converted(rows, text_converters(rows.columns)):
        writer.writerows(batch)
        sink.write(buffer.getvalue().encode("utf-8", "replace"))
        buffer.seek(0)
        buffer.truncate()
    sink.write(buffer.getvalue().encode("utf-8", "replace"))


def _write_arrow(rows: Rows, sink: BinaryIO, form: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, batches = rows.arrow()
    names = unique_names([ResultColumn(n, "") for n in schema.names])
    schema = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
    try:
        if form == "arrow":
            opened = pa.ipc.new_stream(sink, schema)
        else:
            opened = pq.ParquetWriter(sink, schema, compression="zstd")
        with opened as writer:
            for batch in batches:
                writer.write_batch(batch.rename_columns(names))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        hint = "Cast the column to another type, or ask for json or csv."
        raise BadRequest("not_in_format", f"{form} cannot hold this answer: {error}", hint) from None


def _write_table(rows: Rows, sink: BinaryIO) -> None:
    """The first rows as a table. Its widths need all rows, so it ends at `TABLE_ROWS`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    numeric = {"int64", "float64", "BIGINT", "HUGEINT", "INTEGER", "DOUBLE", "FLOAT"}
    for column, name in zip(rows.columns, unique_names(rows.columns), strict=True):
        table.add_column(Text(name), justify="right" if column.type in numeric else "left", no_wrap=True)
    shown = 0
    batches = _converted(rows, text_converters(rows.columns))
    for row in itertools.islice(itertools.chain.from_iterable(batches), TABLE_ROWS):
        table.add_row(*(Text("" if v is None else str(v)) for v in row))
        shown += 1
    text = io.StringIO()
    # As wide as its columns are: a terminal or pager wraps or scrolls, and no value is cut.
    console = Console(file=text, width=1_000_000, force_terminal=False)
    console.print(table)
    if shown == TABLE_ROWS:
        console.print(
            f"The first {TABLE_ROWS} rows. All of them: --format csv, json, ndjson, parquet or arrow."
        )
    sink.write(text.getvalue().encode())
