"""The Kafka cluster and the topic that hold the log: how they are reached, asked, made, and what their errors mean.

Knows nothing of entries. Every client of librdkafka logs by Python's logging and never to stderr.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from missioncontrol.errors import BadRequest, ConfigError, MissionControlError, StorageError
from missioncontrol.log.kafka_messages import MOST_PARTITIONS

MESSAGE_BYTES = 10 * 1024 * 1024
"""Largest message: the largest body that the edge takes (8 MB), with its metadata."""

_OURS = frozenset(
    (
        "bootstrap.servers",
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "partitioner",
        "message.max.bytes",
        "message.timeout.ms",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.partition.eof",
        "auto.offset.reset",
        "isolation.level",
    )
)
_ANSWER_S = 3.0
_REFUSED_S = 60.0
"""For so long a connection that was refused is taken for the cause of what then fails; it is tried all the time."""
_DAY_MS = 86_400_000
_ANY_CLOCK = str(2**63 - 1)
_LONGEST_TEXT = 300
_OF_A_TRY = re.compile(r"^\w+://\S+: | \(after \d+ms in state .*\)$")
"""What differs from try to try: the broker, and after how long."""
_MAKE_IT = "Make it: missioncontrol log create-topic."
_OF_THE_MESSAGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD)
_MISSING = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_ID,
)
_FORBIDDEN = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
)
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL)
_UNANSWERED = (
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
)
_REPEATED_S = 30.0
_logger = logging.getLogger("missioncontrol.kafka")


def options(settings: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's options of settings, in which `_` stands for a dot and `name_file` for the file that has the value.

    Raises `ConfigError` when such a file cannot be read.
    """
    found: dict[str, str] = {}
    for name, value in settings.items():
        option = name.replace("_", ".")
        if name.endswith("_file"):
            option = option.removesuffix(".file")
            try:
                value = Path(value).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "is no text"
                raise ConfigError(
                    "log_kafka_invalid", f"Setting `log.kafka.{name}`: {value}: {why}."
                ) from None
        found[option] = value
    return found


class _Repeated(logging.Filter):
    """Drops what was said less than half a minute ago: each client tries each broker again every second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be said."""
        text, now = _OF_A_TRY.sub("", record.getMessage()), time.monotonic()
        self._said = {said: at for said, at in list(self._said.items()) if now < at + _REPEATED_S}
        return self._said.setdefault(text, now) == now


class _Refusal:
    """The last connection that a broker refused, or that was refused to it."""

    def __init__(self) -> None:
        self.error, self.until = KafkaError(KafkaError.NO_ERROR), 0.0


_logger.addFilter(_Repeated())


class TopicFacts(msgspec.Struct, frozen=True):
    """What a topic is."""

    id: str
    """Made by Kafka with the topic: one of the same name made anew has another."""
    partitions: int
    replication: int


class Ends(msgspec.Struct, frozen=True):
    """Of a partition: the first offset that is there, and the next that will be."""

    first: int
    next: int


