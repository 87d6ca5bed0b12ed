"""A server for crash reports alone cares for its tables too, and lets go what is too old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.form import scaled, stored
from tests.support.server import RunningServer

from missioncontrol.blobs.crash_keys import MINIDUMP, dump_key
from missioncontrol.config import load_config
from missioncontrol.services import Services

SETTINGS = {
    "MC_LAKE__COMPACT_INTERVAL_S": "0.5",
    "MC_LAKE__VACUUM_AFTER_S": "1",
    "MC_RETENTION__DUMPS": "1",
    "MC_JOBS__DAILY_AT": "00:00",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path, SETTINGS)
    running.only = "edge,crashes,web"
    running.start()
    yield running
    running.stop()


def processed(server: RunningServer, crash: str) -> bool:
    answer = httpx.get(f"{server.url}/api/ProcessedCrash/", params={"crash_id": crash}, timeout=30)
    return answer.status_code == 200


def crashes_sent(server: RunningServer, number: int) -> None:
    """Send one after the other, each when the one before is a row."""
    for n in range(number):
        answer = send(server.url, report({**ANNOTATIONS, "n": str(n)}, upload_file_minidump=b"x"))
        assert answer.status_code == 200
        server.wait_until(lambda n=n: server.sql("SELECT count(*) AS n FROM crashes")[0]["n"] == n + 1, 60)


def test_tables_of_crashes_are_compacted_and_vacuumed_without_a_stream(server: RunningServer) -> None:
    crashes_sent(server, 10)

    def facts() -> dict[str, int]:
        tables = json.loads(server.run("lake", "tables", "--json").stdout)
        [found] = [t for t in tables if t["name"] == "crashes"]
        return {"rows": found["rows"], "files": found["files"]}

    def on_disk() -> int:
        return sum("part-" in name for name, _ in stored(server.data, "lake/crashes"))

    server.wait_until(lambda: facts()["files"] < 8, 60)
    if scaled():  # no object is deleted before it is 75 minutes old
        assert on_disk() >= 10
    else:
        server.wait_until(lambda: on_disk() == facts()["files"], 60, pause_s=1)
    assert facts()["rows"] == 10
    assert "Traceback" not in server.talk


def test_what_is_too_old_goes_without_the_part_jobs(server: RunningServer) -> None:
    token = json.loads(server.run("token", "create", "--name", "t", "--scope", "ingest", "--json").stdout)[
        "token"
    ]
    # The round of this day was before the report comes, however slow the machine is.
    server.wait_until(lambda: "expiry_done" in server.talk, 60)
    day = datetime.now(UTC) - timedelta(days=3)
    old = f"de1bb258-cbbf-4589-a673-34f800{day:%y%m%d}"
    body = report({**ANNOTATIONS, "uuid": old}, upload_file_minidump=b"old")
    assert send(server.url, body, authorization=f"Bearer {token}").status_code == 200
    answer = send(server.url, report(upload_file_minidump=b"new"))
    new = answer.text.removeprefix("CrashID=bp-").strip()
    server.wait_until(lambda: processed(server, old) and processed(server, new), 60)
    assert dumps(server) == {dump_key(c, MINIDUMP) for c in (old, new)}
    server.stop()
    server.start()
    server.wait_until(lambda: dumps(server) == {dump_key(new, MINIDUMP)}, 60)
    assert processed(server, old), "stacks are kept for longer"


def dumps(server: RunningServer) -> set[str]:
    """The keys of all dumps."""
    services = Services(load_config(server.data))
    try:
        return set(services.blobs.list("dump/"))
    finally:
        services.close()
