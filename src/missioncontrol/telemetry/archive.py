"""The archive: pings as they were accepted, read back from the table `pings`.

Reads Parquet files a row group at a time, so that memory stays small whatever a file's size; on S3 no more of them is
asked for, and nothing is kept on disk. The body of a sealed row
is handed out as it is kept, unpacked, under no encoding: extraction comes to the same as with the body as sent, and
nothing is compressed or inflated for it. Never writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from missioncontrol.errors import StorageError
from missioncontrol.lake.merge import opened
from missioncontrol.lake.plan import day as partition_day
from missioncontrol.lake.snapshot import FileRef
from missioncontrol.telemetry.submission import Submission

_TEXTS = (
    "namespace", "document_type", "document_version", "document_id", "application", "channel", "version", "build_id",
    "country",
)  # fmt: skip
_COLUMNS = (
    "received_ns",
    *_TEXTS,
    "given_date",
    "headers",
    "encoding",
    "packing",
    "log_offset",
    "discarded",
    "body",
)
_NO_HEADERS = "{}"


_PART_BYTES = 4 * 1024 * 1024


class Part(msgspec.Struct, frozen=True):
    """Row groups of a file of `pings` that are read one after the other."""

    file: FileRef
    groups: tuple[int, ...]
    rows: int
    submission_date: date
    doc_type: str


class Archived(msgspec.Struct, frozen=True, gc=False):
    """A ping of the archive and why it was not counted when it arrived (null: it was)."""

    submission: Submission
    doc_type: str
    """The declared document type that it was filed under, or `other`."""
    discarded: str | None


def parts(file: FileRef) -> list[Part]:
    """The file in parts of about 4 MB on disk. Raises `StorageError` (`lake_file`, `lake_file_gone`)."""
    with _there(file) as parquet:
        metadata = parquet.metadata
    partition = dict(file.partition)
    day, doc_type = partition_day(file.partition), partition["doc_type"]
    found: list[Part] = []
    size = _PART_BYTES
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if size >= _PART_BYTES:
            found.append(Part(file, (), 0, day, doc_type))
            size = 0
        last = found[-1]
        found[-1] = Part(file, (*last.groups, number), last.rows + group.num_rows, day, doc_type)
        size += sum(group.column(i).total_compressed_size for i in range(group.num_columns))
    return found


def read_part(part: Part) -> Iterator[Archived]:
    """The pings of a part; a body lies in the memory of its row group and holds as long as it is looked at."""
    with _there(part.file) as file:
        present = [name for name in _COLUMNS if name in file.schema_arrow.names]
        for number in part.groups:
            yield from _pings(file.read_row_group(number, columns=present, use_threads=False), part)


def _pings(table: pa.Table, part: Part) -> Iterator[Archived]:
    columns = {name: _values(table, name) for name in _COLUMNS}
    day = part.submission_date.strftime("%Y%m%d")
    for received, *texts, given, headers, encoding, packing, offset, discarded, body in zip(
        *columns.values(), strict=True
    ):
        given_day, encoding = day if given is None else given or None, "" if packing else encoding or ""
        submission = Submission(  # type: ignore[call-arg] # the texts are as many as _TEXTS
            received, *texts, given_day, _headers(headers), encoding, body, offset or 0
        )
        yield Archived(submission, part.doc_type, discarded)


@contextmanager
def _there(file: FileRef) -> Iterator[pq.ParquetFile]:
    try:
        with opened(file) as parquet:
            yield parquet
    except FileNotFoundError:
        hint = "It was merged into another one meanwhile. Repeat."
        raise StorageError("lake_file_gone", f"{file.path} is gone.", hint) from None


def _values(table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        return [None] * table.num_rows
    return list(_bodies(table)) if name == "body" else table[name].to_pylist()


def _bodies(table: pa.Table) -> Iterator[memoryview]:
    """The bodies without a copy."""
    for chunk in table["body"].chunks:
        _, offsets, data = chunk.buffers()
        view = (
            memoryview(data).cast("B") if data is not None else memoryview(b"")
        )  # signed bytes equal no others
        ends = memoryview(offsets).cast("i")[chunk.offset : chunk.offset + len(chunk) + 1]
        valid = chunk.is_valid().to_pylist() if chunk.null_count else None
        for row in range(len(chunk)):
            yield view[ends[row] : ends[row + 1]] if valid is None or valid[row] else memoryview(b"")


def _headers(text: str | None) -> tuple[tuple[str, str], ...]:
    return tuple(json.loads(text).items()) if text and text != _NO_HEADERS else ()
