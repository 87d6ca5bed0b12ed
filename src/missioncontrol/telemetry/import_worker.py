"""A worker process of the import: decodes blocks of lines, hears which are duplicates, stages the rows.

The parent decides on duplicates, in the order of the blocks, and commits; the worker only ever writes staged files,
which nobody sees before the parent's commit. Sums of several blocks that are committed together are staged together:
a file a table for each block would cost a quarter of the work.
"""

from __future__ import annotations

import gc
from multiprocessing.connection import Connection

import msgspec

from missioncontrol.clock import system_clock
from missioncontrol.config import Config
from missioncontrol.lake.writer import LakeWriter, StagedFile
from missioncontrol.registry import Registry
from missioncontrol.telemetry.batch import Batch
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.import_blocks import LineReader, Piece
from missioncontrol.telemetry.import_lines import read_line, read_receipt
from missioncontrol.telemetry.import_order import receipts
from missioncontrol.telemetry.submission import Submission


class Look(msgspec.Struct, frozen=True):
    """Asks for the receipts of a block."""

    pieces: list[Piece]


class Work(msgspec.Struct, frozen=True):
    """Asks to take a block; of the lines `later` (their indexes) an earlier copy is in the import.

    With `stage`, the rows of this block and of those before it are staged.
    """

    pieces: list[Piece]
    later: frozenset[int]
    stage: bool


class Identities(msgspec.Struct, frozen=True):
    """The document ids of a block, each once."""

    ids: list[str]


class Staged(msgspec.Struct, frozen=True):
    """Staged files by table, and what became of the lines of one block."""

    files: dict[str, list[StagedFile]]
    counted: int = 0
    discarded: int = 0
    duplicates: int = 0


def run(connection: Connection, config: Config, registry: Registry) -> None:
    """Serve the parent until it closes the connection.

    `Look` is answered with `Receipts`; `Work` with `Identities`, then, given which of them are duplicates, `Staged`;
    None, which asks to stage what is left, with `Staged`.
    """
    extractor, writer = Extractor(registry), LakeWriter(config.lake_place)
    writer.ensure(registry)
    # Batches make many objects and no cycles: looking for those too often costs a tenth of the work.
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    reader, batch = LineReader(), Batch(extractor, config)
    while True:
        try:
            asked: Look | Work | None = connection.recv()
        except EOFError:
            return
        if isinstance(asked, Look):
            now_ns = system_clock()
            connection.send(receipts(read_receipt(line, now_ns) for line in reader.lines(asked.pieces)))
            continue
        staged = _take(connection, asked, reader, batch) if asked else Staged({})
        is_due = asked is None or asked.stage
        # Bodies do not wait for the sums: they would fill the memory.
        tables = batch.tables() if is_due else batch.bodies()
        files = {name: writer.stage(name, data) for name, data in tables.items()}
        connection.send(msgspec.structs.replace(staged, files=files))
        if is_due:
            batch = Batch(extractor, config)


def _take(connection: Connection, work: Work, reader: LineReader, batch: Batch) -> Staged:
    """Add the lines of a block to the batch, once the parent has said which are duplicates; no files yet."""
    now_ns = system_clock()
    counted, discarded, duplicates = batch.counted, batch.discarded, 0
    lines = [read_line(line, now_ns) for line in reader.lines(work.pieces)]
    first = _first_received(lines, work.later)
    connection.send(Identities(list(first)))
    known = dict(zip(first, connection.recv(), strict=True))
    for index, (submission, refused) in enumerate(lines):
        identity = submission.document_id.lower()
        if refused is not None:
            batch.refuse(submission, refused)
        elif identity and (first.get(identity) != index or known[identity]):
            duplicates += 1
            batch.discard(submission.received_ns, "duplicate")
        else:
            batch.add(submission)
    return Staged({}, batch.counted - counted, batch.discarded - discarded, duplicates)


def _first_received(lines: list[tuple[Submission, Discard | None]], later: frozenset[int]) -> dict[str, int]:
    """For each document id of which no earlier copy is elsewhere, the index of the line received first."""
    first: dict[str, int] = {}
    for index, (submission, refused) in enumerate(lines):
        identity = submission.document_id.lower()
        if refused is None and identity and index not in later:
            best = first.setdefault(identity, index)
            if submission.received_ns < lines[best][0].received_ns:
                first[identity] = index
    return first
