"""Writes messages to the topic and tells each waiter when Kafka has its message.

librdkafka gathers what arrives within a few milliseconds into one request (the group commit of this log) and repeats
what got no answer, without making copies (`enable.idempotence`). A thread takes the answers and hands them out.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from missioncontrol.clock import Clock
from missioncontrol.errors import StorageError
from missioncontrol.log.commits import Job, answer
from missioncontrol.log.kafka_cluster import MESSAGE_BYTES, Cluster
from missioncontrol.log.kafka_messages import Message, place, timestamp_ms
from missioncontrol.log.protocol import Appended

_LINGER_MS = 3
_QUEUE_KBYTES = 256 * 1024
_POLL_S = 0.1
_FULL_PAUSE_S = 0.005


class MessageProducer:
    """The writer of this process. Its thread and client start with the first message. Thread-safe.

    A message that Kafka has not acknowledged within `timeout_s` has failed; it may be there all the same.
    """

    def __init__(self, cluster: Cluster, timeout_s: float, clock: Clock) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._producer: Any = None
        self._thread: threading.Thread | None = None
        self._answered: list[tuple[Job, object]] = []
        self._is_broken = self._closed = False

    def send(self, message: Message, job: Job, patient: bool = False) -> None:
        """Hand over a message; the job's future gets an `Appended` or the error.

        Raises `StorageError` or `BadRequest` for what is not even queued. One that is `patient` waits for room.
        """
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._produce(message, job)
                return
            except BufferError:
                if not patient or time.monotonic() > deadline:
                    raise StorageError(
                        "log_unwritable",
                        f"Too much waits for Kafka's topic {self._cluster.topic}.",
                        "Is Kafka running?",
                    ) from None
            except KafkaException as error:
                raise self._cluster.failure(error.args[0], "log_unwritable") from None
            time.sleep(_FULL_PAUSE_S)

    def _produce(self, message: Message, job: Job) -> None:
        with self._lock:
            if self._closed:
                raise closed(self._cluster)
            if self._producer is None:
                self._producer = self._connect()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="kafka-answers", daemon=True)
                self._thread.start()
            self._producer.produce(
                self._cluster.topic,
                value=message.value,
                key=message.key,
                headers=message.headers,
                timestamp=timestamp_ms(self._clock()),
                on_delivery=partial(self._delivered, job),
            )

    def close(self) -> None:
        """Wait for what is under way, then end the thread."""
        with self._lock:
            self._closed = True
            producer, thread = self._producer, self._thread
            self._thread = None
        if thread is not None:
            thread.join()
            producer.flush(self._timeout_s + 1)
            _give_up(producer)
            self._hand_out()

    def _connect(self) -> Any:
        timeout_ms = round(self._timeout_s * 1000)
        return self._cluster.client(
            Producer,
            self._failed,
            acks="all",
            enable_idempotence=True,
            partitioner="murmur2_random",  # that of other clients, so that they too put a document where it belongs
            linger_ms=_LINGER_MS,
            message_max_bytes=MESSAGE_BYTES,
            message_timeout_ms=timeout_ms,
            topic_metadata_propagation_max_ms=timeout_ms,
            queue_buffering_max_kbytes=_QUEUE_KBYTES,
        )

    def _work(self) -> None:
        while not self._closed:
            self._producer.poll(_POLL_S)
            self._hand_out()
            if self._is_broken:
                self._begin_anew()

    def _begin_anew(self) -> None:
        """An idempotent producer that lost count of its messages refuses all others; a new one starts to count."""
        with self._lock:
            broken, self._producer = self._producer, self._connect()
            self._is_broken = False
        _give_up(broken)
        self._hand_out()

    def _failed(self, error: KafkaError) -> None:
        self._is_broken = self._is_broken or error.fatal() or error.code() == KafkaError._FATAL

    def _delivered(self, job: Job, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._answered.append((job, self._cluster.failure(error, "log_unwritable")))
            return
        # The place is not known when the answer was lost and the message sent again.
        offset = place(message.partition(), message.offset()) if message.offset() >= 0 else None
        self._answered.append((job, [Appended(offset, None)]))

    def _hand_out(self) -> None:
        answered, self._answered = self._answered, []
        if answered:
            answer([job for job, _ in answered], [result for _, result in answered])


def closed(cluster: Cluster) -> StorageError:
    """The error of whoever uses a log after it was closed."""
    return StorageError("log_closed", f"The log on Kafka's topic {cluster.topic} is closed.")


def _give_up(producer: Any) -> None:
    producer.purge()
    producer.flush(1)
