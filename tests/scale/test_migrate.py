"""`missioncontrol migrate`: an installation in a folder goes on, on S3 and PostgreSQL, as if nothing had been."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import obstore
import psycopg
import pytest
from deploy.local.kafka import KafkaBroker
from deploy.local.s3 import S3Server
from obstore.store import S3Store
from tests.support.crash_flow import processed
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.lake import LakeOnS3, everything
from tests.support.minidumps import many_threads
from tests.support.pings import BUILD_ID, main_ping
from tests.support.postgres import Postgres, running_postgres
from tests.support.s3 import BUCKET, keys, s3_environment
from tests.support.s3_proxy import S3Proxy, Seen
from tests.support.server import COMMAND, SOURCES, RunningServer
from tests.support.signing_in import add_user, bearer, make_token

pytestmark = [pytest.mark.apt, pytest.mark.timeout(600)]
COUNTS = (
    "SELECT sum(main_crashes) AS crashes, sum(usage_hours) AS hours, sum(count) AS n FROM error_aggregates"
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


class Place:
    """Where it goes: an address in the bucket, a database, a settings file."""

    def __init__(self, folder: Path, s3: S3Server, postgres: Postgres) -> None:
        self.name = uuid.uuid4().hex[:8]
        self.s3, self.dsn = s3, postgres.new_database()
        self.data = folder / "new" / "data"
        self.file = folder / "new.toml"
        self.file.write_text(
            f'lake.url = "s3://{BUCKET}/{self.name}/lake"\n'
            f'blobs.url = "s3://{BUCKET}/{self.name}/blobs"\nstate.url = "{self.dsn}"\n'
        )
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MC_", "AWS_"))}
        self.environment = {**clean, **s3_environment(s3), "PYTHONPATH": str(SOURCES)}

    def start(self, old: Path, *more: str) -> subprocess.Popen[str]:
        """The move, as a process."""
        command = [
            *COMMAND,
            "migrate",
            "--data",
            str(old),
            "--to",
            str(self.file),
            "--to-data",
            str(self.data),
        ]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*command, *more],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def run(self, old: Path, *more: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        running = self.start(old, *more)
        try:
            out, err = running.communicate(timeout=300)
        finally:
            running.kill()
            running.wait()
        assert "Traceback" not in err, err
        return running.returncode, out, err

    def stored(self, name: str) -> Path:
        """The file in which the server keeps an object."""
        return self.s3.folder / "data" / BUCKET / self.name / name

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode()).fetchall()

    def server(self, folder: Path, **more: str) -> RunningServer:
        """The new installation."""
        settings = {**more, "MC_LAKE__URL": f"s3://{BUCKET}/{self.name}/lake", "MC_STATE__URL": self.dsn}
        settings["MC_BLOBS__URL"] = f"s3://{BUCKET}/{self.name}/blobs"
        return RunningServer(folder, {**s3_environment(self.s3), **settings})


@pytest.fixture
def place(tmp_path: Path, s3: S3Server, postgres: Postgres) -> Place:
    return Place(tmp_path, s3, postgres)


def post(server: RunningServer, document_id: str) -> None:
    path = f"/submit/telemetry/{document_id}/main/Firefox/62.0.3/release/{BUILD_ID}?v=4"
    body = json.dumps(main_ping(id=document_id)).encode()
    assert server.post(path, body).status_code == 200


def lived(folder: Path) -> tuple[Path, dict[str, Any]]:
    """An installation with pings, of which some wait in the log, a crash, a user, a token and a release; stopped."""
    server = RunningServer(folder, {})
    server.start()
    ids = [str(uuid.uuid4()) for _ in range(60)]
    for one in ids[:40]:
        post(server, one)
    server.settle()
    body = report(ANNOTATIONS, upload_file_minidump=many_threads(8, 20))
    crash = send(server.url, body).text.removeprefix("CrashID=bp-").strip()
    processed(server, crash)
    token = make_token(server, "read", "protected")["token"]
    named = ("--application", "Firefox", "--channel", "release", "--version", "62.0.3")
    server.run("release", "set", *named, "--published-at", "2026-11-20T10:00:00Z")
    add_user(server, "ann", "read", "admin")
    server.stop()
    server.only = "edge,web"
    server.start()
    for one in ids[40:]:
        post(server, one)
    server.stop()
    return server.data, {"ids": ids, "crash": crash, "token": token}


def sqlite_rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def same_files(old: Path, place: Place) -> None:
    """Lake and files of crashes are in the bucket as they are in the folder."""
    url = f"s3://{BUCKET}/{place.name}/lake"
    assert everything(LakeOnS3(url, place.s3.client_settings())) == everything(old / "lake")
    files = {str(path.relative_to(old)): path for path in (old / "blobs").rglob("*") if path.is_file()}
    files = {name: path for name, path in files.items() if not name.startswith("blobs/drafts/")}
    assert keys(place.s3, f"{place.name}/blobs") == sorted(f"{place.name}/{name}" for name in files)
    for name, path in files.items():
        assert place.stored(name).read_bytes() == path.read_bytes(), name


def test_everything_goes_on_in_the_new_place(tmp_path: Path, place: Place) -> None:
    old, held = lived(tmp_path / "old")
    (old / "blobs" / "drafts" / "of-a-killed-edge").write_bytes(b"half a report")
    code, out, err = place.run(old, "--json")
    assert code == 0, err
    moved = json.loads(out)
    assert moved["state"]["releases"] == 1 and moved["state"]["users"] == 1 and moved["blobs"]["files"] > 0
    same_files(old, place)
    server = place.server(place.data.parent)
    server.start()
    try:
        [row] = server.sql(COUNTS)
        assert row["n"] == 60
        for one in held["ids"][:5]:  # resent: known from before
            post(server, one)
        post(server, str(uuid.uuid4()))
        server.settle()
        [row] = server.sql(COUNTS)
        assert row["n"] == 61
        assert server.sql("SELECT sum(count) AS n FROM discards WHERE reason = 'duplicate'") == [{"n": 5}]
        for address in (f"/report/{held['crash']}", f"/api/RawCrash/?crash_id={held['crash']}&format=raw"):
            answer = httpx.get(server.url + address, headers=bearer(held["token"]), timeout=60)
            assert answer.status_code == 200 and answer.content, address
        assert httpx.get(server.url + address, timeout=60).status_code == 403, "the user came along"
        assert "62.0.3" in server.run("release", "list").stdout
    finally:
        server.stop()
    code, _, err = place.run(old)
    assert code == 2 and "moved already" in err


class Held:
    """Writes to some keys go no further behind the proxy, but the first of them, until it is let go."""

    def __init__(self, proxy: S3Proxy, wanted: Callable[[str], bool]) -> None:
        self._wanted, self._lock, self._passed = wanted, threading.Lock(), ""
        self.waits, self._let_go = threading.Event(), threading.Event()
        proxy.before = self._before

    def _before(self, seen: Seen) -> None:
        if not seen.writes_data or not self._wanted(seen.key):
            return
        with self._lock:
            self._passed = self._passed or seen.key
        if seen.key != self._passed:
            self.waits.set()
            self._let_go.wait()
            raise ConnectionResetError  # its client was killed

    def let_go(self) -> None:
        self._let_go.set()


def wait_for(condition: Callable[[], Any], running: subprocess.Popen[str]) -> None:
    while not condition():
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)


def kill(running: subprocess.Popen[str]) -> None:
    running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL


def killed_while_it_writes(
    place: Place, old: Path, proxy: S3Proxy, prefix: str, wanted: Callable[[str], bool]
) -> None:
    """Between two objects of those that are wanted below the prefix."""

    def brought() -> list[str]:
        return [key for key in keys(place.s3, f"{place.name}/{prefix}") if wanted(key)]

    held = Held(proxy, lambda key: key.startswith(f"{BUCKET}/{place.name}/{prefix}/") and wanted(key))
    running = place.start(old)
    try:
        wait_for(lambda: held.waits.is_set() and brought(), running)
        kill(running)
    finally:
        held.let_go()
        proxy.before = lambda _: None
    assert len(brought()) == 1


def killed_while_it_inserts(place: Place, old: Path, table: str, insert: str, *values: Any) -> None:
    """In the middle of the transaction that copies the state: this row is one of a transaction that has not ended."""
    with psycopg.connect(place.dsn) as own, psycopg.connect(place.dsn, autocommit=True) as asking:
        own.execute(insert.encode(), values)

        def waits() -> bool:
            query = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            return any(text.startswith(f"INSERT INTO {table} ") for (text,) in asking.execute(query))

        running = place.start(old)
        try:
            wait_for(waits, running)
        finally:
            kill(running)
        own.rollback()


def killed_while_it_opens(place: Place, old: Path, file: Path) -> None:
    """A file of the old installation; who opens it is held until the lease on it is given up."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(file, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        running = place.start(old)
        try:
            wait_for(lambda: fcntl.fcntl(descriptor, fcntl.F_GETLEASE) != fcntl.F_WRLCK, running)
        finally:
            kill(running)
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


