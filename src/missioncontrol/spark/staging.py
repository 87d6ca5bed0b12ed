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
from missioncontrol.log.kafka import tell_duplicates
from missioncontrol.log.kafka_messages import place, read_message
from missioncontrol.log.protocol import Record
from missioncontrol.registry.model import Registry
from missioncontrol.spark.session import task_place, told_to_driver
from missioncontrol.telemetry.batch import Batch
from missioncontrol.telemetry.extract import Extractor

SCHEMA = "said binary"
COLUMNS = ("key", "value", "headers", "partition", "offset", "unix_millis(timestamp) AS timestamp_ms")
_MOST_MESSAGES = 20_000
"""Of a stretch: more would make no larger groups of sums, and take longer to be tried again."""


class Staged(msgspec.Struct, frozen=True):
    """Files made of some messages of one task."""

    files: list[StagedFile]
    through: dict[int, int]
    """By partition: the offset of the last message."""
    records: int
    counted: int
    discarded: int
    oldest_received_ns: int
    read_s: int
    """To where in time was read, in seconds since the epoch: half of the messages were stamped before."""


class Staging(msgspec.Struct, frozen=True):
    """The function of `mapInArrow`; is sent to executors whole.

    `taken`: by partition, how many offsets every table has already; messages before that are left out.
    `tables`: those that take the rows. `elsewhere`: tasks may run on other machines.
    """

    config: Config
    registry: Registry
    taken: dict[int, int]
    tables: frozenset[str]
    open_identities: Callable[[Config], Identities]
    elsewhere: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Stage what comes; one row for each stretch that fits into memory."""
        with told_to_driver():
            extractor, identities = Extractor(self.registry), self.open_identities(self.config)
        writer = LakeWriter(task_place(self.config.lake_place, self.elsewhere))
        for stretch in self._stretches(batches):
            with told_to_driver():
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
                if len(found) >= _MOST_MESSAGES or size_bytes >= settings.batch_bytes:
                    yield found
                    found, size_bytes = [], 0
        if found:
            yield found

    def _stage(
        self, messages: list[_Message], extractor: Extractor, identities: Identities, writer: LakeWriter
    ) -> Staged:
        batch = Batch(extractor, self.config)
        seconds = [message.timestamp_ms // 1000 for message in messages]
        for record in tell_duplicates([message.record for message in messages], seconds, identities):
            batch.take(record)
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
            min(message.record.entry.received_ns for message in messages),
            sorted(seconds)[len(seconds) // 2],
        )


class _Message(msgspec.Struct, frozen=True):
    partition: int
    offset: int
    timestamp_ms: int
    record: Record


def _message(row: Mapping[str, Any]) -> _Message:
    partition, offset, timestamp_ms = row["partition"], row["offset"], row["timestamp_ms"]
    headers = [(h["key"], h["value"]) for h in row["headers"] or ()]
    entry = read_message(row["key"], row["value"], headers, timestamp_ms)
    return _Message(partition, offset, timestamp_ms, Record(place(partition, offset), entry))
