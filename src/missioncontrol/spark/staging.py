"""What an executor does: messages of a partition -> partial rows -> staged files; it says which.

Runs in a Python process of Spark's. Never commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from missioncontrol.config import Config
from missioncontrol.lake.writer import LakeWriter, StagedFile
from missioncontrol.log.identities import Identities
from missioncontrol.log.kafka_messages import claimant, from_message, place
from missioncontrol.log.protocol import Entry, Kind, Record
from missioncontrol.log.rows import identity
from missioncontrol.registry.model import Registry
from missioncontrol.telemetry.batch import Batch
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.submission import Submission, from_record

SCHEMA = "said binary"
COLUMNS = ("key", "value", "headers", "partition", "offset", "unix_millis(timestamp) AS timestamp_ms")
UNREADABLE = "log_unreadable"


class Staged(msgspec.Struct, frozen=True):
    """Files made of some messages of one task."""

    files: list[StagedFile]
    through: dict[int, int]
    """By partition: the offset of the last message."""
    records: int
    counted: int
    discarded: int
    oldest_received_ns: int


class Staging(msgspec.Struct, frozen=True):
    """The function of `mapInArrow`; is sent to executors whole.

    `taken`: by partition, how many offsets every table has already; messages before that are left out.
    `tables`: those that take the rows.
    """

    config: Config
    registry: Registry
    taken: dict[int, int]
    tables: frozenset[str]
    open_identities: Callable[[Config], Identities]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Stage what comes; one row for each stretch that fits into memory."""
        extractor, identities = Extractor(self.registry), self.open_identities(self.config)
        writer = LakeWriter(self.config.lake_path)
        for stretch in self._stretches(batches):
            staged = self._stage(stretch, extractor, identities, writer)
            said = pa.array([msgspec.json.encode(staged)], pa.binary())
            yield pa.RecordBatch.from_arrays([said], names=["said"])

    def _stretches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[list[_Message]]:
        settings = self.config.stream
        found: list[_Message] = []
        size_bytes = 0
        for batch in batches:
            for row in batch.to_pylist():
                if row["offset"] < self.taken.get(row["partition"], 0):
                    continue
                found.append(_message(row))
                size_bytes += len(row["value"] or b"")
                if len(found) >= settings.batch_records * 4 or size_bytes >= settings.batch_bytes:
                    yield found
                    found, size_bytes = [], 0
        if found:
            yield found

    def _stage(
        self, messages: list[_Message], extractor: Extractor, identities: Identities, writer: LakeWriter
    ) -> Staged:
        batch = Batch(extractor, self.config)
        known = _known(messages, identities)
        for message in messages:
            _take(batch, message, message.place in known)
        tables = batch.tables()
        files: list[StagedFile] = []
        try:
            for name in self.tables & tables.keys():
                files += writer.stage(name, tables[name])
        except BaseException:
            writer.discard(files)
            raise
        return Staged(
            files,
            {message.partition: message.offset for message in messages},
            len(messages),
            batch.counted,
            batch.discarded,
            min(message.received_ns for message in messages),
        )


class _Message(msgspec.Struct, frozen=True):
    partition: int
    offset: int
    timestamp_ms: int
    value: bytes
    entry: Entry | None
    """None: not one that an edge writes."""

    @property
    def place(self) -> int:
        return place(self.partition, self.offset)

    @property
    def received_ns(self) -> int:
        return self.entry.received_ns if self.entry else self.timestamp_ms * 1_000_000


def _message(row: Mapping[str, Any]) -> _Message:
    headers = [(h["key"], h["value"]) for h in row["headers"] or ()]
    value = row["value"] or b""
    try:
        entry = from_message(row["key"], value, headers)
    except ValueError:
        entry = None
    return _Message(row["partition"], row["offset"], row["timestamp_ms"], value, entry)


def _known(messages: list[_Message], identities: Identities) -> set[int]:
    """Places of the messages whose document came before, in this stretch or ever."""
    own = [m for m in messages if m.entry and m.entry.kind is Kind.PING and m.entry.document_id]
    ids = [identity(m.entry.document_id) for m in own if m.entry]
    times_s = [m.timestamp_ms // 1000 for m in own]
    known = identities.claim(ids, [claimant(m.place) for m in own], times_s)
    return {m.place for m, duplicate in zip(own, known, strict=True) if duplicate}


def _take(batch: Batch, message: _Message, duplicate: bool) -> None:
    entry = message.entry
    if entry is None:
        unreadable = Submission(
            message.received_ns, "", "", "", "", None, None, None, None, None, None, (), "", message.value,
            message.place,
        )  # fmt: skip
        batch.refuse(unreadable, Discard(UNREADABLE))
    elif duplicate:
        batch.discard(entry.received_ns, "duplicate")
    elif entry.kind is Kind.PING:
        batch.add(from_record(Record(message.place, entry)))
    else:
        batch.discard(entry.received_ns, entry.detail, entry.count)
