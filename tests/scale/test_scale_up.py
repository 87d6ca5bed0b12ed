"""`make scale-up` as a user runs it: all servers start, say where they are, and end with it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from deploy.local.fetch import ROOT
from obstore.store import S3Store
from tests.support.kafka_topics import durable_producer, make_topic, read_to_ends

pytestmark = pytest.mark.apt


class ScaleUp:
    """One run of it: what it printed, and the processes that it named."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "deploy.local", "--data", str(data)]
        # Files, not pipes: a server that outlived it would hold those open.
        number = len(list(data.parent.glob("talk-*")))
        self._talk = data.with_name(f"talk-{number}")
        self._facts = data.with_name(f"facts-{number}")
        with self._talk.open("w") as talk, self._facts.open("w") as facts:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=facts, stderr=talk)

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 200
        while "Ctrl-C stops them" not in self.talk:
            assert self.process.poll() is None, self.talk
            assert time.monotonic() < deadline, self.talk
            time.sleep(0.1)

    @property
    def talk(self) -> str:
        return self._talk.read_text()

    @property
    def facts(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._facts.read_text().splitlines())

    @property
    def servers(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"process (\d+)", self.talk)]

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that the user postgres may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="missioncontrol-scale-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def runs() -> Iterator[list[ScaleUp]]:
    """Those that a test started; none survives it."""
    started: list[ScaleUp] = []
    yield started
    for run in started:
        if run.process.poll() is None:
            run.end(signal.SIGTERM)


def gone(pids: list[int]) -> bool:
    """Whether all these processes end within a minute."""
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def bucket(facts: dict[str, str]) -> S3Store:
    """The bucket, by nothing but what was printed."""
    names = ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    return S3Store(facts["LAKE_URL"].split("/")[2], config={name.lower(): facts[name] for name in names})


@pytest.mark.timeout(600)
def test_it_starts_all_says_where_they_are_stops_all_and_finds_them_again(
    data: Path, runs: list[ScaleUp]
) -> None:
    runs.append(first := ScaleUp(data))
    first.wait_until_up()
    facts = first.facts
    make_topic(facts["KAFKA_BOOTSTRAP_SERVERS"], "kept", 1)
    producer = durable_producer(facts["KAFKA_BOOTSTRAP_SERVERS"])
    producer.produce("kept", b"in Kafka")
    assert producer.flush(60) == 0
    bucket(facts).put("kept", b"in S3")
    with psycopg.connect(facts["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'in PostgreSQL' AS place")
        assert connection.info.server_version >= 150000
    assert "KAFKA_BOOTSTRAP_SERVERS" in (data / "environment").read_text()
    assert (data / "spark-defaults.conf").stat().st_mode & 0o077 == 0

    runs.append(second := ScaleUp(data))
    assert second.process.wait(60) == 1 and "run already" in second.talk

    servers = first.servers
    assert len(servers) == 3
    assert first.end(signal.SIGINT) == 0 and gone(servers)

    runs.append(third := ScaleUp(data))
    third.wait_until_up()
    assert third.facts == facts
    assert [m.value() for m in read_to_ends(facts["KAFKA_BOOTSTRAP_SERVERS"], "kept", 1)] == [b"in Kafka"]
    assert bytes(bucket(facts).get("kept").bytes()) == b"in S3"
    with closing(psycopg.connect(facts["DATABASE_URL"])) as connection:
        assert connection.execute("SELECT place FROM kept").fetchone() == ("in PostgreSQL",)
        servers = third.servers
        assert third.end(signal.SIGKILL) == -signal.SIGKILL and gone(servers), "whoever is connected"


def test_it_may_be_interrupted_while_a_server_starts(data: Path, runs: list[ScaleUp]) -> None:
    runs.append(run := ScaleUp(data))
    kafka = data / "kafka" / "talk"  # made as the broker's process is started, long before it answers
    deadline = time.monotonic() + 100
    while not kafka.exists():
        assert run.process.poll() is None and time.monotonic() < deadline, run.talk
        time.sleep(0.02)
    children = [
        int(pid)
        for pid in Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read_text().split()
    ]
    assert run.end(signal.SIGINT) == 0 and "Traceback" not in run.talk
    assert len(run.servers) < 3 and not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_a_folder_that_postgresql_cannot_enter_is_told(tmp_path: Path, runs: list[ScaleUp]) -> None:
    runs.append(run := ScaleUp(tmp_path / "data"))
    assert run.process.wait(60) == 1
    assert (
        "who cannot enter" in run.talk and "make scale-up DATA=" in run.talk and "Traceback" not in run.talk
    )
