"""The log on Kafka: a topic of partitions, which the edges of an installation write to and its streams read.

An entry goes to the partition of its document id (`log.kafka_messages`). All that the protocol says of order, offsets
and reading is of one partition; a topic that has only one needs no other words. What is a duplicate is told by
reading: `append()` does not know. Constructing a `KafkaLog` touches nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property

import msgspec

from missioncontrol.clock import Clock, system_clock
from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.log.commits import Job
from missioncontrol.log.identities import Identities
from missioncontrol.log.kafka_cluster import Cluster, TopicFacts
from missioncontrol.log.kafka_messages import (
    claimant,
    partition_and_offset,
    place,
    read_message,
    timestamp_ms,
    to_message,
)
from missioncontrol.log.kafka_producer import MessageProducer, closed
from missioncontrol.log.kafka_reader import PartitionReader, made_anew
from missioncontrol.log.protocol import NO_CLAIMANT, Appended, Entry, Kind, Record
from missioncontrol.log.rows import identity

_CLAIM_IDS = 5000
_TIMEOUT_S = 30.0


class KafkaLog:
    """A `Log` (see `log.protocol`) on a topic, read in `partition`; None: in the only one that there is."""

    def __init__(
        self,
        cluster: Cluster,
        identities: Identities,
        partition: int | None = None,
        timeout_s: float = _TIMEOUT_S,
        clock: Clock = system_clock,
    ) -> None:
        self._cluster = cluster
        self._identities = identities
        self._named = partition
        self._clock = clock
        self._producer = MessageProducer(cluster, timeout_s, clock)
        self._reading = threading.Lock()
        self._opened: PartitionReader | None = None
        self._read_s: int | None = None
        self._closed = False

    async def append(self, entry: Entry) -> Appended:
        """Store the entry on all replicas that Kafka waits for; raises `StorageError` or `BadRequest`.

        One that failed may be in the log all the same, when it was the answer that did not come.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Appended]] = loop.create_future()
        self._producer.send(to_message(entry), Job(future, loop))
        return (await future)[0]

    def append_many(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store several entries; when it raises, some may have been stored."""
        results = self.deliver(entries)
        for result in results:
            if isinstance(result, MissionControlError):
                raise result
        return [result for result in results if isinstance(result, Appended)]

    def deliver(self, entries: Sequence[Entry]) -> list[Appended | MissionControlError]:
        """Store several entries, and say of each what became of it. Raises `BadRequest` when one cannot be packed."""
        futures: list[Future[list[Appended]] | MissionControlError] = []
        for message in [to_message(entry) for entry in entries]:
            future: Future[list[Appended]] = Future()
            try:
                self._producer.send(message, Job(future), patient=True)
                futures.append(future)
            except MissionControlError as error:
                futures.append(error)
        return [future if isinstance(future, MissionControlError) else _outcome(future) for future in futures]

    def claim(self, document_ids: Sequence[str], claimant: int) -> list[bool]:
        """Note identities for another way into the lake; true where somebody else noted the id before."""
        if claimant <= 0:
            raise ValueError(NO_CLAIMANT)
        now_s = timestamp_ms(self._clock()) // 1000
        duplicates = [False] * len(document_ids)
        numbers = [number for number, id_ in enumerate(document_ids) if id_]
        for start in range(0, len(numbers), _CLAIM_IDS):
            chunk = numbers[start : start + _CLAIM_IDS]
            ids = [identity(document_ids[number]) for number in chunk]
            told = self._identities.claim(ids, [claimant] * len(ids), [now_s] * len(ids))
            for number, duplicate in zip(chunk, told, strict=True):
                duplicates[number] = duplicate
        return duplicates

    def release(self, claimants: Sequence[int]) -> None:
        """Forget what claimants noted whose pings never reached the lake."""
        if any(one <= 0 for one in claimants):
            raise ValueError(NO_CLAIMANT)
        self._identities.release(claimants)

    def read(self, after: int, max_records: int, max_bytes: int) -> list[Record]:
        """Records with offset > `after`, at least one if there is any, until a limit is reached."""
        with self._reader() as reader:
            low, high = reader.ends()
            start = max(self._next(after), low)
            if partition_and_offset(after)[0] == self._partition and start > high:
                self._require_same_topic()
            messages = reader.read(start, high, max_records, max_bytes) if start < high else []
        if not messages:
            return []
        records = [
            Record(
                place(m.partition(), m.offset()),
                read_message(m.key(), m.value(), m.headers(), m.timestamp()[1]),
            )
            for m in messages
        ]
        seconds = [m.timestamp()[1] // 1000 for m in messages]
        self._read_s = seconds[-1]
        return tell_duplicates(records, seconds, self._identities)

    def identity(self) -> str:
        """Name of this partition of this topic; a topic made anew has another."""
        return f"{self._facts.id}-{self._partition}"

    def last_offset(self) -> int:
        """Offset of the newest record; 0 for a partition that never had one."""
        _, high = self._ends()
        return place(self._partition, high - 1) if high else 0

    def count_after(self, offset: int) -> int:
        """How many records with a greater offset there are."""
        low, high = self._ends()
        return max(0, high - max(self._next(offset), low))

    def size_bytes(self) -> None:
        """None: Kafka does not tell its clients."""
        return None

    def trim(self, through: int) -> None:
        """Delete the records with offset <= `through` from the topic, and forget identities that expired."""
        low, high = self._ends()
        before = min(self._next(through), high)
        if before > low:
            self._cluster.delete_before(self._partition, before)
        now_s = timestamp_ms(self._clock()) // 1000
        self._identities.sweep(min(now_s, now_s if self._read_s is None else self._read_s), now_s)

    def check(self) -> str:
        """Prove that the topic can be written now; raises `StorageError`."""
        if self._closed:
            raise closed(self._cluster)
        self._cluster.check()
        return ""

    def close(self) -> None:
        """Finish what is under way and release clients and threads."""
        self._closed = True
        self._producer.close()
        with self._reading:
            self._forget()

    @cached_property
    def _facts(self) -> TopicFacts:
        return self._cluster.facts()

    @property
    def partitions(self) -> int:
        """How many the topic has; raises `StorageError`."""
        return self._facts.partitions

    @cached_property
    def _partition(self) -> int:
        if self._named is not None:
            return self._named
        if self._facts.partitions > 1:
            raise StorageError(
                "log_partitioned",
                f"Kafka's topic {self._cluster.topic} has {self._facts.partitions} partitions, and none was named.",
                "Several are read by: missioncontrol spark stream, beside serve --only edge,web,crashes,jobs.",
            )
        return 0

    @contextmanager
    def _reader(self) -> Iterator[PartitionReader]:
        """The reader; when it fails, what was known of the topic is asked anew the next time: it may be another one."""
        with self._reading:
            if self._closed:
                raise closed(self._cluster)
            try:
                if self._opened is None:
                    self._opened = PartitionReader(self._cluster, self._partition)
                yield self._opened
            except StorageError:
                self._forget()
                raise

    def _forget(self) -> None:
        self.__dict__.pop("_facts", None)
        if self._named is None:
            self.__dict__.pop("_partition", None)
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _require_same_topic(self) -> None:
        """Whoever reads behind the end may have read a topic of the same name that is gone."""
        if self._cluster.facts().id != self._facts.id:
            raise made_anew(self._cluster)

    def _ends(self) -> tuple[int, int]:
        with self._reader() as reader:
            return reader.ends()

    def _next(self, after: int) -> int:
        """The offset in Kafka that follows a place: 0 for places of partitions before this one."""
        partition, offset = partition_and_offset(after)
        if partition == self._partition:
            return offset + 1
        return 0 if partition < self._partition else 1 << 62


def tell_duplicates(
    records: Sequence[Record], seconds: Sequence[int], identities: Identities
) -> list[Record]:
    """The records, with those of documents that are known as `Kind.DUPLICATE` without their bodies; claims the others.

    `seconds`: when each was noted, since the epoch.
    """
    told = list(records)
    numbers = [n for n, r in enumerate(records) if r.entry.kind is Kind.PING and r.entry.document_id]
    if numbers:
        duplicates = identities.claim(
            [identity(records[n].entry.document_id) for n in numbers],
            [claimant(records[n].offset) for n in numbers],
            [seconds[n] for n in numbers],
        )
        for number, duplicate in zip(numbers, duplicates, strict=True):
            if duplicate:
                record = records[number]
                entry = msgspec.structs.replace(record.entry, kind=Kind.DUPLICATE, body=b"")
                told[number] = Record(record.offset, entry)
    return told


def _outcome(future: Future[list[Appended]]) -> Appended | MissionControlError:
    try:
        return future.result()[0]
    except MissionControlError as error:
        return error
