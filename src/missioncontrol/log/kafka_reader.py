"""Reads messages of one partition from any offset on, without a consumer group: the reader keeps its own place."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from missioncontrol.errors import StorageError
from missioncontrol.log.kafka_cluster import Cluster

_PATIENCE_S = 30.0
_POLL_S = 0.5
_ANSWER_S = 3.0
_AHEAD_KBYTES = 16 * 1024  # fetched ahead; whoever looks at one record fetches as much


class PartitionReader:
    """One client of one partition. Not thread-safe."""

    def __init__(self, cluster: Cluster, partition: int) -> None:
        self._cluster = cluster
        self._partition = partition
        self._next = -1
        self._held: Any = None
        self._consumer = cluster.client(
            Consumer,
            group_id="missioncontrol",  # librdkafka wants a name; no group is joined and no offset committed
            enable_auto_commit=False,
            enable_partition_eof=True,
            auto_offset_reset="earliest",  # where the records were trimmed meanwhile
            fetch_wait_max_ms=100,
            queued_max_messages_kbytes=_AHEAD_KBYTES,
            fetch_queue_backoff_ms=20,
        )

    def ends(self) -> tuple[int, int]:
        """Offset of the oldest message, and of the next one to come; raises `StorageError`."""
        try:
            low, high = self._consumer.get_watermark_offsets(self._whole(), timeout=_ANSWER_S, cached=False)
        except KafkaException as error:
            self._next = -1
            self._consumer.poll(0)  # what was heard of connections meanwhile
            raise self._cluster.failure(error.args[0]) from None
        return int(low), int(high)

    def read(self, start: int, end: int, max_records: int, max_bytes: int) -> list[Any]:
        """Messages with offsets from `start` to before `end`, one at least, within the limits.

        `end` must be no greater than that of `ends()`. Raises `StorageError`.
        """
        if start != self._next:
            self._consumer.assign([self._whole(start)])
            self._next, self._held = start, None
        found: list[Any] = []
        total_bytes = 0
        while len(found) < max(1, max_records) and self._next < end:
            message = self._held or self._poll(end)
            self._held = None
            if message is None:
                break  # what is left are no messages but marks of Kafka's
            total_bytes += _size_bytes(message)
            if message.offset() >= end or (found and total_bytes > max_bytes):
                self._held = message
                break
            found.append(message)
            self._next = message.offset() + 1
        return found

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def _poll(self, end: int) -> Any:
        """The next message; None when there is none before `end`."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            message = self._consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                if message.offset() < self._next:
                    raise made_anew(self._cluster)
                return message
            if error.code() == KafkaError._PARTITION_EOF:
                if message.offset() >= end:
                    return None
            elif not (
                error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
            ):
                self._next = -1
                raise self._cluster.failure(error)
        self._next = -1
        raise self._cluster.failure(KafkaError(KafkaError._TIMED_OUT, "nothing could be read"))

    def _whole(self, offset: int = -1001) -> TopicPartition:
        return TopicPartition(self._cluster.topic, self._partition, offset)


def made_anew(cluster: Cluster) -> StorageError:
    """The error of whoever has read a topic that is gone, where there is one of its name now."""
    return StorageError(
        "log_made_anew", f"Kafka's topic {cluster.topic} was made anew.", "It is read from its beginning."
    )


def _size_bytes(message: Any) -> int:
    return len(message.value() or b"") + sum(len(value or b"") for _, value in message.headers() or ())
