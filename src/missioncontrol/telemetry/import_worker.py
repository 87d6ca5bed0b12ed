"""A worker process of the import: decodes a block of lines, waits to hear which are duplicates, stages its rows.

The parent decides on duplicates, in the order of the blocks, and commits; the worker only ever writes staged files,
which nobody sees before the parent's commit.
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
from missioncontrol.telemetry.import_blocks import Piece, ends_of, lines_of
from missioncontrol.telemetry.import_lines import LONGEST_META, read_line, read_receipt
from missioncontrol.telemetry.import_order import receipts
from missioncontrol.telemetry.submission import Submission


class Look(msgspec.Struct, frozen=True):
    """Asks for the receipts of a block."""

    pieces: list[Piece]


class Work(msgspec.Struct, frozen=True):
    """Asks to stage a block; of the lines `later` (their indexes) an earlier copy is in the import."""

    pieces: list[Piece]
    later: frozenset[int]


class Identities(msgspec.Struct, frozen=True):
    """The document ids of a block, each once."""

    ids: list[str]


class Staged(msgspec.Struct, frozen=True):
    """What a block became: staged files by table, and counts of lines."""

    files: dict[str, list[StagedFile]]
    counted: int
    discarded: int
    duplicates: int


def run(connection: Connection, config: Config, registry: Registry) -> None:
    """Serve the parent until it closes the connection.

    `Look` is answered with `Receipts`; `Work` with `Identities`, then, given which of them are duplicates, `Staged`.
    """
    extractor, writer = Extractor(registry), LakeWriter(config.lake_path)
    writer.ensure(registry)
    # Batches make many objects and no cycles: looking for those too often costs a tenth of the work.
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    while True:
        try:
            asked: Look | Work = connection.recv()
        except EOFError:
            return
        now_ns = system_clock()
        if isinstance(asked, Look):
            ends = ends_of(asked.pieces, LONGEST_META)
            connection.send(receipts(read_receipt(tail, whole, now_ns) for tail, whole in ends))
            continue
        lines = [read_line(line, now_ns) for line in lines_of(asked.pieces)]
        first = _first_received(lines, asked.later)
        connection.send(Identities(list(first)))
        known = dict(zip(first, connection.recv(), strict=True))
        connection.send(_stage(lines, first, known, Batch(extractor, config), writer))


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


def _stage(
    lines: list[tuple[Submission, Discard | None]],
    first: dict[str, int],
    known: dict[str, bool],
    batch: Batch,
    writer: LakeWriter,
) -> Staged:
    duplicates = 0
    for index, (submission, refused) in enumerate(lines):
        identity = submission.document_id.lower()
        if refused is not None:
            batch.refuse(submission, refused)
        elif identity and (first.get(identity) != index or known[identity]):
            duplicates += 1
            batch.discard(submission.received_ns, "duplicate")
        else:
            batch.add(submission)
    files = {name: writer.stage(name, data) for name, data in batch.tables().items()}
    return Staged(files, batch.counted, batch.discarded, duplicates)
