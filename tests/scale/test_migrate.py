"""`missioncontrol migrate`: an installation in a folder goes on, on S3 and PostgreSQL, as if nothing had been."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import obstore
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


def test_everything_goes_on_in_the_new_place_also_after_a_move_that_was_killed(
    tmp_path: Path, place: Place
) -> None:
    old, held = lived(tmp_path / "old")
    (old / "blobs" / "drafts" / "of-a-killed-edge").write_bytes(b"half a report")
    for brought in (1, 12):
        killed = place.start(old)
        while len(keys(place.s3, place.name)) < brought:
            assert killed.poll() is None, killed.communicate()
            time.sleep(0.01)
        killed.kill()
        killed.communicate()
    code, out, err = place.run(old, "--json")
    assert code == 0, err
    moved = json.loads(out)
    assert moved["state"]["releases"] == 1 and moved["state"]["users"] == 1 and moved["blobs"]["files"] > 0
    url = f"s3://{BUCKET}/{place.name}/lake"
    assert everything(LakeOnS3(url, place.s3.client_settings())) == everything(old / "lake")
    files = (path.relative_to(old / "blobs") for path in (old / "blobs").rglob("*") if path.is_file())
    blobs = {str(path) for path in files if path.parts[0] != "drafts"}
    assert {
        key.removeprefix(f"{place.name}/blobs/") for key in keys(place.s3, f"{place.name}/blobs")
    } == blobs
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


def test_documents_that_the_old_log_knew_are_known_on_kafka(
    tmp_path: Path, place: Place, kafka: KafkaBroker
) -> None:
    old, held = lived(tmp_path / "old")
    settings = {"MC_LOG__BOOTSTRAP_SERVERS": kafka.bootstrap, "MC_LOG__TOPIC": place.name}
    with place.file.open("a") as file:
        file.write(f'log.bootstrap_servers = "{kafka.bootstrap}"\nlog.topic = "{place.name}"\n')
    code, out, err = place.run(old)
    assert code == 0, err
    assert "60 known documents" in out and str(place.data) in out
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
