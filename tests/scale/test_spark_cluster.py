"""The stream and the backfill on Spark's own cluster, by the commands that the operator's guide prints.

Each machine has an address, a copy of the package, a home and folders for temporary files of its own; the data folder
is the driver's alone.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deploy.local.fetch import spark_jars
from deploy.local.kafka import KafkaBroker
from deploy.local.process import Server, free_ports
from deploy.local.s3 import S3Server
from tests.support.kafka_topics import make_topic, send_entries
from tests.support.lake import LakeOnS3
from tests.support.postgres import Postgres, running_postgres
from tests.support.s3 import BUCKET, s3_environment
from tests.support.server import COMMAND, SOURCES
from tests.support.snippets import DOCS, blocks
from tests.support.spark import (
    NOW_NS,
    TIMEOUT_S,
    SparkInstallation,
    accounted,
    by_dimensions,
    compare,
    embedded,
    pings_only,
)

from missioncontrol.log.protocol import Entry

pytestmark = [pytest.mark.apt, pytest.mark.timeout(900)]

GUIDE = "how-to/operate.md"
TOPIC = "pings"
PINGS = 600
SEEDS = itertools.count(500)


def as_in_a_shell(line: str) -> list[str]:
    """What runs a printed line, as one process."""
    return ["bash", "-c", f"exec {line}"]


class Machine(Server):
    """One machine of the cluster, and what runs on it."""

    def __init__(self, folder: Path, address: str, port: int, line: str, told: dict[str, str]) -> None:
        super().__init__(folder, port)
        self.name = f"Spark at {address}"
        self._address, self._line = address, line
        self._told = {
            **told,
            "PYTHONPATH": str(folder / "package"),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "SPARK_LOCAL_DIRS": str(folder / "spill"),
            "SPARK_LOCAL_IP": address,
            "SPARK_WORKER_PORT": str(port),
            "SPARK_MASTER_WEBUI_PORT": "0",
            "SPARK_WORKER_WEBUI_PORT": "0",
        }

    def create(self) -> None:
        for name in ("home", "tmp", "spill", "work"):
            (self.folder / name).mkdir(parents=True)
        package = self.folder / "package" / "missioncontrol"
        shutil.copytree(SOURCES / "missioncontrol", package, ignore=shutil.ignore_patterns("static"))

    def command(self) -> list[str]:
        return as_in_a_shell(self._line)

    def environment(self) -> dict[str, str]:
        return self._told

    def answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self._address, self.port)) == 0

    def staged(self) -> set[Path]:
        """The files of the lake that were written here and are still at hand."""
        return set((self.folder / "spill").rglob("*.parquet"))

    def applications(self) -> int:
        """How many of Spark's had an executor here."""
        return len(list((self.folder / "work").glob("app-*")))

    def lose(self) -> None:
        """End all of Java's on it at once, as a machine does that loses its power; Python's end with it."""
        os.killpg(self.pid, signal.SIGKILL)
        self.kill()


