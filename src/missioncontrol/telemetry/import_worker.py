"""A worker process of the import: decodes a block of lines, waits to hear which are duplicates, stages its rows.

The parent decides on duplicates, in the order of the blocks, and commits; the worker only ever writes staged files,
which nobody sees before the parent's commit.
"""

from __future__ import annotations

from multiprocessing.connection import Connection

import msgspec

from missioncontrol.clock import system_clock
from missioncontrol.config import Config
from missioncontrol.lake.writer import LakeWriter, StagedFile
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.batch import Batch
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.import_blocks import Piece, lines_of
from missioncontrol.telemetry.import_lines import read_line
from missioncontrol.telemetry.submission import Submission


class Identities(msgspec.Struct, frozen=True):
    """The document ids of a block, each once; `lines` counts all lines that are not blank."""

    ids: list[str]
    lines: int


class Staged(msgspec.Struct, frozen=True):
    """What a block became: staged files by table, and counts of lines."""

    files: dict[str, list[StagedFile]]
    counted: int
    discarded: int
    duplicates: int


def run(connection: Connection, config: Config) -> None:
    """Serve the parent until it closes the connection: block -> Identities, duplicate flags -> Staged."""
    registry = load_registry(config.registry_files)
    extractor, writer = Extractor(registry), LakeWriter(config.lake_path)
    writer.ensure(registry)
    while True:
        try:
            block: list[Piece] = connection.recv()
        except EOFError:
            return
        lines = [read_line(line, system_clock()) for line in lines_of(block)]
        first = _first_received(lines)
        connection.send(Identities(list(first), len(lines)))
        known = dict(zip(first, connection.recv(), strict=True))
        connection.send(_stage(lines, first, known, Batch(extractor, config), writer))


def _first_received(lines: list[tuple[Submission, Discard | None]]) -> dict[str, int]:
    """For each document id the index of the line that was received first."""
    first: dict[str, int] = {}
    for index, (submission, refused) in enumerate(lines):
        identity = submission.document_id.lower()
        if refused is None and identity:
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
        elif identity and (known[identity] or first[identity] != index):
            duplicates += 1
            batch.discard(submission.received_ns, "duplicate")
        else:
            batch.add(submission)
    files = {name: writer.stage(name, data) for name, data in batch.tables().items()}
    return Staged(files, batch.counted, batch.discarded, duplicates)
