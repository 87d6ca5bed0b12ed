"""The roles of `deploy/postgresql`: each process does its work by its own, and may no more."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from deploy.local.fetch import ROOT
from deploy.local.postgres import programs
from tests.support.crash_flow import send_dump
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.minidumps import many_threads
from tests.support.postgres import Postgres, running_postgres
from tests.support.server import COMMAND, SOURCES, RunningServer
from tests.support.signing_in import PASSWORD, add_user, bearer, browser, make_token, sign_in

from missioncontrol.state.database import Database, metadata
from missioncontrol.state.identities import KnownIdentities
from missioncontrol.state.leases import Leases

pytestmark = [pytest.mark.apt, pytest.mark.timeout(600)]

FILES = ROOT / "deploy" / "postgresql"
NAME = "missioncontrol"
SECRET = "of-all-roles"
PROCESSES = ("edge", "stream", "crashes", "jobs", "web")
PAGES = (
    "/", "/pipeline", "/releases", "/crashes", "/history", "/verdicts", "/calibration", "/alerts", "/sql", "/symbols",
    "/registry", "/metrics", "/api/v1/me", "/api/v1/annotations", "/api/SuperSearch/", "/docs/",
)  # fmt: skip


def psql(dsn: str, file: str) -> None:
    command = [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", FILES / file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def role(process: str) -> str:
    return f"{NAME}_{process}" if process else NAME


def environment(postgres: Postgres, process: str) -> dict[str, str]:
    """What the process is told, as in deploy/systemd: the role is not in the settings."""
    url = f"postgresql+psycopg://127.0.0.1:{postgres.port}/{NAME}"
    return {"MC_STATE__URL": url, "PGUSER": role(process), "PGPASSWORD": SECRET}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server set up as the guide says."""
    with running_postgres() as server:
        psql(server.dsn(), "roles.sql")
        roles = [role(process) for process in ("", *PROCESSES)]
        server.execute(server.dsn(), *(f"ALTER ROLE {each} PASSWORD '{SECRET}'" for each in roles))
        owner = server.dsn(NAME, NAME, SECRET)
        Database(owner.replace("postgresql:", "postgresql+psycopg:")).engine()
        for _ in range(2):
            psql(owner, "grants.sql")
        yield server


