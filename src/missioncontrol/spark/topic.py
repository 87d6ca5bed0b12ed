"""The topic as the stream on Spark sees it: its partitions, where they begin and end now, and how Spark reaches it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from missioncontrol.log.kafka_cluster import Cluster

_ANSWER_S = 30.0
_JAVA_NAMES = {"sasl.mechanisms": "sasl.mechanism", "ssl.ca.location": "ssl.truststore.location"}
_LOGINS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


class Ends(msgspec.Struct, frozen=True):
    """Of a partition: the first offset that is there, and the next that will be."""

    first: int
    next: int


class Topic:
    """What the brokers know of it; `options` are librdkafka's. Raises `StorageError` as `Cluster` does."""

    def __init__(self, cluster: Cluster, servers: str, options: Mapping[str, str]) -> None:
        self.name = cluster.topic
        self._cluster, self._servers, self._options = cluster, servers, options

    def identity(self) -> str:
        """Name of the topic that no other has, also none that is made anew under its name."""
        return self._cluster.facts().id

    def ends(self) -> dict[int, Ends]:
        """Of each partition, in order."""
        partitions = self._cluster.facts().partitions
        consumer = self._cluster.client(Consumer, group_id="missioncontrol", enable_auto_commit=False)
        try:
            places = [TopicPartition(self.name, partition) for partition in range(partitions)]
            return {
                place.partition: Ends(*consumer.get_watermark_offsets(place, _ANSWER_S, cached=False))
                for place in places
            }
        except KafkaException as error:
            raise self._cluster.failure(error.args[0]) from None
        finally:
            consumer.close()

    def spark_options(self) -> dict[str, str]:
        """How Spark's source reaches the topic."""
        found = {"kafka.bootstrap.servers": self._servers, "subscribe": self.name, "includeHeaders": "true"}
        return {**found, **{f"kafka.{name}": value for name, value in java_options(self._options).items()}}


def java_options(options: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's options of how to sign in, in the words of Kafka's Java client, which Spark uses."""
    found = {_JAVA_NAMES.get(name, name): value for name, value in options.items()}
    if "ssl.truststore.location" in found:
        found["ssl.truststore.type"] = "PEM"
    user, password = found.pop("sasl.username", None), found.pop("sasl.password", None)
    module = _LOGINS.get(found.get("sasl.mechanism", "").upper())
    if module and user is not None:
        found["sasl.jaas.config"] = (
            f"{module} required username={_quoted(user)} password={_quoted(password or '')};"
        )
    return found


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
