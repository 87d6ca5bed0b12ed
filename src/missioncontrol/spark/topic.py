"""The topic as the stream on Spark sees it: what it is now, and how Spark reaches it."""

from __future__ import annotations

from collections.abc import Mapping

from missioncontrol.errors import ConfigError
from missioncontrol.log.kafka_cluster import Cluster

_JAVA_NAMES = {"sasl.mechanisms": "sasl.mechanism", "ssl.ca.location": "ssl.truststore.location"}
_NOT_TOLD = (
    "ssl.certificate.location", "ssl.certificate.pem", "ssl.key.location", "ssl.key.pem", "ssl.ca.pem",
)  # fmt: skip
_LOGINS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


class Topic:
    """What the brokers know of it; `options` are librdkafka's.

    Raises `ConfigError` (`spark_kafka_option`) for those that Spark cannot be told; `cluster` raises `StorageError`.
    """

    def __init__(self, cluster: Cluster, servers: str, options: Mapping[str, str]) -> None:
        self.name = cluster.topic
        self.cluster, self._servers, self._options = cluster, servers, java_options(options)

    def spark_options(self) -> dict[str, str]:
        """How Spark's source reaches the topic."""
        found = {"kafka.bootstrap.servers": self._servers, "subscribe": self.name, "includeHeaders": "true"}
        return {**found, **{f"kafka.{name}": value for name, value in self._options.items()}}


def java_options(options: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's options of how to sign in, in the words of Kafka's Java client, which Spark uses.

    Raises `ConfigError` (`spark_kafka_option`) for certificates of clients: Java would pass over them and be refused.
    """
    for name in _NOT_TOLD:
        if name in options:
            raise ConfigError(
                "spark_kafka_option",
                f"Spark's client of Kafka cannot be told log.kafka.{name}.",
                "It takes a user and password (SASL), and the authority's certificate by ssl.ca.location.",
            )
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
