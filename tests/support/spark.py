"""The stream on Spark as its users run it, `missioncontrol spark stream`, in a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.fetch import spark_jars
from tests.support.kafka_topics import durable_producer
from tests.support.server import COMMAND, SOURCES

from missioncontrol.log.kafka_messages import timestamp_ms, to_message
from missioncontrol.log.protocol import Entry

TIMEOUT_S = 240


class SparkInstallation:
    """A data folder whose log is a topic."""

    def __init__(
        self, data: Path, bootstrap: str, topic: str, batch_records: int = 200_000, **environment: str
    ) -> None:
        self.data, self._bootstrap, self.topic = data, bootstrap, topic
        self._environment = environment
        data.mkdir(parents=True, exist_ok=True)
        (data / "missioncontrol.toml").write_text(
            f"""
            [log]
            bootstrap_servers = "{bootstrap}"
            topic = "{topic}"
            [spark]
            master = "local[2]"
            packages = []
            batch_records = {batch_records}
            [spark.settings]
            "spark.driver.extraClassPath" = "{":".join(map(str, spark_jars()))}"
            "spark.driver.memory" = "1g"
            "spark.driver.host" = "127.0.0.1"
            "spark.driver.bindAddress" = "127.0.0.1"
            "spark.local.dir" = "{data / "spill"}"
            """
        )

    def send(self, entries: Sequence[Entry]) -> None:
        """Into the topic, as the edge does; all are acknowledged when this returns."""
        producer = durable_producer(self._bootstrap, **{"queue.buffering.max.kbytes": 1_000_000})
        for entry in entries:
            made = to_message(entry)
            stamp = timestamp_ms(entry.received_ns)
            producer.produce(self.topic, made.value, made.key, headers=made.headers, timestamp=stamp)
            producer.poll(0)
        assert producer.flush(60) == 0

    def start(self, *arguments: str, command: Sequence[str] = ("spark", "stream")) -> subprocess.Popen[str]:
        """The command, which is left running; its talk is in `talk`."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCES),
            "SPARK_LOCAL_IP": "127.0.0.1",
            **self._environment,
        }
        with self.talk_path.open("a") as talk:
            return subprocess.Popen(
                [*COMMAND, *command, "--data", str(self.data), *arguments],
                env=environment, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk, text=True,
            )  # fmt: skip

    def run(self, *arguments: str, command: Sequence[str] = ("spark", "stream")) -> int:
        """The command to its end; its exit code."""
        running = self.start(*arguments, command=command)
        try:
            return running.wait(TIMEOUT_S)
        finally:
            running.kill()
            running.wait()

    @property
    def talk_path(self) -> Path:
        """What the commands said."""
        return self.data.with_name(self.data.name + "-talk")

    @property
    def talk(self) -> str:
        """What the commands said so far."""
        return self.talk_path.read_text()
