"""A backlog of crash reports that is full: clients are told to come again, and nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.crash_reports import ANNOTATIONS, report, send
from tests.support.server import RunningServer

MOST = 3


def sent(server: RunningServer, number: int) -> httpx.Response:
    return send(server.url, report({**ANNOTATIONS, "n": str(number)}, upload_file_minidump=b"MDMP" * 200_000))


def crash_id(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.text.removeprefix("CrashID=bp-").strip()


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """A server without workers, so that reports wait."""
    running = RunningServer(tmp_path, {"MC_INGEST__CRASH_BACKLOG_MAX": str(MOST)})
    running.only = "edge,web,stream"
    running.start()
    yield running
    running.stop()


def test_a_full_backlog_refuses_until_workers_have_caught_up(server: RunningServer) -> None:
    ids = [crash_id(sent(server, n)) for n in range(MOST)]
    for n in range(2):
        refused = sent(server, MOST + n)
        assert (refused.status_code, refused.text) == (503, "Discarded=backlog_full")
        assert refused.headers["retry-after"] == "60"
    server.stop()
    server.start()
    assert sent(server, MOST).status_code == 503, "another process counts what it finds"

    status = server.get("/api/v1/pipeline").json()["crashes"]
    assert (status["reports"], status["most"]) == (MOST, MOST)
    assert status["oldest_s"] > 0
    assert "of at most 3" in server.get("/pipeline").text
    assert "data-full" in server.get("/crashes").text
    assert server.get("/crashes", format="json").json()["queue"]["reports"] == MOST

    server.run("crash", "process")
    server.wait_until(lambda: sent(server, MOST).status_code == 200)
    assert "data-full" not in server.get("/crashes").text
    for crash in ids:
        assert httpx.get(f"{server.url}/api/ProcessedCrash/", params={"crash_id": crash}).status_code == 200
    query = "SELECT sum(count) AS n FROM discards WHERE reason = 'edge_crash_backlog_full'"
    server.wait_until(lambda: bool((found := server.sql(query)) and (found[0]["n"] or 0) >= 3))


def test_crashes_that_are_processed_again_take_no_place_of_new_ones(server: RunningServer) -> None:
    ids = [crash_id(sent(server, n)) for n in range(MOST)]
    server.run("crash", "process")
    server.run("crash", "reprocess", *ids)
    server.wait_until(lambda: sent(server, MOST).status_code == 200)
    assert server.get("/crashes", format="json").json()["queue"]["reports"] == 1
