"""The stream on Spark: what it makes of a topic is what the embedded stream makes of the same pings."""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable
from deploy.local.kafka import KafkaBroker
from deploy.local.s3 import S3Server
from tests.support.accepted import accepted
from tests.support.kafka_topics import durable_producer, make_topic
from tests.support.lake import LakeOnS3, merged, rows
from tests.support.postgres import Postgres, running_postgres
from tests.support.s3 import BUCKET, s3_environment
from tests.support.spark import (
    NOW_NS,
    TIMEOUT_S,
    SparkInstallation,
    accounted,
    by_dimensions,
    compare,
    embedded,
    pings_only,
    reasons,
    wait_until,
)

from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.load import load_registry

pytestmark = [pytest.mark.apt, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def installation(kafka: KafkaBroker, tmp_path: Path) -> SparkInstallation:
    return made(kafka, tmp_path / "scaled")


def made(
    kafka: KafkaBroker, data: Path, batch_records: int = 200_000, **environment: str
) -> SparkInstallation:
    topic = f"pings-{uuid.uuid4().hex[:8]}"
    make_topic(kafka.bootstrap, topic, 2)
    return SparkInstallation(data, kafka.bootstrap, topic, batch_records, **environment)


def test_20_000_pings_make_the_same_tables_on_s3_as_on_one_machine(
    kafka: KafkaBroker, s3: S3Server, postgres: Postgres, tmp_path: Path
) -> None:
    installation = made(
        kafka,
        tmp_path / "scaled",
        MC_LAKE__URL=f"s3://{BUCKET}/lake",
        MC_STATE__URL=postgres.new_database(),
        **s3_environment(s3),
    )
    entries = accepted(20_000, 1, NOW_NS)
    lake = embedded(tmp_path / "embedded", entries)
    installation.send(entries[:15_000])
    assert installation.run("--until-idle") == 0, installation.talk
    installation.send(entries[15_000:])
    assert installation.run("--until-idle") == 0, installation.talk
    on_s3 = LakeOnS3(f"s3://{BUCKET}/lake", s3.client_settings())
    compare(on_s3, lake)
    assert sum(row["count"] for row in merged(lake, "discards").values()) > 2_000
    shutil.rmtree(installation.data / "lake")  # what the tasks wrote is at hand there: it is to come from S3
    last = datetime.fromtimestamp(NOW_NS / 1e9, UTC).date()
    days = ("--min-submission-date", str(last - timedelta(days=4)), "--max-submission-date", str(last))
    asked = ("--table", "all", *days)
    assert installation.run(*asked, "--on-spark", command=("backfill",)) == 0, installation.talk
    assert not list((installation.data / "lake").glob("pings/**/part-*")), (
        "no file of the archive was fetched"
    )
    folder = SparkInstallation(lake.parent, "", "")
    assert folder.run(*asked, command=("backfill",)) == 0, folder.talk
    compare(on_s3, lake)
    found, expected = by_dimensions(on_s3), by_dimensions(lake)
    assert found and found.keys() == expected.keys()
    for key, stats in expected.items():
        assert found[key] == pytest.approx(stats, rel=1e-12), key


def test_killed_20_times_in_the_middle_of_a_batch_nothing_is_lost_or_counted_twice(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    installation = made(kafka, tmp_path / "scaled", batch_records=200)
    entries, rng, killed_inside = accepted(12_000, 2, NOW_NS), random.Random(3), 0
    lake = installation.data / "lake"
    LakeWriter(lake).ensure(load_registry())
    first, last = lake / "client_aggregates", lake / "usage_by_activity"
    slow_down(last)
    for kill in range(20):
        installation.send(entries[600 * kill : 600 * (kill + 1)])
        following = first / "_delta_log" / f"{version(first) + 1:020}.json"
        running = installation.start("--trigger-s", "0.1")
        try:
            wait_until(following.exists, running, installation, every_s=0.001)
            time.sleep(rng.uniform(0, 1) if kill % 3 == 2 else 0)
        finally:
            running.kill()
            running.wait()
        killed_inside += version(first) > version(last)
    assert killed_inside > 5, "or nothing was tried"
    rest = SparkInstallation(installation.data, kafka.bootstrap, installation.topic)  # in large batches
    assert rest.run("--until-idle") == 0, rest.talk
    compare(lake, embedded(tmp_path / "embedded", entries))


def slow_down(table: Path) -> None:
    """Let each commit to a table take a good part of a second, on whatever machine: it lists the log, file by file."""
    for number in range(5_000):
        (table / "_delta_log" / f"left-behind-{number}.tmp").touch()


def version(table: Path) -> int:
    return DeltaTable(table).version()


def test_what_the_topic_deleted_first_is_told_and_passed_only_on_request(
    kafka: KafkaBroker, installation: SparkInstallation
) -> None:
    lake, first, second = installation.data / "lake", pings_only(600, 4), pings_only(900, 5)
    installation.send(first)
    assert installation.run("--until-idle") == 0, installation.talk
    assert accounted(lake) == len(first)
    installation.send(second)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "ends"})
    _, end = consumer.get_watermark_offsets(TopicPartition(installation.topic, 0), 30)
    consumer.close()
    [done] = admin.delete_records([TopicPartition(installation.topic, 0, end - 10)]).values()
    done.result(30)
    assert installation.run("--until-idle") == 1
    told = re.search(
        r"deleted ([\d,]+) messages \(partition 0\) before they were in the lake", installation.talk
    )
    assert told and "--skip-gap" in installation.talk and "Traceback" not in installation.talk
    lost = int(told[1].replace(",", ""))
    assert 100 < lost < len(second) and accounted(lake) == len(first), "nothing is passed by itself"
    for _ in range(2):
        assert installation.run("--until-idle", "--skip-gap") == 0, installation.talk
        assert reasons(lake)["log_gap"] == lost
        assert accounted(lake) == len(first) + len(second)