def test_a_move_that_is_killed_in_each_of_its_steps_goes_on_and_all_is_the_same_on_kafka(
    tmp_path: Path, place: Place, kafka: KafkaBroker, proxy: S3Proxy
) -> None:
    old, held = lived(tmp_path / "old")
    for name in ("registry.toml", "signature-lists/own/a.txt", "signature-lists/own/z.txt"):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(f"# {name}\n")
    place.environment |= proxy.environment()
    settings = {"MC_LOG__BOOTSTRAP_SERVERS": kafka.bootstrap, "MC_LOG__TOPIC": place.name}
    with place.file.open("a") as file:
        file.write(f'log.bootstrap_servers = "{kafka.bootstrap}"\nlog.topic = "{place.name}"\n')
    killed_while_it_writes(place, old, proxy, "lake", lambda key: "/_delta_log/" not in key)
    killed_while_it_writes(place, old, proxy, "lake", lambda key: "/_delta_log/" in key)
    killed_while_it_writes(place, old, proxy, "blobs", bool)
    user = "INSERT INTO users (name, scopes, created_at, disabled) VALUES ('ann', '', now(), false)"
    killed_while_it_inserts(place, old, "users", user)
    known = sqlite_rows(old / "log" / "log.sqlite", "SELECT id, claimant, noted_s FROM seen ORDER BY id")
    row = "INSERT INTO identities (id, claimant, noted_s) VALUES (%s, %s, %s)"
    killed_while_it_inserts(place, old, "identities", row, *known[-1])
    assert place.rows("SELECT 1 FROM users") == place.rows("SELECT 1 FROM identities") == []
    killed_while_it_opens(place, old, old / "signature-lists" / "own" / "z.txt")
    assert (place.data / "registry.toml").exists()
    assert not (place.data / "signature-lists" / "own" / "z.txt").exists()
    code, out, err = place.run(old)
    assert code == 0, err
    assert "60 known documents" in out and str(place.data) in out
    same_files(old, place)
    moved = place.rows("SELECT id, claimant, noted_s FROM identities ORDER BY id")
    assert len(moved) == 60 and moved == known
    for table in ("users", "tokens", "releases", "crash_uploads", "access_log", "runs", "alert_channels"):
        query = f"SELECT count(*) FROM {table}"
        assert place.rows(query) == sqlite_rows(old / "state.sqlite", query), table
    for name in ("registry.toml", "signature-lists/own/a.txt", "signature-lists/own/z.txt"):
        assert (place.data / name).read_text() == f"# {name}\n"
    assert not list(old.glob("moved-*")), "what was compared is noted only while it lasts"
    server = place.server(place.data.parent, **settings)
    server.run("log", "create-topic", "--partitions", "1")
    server.start()
    try:
        for one in [*held["ids"][:5], str(uuid.uuid4())]:
            post(server, one)
        server.settle()
        [row] = server.sql(COUNTS)
        assert row["n"] == 61
        assert server.sql("SELECT sum(count) AS n FROM discards WHERE reason = 'duplicate'") == [{"n": 5}]
    finally:
        server.stop()


def test_what_is_at_work_or_would_be_mixed_is_refused(tmp_path: Path, place: Place) -> None:
    server = RunningServer(tmp_path / "old", {})
    server.start()
    try:
        code, _, err = place.run(server.data)
        assert code == 2 and "is at work" in err
    finally:
        server.stop()
    store: Any = S3Store(BUCKET, config=place.s3.client_settings())
    obstore.put(store, f"{place.name}/lake/of-somebody-else", b"x")
    code, _, err = place.run(server.data)
    assert code == 2 and "There is something already" in err and place.name in err
