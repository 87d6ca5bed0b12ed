"""Several machines of one installation: data folders of their own, one state on PostgreSQL, crash files on S3.

The lake lies in a folder that they share.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from deploy.local.kafka import KafkaBroker
from deploy.local.s3 import S3Server
from tests.support.crash_flow import processed
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.kafka_topics import make_topic, send_entries
from tests.support.minidumps import many_threads
from tests.support.postgres import Postgres, running_postgres
from tests.support.s3 import BUCKET, s3_environment
from tests.support.server import COMMAND, SOURCES, RunningServer
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in
from tests.support.spark import accounted, compare, embedded, pings_only

from missioncontrol.state.database import Database

pytestmark = pytest.mark.apt

PATIENCE_S = 150.0
REPORTS = 100


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


class Installation:
    """Settings that all machines have, and the machines."""

    def __init__(self, folder: Path, postgres: Postgres, s3: S3Server) -> None:
        self.postgres, self.state = postgres, postgres.new_state()
        self.folder = folder
        self.environment = {
            **s3_environment(s3),
            "MC_BLOBS__URL": f"s3://{BUCKET}/{folder.name}",
            "MC_STATE__URL": self.state,
            "MC_ACCESS__ANONYMOUS": "read,protected",
        }
        Database(self.state).engine()
        self.servers: list[RunningServer] = []
        self.behind: list[subprocess.Popen[bytes]] = []
        (folder / "lake").mkdir()

    def server(self, name: str, only: str) -> RunningServer:
        """A machine that listens."""
        made = RunningServer(self.folder / name, self.environment)
        (made.data / "lake").symlink_to(self.folder / "lake")
        made.only = only
        made.start()
        self.servers.append(made)
        return made

    def machine(self, name: str, only: str) -> subprocess.Popen[bytes]:
        """A machine that does not listen."""
        data = self.folder / name / "data"
        if not data.exists():
            data.mkdir(parents=True)
            (data / "lake").symlink_to(self.folder / "lake")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
        environment = {**inherited, "PYTHONPATH": str(SOURCES), **self.environment}
        with (self.folder / f"{name}.log").open("ab") as talk:
            process = subprocess.Popen(
                [*COMMAND, "serve", "--data", str(data), "--only", only],
                cwd=self.folder, env=environment, stdout=talk, stderr=talk,
            )  # fmt: skip
        self.behind.append(process)
        return process

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the state database has."""
        return self.postgres.rows(self.state.replace("+psycopg", ""), query)

    def talk(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def close(self) -> None:
        for process in self.behind:
            if process.poll() is None:
                process.terminate()
        for process in self.behind:
            process.wait(60)
        for server in self.servers:
            server.stop()


@pytest.fixture
def installation(tmp_path: Path, postgres: Postgres, s3: S3Server) -> Iterator[Installation]:
    made = Installation(tmp_path, postgres, s3)
    yield made
    made.close()


def wait_for(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started at once, as a machine that loses its power does."""
    children = [
        int(pid)
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    process.send_signal(signal.SIGSTOP)  # or it would start another one
    for pid in children:
        grandchildren = [
            int(each)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for each in (task / "children").read_text().split()
        ]
        for each in (pid, *grandchildren):
            os.kill(each, signal.SIGKILL)
    process.kill()
    process.wait()


def burst(server: RunningServer) -> list[str]:
    """Reports that come at once; their ids."""

    def one(number: int) -> str:
        body = report({**ANNOTATIONS, "n": str(number)}, upload_file_minidump=many_threads(8, 20))
        answer = send(server.url, body)
        assert answer.status_code == 200, answer.text
        return answer.text.removeprefix("CrashID=bp-").strip()

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(REPORTS)))


def holders(installation: Installation) -> set[object]:
    return {row[0] for row in installation.rows("SELECT DISTINCT holder FROM crash_queue WHERE holder <> ''")}


def revisions(server: RunningServer, ids: list[str]) -> list[int]:
    return [processed(server, one)["processing_revision"] for one in ids]


def in_lake(server: RunningServer) -> list[dict[str, object]]:
    return server.sql("SELECT uuid, count(*)::INT AS n FROM crashes GROUP BY 1 ORDER BY 1")


def test_a_burst_of_crashes_is_shared_and_each_is_processed_once(installation: Installation) -> None:
    edge = installation.server("edge", "edge,web")
    ids = burst(edge)
    for name in ("one", "two"):
        installation.machine(name, "crashes")
    seen: set[object] = set()

    def done() -> bool:
        seen.update(holders(installation))
        return installation.rows("SELECT count(*) FROM crash_queue") == [(0,)]

    wait_for(done)
    assert len(seen) == 2, "a worker of each machine held some"
    assert revisions(edge, ids) == [0] * REPORTS
    edge.wait_until(lambda: len(in_lake(edge)) == REPORTS)
    assert in_lake(edge) == [{"uuid": one, "n": 1} for one in sorted(ids)]


def test_what_a_killed_machine_had_in_its_hands_another_processes(installation: Installation) -> None:
    edge = installation.server("edge", "edge,web")
    ids = burst(edge)
    killed = installation.machine("one", "crashes")
    wait_for(lambda: bool(holders(installation)))
    assert len(holders(installation)) == 1
    kill_with_children(killed)
    assert installation.rows("SELECT count(*) > 0 FROM crash_queue WHERE holder <> ''") == [(True,)]
    installation.machine("two", "crashes")
    wait_for(lambda: installation.rows("SELECT count(*) FROM crash_queue") == [(0,)])
    assert all(revision <= 1 for revision in revisions(edge, ids))
    edge.wait_until(lambda: len(in_lake(edge)) == REPORTS)
    assert in_lake(edge) == [{"uuid": one, "n": 1} for one in sorted(ids)]


def test_what_is_done_at_one_server_holds_at_the_other(installation: Installation) -> None:
    one, other = (installation.server(name, "web") for name in ("one", "two"))
    add_user(one, "ada", "read", "reprocess")
    with browser(one) as client:
        assert sign_in(client, "ada").status_code == 303
        cookies = dict(client.cookies)
    me = httpx.get(f"{other.url}/api/v1/me", cookies=cookies).json()
    assert (me["name"], me["kind"]) == ("ada", "session")

    token = make_token(other, "read", "reprocess")
    header = bearer(token["token"])
    for server in (one, other):
        assert httpx.get(f"{server.url}/api/v1/me", headers=header).status_code == 200

    def releases(server: RunningServer) -> str:
        return httpx.get(f"{server.url}/releases", headers={**header, "accept": "text/html"}).text

    for writes, reads, version in ((one, other, "153.0"), (other, one, "154.0")):
        assert version not in releases(reads)
        where = ("--application", "Firefox", "--channel", "release", "--version", version)
        writes.run(
            "release", "set", *where, "--build-id", "20261120093000", "--published-at", "2026-11-20T10:00"
        )
        assert version in releases(reads)
        note = {"text": f"note about {version}"}
        assert httpx.post(f"{writes.url}/api/v1/annotations", json=note, headers=header).status_code == 200
        seen = httpx.get(f"{reads.url}/api/v1/annotations", headers=header).json()
        assert note["text"] in [each["text"] for each in seen]
        saved = {"name": f"query of {version}", "query": "SELECT 1"}
        with browser(writes) as client:
            client.cookies.update(cookies)
            kept = client.post("/sql/saved", data=saved, headers={"origin": writes.url})
            assert kept.status_code == 303, kept.text
        with browser(reads) as client:
            client.cookies.update(cookies)
            assert saved["name"] in client.get("/sql").text

    other.run("token", "revoke", token["id"])
    assert httpx.get(f"{one.url}/api/v1/me", headers=header).status_code == 401
    with browser(other) as client:
        client.cookies.update(cookies)
        assert client.post("/logout", headers={"origin": other.url}).status_code == 303
    assert httpx.get(f"{one.url}/api/v1/me", cookies=cookies).json()["name"] != "ada"


def test_there_is_one_scheduler_and_one_stream_of_a_topic_and_another_takes_over_within_a_minute(
    installation: Installation, kafka: KafkaBroker
) -> None:
    def holder(name: str) -> str:
        query = f"SELECT holder FROM leases WHERE name = '{name}'"
        found = installation.rows(f"{query} AND until_s > extract(epoch FROM clock_timestamp())")
        return str(found[0][0]).split()[1] if found else ""

    topic = f"log-{uuid.uuid4().hex[:8]}"
    make_topic(kafka.bootstrap, topic, 1)
    installation.environment |= {"MC_LOG__BOOTSTRAP_SERVERS": kafka.bootstrap, "MC_LOG__TOPIC": topic}
    entries, lake = pings_only(300, 1), installation.folder / "lake"
    turns = ("jobs", "alerts", "expiry", "care", "stream")
    first = installation.machine("one", "jobs,stream")
    wait_for(lambda: all(holder(name) == str(first.pid) for name in turns))
    send_entries(kafka.bootstrap, topic, entries[:200])
    wait_for(lambda: (lake / "notes" / "_delta_log").is_dir() and accounted(lake) >= 200)
    second = installation.machine("two", "jobs,stream")
    ends = time.monotonic() + 10
    while time.monotonic() < ends:  # it asks every three seconds
        assert {holder(name) for name in turns} == {str(first.pid)}
        time.sleep(0.2)
    send_entries(kafka.bootstrap, topic, entries[200:])
    kill_with_children(first)
    killed = time.monotonic()
    wait_for(lambda: all(holder(name) == str(second.pid) for name in turns))
    assert time.monotonic() - killed < 60, "what the guide promises"
    wait_for(lambda: accounted(lake) >= len(entries))
    compare(lake, embedded(installation.folder / "embedded", entries))
    second.terminate()
    assert second.wait(60) == 0
    assert [holder(name) for name in turns] == [""] * len(turns), "given back at once"
    assert "Traceback" not in installation.talk()
