"""Archived pings as submissions again: files of the table `pings` -> what extraction takes.

The body of a sealed row is handed out as it is kept, unpacked, under no encoding: extraction comes to the same
fact or discard as it did with the body as sent, and nothing is compressed or inflated for it. Never commits and
never decides what a day consists of. Holds one row group at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from missioncontrol.lake.merge import readable
from missioncontrol.lake.snapshot import FileRef
from missioncontrol.telemetry.submission import Submission

_COLUMNS = (
    "received_ns", "namespace", "document_type", "document_version", "document_id", "application", "channel",
    "version", "build_id", "country", "headers", "encoding", "log_offset", "discarded", "packing",
)  # fmt: skip


class Archived(msgspec.Struct, frozen=True, gc=False):
    """A row of the archive."""

    submission: Submission
    """Its body is a part of memory that is used again: whoever keeps it copies it."""
    doc_type: str
    """The declared document type that it was filed under, or `other`."""
    discarded: str | None
    """Why it was not counted; None: it was."""


def read_archive(file: FileRef) -> Iterator[Archived]:
    """The rows of one file, in its order, bodies without a copy.

    Raises `FileNotFoundError` when the file is gone (take a new snapshot) and `StorageError` (`lake_file`).
    """
    where = dict(file.partition)
    day, doc_type = where["submission_date"].replace("-", ""), where["doc_type"]
    with readable(file.path), pq.ParquetFile(file.path) as parquet:
        present = set(parquet.schema_arrow.names)
        names = [name for name in (*_COLUMNS, "body") if name in present]
        for number in range(parquet.num_row_groups):
            rows = parquet.read_row_group(number, columns=names, use_threads=False)
            for row, body in zip(_rows(rows), _bodies(rows["body"]), strict=True):
                yield Archived(_submission(row, body, day), doc_type, row["discarded"])


def _rows(rows: pa.Table) -> Iterator[dict[str, Any]]:
    missing = dict.fromkeys(_COLUMNS)
    for row in rows.drop_columns(["body"]).to_pylist():
        yield {**missing, **row}


def _bodies(column: pa.ChunkedArray) -> Iterator[memoryview]:
    for body in column:
        buffer = body.as_buffer()
        yield memoryview(b"") if buffer is None else memoryview(buffer).cast("B")


def _submission(row: dict[str, Any], body: memoryview, day: str) -> Submission:
    return Submission(
        received_ns=row["received_ns"],
        namespace=row["namespace"] or "",
        document_type=row["document_type"] or "",
        document_version=row["document_version"] or "",
        document_id=row["document_id"] or "",
        application=row["application"],
        channel=row["channel"],
        version=row["version"],
        build_id=row["build_id"],
        country=row["country"],
        submission_date=day,
        headers=tuple(json.loads(row["headers"] or "{}").items()),
        encoding="" if row["packing"] is not None else row["encoding"] or "",
        body=body,
        log_offset=row["log_offset"] or 0,
    )
