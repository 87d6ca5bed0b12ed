"""Topics of a real broker: made, and read to their ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from deploy.local.kafka import KafkaBroker
from deploy.local.process import free_ports

from missioncontrol.log.kafka_messages import timestamp_ms, to_message
from missioncontrol.log.protocol import Entry


@contextmanager
def running_broker(folder: Path) -> Iterator[KafkaBroker]:
    """A broker of its own, empty."""
    broker = KafkaBroker(folder, *free_ports(2))
    try:
        broker.create()
        broker.start()
        yield broker
    finally:
        broker.stop()


def make_topic(bootstrap: str, topic: str, partitions: int = 2) -> None:
    """A new topic; ready when this returns."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    [made] = admin.create_topics([NewTopic(topic, partitions, 1)]).values()
    made.result(30)


def durable_producer(bootstrap: str, **settings: Any) -> Producer:
    """One that is answered after the broker has written, and whose retries make no second copy."""
    durable = {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True}
    return Producer({**durable, **settings})


def send_entries(bootstrap: str, topic: str, entries: Sequence[Entry]) -> None:
    """Entries of the log, as the edge sends them; all are acknowledged when this returns."""
    producer = durable_producer(bootstrap, **{"queue.buffering.max.kbytes": 1_000_000})
    for entry in entries:
        made = to_message(entry)
        stamp = timestamp_ms(entry.received_ns)
        producer.produce(topic, made.value, made.key, headers=made.headers, timestamp=stamp)
        producer.poll(0)
    assert producer.flush(60) == 0


def read_to_ends(bootstrap: str, topic: str, partitions: int = 2) -> list[Message]:
    """All messages of a topic that has no open transactions."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader of {topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([topic])
    messages: list[Message] = []
    ended: set[int | None] = set()
    while len(ended) < partitions:
        message = consumer.poll(60)
        assert message is not None, f"only {len(ended)} of {partitions} partitions could be read to their end"
        error = message.error()
        if error is None:
            messages.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            assert error.retriable(), error
    consumer.close()
    return messages