class Cluster:
    """A topic at `servers`. `options`: of librdkafka, as in its CONFIGURATION.md. Touches nothing at first."""

    def __init__(self, servers: str, topic: str, options: Mapping[str, str] | None = None) -> None:
        if taken := sorted(_OURS & (options or {}).keys()):
            raise ConfigError(
                "log_kafka_invalid",
                f"[log.kafka] cannot set {', '.join(taken)}: what the log promises rests on them.",
                "Leave them out.",
            )
        self.topic = topic
        self._settings = {"bootstrap.servers": servers, "reconnect.backoff.max.ms": 1000, **(options or {})}
        self._refusal = _Refusal()

    def client(self, kind: Any, on_error: Callable[[KafkaError], None] | None = None, **settings: Any) -> Any:
        """A client of this class of confluent-kafka; raises `ConfigError` for options that it does not take.

        What the options say counts, before `settings` (with dots for underscores).
        """
        refusal = self._refusal

        def heard(error: KafkaError) -> None:
            # A broker that dies under a handshake breaks it off too, and refuses nobody.
            if error.code() in _REFUSALS and "Disconnected" not in error.str():
                refusal.error, refusal.until = error, time.monotonic() + _REFUSED_S
            if on_error is not None:
                on_error(error)

        chosen = {name.replace("_", "."): value for name, value in settings.items()}
        chosen["error_cb"] = heard
        try:
            return kind({**chosen, **self._settings}, logger=_logger)
        except KafkaException as error:
            raise ConfigError(
                "log_kafka_invalid",
                f"The settings of Kafka cannot be used: {error.args[0].str()}",
                "See [log.kafka] in docs/reference/command-line.md.",
            ) from None

    @cached_property
    def _admin(self) -> Any:
        return self.client(AdminClient)

    def facts(self) -> TopicFacts:
        """What the topic is.

        Raises `StorageError` (`log_topic_missing`, `log_unreadable`, `log_forbidden`, `log_tls_failed`).
        """
        asked = self._admin.describe_topics(TopicCollection([self.topic]), request_timeout=_ANSWER_S)
        found = self._result(asked[self.topic])
        replication = min((len(p.replicas) for p in found.partitions), default=0)
        return TopicFacts(str(found.topic_id), len(found.partitions), replication)

    def ends(self, partitions: int) -> dict[int, Ends]:
        """Of each of so many partitions, in order; raises as `facts()`."""
        first, following = (
            self._offsets(partitions, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
        return {p: Ends(first[p], following[p]) for p in range(partitions)}

    def _offsets(self, partitions: int, spec: OffsetSpec) -> list[int]:
        places = [TopicPartition(self.topic, partition) for partition in range(partitions)]
        asked = self._admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_ANSWER_S)
        return [int(self._result(asked[place]).offset) for place in places]

    def check(self) -> None:
        """Whether all partitions of the topic can be written now, by bodies of 8 MB too; raises `StorageError`."""
        try:
            found = self._admin.list_topics(self.topic, timeout=_ANSWER_S).topics[self.topic]
        except KafkaException as error:
            raise self._answered(error) from None
        if found.error is not None:
            raise self.failure(found.error)
        headless = [number for number, p in found.partitions.items() if p.leader < 0 or p.error is not None]
        if headless:
            raise StorageError(
                "log_unwritable",
                f"Kafka's topic {self.topic} has partitions that no broker leads: {headless}.",
                "Are all brokers running?",
            )
        self._require_in_sync(
            {n: len(p.isrs) for n, p in found.partitions.items() if len(p.isrs) < len(p.replicas)}
        )
        _ = self._takes_large

    def _require_in_sync(self, counts: Mapping[int, int]) -> None:
        """`counts`: replicas in sync by partition, of those that may lack some."""
        if not counts:
            return
        least = int(self.settings()["min.insync.replicas"])  # asked anew: it is what is lowered in need
        thin = [number for number, count in counts.items() if count < least]
        if thin:
            raise StorageError(
                "log_unwritable",
                f"Kafka's topic {self.topic} has partitions with fewer replicas in sync than {least}, its "
                f"min.insync.replicas: {thin}.",
                "Are all brokers running?",
            )

    @cached_property
    def _takes_large(self) -> bool:
        """Asked until it was so once."""
        largest = int(self.settings()["max.message.bytes"])
        if largest < MESSAGE_BYTES:
            raise StorageError(
                "log_topic_small",
                f"Kafka's topic {self.topic} takes messages of {largest} bytes at most.",
                f"Set its max.message.bytes to {MESSAGE_BYTES}: bodies may have 8 MB.",
            )
        return True

    def settings(self) -> dict[str, str]:
        """The settings of the topic, by name; raises as `facts()` does."""
        resource = ConfigResource(ResourceType.TOPIC, self.topic)
        asked = self._admin.describe_configs([resource], request_timeout=_ANSWER_S)
        return {name: entry.value for name, entry in self._result(asked[resource]).items()}

    def delete_before(self, partition: int, offset: int) -> None:
        """Let the topic forget what lies before an offset."""
        asked = self._admin.delete_records(
            [TopicPartition(self.topic, partition, offset)], request_timeout=_ANSWER_S
        )
        for answer in asked.values():
            self._result(answer)

    def create(self, partitions: int, replication: int, retention_days: float) -> bool:
        """Make the topic; False when there is one that is like it.

        Raises `ConfigError` (`log_topic_differs`) for another one, naming what differs, and as `facts()` does.
        """
        if not 1 <= partitions <= MOST_PARTITIONS:
            raise BadRequest("partitions_invalid", f"A topic has 1 to {MOST_PARTITIONS} partitions.")
        wanted = {
            "retention.ms": str(round(retention_days * _DAY_MS)) if retention_days else "-1",
            "cleanup.policy": "delete",
            "max.message.bytes": str(MESSAGE_BYTES),
            "message.timestamp.type": "CreateTime",
            # A broker refuses what is an hour ahead otherwise: a clock that is wrong would stop the log.
            "message.timestamp.after.max.ms": _ANY_CLOCK,
            "message.timestamp.before.max.ms": _ANY_CLOCK,
            # With one replica of three gone what is acknowledged still lies on two.
            "min.insync.replicas": str(max(1, replication - 1)),
        }
        topic = NewTopic(self.topic, partitions, replication, config=wanted)
        try:
            self._result(self._admin.create_topics([topic], request_timeout=_ANSWER_S)[self.topic])
        except StorageError as error:
            if error.code != "log_topic_exists":
                raise
            self._require({**wanted, "partitions": str(partitions), "replication": str(replication)})
            return False
        return True

    def _require(self, wanted: Mapping[str, str]) -> None:
        facts = self.facts()
        has = {**self.settings(), "partitions": str(facts.partitions), "replication": str(facts.replication)}
        differing = [
            f"{name} is {has.get(name)}, not {value}"
            for name, value in wanted.items()
            if has.get(name) != value
        ]
        if differing:
            raise ConfigError(
                "log_topic_differs",
                f"There is a topic {self.topic} already, and it is another one: {'; '.join(differing)}.",
                "Name another topic (log.topic), or change that one with Kafka's own tools.",
            )

    def failure(self, error: KafkaError, code: str = "log_unreadable") -> MissionControlError:
        """What an error of Kafka means: `StorageError`, or `BadRequest` where another message would have been taken.

        Calls only time out where brokers refuse the connection; what then counts is that some did a moment ago.
        """
        if error.code() in _UNANSWERED and time.monotonic() < self._refusal.until:
            error = self._refusal.error
        why, found = _OF_A_TRY.sub("", error.str())[:_LONGEST_TEXT], error.code()
        if found in _MISSING:
            return StorageError("log_topic_missing", f"Kafka has no topic {self.topic}.", _MAKE_IT)
        if found in _OF_THE_MESSAGE:
            return BadRequest(
                "log_message_refused", f"Kafka's topic {self.topic} does not take the message: {why}", ""
            )
        if found == KafkaError.TOPIC_ALREADY_EXISTS:
            return StorageError("log_topic_exists", why)
        if found in _FORBIDDEN:
            return StorageError(
                "log_forbidden",
                f"Kafka: {why}",
                "Check user, password and mechanism in [log.kafka], and Kafka's users and ACLs.",
            )
        if found == KafkaError._SSL:
            return StorageError(
                "log_tls_failed",
                f"Kafka: {why}",
                "Check ssl.ca.location in [log.kafka], and by whom, for which names and until when the brokers' "
                "certificates are signed.",
            )
        return StorageError(
            code,
            f"Kafka, topic {self.topic}: {why}",
            "Is it running, and are log.bootstrap_servers and [log.kafka] right?",
        )

    def _answered(self, error: KafkaException) -> MissionControlError:
        """What the error of a call to Kafka means."""
        self._admin.poll(0)  # what was heard of connections meanwhile
        return self.failure(error.args[0])

    def _result(self, asked: Any) -> Any:
        try:
            return asked.result(3 * _ANSWER_S)
        except KafkaException as error:
            raise self._answered(error) from None
