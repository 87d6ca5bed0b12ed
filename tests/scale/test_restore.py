"""A backup is taken while pings come, all is lost, and the printed commands bring it back: every ping counts once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from deltalake.exceptions import TableNotFoundError
from deploy.local.fetch import ROOT
from deploy.local.kafka import KafkaBroker
from deploy.local.postgres import programs
from deploy.local.s3 import S3Server
from tests.support.crash_flow import send_dump
from tests.support.crash_reports import report, send
from tests.support.judging_clients import document
from tests.support.kafka_topics import make_topic, read_to_ends, send_entries
from tests.support.lake import LakeOnS3, everything, rows
from tests.support.minidumps import many_threads
from tests.support.postgres import ADMIN, PASSWORD, Postgres, running_postgres
from tests.support.s3 import s3_environment
from tests.support.server import SOURCES, RunningServer
from tests.support.signing_in import add_user, browser, sign_in
from tests.support.snippets import blocks
from tests.support.spark import SparkInstallation, accounted, compare_tables, embedded, pings_only, wait_until

from missioncontrol.log.kafka_messages import read_message
from missioncontrol.log.protocol import Entry

pytestmark = [pytest.mark.apt, pytest.mark.timeout(900)]

NAME = "missioncontrol"
SECRET = "of-the-owner"
TOPIC = "pings"
DAY = "2026-11-27"
PAGES = ("/", "/pipeline", "/releases", "/crashes", "/history", "/verdicts", "/alerts", "/metrics")
RELEASE = (
    "--application",
    "Firefox",
    "--channel",
    "release",
    "--version",
    "153.0",
    "--build-id",
    "20261120093000",
)


class Installation:
    """An edge, a web server, and a stream on Spark; all but the edge can be lost."""

    def __init__(self, folder: Path, kafka: KafkaBroker, s3: S3Server, postgres: Postgres) -> None:
        self.folder, self.kafka, self.s3, self.postgres = folder, kafka, s3, postgres
        make_topic(kafka.bootstrap, TOPIC, 2)
        self.environment = {
            **s3_environment(s3),
            "MC_LAKE__URL": f"s3://{NAME}/lake",
            "MC_BLOBS__URL": f"s3://{NAME}/blobs",
            "MC_STATE__URL": f"postgresql+psycopg://127.0.0.1:{postgres.port}/{NAME}",
            "MC_LOG__BOOTSTRAP_SERVERS": kafka.bootstrap,
            "MC_LOG__TOPIC": TOPIC,
            "PGUSER": NAME,
            "PGPASSWORD": SECRET,
        }
        s3.create_bucket(NAME)
        self.lake = LakeOnS3(f"s3://{NAME}/lake", s3.client_settings())
        self.stream = SparkInstallation(folder / "stream", kafka.bootstrap, TOPIC, 100, **self.environment)
        self.edge, self.web = (RunningServer(folder / name, self.environment) for name in ("edge", "web"))
        self.edge.only, self.web.only = "edge", "web"
        self.sent = 0

    def shell(self, lines: str) -> None:
        """Run what an operator types, as the administrator of PostgreSQL for its own programs."""
        for printed, own in (
            ("/backup", str(self.folder / "backup")),
            ("/var/lib/missioncontrol", str(self.web.data)),
            ("$(date -u +%F)", DAY),
        ):
            lines = lines.replace(printed, own)
        strange = ("MC_", "AWS_", "RCLONE_", "PG")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        told = {
            **inherited,
            **self.environment,
            "PATH": f"{Path(sys.executable).parent}:{programs()}:{os.environ['PATH']}",
            "PYTHONPATH": str(SOURCES),
            "MC_DATA": str(self.web.data),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres.port),
        }
        if "missioncontrol doctor" not in lines:
            told |= {"PGUSER": ADMIN, "PGPASSWORD": PASSWORD}
        done = subprocess.run(
            ["bash", "-euc", lines], cwd=ROOT, env=told, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, (lines, done.stdout, done.stderr)

    def in_topic(self) -> list[Entry]:
        """All that was ever acknowledged."""
        found = read_to_ends(self.kafka.bootstrap, TOPIC)
        found.sort(key=lambda message: (message.partition(), message.offset()))
        return [read_message(m.key(), m.value(), m.headers(), m.timestamp()[1]) for m in found]

    def send(self, count: int) -> list[Entry]:
        """New pings."""
        entries = pings_only(count, 700 + self.sent)
        self.bring(entries)
        return entries

    def bring(self, entries: list[Entry]) -> None:
        """Into the topic, as an edge does."""
        send_entries(self.kafka.bootstrap, TOPIC, entries)
        self.sent += len(entries)

    def age_logs(self) -> None:
        """Leave a checkpoint and what follows of each table's log, as it is after a day."""
        for log in (self.s3.folder / "data" / NAME / "lake").glob("*/_delta_log"):
            table = self.lake.open(log.parent.name)
            table.create_checkpoint()
            for commit in log.glob("*.json"):
                if int(commit.stem) < table.version():
                    commit.unlink()

    def lose(self) -> None:
        """Bucket and state, and whatever worked on them but the edge."""
        self.web.kill()
        shutil.rmtree(self.s3.folder / "data" / NAME)
        self.s3.create_bucket(NAME)
        self.lose_state()

    def lose_state(self) -> None:
        self.postgres.execute(self.postgres.dsn(), f"DROP DATABASE {NAME} WITH (FORCE)")

    def ping(self) -> int:
        """What the edge answers to a ping."""
        sent = document(1)
        path = f"/submit/telemetry/{sent.document_id}/{sent.kind}/Firefox/133.0/release/20261101093000?v=4"
        return self.edge.post(path, sent.body).status_code

    def close(self) -> None:
        self.web.stop()
        self.edge.stop()


