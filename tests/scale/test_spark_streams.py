"""Streams on Spark in this process, one session for all: what they do when somebody else is at their topic or tables.

Each test has a topic of one partition and a lake. Streams are stopped between two batches by what they report to.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient
from deploy.local.kafka import KafkaBroker
from tests.support.kafka_topics import make_topic
from tests.support.lake import rows
from tests.support.spark import NOW_NS, TIMEOUT_S, SparkInstallation, accounted, embedded, pings_only, reasons

from missioncontrol.config import Config, load_config
from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import Move
from missioncontrol.lake.snapshot import FileRef
from missioncontrol.lake.writer import LakeWriter, StagedFile
from missioncontrol.log.protocol import Entry
from missioncontrol.registry.load import load_registry
from missioncontrol.services import Services
from missioncontrol.state.turns import Work
from missioncontrol.telemetry.batch import BatchReport
from missioncontrol.telemetry.status import StatusFile, read_status
from missioncontrol.web.pipeline.source import LakePipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from missioncontrol.spark.stream import SparkStream

pytestmark = [pytest.mark.apt, pytest.mark.timeout(600)]

Report = Callable[[BatchReport], None]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    # Not installed where these tests are collected and not run.
    from pyspark import SparkContext

    from missioncontrol.spark.session import open_session

    folder = tmp_path_factory.mktemp("session")
    SparkInstallation(folder, "", "")
    opened = open_session(load_config(folder), "tests")
    gateway: Any = SparkContext._gateway
    yield opened
    opened.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


class Place:
    """A topic of one partition and a lake, and streams with states of their own."""

    def __init__(self, kafka: KafkaBroker, session: SparkSession, folder: Path) -> None:
        self.kafka, self.session, self.folder = kafka, session, folder
        self.topic = f"pings-{uuid.uuid4().hex[:8]}"
        self.lake = folder / "lake"
        self.lake.mkdir()
        self.batch_records = 200_000
        self.make_topic()
        self.stop = threading.Event()
        self._pool = ThreadPoolExecutor()
        self._opened: list[Services] = []

    def make_topic(self) -> None:
        make_topic(self.kafka.bootstrap, self.topic, 1)

    def config(self, state: str) -> Config:
        data = self.folder / state
        if not data.exists():
            SparkInstallation(data, self.kafka.bootstrap, self.topic, self.batch_records)
            (data / "lake").symlink_to(self.lake)
        return load_config(data, environ={**os.environ, "MC_SPARK__TRIGGER_S": "0.2"})

    def services(self, state: str) -> Services:
        self._opened.append(Services(self.config(state)))
        return self._opened[-1]

    def stream(
        self, state: str, report: Report = lambda _: None, writer: LakeWriter | None = None
    ) -> SparkStream:
        services = self.services(state)
        if writer is not None:
            services.__dict__["writer"] = writer
        return services.spark_stream(report)

    def take(self, state: str) -> None:
        """All that the topic has."""
        self.stream(state).run(threading.Event(), until_idle=True)

    def start(self, stream: SparkStream, status: StatusFile | None = None) -> Future[None]:
        """Let it run beside this; with a status as the command does, which starts it again."""
        if status is None:
            return self._pool.submit(stream.run, self.stop)
        from missioncontrol.spark.runner import run_stream

        return self._pool.submit(run_stream, stream, self.stop, status)

    def send(self, count: int, seed: int) -> list[Entry]:
        """Pings, which are given back."""
        entries = pings_only(3 * count, seed)[:count]
        SparkInstallation(self.folder / "sender", self.kafka.bootstrap, self.topic).send(entries)
        return entries

    def places(self) -> set[int]:
        return {row["log_offset"] for row in rows(self.lake, "pings")}

    def close(self) -> None:
        self.stop.set()
        self._pool.shutdown()
        for services in self._opened:
            services.close()


@pytest.fixture
def place(kafka: KafkaBroker, session: SparkSession, tmp_path: Path) -> Iterator[Place]:
    made = Place(kafka, session, tmp_path)
    yield made
    made.close()


class Pause:
    """Who reports to it waits after its first batch, until it may go on."""

    def __init__(self) -> None:
        self._reached, self._go_on = threading.Event(), threading.Event()

    def __call__(self, _: BatchReport) -> None:
        self._reached.set()
        assert self._go_on.wait(TIMEOUT_S)

    def wait(self) -> None:
        assert self._reached.wait(TIMEOUT_S)

    def end(self) -> None:
        self._go_on.set()


def refusal(running: Future[None]) -> StorageError:
    error = running.exception(TIMEOUT_S)
    assert isinstance(error, StorageError), error
    return error


def noted(place: Place, state: str) -> set[bytes]:
    """The identities that a state knows."""
    with place.services(state)._database.engine().connect() as connection:
        return {bytes(row[0]) for row in connection.exec_driver_sql("SELECT id FROM identities")}


def test_identities_that_are_expired_are_forgotten_between_batches(place: Place) -> None:
    now_s, day_s = NOW_NS // 10**9, 86_400
    old, young = (bytes([n]) * 16 for n in (1, 2))
    known = place.services("state").identities
    known.claim([old, young], [1, 1], [now_s - 10 * day_s, now_s - 3 * day_s])
    place.send(30, 1)
    place.take("state")
    left = noted(place, "state")
    assert old not in left and young in left and len(left) > 20


def test_the_stream_of_another_state_is_refused_before_it_reads_and_the_first_goes_on(place: Place) -> None:
    place.send(30, 2)
    place.take("first")
    place.send(30, 3)
    files = set(place.lake.rglob("*"))
    with pytest.raises(StorageError) as refused:
        place.take("second")
    assert refused.value.code == "lake_of_another_state" and "--new-state" in refused.value.hint
    assert set(place.lake.rglob("*")) == files, "nothing was written"
    place.send(30, 2)  # once more
    place.take("first")
    assert accounted(place.lake) == 90 and reasons(place.lake)["duplicate"] >= 30


def test_a_state_that_is_lost_is_replaced_on_request_and_is_refused_when_it_comes_back(place: Place) -> None:
    place.send(30, 4)
    pause = Pause()
    running = place.start(place.stream("first", pause))
    pause.wait()
    place.services("second").lake_owner().take_over()
    place.send(30, 5)
    pause.end()
    assert refusal(running).code == "lake_of_another_state" and accounted(place.lake) == 30
    place.take("second")
    assert accounted(place.lake) == 60
    with pytest.raises(StorageError) as refused:
        place.services("first").require_own_lake()
    assert refused.value.code == "lake_of_another_state"


def test_a_stream_ends_when_the_tables_are_not_as_it_left_them(place: Place) -> None:
    place.send(30, 6)
    pause = Pause()
    running = place.start(place.stream("state", pause))
    pause.wait()
    place.send(20, 7)
    place.take("state")
    place.send(20, 8)
    pause.end()
    assert refusal(running).code == "lake_conflict"
    assert accounted(place.lake) == 50, "nothing was written"
    place.take("state")
    assert accounted(place.lake) == 70 == len(place.places()) + reasons(place.lake)["duplicate"]


class Overtaken(LakeWriter):
    """Before its first commit of messages somebody else does something."""

    def __init__(self, lake: Path, somebody_else: Callable[[], None]) -> None:
        super().__init__(lake)
        self._before: Callable[[], None] | None = somebody_else

    def commit_moves(
        self, table: str, staged: Sequence[StagedFile], moves: Sequence[Move], removed: Sequence[FileRef] = ()
    ) -> bool:
        before = self._before
        if before is not None and staged:
            self._before = None
            before()
        return super().commit_moves(table, staged, moves, removed)


@pytest.mark.parametrize("more", [0, 20])
def test_of_two_streams_that_read_the_same_messages_the_slower_one_ends(place: Place, more: int) -> None:
    def another() -> None:
        if more:
            place.send(more, 10)
        place.take("state")

    place.send(30, 9)
    running = place.start(place.stream("state", writer=Overtaken(place.lake, another)))
    assert refusal(running).code == "lake_conflict"
    assert accounted(place.lake) == 30 + more == len(place.places()) + reasons(place.lake)["duplicate"]


def test_a_topic_that_is_made_anew_under_the_stream_is_read_from_its_beginning(place: Place) -> None:
    place.send(10, 11)
    pause = Pause()
    stream = place.stream("state", pause)
    running = place.start(stream)
    pause.wait()
    admin = AdminClient({"bootstrap.servers": place.kafka.bootstrap})
    [gone] = admin.delete_topics([place.topic]).values()
    gone.result(30)
    make_again(place)
    place.send(25, 12)  # more than the old one had
    pause.end()
    assert refusal(running).code == "log_made_anew"
    assert accounted(place.lake) == 10, "nothing was written"
    stream.run(threading.Event(), until_idle=True)
    assert accounted(place.lake) == 35


def make_again(place: Place) -> None:
    """Kafka deletes a topic in the background."""
    from confluent_kafka import KafkaException

    for _ in range(600):
        try:
            return place.make_topic()
        except KafkaException:
            time.sleep(0.1)
    raise AssertionError("the topic was not deleted")


class LostOnce:
    """A turn that is lost after the first batch, and had again."""

    def __init__(self) -> None:
        self.batch = threading.Event()
        self.again = False

    def work(self, stop: threading.Event, work: Work, lost: Callable[[], None] = lambda: None) -> None:
        work(self.batch)
        self.again = not stop.is_set()
        if self.again:
            work(stop)

    def taken(self) -> str:
        return ""


def test_until_idle_goes_on_when_a_turn_that_was_lost_is_had_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from missioncontrol.cli.spark import _stream

    place.batch_records = 5
    place.send(60, 13)
    services, turn = place.services("state"), LostOnce()
    monkeypatch.setattr(services, "turn", lambda name: turn)
    opened = services.spark_stream
    monkeypatch.setattr(
        services, "spark_stream", lambda report: opened(lambda done: (report(done), turn.batch.set()))
    )
    stop = threading.Event()
    _stream(services, stop, until_idle=True, skip_gap=False, new_state=False)
    assert turn.again and stop.is_set()
    assert accounted(place.lake) == 60


MEASURE = """
[measure.open_seconds]
title = "Seconds in which the application was open"
from = "main"
number = "payload.info.subsessionLength"
"""
UNFIT = f"{MEASURE}scale = 0.001\n"
MENDED = f"{MEASURE}{UNFIT.replace('open_seconds', 'open_kiloseconds')}"


def test_a_registry_that_changes_is_taken_up_if_it_fits_and_else_the_last_one_that_did(place: Place) -> None:
    services = place.services("state")
    data, declared, expected = services.config.data, services.config.registry_files[-1], 0

    def move(running: Future[None], seed: int) -> int:
        """More pings into the lake; the seconds that they say."""
        before = accounted(place.lake)
        entries = place.send(30, seed)
        wait_for(lambda: running.done() or accounted(place.lake) == before + 30)
        assert not running.done()
        measure = place.folder / "measure.toml"
        measure.write_text(MEASURE)
        alone = embedded(place.folder / f"embedded-{seed}", entries, load_registry([measure]))
        return seconds(alone)

    services.writer.ensure(services.registry())  # to look at from the beginning
    running = place.start(place.stream("state"))
    assert move(running, 14) > 0 == seconds(place.lake)
    declared.write_text(MEASURE)
    expected += move(running, 15)
    assert seconds(place.lake) == expected > 0
    declared.write_text(UNFIT)
    expected += move(running, 16)
    assert seconds(place.lake) == expected
    assert "open_seconds is float64 in the registry, int64 in the lake" in unfit(services)
    place.stop.set()
    running.result(TIMEOUT_S)

    place.stop.clear()
    status = StatusFile(data, 1)
    running = place.start(place.stream("state", status.batch), status)
    wait_for(lambda: running.done() or "lake_column_type" in error_of(data))
    assert not running.done()
    declared.write_text(MENDED)
    expected += move(running, 17)
    assert seconds(place.lake) == expected
    assert 0 < total(place.lake, "open_kiloseconds") < expected / 1000
    assert unfit(services) == ""
    wait_for(lambda: error_of(data) == "")  # which is said after the commit


def total(lake: Path, column: str) -> float:
    return sum(row.get(column) or 0 for row in rows(lake, "error_aggregates"))


def seconds(lake: Path) -> int:
    return int(total(lake, "open_seconds"))


def unfit(services: Services) -> str:
    """What the page Pipeline says of the registry."""
    return LakePipeline(services).status(False).registry_unfit


def error_of(data: Path) -> str:
    status = read_status(data)
    return status.error if status is not None else ""


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.2)
