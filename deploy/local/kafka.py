"""One Kafka broker that is its own controller (KRaft), from its Maven artifacts, for one machine.

Topics are made by whoever needs them, never by a mere name. With one broker `acks=all` waits for that one: what it
acknowledged survives its end by kill -9, and is synced to the disk by the system, not before the answer.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from .fetch import SetupError, java, kafka_jars
from .process import Server, listening

_CLUSTER = "MissionControlOneNodeA"
MESSAGE_BYTES = 10 * 1024 * 1024
"""Larger than the largest body that the edge takes (8 MB), with its metadata."""
_ALWAYS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "message.max.bytes": str(MESSAGE_BYTES),
    "replica.fetch.max.bytes": str(MESSAGE_BYTES),
}


class KafkaBroker(Server):
    """The broker; its clients' address is `bootstrap`."""

    name = "Kafka"
    java_options: Sequence[str] = ()
    """More of them."""

    def __init__(self, folder: Path, port: int, controller_port: int, heap_mb: int = 512) -> None:
        super().__init__(folder, port)
        self._controller_port = controller_port
        self._heap_mb = heap_mb

    @property
    def bootstrap(self) -> str:
        """What clients call `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    def client_settings(self) -> dict[str, str]:
        """How clients reach it, by the names of librdkafka."""
        return {"bootstrap.servers": self.bootstrap}

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"

    def create(self) -> None:
        """Write its settings, and format its data when there is none. Raises `SetupError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        settings = {**_ALWAYS, "log.dirs": str(data), **self._own_settings()}
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        if (data / "meta.properties").exists():
            return
        arguments = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._settings)]
        done = subprocess.run(self._java(*arguments, *self._users()), capture_output=True, text=True)
        if done.returncode:
            raise SetupError(f"Kafka's data could not be made in {data}:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        """The broker, with a bound on its memory."""
        return self._java("kafka.Kafka", str(self._settings))

    def answers(self) -> bool:
        """Whether a client gets the list of topics."""
        if not listening(self.port):
            return False
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        try:
            AdminClient({**self.client_settings()}).list_topics(timeout=2)
        except KafkaException:
            return False
        return True

    def _own_settings(self) -> dict[str, str]:
        """Who it is, where it listens, and how many have a copy."""
        return {
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "min.insync.replicas": "1",
            **replicas(1),
        }

    def _users(self) -> list[str]:
        """What `format` is told of users."""
        return []

    def _java(self, *arguments: str) -> list[str]:
        return [
            java(), f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true", *self.java_options,
            "-cp", ":".join(map(str, kafka_jars())), *arguments,
        ]  # fmt: skip


def replicas(count: int) -> dict[str, str]:
    """Settings by which so many brokers have each partition, of Kafka's own topics too."""
    own = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    return {
        "default.replication.factor": str(count),
        **{f"{topic}.replication.factor": str(count) for topic in own},
        **{f"{topic}.min.isr": str(max(1, count - 1)) for topic in own[1:]},
    }