def test_a_message_that_no_edge_wrote_stops_nothing_and_is_kept(
    kafka: KafkaBroker, installation: SparkInstallation
) -> None:
    producer = durable_producer(kafka.bootstrap)
    for value, headers in (
        (b"rubbish", None),
        (b"", [("kind", b"1")]),
        (b"x" * 100_000, [("kind", b"one"), ("meta", b"\xc1")]),
        (None, [("kind", b"1"), ("meta", b"")]),
    ):
        producer.produce(installation.topic, value, headers=headers)
    assert producer.flush(30) == 0
    entries = pings_only(300, 6)
    installation.send(entries)
    assert installation.run("--until-idle") == 0, installation.talk
    lake = installation.data / "lake"
    assert reasons(lake)["log_message_unreadable"] == 4 and accounted(lake) == 2 + len(entries)
    kept = [len(r["body"]) for r in rows(lake, "pings") if r["discarded"] == "log_message_unreadable"]
    assert len(kept) == 2 and 1000 < max(kept) < 100_000, "those with a body, by their first bytes"


def test_a_second_stream_refuses_and_a_signal_ends_the_first_after_its_batch(
    installation: SparkInstallation,
) -> None:
    entries = pings_only(300, 7)
    installation.send(entries)
    running = installation.start("--trigger-s", "0.2")
    try:
        wait_until(lambda: (installation.data / "lake" / "pings").is_dir(), running, installation)
        wait_until(lambda: accounted(installation.data / "lake") == len(entries), running, installation)
        assert installation.run("--until-idle") == 1
        assert "Another process runs the stream" in installation.talk and "--wait" in installation.talk
        more = pings_only(200, 8)
        installation.send(more)
        wait_until(
            lambda: accounted(installation.data / "lake") == len(entries + more), running, installation
        )
        running.send_signal(signal.SIGTERM)
        assert running.wait(TIMEOUT_S) == 0, installation.talk
    finally:
        running.kill()
        running.wait()
    assert "Traceback" not in installation.talk


def test_a_backfill_on_spark_makes_the_days_that_processes_of_one_machine_make(
    installation: SparkInstallation, tmp_path: Path
) -> None:
    entries = accepted(4_000, 9, NOW_NS)
    lake = embedded(tmp_path / "embedded", entries)
    installation.send(entries)
    assert installation.run("--until-idle") == 0, installation.talk
    compare(installation.data / "lake", lake)
    days = [str(datetime.fromtimestamp(NOW_NS / 1e9, UTC).date() - timedelta(days=n)) for n in (4, 0)]
    asked = ("--table", "all", "--min-submission-date", days[0], "--max-submission-date", days[1])
    assert installation.run(*asked, "--on-spark", command=("backfill",)) == 0, installation.talk
    folder = SparkInstallation(tmp_path / "embedded", "", "")
    assert folder.run(*asked, command=("backfill",)) == 0, folder.talk
    compare(installation.data / "lake", lake)
    found, expected = by_dimensions(installation.data / "lake"), by_dimensions(lake)
    assert found and found.keys() == expected.keys()
    for key, stats in expected.items():
        assert found[key] == pytest.approx(stats, rel=1e-12), key
