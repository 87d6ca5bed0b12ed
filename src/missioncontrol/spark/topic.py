"""The topic as the stream on Spark sees it: its partitions, where they begin and end now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from missioncontrol.config import Log
from missioncontrol.errors import ConfigError, StorageError

_TIMEOUT_S = 30.0


class Ends(msgspec.Struct, frozen=True):
    """Of a partition: the first offset that is there, and the next that will be."""

    first: int
    next: int


class Topic:
    """Reads what the broker knows; blocks up to half a minute. Raises `StorageError` (`log_unreadable`)."""

    def __init__(self, settings: Log) -> None:
        self.settings = settings
        self._client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": settings.bootstrap_servers,
            **settings.kafka,
        }

    def identity(self) -> str:
        """Name of the topic that no other has, also one made anew under its name; raises `ConfigError`."""
        with self._failures():
            admin = AdminClient(self._client)  # named: what it has begun ends with it
            found = admin.describe_topics(TopicCollection([self.settings.topic]))[self.settings.topic]
            return str(found.result(_TIMEOUT_S).topic_id)

    def ends(self) -> dict[int, Ends]:
        """Of each partition."""
        with self._failures():
            consumer = Consumer({**self._client, "group.id": "missioncontrol", "enable.auto.commit": False})
            try:
                topic = consumer.list_topics(self.settings.topic, _TIMEOUT_S).topics[self.settings.topic]
                found = {}
                for partition in sorted(topic.partitions):
                    one = TopicPartition(self.settings.topic, partition)
                    found[partition] = Ends(*consumer.get_watermark_offsets(one, _TIMEOUT_S))
                return found
            finally:
                consumer.close()

    def options(self) -> Mapping[str, str]:
        """Spark's options for reading it."""
        return {
            "kafka.bootstrap.servers": self.settings.bootstrap_servers,
            "subscribe": self.settings.topic,
            "includeHeaders": "true",
            **{f"kafka.{_java_name(name)}": value for name, value in self.settings.kafka.items()},
        }

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            reason = error.args[0]
            if reason.name() == "UNKNOWN_TOPIC_OR_PART":
                raise ConfigError(
                    "log_no_topic",
                    f"There is no topic {self.settings.topic} at {self.settings.bootstrap_servers}.",
                    "missioncontrol log create-topic",
                ) from error
            raise StorageError(
                "log_unreadable",
                f"The topic {self.settings.topic} cannot be read: {reason.str()}",
                "Are the brokers of log.bootstrap_servers up?",
            ) from error


def _java_name(name: str) -> str:
    """librdkafka's name of an option in the words of Kafka's own client, which Spark uses."""
    return {"sasl.mechanisms": "sasl.mechanism"}.get(name, name)
