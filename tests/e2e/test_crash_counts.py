"""Crash reports in the aggregates, as a server without a stream counts them: SQL, API, pages, kills and deletions."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.minidumps import header_only
from tests.support.server import RunningServer, running_server

PATIENCE_S = 90.0
PARTS = "edge,crashes,web"
NOTES = {"ProductName": "Notes", "Version": "2.3.1", "ReleaseChannel": "stable", "BuildID": "77"}
THROTTLE = """
no_match = "accept"

[[rule]]
name = "notes"
when = [{ field = "ProductName", in = ["Notes"] }]
percent = 10
result = "accept"
otherwise = "reject"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("counts")
    rules = folder / "throttle.toml"
    rules.write_text(THROTTLE)
    settings = {"MC_INGEST__THROTTLE": str(rules), "MC_LAKE__VACUUM_AFTER_S": "1"}
    server = RunningServer(folder, settings)
    server.only = PARTS
    try:
        server.start()
        yield server
    finally:
        server.stop()


def sent(server: RunningServer, **annotations: str) -> str:
    """The crash id of a report of its own; the empty text when it was not wanted."""
    body = report(
        {**ANNOTATIONS, "mark": os.urandom(8).hex(), **annotations}, upload_file_minidump=header_only()
    )
    answer = send(server.url, body).text.strip()
    return answer.removeprefix("CrashID=bp-") if answer.startswith("CrashID=") else ""


def kept(server: RunningServer, count: int, **annotations: str) -> list[str]:
    """Crash ids of so many reports that were kept, however many were sent for them."""
    ids: list[str] = []
    while len(ids) < count:
        if crash_id := sent(server, **annotations):
            ids.append(crash_id)
    return ids


def total(server: RunningServer, product: str, measure: str = "crash_reports") -> float:
    query = f"SELECT coalesce(sum({measure}), 0) AS n FROM error_aggregates WHERE application = '{product}'"
    return float(server.sql(query)[0]["n"])


def signatures(server: RunningServer, product: str) -> list[dict[str, Any]]:
    query = (
        "SELECT signature, process_type, version, build_id, sum(reports)::INT AS reports, sum(crashes) AS crashes "
        f"FROM crash_signature_counts WHERE application = '{product}' GROUP BY ALL ORDER BY process_type"
    )
    return server.sql(query)


def worker_pids(server: RunningServer) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
        except OSError:
            continue
        if b"process" in command and str(server.data).encode() in command:
            found.append(int(folder.name))
    return found


def test_a_product_without_pings_is_counted_with_weights(server: RunningServer) -> None:
    kept(server, 2, **NOTES)
    kept(server, 1, **NOTES, ProcessType="gpu")
    server.wait_until(lambda: total(server, "Notes") == 30, PATIENCE_S)
    assert (total(server, "Notes", "main_crash_reports"), total(server, "Notes", "gpu_crash_reports")) == (
        20,
        10,
    )
    assert [(r["process_type"], r["reports"], r["crashes"]) for r in signatures(server, "Notes")] == [
        ("gpu", 1, 10), ("parent", 2, 20),
    ]  # fmt: skip
    assert {(r["version"], r["build_id"]) for r in signatures(server, "Notes")} == {("2.3.1", "77")}

    answer = server.get(
        "/api/v1/aggregates", measurements="crash_reports", dimensions=["version", "build_id"],
        application="Notes", interval="day",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    [row] = answer.json()["results"]
    assert (row["version"], row["build_id"], row["crash_reports"]) == ("2.3.1", "77", 30)
    assert row["crash_reports_per_1000_usage_hours"] is None

    page = server.get("/measure/Notes/Other/crash_reports").text
    assert "Numbers only, no rates" in page and "2.3.1" in page
    assert 'name="show"' not in page
    overview = server.get("/").text
    assert "Notes" in overview and "no pings" in overview and "/measure/Notes/Other/crash_reports" in overview
    assert server.sql("SELECT count(*) AS n FROM error_aggregates_v2") == [{"n": 0}]


def test_reprocessing_and_backfill_count_nothing_twice(server: RunningServer) -> None:
    [crash_id] = kept(server, 1, ProductName="Again")
    server.wait_until(lambda: total(server, "Again") == 1, PATIENCE_S)
    query = f"SELECT revision FROM crashes WHERE uuid = '{crash_id}'"
    for revision in (1, 2):
        server.run("crash", "reprocess", crash_id)
        server.wait_until(partial(_is, server, query, [{"revision": revision}]), PATIENCE_S)
        server.run("crash", "process")  # counts what is marked
        assert total(server, "Again") == 1
    day = server.sql("SELECT max(submission_date)::VARCHAR AS d FROM crashes")[0]["d"]
    done = server.run("registry", "backfill", "crash_reports", "--since", day)
    assert "crash reports of 1 day counted" in done.stderr
    done = server.run(
        "backfill", "--table", "error_aggregates", "--min-submission-date", day, "--max-submission-date", day
    )
    assert "crash reports of 1 day counted" in done.stderr
    assert total(server, "Again") == 1


def test_workers_that_are_killed_count_nothing_twice_and_lose_nothing(server: RunningServer) -> None:
    kept(server, 25, ProductName="Killed")
    for _ in range(3):
        server.wait_until(lambda: bool(worker_pids(server)), PATIENCE_S)
        for pid in worker_pids(server):
            os.kill(pid, signal.SIGKILL)
    query = "SELECT count(*) AS n FROM crashes WHERE product = 'Killed'"
    server.wait_until(partial(_is, server, query, [{"n": 25}]), 400)
    server.wait_until(lambda: total(server, "Killed") == 25, PATIENCE_S)
    server.run("crash", "process")
    assert total(server, "Killed") == 25
    assert sum(r["reports"] for r in signatures(server, "Killed")) == 25


def test_marks_outlive_the_server_that_set_them(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        kept(server, 3, ProductName="Left")
        query = "SELECT count(*) AS n FROM crashes WHERE product = 'Left'"
        server.wait_until(partial(_is, server, query, [{"n": 3}]), PATIENCE_S)
        server.kill()
        server.only = PARTS
        server.start()
        server.wait_until(lambda: total(server, "Left") == 3, 400)


def test_a_deleted_crash_is_counted_no_more(server: RunningServer) -> None:
    gone, _ = kept(server, 2, ProductName="Deleted")
    server.wait_until(lambda: total(server, "Deleted") == 2, PATIENCE_S)
    done = json.loads(server.run("crash", "delete", "--yes", "--json", gone).stdout)
    assert done["crashes"] == 1
    server.wait_until(lambda: total(server, "Deleted") == 1, PATIENCE_S)
    server.wait_until(lambda: [r["reports"] for r in signatures(server, "Deleted")] == [1], PATIENCE_S)


def _is(server: RunningServer, query: str, rows: list[dict[str, Any]]) -> bool:
    return server.sql(query) == rows