class Cluster:
    """A master, two workers of one core, and an installation whose stream runs there."""

    def __init__(self, folder: Path, kafka: KafkaBroker, s3: S3Server, postgres: Postgres) -> None:
        self.folder, self._kafka = folder, kafka
        self.data, self.talk_path = folder / "driver" / "data", folder / "talk"
        url, self._settings = f"s3://{BUCKET}/lake", folder / "missioncontrol.toml"
        self.environment = {
            **s3_environment(s3),
            "MC_LAKE__URL": url,
            "MC_STATE__URL": postgres.new_state(),
            "MC_DATA": str(self.data),
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        self.lake = LakeOnS3(url, s3.client_settings())
        self.sent: list[Entry] = []
        make_topic(kafka.bootstrap, TOPIC, 2)
        jars = folder / "jars"
        jars.mkdir()
        named = re.findall(
            r"`([\w.-]+)`", (DOCS / GUIDE).read_text().split("source for Kafka, in ")[1].split(";")[0]
        )
        for jar in spark_jars():
            if jar.name.rpartition("-")[0] in named:
                (jars / jar.name).symlink_to(jar)
        ports = free_ports(3)
        self.master_url = f"spark://127.0.0.1:{ports[0]}"
        self._printed = {
            "/opt/missioncontrol/bin": str(Path(sys.executable).parent),
            "/opt/missioncontrol/jars": str(jars),
            "/etc/missioncontrol/missioncontrol.toml": str(self._settings),
            "spark://spark1.example.com:7077": self.master_url,
            "--host spark1.example.com --port 7077": f"--host 127.0.0.1 --port {ports[0]}",
            "--cores 2": "--cores 1",
            "4g": "1g",
        }
        self.jars = jars
        master, worker, self.stream = (self._made(text) for _, text in blocks(GUIDE)["Set up"])
        made = [Machine(folder / "master", "127.0.0.1", ports[0], master, self.environment)]
        for number, port in enumerate(ports[1:], 2):
            place = folder / f"worker{number}"
            line = worker.replace("/var/lib/missioncontrol/spark", str(place / "work"))
            made.append(Machine(place, f"127.0.0.{number}", port, line, self.environment))
        self.machines, self.workers = made, made[1:]

    def _made(self, text: str) -> str:
        for printed, own in self._printed.items():
            text = text.replace(printed, own)
        return text

    def settings(self, master: str, more: str = "") -> None:
        """Those of the installation, as the example in deploy/systemd has them."""
        self._settings.write_text(
            f"""
            [log]
            bootstrap_servers = "{self._kafka.bootstrap}"
            topic = "{TOPIC}"
            [spark]
            master = "{master}"
            packages = []
            batch_records = 150
            trigger_s = 0.1
            [spark.settings]
            "spark.driver.memory" = "1g"
            "spark.driver.extraClassPath" = "{self.jars}/*"
            {more}
            """
        )

    def start(self, line: str, without: str = "") -> subprocess.Popen[bytes]:
        """A command of the driver's machine, which is left running; it is not told the variable `without`."""
        told = {name: value for name, value in self.environment.items() if name != without}
        environment = {**os.environ, "PYTHONPATH": str(SOURCES), **told}
        with self.talk_path.open("ab") as talk:
            return subprocess.Popen(
                as_in_a_shell(line), cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=talk, stderr=talk, start_new_session=True,
            )  # fmt: skip

    def run(self, *arguments: str, without: str = "") -> int:
        """A command of ours to its end; its exit code."""
        running = self.start(shlex.join([*COMMAND, "--config", self.file, *arguments]), without)
        try:
            return running.wait(TIMEOUT_S)
        finally:
            end(running)

    def send(self, count: int = PINGS) -> None:
        entries = pings_only(count, next(SEEDS))
        send_entries(self._kafka.bootstrap, TOPIC, entries)
        self.sent += entries

    @property
    def file(self) -> str:
        """Of the settings."""
        return str(self._settings)

    @property
    def talk(self) -> str:
        return self.talk_path.read_text()

    def check(self) -> Path:
        """What was sent is in the lake, each ping once, as in the lake of one machine that is returned; and no task wrote into the
        data folder.
        """
        expected = embedded(self.folder / f"embedded-{len(self.sent)}", self.sent)
        compare(self.lake, expected)
        assert not (self.data / "lake").exists()
        return expected


def lives(group: int) -> bool:
    """Whether a process of the group is left."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # of one that ended meanwhile
            state, _, own, *_ = status.read_text().rpartition(")")[2].split()
            if int(own) == group and state != "Z":
                return True
    return False


def end(running: subprocess.Popen[bytes]) -> None:
    """End a command, and what is left of its group."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


@pytest.fixture(scope="module")
def cluster(kafka: KafkaBroker, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(tmp_path_factory.mktemp("cluster"), kafka, s3, stack.enter_context(running_postgres()))
        for machine in made.machines:
            stack.callback(machine.stop)
            machine.create()
            machine.start()
        yield made


def wait_until(condition: Callable[[], bool], cluster: Cluster, every_s: float = 0.2) -> None:
    ends = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < ends, cluster.talk
        time.sleep(every_s)


def test_the_printed_commands_count_every_ping_once_also_when_workers_die(cluster: Cluster) -> None:
    cluster.settings("local[2]")  # what spark-submit says comes first
    running = cluster.start(cluster.stream)

    def runs_until(condition: Callable[[], bool], every_s: float) -> None:
        def met() -> bool:
            assert running.poll() is None, cluster.talk
            return condition()

        wait_until(met, cluster, every_s)

    def lost_in_the_middle(worker: Machine) -> None:
        before = worker.staged()
        cluster.send()
        runs_until(lambda: not worker.staged() <= before, 0.005)
        lost = cluster.talk.count("Lost executor")
        worker.lose()
        runs_until(lambda: accounted(cluster.lake) >= len(cluster.sent), 0.5)
        cluster.check()
        assert cluster.talk.count("Lost executor") > lost

    first, second = cluster.workers
    try:
        lost_in_the_middle(first)
        first.start()
        lost_in_the_middle(second)
        running.terminate()
        wait_until(lambda: not lives(running.pid), cluster)
    finally:
        end(running)
        second.start()


def test_settings_alone_bring_stream_and_backfill_there(cluster: Cluster) -> None:
    jars = f'"spark.executor.extraClassPath" = "{cluster.jars}/*"'
    cluster.settings(cluster.master_url, jars)
    cluster.send()
    before = [worker.applications() for worker in cluster.workers]
    assert cluster.run("spark", "stream", "--wait", "--until-idle") == 0, cluster.talk
    lake = cluster.check()
    today = datetime.fromtimestamp(NOW_NS / 1e9, UTC).date()
    days = ("--min-submission-date", str(today - timedelta(days=4)), "--max-submission-date", str(today))
    asked = ("--table", "all", *days)
    cluster.settings(cluster.master_url, f'{jars}\n"spark.cores.max" = "1"')  # or one had all of both
    running = cluster.start(shlex.join([*COMMAND, "--config", cluster.file, "spark", "stream", "--wait"]))
    try:
        applications = sum(before) + 3
        wait_until(lambda: sum(worker.applications() for worker in cluster.workers) == applications, cluster)
        assert cluster.run("backfill", "--on-spark", *asked) == 0, cluster.talk
        assert running.poll() is None, "the stream runs beside it"
        running.terminate()
        assert running.wait(TIMEOUT_S) == 0, cluster.talk
    finally:
        end(running)
    assert [worker.applications() for worker in cluster.workers] == [count + 2 for count in before]
    kept = {
        path.relative_to(cluster.data / "lake").parts[0] for path in (cluster.data / "lake").rglob("part-*")
    }
    assert kept and "pings" not in kept, "the driver has what it wrote, and no file of the archive"
    one_machine = SparkInstallation(lake.parent, "", "")
    assert one_machine.run(*asked, command=("backfill",)) == 0, one_machine.talk
    compare(cluster.lake, lake)
    found, expected = by_dimensions(cluster.lake), by_dimensions(lake)
    assert found and found.keys() == expected.keys()
    for key, stats in expected.items():
        assert found[key] == pytest.approx(stats, rel=1e-12), key


@pytest.mark.parametrize("setting", ["MC_STATE__URL", "MC_LAKE__URL"])
def test_what_other_machines_do_not_have_is_refused(cluster: Cluster, setting: str) -> None:
    cluster.settings(cluster.master_url)
    name = setting.removeprefix("MC_").lower().replace("__", ".")
    assert cluster.run("spark", "stream", "--wait", "--until-idle", without=setting) != 0
    assert (
        f"Spark runs on a cluster, whose machines do not have the data folder, and {name} is not set."
        in cluster.talk
    )