@contextmanager
def behind(folder: Path, postgres: Postgres, process: str, *command: str) -> Iterator[Path]:
    """A process that does not listen; the file with what it says."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
    whole = {**inherited, "PYTHONPATH": str(SOURCES), **environment(postgres, process)}
    path = folder / f"{process}.log"
    with path.open("w") as talk:
        running = subprocess.Popen(
            [*COMMAND, *command, "--data", str(folder / "data")],
            cwd=folder,
            env=whole,
            stdout=talk,
            stderr=talk,
        )
    try:
        yield path
        assert running.poll() is None, path.read_text()
    finally:
        running.terminate()
        assert running.wait(120) == 0, path.read_text()


def listening(folder: Path, postgres: Postgres, process: str) -> RunningServer:
    """A server with the data folder that all share, and talk of its own."""
    (folder / process).mkdir()
    (folder / "data").mkdir(exist_ok=True)
    (folder / process / "data").symlink_to(folder / "data")
    server = RunningServer(folder / process, environment(postgres, process))
    server.only = process
    server.start()
    return server


def rows(postgres: Postgres, query: str) -> list[tuple[object, ...]]:
    return postgres.rows(postgres.dsn(NAME), query)


def test_an_installation_works_with_a_role_for_each_process(postgres: Postgres, tmp_path: Path) -> None:
    edge = listening(tmp_path, postgres, "edge")
    web = listening(tmp_path, postgres, "web")
    try:
        ingest = make_token(web, "ingest")["token"]
        body = report(
            {**ANNOTATIONS, "uuid": "de1bb258-cbbf-4589-a673-34f800261126"},
            upload_file_minidump=many_threads(8, 20),
        )
        assert send(edge.url, body).status_code == 401
        chosen = send(edge.url, body, authorization=f"Bearer {ingest}")
        assert chosen.status_code == 200, chosen.text
        again = send(edge.url, body, authorization=f"Bearer {ingest}")
        assert again.text == chosen.text
        dump = tmp_path / "dump"
        dump.write_bytes(many_threads(4, 10))
        crash = send_dump(edge, dump)
        with (
            behind(tmp_path, postgres, "crashes", "crash", "process", "--follow") as crashes,
            behind(tmp_path, postgres, "jobs", "serve", "--only", "jobs") as jobs,
        ):
            web.wait_until(lambda: rows(postgres, "SELECT count(*) FROM crash_queue") == [(0,)], 120)
            web.wait_until(lambda: len(web.sql("SELECT uuid FROM crashes")) == 2, 120)
            held = "SELECT name FROM leases WHERE name IN ('jobs', 'alerts', 'expiry')"
            web.wait_until(lambda: len(rows(postgres, held)) == 3, 120)
            use(web, crash)
            web.wait_until(lambda: rows(postgres, "SELECT count(*) FROM crash_queue") == [(0,)], 120)
            for process, command in (
                ("jobs", ("lake", "expire")), ("jobs", ("lake", "compact")), ("jobs", ("jobs", "list")),
                ("jobs", ("crash", "delete", "--yes", crash)), ("jobs", ("release", "infer")),
                ("web", ("doctor",)), ("edge", ("doctor",)), ("crashes", ("doctor",)), ("stream", ("doctor",)),
            ):  # fmt: skip
                other = RunningServer(tmp_path / process, environment(postgres, process))
                other.data = tmp_path / "data"
                other.run(*command)
        said = edge.talk + web.talk + crashes.read_text() + jobs.read_text()
        assert "Traceback" not in said
        assert not re.findall(r"state_\w+|permission denied.*", said)
    finally:
        web.stop()
        edge.stop()


def use(web: RunningServer, crash: str) -> None:
    """What people and programs do at a web server that writes to the state."""
    add_user(web, "ada", "admin")
    header = bearer(make_token(web, "admin")["token"])
    note = httpx.post(f"{web.url}/api/v1/annotations", json={"text": "begun"}, headers=header)
    assert note.status_code == 200, note.text
    again = httpx.post(f"{web.url}/api/Reprocessing/", data={"crash_ids": crash}, headers=header)
    assert again.status_code == 200, again.text
    with browser(web) as client:
        assert sign_in(client, "ada", PASSWORD).status_code == 303
        saved = client.post(
            "/sql/saved", data={"name": "one", "query": "SELECT 1"}, headers={"origin": web.url}
        )
        assert saved.status_code == 303, saved.text
        for page in PAGES:
            assert client.get(page).status_code == 200, page
        assert client.post("/logout", headers={"origin": web.url}).status_code == 303
    where = ("--application", "Firefox", "--channel", "release", "--version", "153.0")
    web.run("release", "set", *where, "--build-id", "20261120093000", "--published-at", "2026-11-20T10:00")
    web.run("alert", "channel", "add", "hook", "--kind", "webhook", "--to", "http://127.0.0.1:9/")
    web.run("alert", "channel", "remove", "hook")
    web.run("crash", "bug", "add", "signature", "https://bugs.example.com/1", "--title", "t")
    web.run("user", "remove", "ada")


def test_the_role_of_the_stream_takes_its_turn_and_tells_duplicates(postgres: Postgres) -> None:
    url = f"postgresql+psycopg://{role('stream')}:{SECRET}@127.0.0.1:{postgres.port}/{NAME}"
    database = Database(url)
    leases = Leases(database)
    assert leases.take("spark-stream", "here 1 x", 40) and leases.holder("spark-stream") is not None
    leases.give_back("spark-stream", "here 1 x")
    known = KnownIdentities(database, 7)
    ids = [bytes([number] * 16) for number in (1, 2)]
    assert known.claim(ids, [-5, -6], [1_800_000_000] * 2) == [False, False]
    assert known.claim(ids, [-7, -8], [1_800_000_001] * 2) == [True, True]


@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_reads_what_it_has_no_need_of(postgres: Postgres, process: str) -> None:
    hidden = {
        "edge": {"sessions", "sign_ins", "alert_channels", "identities", "access_log", "saved_queries"},
        "stream": set(metadata.tables) - {"leases", "identities"},
        "crashes": {
            "users",
            "tokens",
            "sessions",
            "sign_ins",
            "alert_channels",
            "access_log",
            "leases",
            "identities",
        },
        "jobs": {"users", "tokens", "sessions", "sign_ins", "saved_queries", "query_history"},
        "web": {"identities"},
    }[process]
    with psycopg.connect(postgres.dsn(NAME, role(process), SECRET), autocommit=True) as connection:
        for table in sorted(hidden):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table} LIMIT 1".encode())
        for statement in ("CREATE TABLE mine (n int)", "DROP TABLE crash_queue", "TRUNCATE crash_queue"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
