"""One Kafka broker that is its own controller (KRaft), from its Maven artifacts, for one machine.

Topics are made by whoever needs them, never by a mere name. With one broker `acks=all` waits for that one: what it
acknowledged survives its end by kill -9, and is synced to the disk by the system, not before the answer.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from .fetch import SetupError, java, kafka_jars
from .process import Server, listening

_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}
"""
_CLUSTER = "MissionControlOneNodeA"
MESSAGE_BYTES = 10 * 1024 * 1024
"""Larger than the largest body that the edge takes (8 MB), with its metadata."""


class KafkaBroker(Server):
    """The broker; its clients' address is `bootstrap`."""

    name = "Kafka"

    def __init__(self, folder: Path, port: int, controller_port: int, heap_mb: int = 512) -> None:
        super().__init__(folder, port)
        self._controller_port = controller_port
        self._heap_mb = heap_mb

    @property
    def bootstrap(self) -> str:
        """What clients call `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"

    def create(self) -> None:
        """Write its settings, and format its data when there is none. Raises `SetupError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        settings = _SETTINGS.format(
            port=self.port, controller_port=self._controller_port, data=data, message_bytes=MESSAGE_BYTES
        )
        self._settings.write_text(settings)
        if (data / "meta.properties").exists():
            return
        arguments = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._settings)]
        done = subprocess.run(self._java(*arguments), capture_output=True, text=True)
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
            AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=2)
        except KafkaException:
            return False
        return True

    def _java(self, *arguments: str) -> list[str]:
        return [
            java(), f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", ":".join(map(str, kafka_jars())), *arguments,
        ]  # fmt: skip
