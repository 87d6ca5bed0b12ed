"""The stream on Spark: what it makes of a topic is what the embedded stream makes of the same pings."""

from __future__ import annotations

import random
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable
from deploy.local.kafka import KafkaBroker
from tests.support.accepted import accepted
from tests.support.kafka_topics import durable_producer, make_topic
from tests.support.lake import everything, merged
from tests.support.spark import TIMEOUT_S, SparkInstallation

from missioncontrol.config import Config
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.protocol import Entry
from missioncontrol.log.sqlite import SqliteLog
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.stream import Stream

pytestmark = [pytest.mark.apt, pytest.mark.timeout(1200)]
NOW_NS = time.time_ns()


@pytest.fixture
def installation(kafka: KafkaBroker, tmp_path: Path) -> SparkInstallation:
    return made(kafka, tmp_path / "scaled")


def made(kafka: KafkaBroker, data: Path, batch_records: int = 200_000) -> SparkInstallation:
    topic = f"pings-{uuid.uuid4().hex[:8]}"
    make_topic(kafka.bootstrap, topic, 2)
    return SparkInstallation(data, kafka.bootstrap, topic, batch_records)


def embedded(folder: Path, entries: list[Entry]) -> Path:
    """The lake that the embedded stream makes of them."""
    config = Config(data=folder)
    log = SqliteLog(config.log_path)
    for start in range(0, len(entries), 500):
        log.append_many(entries[start : start + 500])
    registry = load_registry()
    Stream(log, LakeWriter(config.lake_path), lambda: registry, config).run_until_idle()
    log.close()
    return config.lake_path


def compare(scaled: Path, lake: Path) -> None:
    """Every table, cell by cell; sums of hours but for the order in which they were added."""
    found, expected = everything(scaled), everything(lake)
    assert found.keys() == expected.keys()
    assert found.pop("pings") == expected.pop("pings")
    for table, rows in expected.items():
        assert found[table].keys() == rows.keys(), table
        for key, row in rows.items():
            own = found[table][key]
            assert own.keys() == row.keys(), (table, key)
            for column, value in row.items():
                same = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
                assert own[column] == same, (table, key, column)


def test_20_000_pings_make_the_same_tables_as_on_one_machine(
    installation: SparkInstallation, tmp_path: Path
) -> None:
    entries = accepted(20_000, 1, NOW_NS)
    lake = embedded(tmp_path / "embedded", entries)
    discards = {key[0][1]: row["count"] for key, row in sorted(merged(lake, "discards").items())}
    installation.send(entries[:15_000])
    assert installation.run("--until-idle") == 0, installation.talk
    installation.send(entries[15_000:])
    assert installation.run("--until-idle") == 0, installation.talk
    compare(installation.data / "lake", lake)
    assert discards


def test_killed_20_times_in_the_middle_of_a_batch_nothing_is_lost_or_counted_twice(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    installation = made(kafka, tmp_path / "scaled", batch_records=700)
    entries = accepted(12_000, 2, NOW_NS)
    installation.send(entries)
    rng = random.Random(3)
    pings, killed_inside = installation.data / "lake" / "pings", 0
    for _ in range(20):
        running = installation.start("--trigger-s", "0.1")
        before, ends = version(pings), time.monotonic() + TIMEOUT_S
        while version(pings) == before and time.monotonic() < ends:
            assert running.poll() is None, installation.talk
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 1.5))
        running.kill()
        running.wait()
        killed_inside += apart(installation.data / "lake")
    assert installation.run("--until-idle") == 0, installation.talk
    compare(installation.data / "lake", embedded(tmp_path / "embedded", entries))


def version(table: Path) -> int:
    return DeltaTable(table).version() if (table / "_delta_log").is_dir() else -1


def apart(lake: Path) -> bool:
    """Whether a batch is in some tables and not in others."""
    return len({DeltaTable(lake / table).version() for table in ("error_aggregates", "pings")}) > 1
