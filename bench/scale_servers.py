"""The servers of the scaled form for a benchmark, as `make scale-up` starts them, and installations that use them.

Nothing here measures anything.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from isal import igzip

from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.telemetry.import_lines import read_line
from workspace import BENCH, ROOT, BenchError, corpus, environment, product, scratch

sys.path.append(str(ROOT))  # deploy.local

GZIP_LEVEL = 2
SPARK_MEMORY = "4g"


@contextmanager
def running(*names: str, access_log: str = "") -> Iterator[Any]:
    """`kafka`, `s3`, `postgres`: the `Servers` with those of them running, empty. Raises `BenchError`.

    `access_log`: file in their folder in which the S3 server notes each request.
    """
    if not all(map(importlib.util.find_spec, ("pyspark", "confluent_kafka", "obstore"))):
        raise BenchError("The parts of the scaled form need its servers and their clients: make scale-fetch")
    from deploy.local.fetch import SetupError
    from deploy.local.servers import Servers

    with scratch() as folder:
        folder.chmod(0o711)  # PostgreSQL may run as another user
        servers = Servers(folder)
        try:
            if access_log:
                # As the server's environment names the option; it takes what is set here.
                os.environ["VGW_ACCESS_LOG"] = str(folder / access_log)
            for name in names:
                servers.start(getattr(servers, name))
            yield servers
        except SetupError as error:
            raise BenchError(str(error)) from None
        finally:
            servers.stop()
            os.environ.pop("VGW_ACCESS_LOG", None)


class Installation:
    """A data folder whose log is a new topic, and whose state is a new database; the lake in the folder or on S3."""

    def __init__(
        self, servers: Any, name: str, *, partitions: int = 2, on_s3: bool = False, topic: str = ""
    ) -> None:
        self._servers = servers
        self.data = servers.folder / name
        self.data.mkdir()
        database = f"bench_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(servers.postgres.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        self.settings = {
            "MC_LOG__BOOTSTRAP_SERVERS": servers.kafka.bootstrap,
            "MC_LOG__TOPIC": topic or name,
            "MC_STATE__URL": servers.postgres.dsn(database),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        if on_s3:
            self.lake = f"s3://missioncontrol/{name}"
            self.settings |= {"MC_LAKE__URL": self.lake}
            self.settings |= {k: v for k, v in servers.environment().items() if k.startswith("AWS_")}
        (self.data / "missioncontrol.toml").write_text(_spark_settings(self.data / "spill"))
        if not topic:
            self.run("log", "create-topic", "--partitions", str(partitions))

    def run(self, *arguments: str) -> None:
        """A command to its end."""
        done = subprocess.run(
            product(self.data, *arguments), env=environment(**self.settings), capture_output=True, text=True
        )
        if done.returncode:
            raise BenchError(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")


def _spark_settings(spill: Path) -> str:
    from deploy.local.fetch import spark_jars

    settings = {
        "spark.driver.extraClassPath": ":".join(map(str, spark_jars())),
        "spark.driver.memory": SPARK_MEMORY,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.local.dir": str(spill),
    }
    lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(["[spark]", 'master = "local[2]"', "packages = []", "[spark.settings]", *lines, ""])


def entries(pings: int, count: int, *, packed: bool) -> Iterator[Entry]:
    """`count` pings of the corpus as the edge has them, each with a document id of its own.

    `packed`: bodies compressed as clients do; else whole lines as batch jobs read them, with the server's `meta`.
    """
    with corpus(pings).open("rb") as file:
        lines = [line.rstrip() for line in islice(file, count)]
    made = [_entry(line, packed) for line in lines]
    for number in range(count):
        yield msgspec.structs.replace(made[number % len(made)], document_id=str(uuid.uuid4()))


def _entry(line: bytes, packed: bool) -> Entry:
    ping, _ = read_line(line, 0)
    return Entry(
        Kind.PING,
        ping.received_ns,
        ping.namespace,
        ping.document_type,
        ping.document_version,
        ping.document_id,
        ping.application or "",
        ping.version or "",
        ping.channel or "",
        ping.build_id or "",
        ping.country or "",
        (("user-agent", "pingsender/1.0"),),
        "gzip" if packed else "",
        igzip.compress(line, GZIP_LEVEL) if packed else line,
    )


def send(servers: Any, topic: str, todo: Iterable[Entry]) -> int:
    """Into the topic, as the edge does; how many bytes of body. All are acknowledged when this returns."""
    from confluent_kafka import Producer

    from missioncontrol.log.kafka_messages import timestamp_ms, to_message

    options = {"bootstrap.servers": servers.kafka.bootstrap, "acks": "all", "enable.idempotence": True}
    limits = {"queue.buffering.max.kbytes": 262_144, "message.max.bytes": 10_485_760}
    producer = Producer({**options, **limits, "partitioner": "murmur2_random"})
    size_bytes = 0
    for entry in todo:
        made, stamp = to_message(entry), timestamp_ms(time.time_ns())
        while True:
            try:
                producer.produce(topic, made.value, made.key, headers=[*made.headers], timestamp=stamp)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
        size_bytes += len(entry.body)
    if producer.flush(120):
        raise BenchError("Kafka did not take all messages.")
    return size_bytes


def messages(servers: Any, topic: str, partitions: int = 2) -> int:
    """How many messages the topic was given."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": servers.kafka.bootstrap, "group.id": "bench"})
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        return sum(consumer.get_watermark_offsets(place, 30, cached=False)[1] for place in places)
    finally:
        consumer.close()


def batch_records(pings: int) -> int:
    """What to ask Spark for, so that the last batch is none of what rounding has left."""
    return pings + pings // 50


def steady(batches: Sequence[Sequence[float]]) -> float:
    """Pings a second of a run of batches [pings, second of its end, seconds of CPU then].

    Without the first, which starts everything.
    """
    if len(batches) < 2:
        raise BenchError(f"{len(batches)} batches are too few to be timed.")
    return sum(batch[0] for batch in batches[1:]) / (batches[-1][1] - batches[0][1])


def cpu_us(batches: Sequence[Sequence[float]]) -> float:
    """Microseconds of CPU of all processes for a ping, likewise."""
    return 1e6 * (batches[-1][2] - batches[0][2]) / sum(batch[0] for batch in batches[1:])


def stream(installation: Installation, master: str = "local[2]", most: int = 0, cpus: str = "") -> Any:
    """Let the product's stream take all of the topic in a process of its own; its batches as `steady()` takes them.

    `cpus`: those that it may run on, as `taskset` takes them.
    """
    pinned = ["taskset", "-c", cpus] if cpus else []
    command = [*pinned, sys.executable, str(BENCH / "scale_stream.py"), str(installation.data), master]
    return spark_answer([*command, str(most)], installation.settings)


def spark_answer(command: Sequence[str], settings: dict[str, str]) -> Any:
    """The answer of a process that runs Spark: the last line that it prints, as JSON. Raises `BenchError`."""
    started = time.monotonic()
    done = subprocess.run(command, env=environment(**settings), capture_output=True, text=True)
    if done.returncode:
        seconds = time.monotonic() - started
        raise BenchError(f"{' '.join(command[:6])} failed after {seconds:.0f} s:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def postgres_version() -> str:
    """Of the server that `running()` starts."""
    from deploy.local.postgres import programs

    said = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2]
