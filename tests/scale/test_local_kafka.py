"""The broker that `make scale-up` starts keeps what it acknowledged."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import KafkaError, KafkaException, Message
from deploy.local.fetch import SetupError
from deploy.local.kafka import MESSAGE_BYTES, KafkaBroker
from tests.support.kafka_topics import durable_producer, make_topic, read_to_ends

pytestmark = pytest.mark.apt


@pytest.fixture
def topic(kafka: KafkaBroker) -> str:
    name = f"pings-{uuid.uuid4().hex[:8]}"
    make_topic(kafka.bootstrap, name)
    return name


def test_what_was_acknowledged_before_kill_9_is_read_once_and_so_is_what_was_under_way(
    kafka: KafkaBroker, topic: str
) -> None:
    acknowledged: list[bytes] = []

    def note(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        acknowledged.append(message.value())

    producer = durable_producer(kafka.bootstrap)
    for number in range(2000):
        producer.produce(topic, b"%d" % number + bytes(2000), b"%d" % (number % 7), on_delivery=note)
        producer.poll(0)
        if number == 999:
            assert producer.flush(60) == 0 and len(acknowledged) == 1000
        if number == 1500:
            kafka.kill()
    assert len(acknowledged) < 2000
    kafka.start()
    assert producer.flush(120) == 0 and len(acknowledged) == 2000

    read = read_to_ends(kafka.bootstrap, topic)
    assert sorted(m.value() for m in read) == sorted(acknowledged)
    for key in {m.key() for m in read}:
        of_key = [int(m.value().rstrip(b"\0")) for m in read if m.key() == key]
        assert of_key == sorted(of_key) and len({m.partition() for m in read if m.key() == key}) == 1


def test_the_largest_body_of_the_edge_fits_and_one_over_the_bound_is_refused(
    kafka: KafkaBroker, topic: str
) -> None:
    producer = durable_producer(kafka.bootstrap)
    with pytest.raises(KafkaException, match="Message size too large"):
        producer.produce(topic, bytes(MESSAGE_BYTES))
    large = durable_producer(kafka.bootstrap, **{"message.max.bytes": MESSAGE_BYTES})
    large.produce(topic, bytes(8 * 1024 * 1024))
    assert large.flush(60) == 0
    assert [len(m.value()) for m in read_to_ends(kafka.bootstrap, topic)] == [8 * 1024 * 1024]


def test_a_topic_is_not_made_by_its_mere_name(kafka: KafkaBroker) -> None:
    outcome: list[KafkaError | None] = []
    producer = durable_producer(kafka.bootstrap, **{"topic.metadata.propagation.max.ms": 1000})
    producer.produce("mistyped", b"1", on_delivery=lambda error, _: outcome.append(error))
    producer.flush(60)
    [error] = outcome
    assert error is not None and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_port_that_is_taken_is_named(kafka: KafkaBroker) -> None:
    with pytest.raises(SetupError, match=f"Kafka: port {kafka.port} is taken"):
        KafkaBroker(kafka.folder, kafka.port, kafka.port + 1).start()