@pytest.fixture(scope="module")
def installation(
    kafka: KafkaBroker, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        made = Installation(tmp_path_factory.mktemp("restore"), kafka, s3, postgres)
        made.shell("psql -X -q -v ON_ERROR_STOP=1 -d postgres -f deploy/postgresql/roles.sql")
        postgres.execute(postgres.dsn(), f"ALTER ROLE {NAME} PASSWORD '{SECRET}'")
        stack.callback(made.close)
        made.edge.start()
        made.web.start()
        yield made


def without_reports(tables: dict[str, Any]) -> dict[str, Any]:
    """What pings made of the tables."""
    sums = tables["error_aggregates"]
    for row in sums.values():
        for name in [name for name in row if name.endswith("crash_reports")]:
            del row[name]
    return {**tables, "error_aggregates": {key: row for key, row in sums.items() if row}}


def test_what_was_lost_is_restored_and_every_ping_counts_once(
    installation: Installation, tmp_path: Path
) -> None:
    edge, web, lake = installation.edge, installation.web, installation.lake
    dump = tmp_path / "dump"
    dump.write_bytes(many_threads(4, 10))
    add_user(web, "ada", "read", "reprocess")
    web.run("release", "set", *RELEASE, "--published-at", "2026-11-20T10:00")
    with browser(web) as ada:
        assert sign_in(ada, "ada").status_code == 303
        query = {"name": "kept for good", "query": "SELECT 1"}
        assert ada.post("/sql/saved", data=query, headers={"origin": web.url}).status_code == 303
    processed_before = send_dump(edge, dump)
    web.run("crash", "process")
    running = installation.stream.start("--trigger-s", "0.1")

    def there() -> int:
        with suppress(TableNotFoundError):
            return accounted(lake)
        return 0

    def see(count: int) -> None:
        wait_until(lambda: there() >= count, running, installation.stream)

    try:
        first = installation.send(300)
        see(installation.sent)
        installation.age_logs()
        waiting = send_dump(edge, dump)  # no worker runs during the backup
        [(_, lines)] = blocks("how-to/operate.md")["Keep safe"]
        *told, log, state, files, reports = lines.splitlines()
        for line in (log, state, files, reports):
            # Each is a copy of another moment, made while batches are committed.
            count = there()
            installation.send(200)
            see(count + 1)
            installation.shell("\n".join([*told, line]))
        add_user(web, "eve")
        sent_later = send_dump(edge, dump)
        installation.bring(first)
        later = installation.send(200)
        see(installation.sent)
    finally:
        running.kill()
        running.wait()

    installation.lose()
    assert installation.ping() == 200, "pings are taken all the while"
    assert send(edge.url, report()).status_code >= 500

    restore, begin = (lines for _, lines in blocks("how-to/runbook.md")["Restore from a backup"])
    installation.shell(restore)
    installation.shell(begin)
    assert 300 <= there() < installation.sent - 600
    assert installation.stream.run("--wait", "--until-idle") == 0, installation.stream.talk
    of_pings = embedded(tmp_path / "embedded", installation.in_topic())
    compare_tables(without_reports(everything(lake)), everything(of_pings))
    assert there() == installation.sent + 1

    web.start()
    web.run("crash", "process")
    for crash_id in (processed_before, waiting):
        assert web.get("/api/ProcessedCrash/", crash_id=crash_id).json()["uuid"] == crash_id
        assert web.sql(f"SELECT count(*)::INT AS n FROM crashes WHERE uuid = '{crash_id}'") == [{"n": 1}]
    counted = "SELECT sum(crash_reports)::INT AS n FROM error_aggregates"
    assert web.sql(counted) == [{"n": 2}]
    assert web.get("/api/ProcessedCrash/", crash_id=sent_later).status_code == 404
    assert "153.0" in web.run("release", "list").stdout
    with browser(web) as ada, browser(web) as eve:
        assert sign_in(eve, "eve").status_code != 303
        assert sign_in(ada, "ada").status_code == 303
        assert query["name"] in ada.get("/sql").text
        for page in PAGES:
            assert ada.get(page).status_code == 200, page
    assert send(edge.url, report()).status_code == 200

    # The state alone, from before what the lake has: what it has forgotten counts once more.
    installation.lose_state()
    *told, _, _, _, state = restore.splitlines()
    installation.shell("\n".join([*told, state]))
    archived = len(rows(lake, "pings"))
    installation.bring(later)
    assert installation.stream.run("--wait", "--until-idle") == 0, installation.stream.talk
    assert len(rows(lake, "pings")) == archived + len({entry.document_id for entry in later})
