"""What the stream on Spark stands on dies, fills up or changes under it, and comes back; nobody starts the stream again.

One stream runs through all tests of this file. Each test sends its own pings, and compares all tables with what the
embedded stream makes of everything that was sent until then.
"""

from __future__ import annotations

import itertools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from deploy.local.kafka import KafkaBroker
from deploy.local.s3 import S3Server
from tests.support.disk import fill, small_disk
from tests.support.kafka_topics import make_topic
from tests.support.lake import LakeOnS3, rows
from tests.support.postgres import Postgres, running_postgres
from tests.support.s3 import BUCKET, running_s3, s3_environment
from tests.support.spark import (
    TIMEOUT_S,
    SparkInstallation,
    accounted,
    compare,
    embedded,
    pings_only,
    wait_until,
)

from missioncontrol.config import load_config
from missioncontrol.log.protocol import Entry
from missioncontrol.services import Services

pytestmark = [pytest.mark.apt, pytest.mark.timeout(900)]

PINGS = 900
SEEDS = itertools.count(100)


class Scaled:
    """A running stream of small batches, and what it is to move."""

    def __init__(
        self, folder: Path, kafka: KafkaBroker, s3: S3Server, disk: Path, postgres: Postgres
    ) -> None:
        self.kafka, self.s3, self.disk, self.postgres = kafka, s3, disk, postgres
        self.dsn = postgres.new_database()
        self.topic = f"pings-{uuid.uuid4().hex[:8]}"
        make_topic(kafka.bootstrap, self.topic, 2)
        url = f"s3://{BUCKET}/lake"
        self.environment = {"MC_LAKE__URL": url, "MC_STATE__URL": self.dsn, **s3_environment(s3)}
        self.installation = SparkInstallation(
            folder / "scaled", kafka.bootstrap, self.topic, batch_records=150, **self.environment
        )
        self.lake = LakeOnS3(url, s3.client_settings())
        self.sent: list[Entry] = []
        self._folder = folder
        self.running = self.installation.start("--trigger-s", "0.1")

    def send(self, count: int = PINGS) -> None:
        """More pings; those of one call are several batches."""
        entries = pings_only(count, next(SEEDS))
        self.installation.send(entries)
        self.sent += entries

    def wait_until(self, condition: Callable[[], bool], every_s: float = 0.02) -> None:
        """Fails when the stream ends meanwhile."""
        wait_until(condition, self.running, self.installation, every_s)

    def noted(self) -> int:
        """How many document ids are noted."""
        found = self.postgres.rows(self.dsn, "SELECT count(*) FROM identities")
        return int(found[0][0])

    def newest_commit(self) -> str:
        """Name of the newest one to the first of the tables that are committed one after the other."""
        log = self.s3.folder / "data" / BUCKET / "lake" / "client_aggregates" / "_delta_log"
        return max((path.name for path in log.glob("*.json")), default="")

    def said(self, what: str) -> Callable[[], bool]:
        """Whether it says so, from now on."""
        before = self.installation.talk.count(what)
        return lambda: self.installation.talk.count(what) > before

    def check(self) -> None:
        """All that was sent comes into the lake, and is there once."""
        self.wait_until(lambda: accounted(self.lake) >= len(self.sent), every_s=1.0)
        compare(self.lake, embedded(self._folder / uuid.uuid4().hex, self.sent))

    def close(self) -> None:
        self.running.kill()
        self.running.wait()


@pytest.fixture(scope="module")
def scaled(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scaled]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        small_disk(folder / "disk", 256) as disk,
        running_s3(disk / "s3") as s3,
        running_postgres() as postgres,
    ):
        made = Scaled(folder, kafka, s3, disk, postgres)
        try:
            made.send()
            made.wait_until(lambda: made.newest_commit() > f"{0:020}.json")
            made.check()
            yield made
        finally:
            made.close()


def test_another_machine_sees_that_it_runs_and_what_waits(
    scaled: Scaled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in scaled.environment.items():
        monkeypatch.setenv(name, value)
    log = {"MC_LOG__BOOTSTRAP_SERVERS": scaled.kafka.bootstrap, "MC_LOG__TOPIC": scaled.topic}
    services = Services(load_config(tmp_path, environ={**scaled.environment, **log}))
    assert services.stream_runs()
    scaled.send()
    goal = services.kafka_held().goal()
    assert sum(goal.next.values()) == len(scaled.sent)
    scaled.check()
    held = services.kafka_held()
    assert held.reaches(goal) and set(held.backlog().values()) == {0}
    services.close()


def test_postgresql_is_killed_while_ids_are_claimed_and_comes_back(scaled: Scaled) -> None:
    before, failed = scaled.noted(), scaled.said('"code": "state_unavailable"')
    scaled.send()
    scaled.wait_until(lambda: scaled.noted() > before)
    scaled.postgres.kill()
    scaled.wait_until(failed)
    scaled.postgres.start()
    scaled.check()


def test_postgresql_is_away_for_longer_than_the_lease_holds(scaled: Scaled) -> None:
    lost = scaled.said("turn_lost")
    scaled.postgres.kill()
    scaled.send()
    scaled.wait_until(lost)
    scaled.postgres.start()
    scaled.check()


def test_the_s3_server_is_killed_while_batches_are_committed_and_comes_back(scaled: Scaled) -> None:
    for _ in range(2):
        before, failed = scaled.newest_commit(), scaled.said("stream_failed")
        scaled.send()
        scaled.wait_until(lambda before=before: scaled.newest_commit() > before)
        scaled.s3.kill()
        scaled.wait_until(failed)
        scaled.s3.start()
    scaled.check()


def test_a_full_bucket_is_told_and_the_stream_goes_on_when_there_is_room(scaled: Scaled) -> None:
    full = scaled.said('"code": "lake_full"')
    filler = fill(scaled.disk)
    scaled.send()
    scaled.wait_until(full)
    filler.unlink()
    scaled.check()


def test_the_broker_is_killed_under_the_stream_and_comes_back(scaled: Scaled) -> None:
    before = scaled.noted()
    scaled.send()
    scaled.wait_until(lambda: scaled.noted() > before)
    scaled.kafka.kill()
    scaled.kafka.start()
    scaled.send()
    scaled.check()


def test_partitions_that_are_added_are_read_from_their_beginning(scaled: Scaled) -> None:
    admin = AdminClient({"bootstrap.servers": scaled.kafka.bootstrap})
    [added] = admin.create_partitions([NewPartitions(scaled.topic, 5)]).values()
    added.result(30)
    scaled.send()
    scaled.check()
    found = {row["log_offset"] >> 48 for row in rows(scaled.lake, "pings")}
    assert found == set(range(5))


def test_what_ends_the_command_is_told_and_the_next_start_goes_on(scaled: Scaled) -> None:
    scaled.send()
    gone = scaled.said("Spark's Java process has ended.")
    os.kill(java_of(scaled.running.pid), signal.SIGKILL)
    assert scaled.running.wait(TIMEOUT_S) == 1 and gone(), scaled.installation.talk
    scaled.postgres.kill()
    away = scaled.said("State database: ")
    assert scaled.installation.run() == 1 and away(), scaled.installation.talk
    scaled.postgres.start()
    scaled.running = scaled.installation.start("--trigger-s", "0.1", "--wait")
    scaled.check()
    scaled.running.send_signal(signal.SIGTERM)
    assert scaled.running.wait(TIMEOUT_S) == 0, scaled.installation.talk


def java_of(pid: int) -> int:
    """The process of Java that a driver has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    [java] = [int(child) for child in children if Path(f"/proc/{child}/comm").read_text() == "java\n"]
    return java
