"""The pipeline page over running servers: the picture, processes that come and go, parts elsewhere, a dead stream."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.server import RunningServer, running_server

PAGE = {"accept": "text/html"}


def address() -> str:
    return f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/61.0/release/20180621125625?v=4"


def state(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/api/v1/pipeline").json()
    return found


def boxes(server: RunningServer) -> dict[str, dict[str, Any]]:
    picture = state(server)["picture"]
    return {box["name"]: box for box in (*picture["pings"], *picture["crashes"])}


def troubles(server: RunningServer) -> dict[str, dict[str, Any]]:
    return {one["box"]: one for one in state(server)["picture"]["troubles"]}


def page(server: RunningServer, **parameters: str) -> httpx.Response:
    return httpx.get(server.url + "/pipeline", params=parameters or None, headers=PAGE, timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("picture"), MC_STREAM__MIN_INTERVAL_S="0.1") as running:
        running.wait_until(lambda: boxes(running)["stream"]["state"] == "ok")  # it starts beside the pages
        yield running


def test_with_nothing_received_the_picture_is_idle_and_not_alarmed(server: RunningServer) -> None:
    found = boxes(server)
    assert {found[name]["state"] for name in ("clients", "alerts", "verdicts", "collector", "workers")} == {
        "idle"
    }
    assert {found[name]["state"] for name in ("log", "stream")} == {"ok"}
    shown = page(server).text
    assert "Point one here" in shown and 'data-state="ok"' in shown
    assert "None has said" not in shown


def test_processes_say_what_they_are_at(server: RunningServer) -> None:
    server.wait_until(lambda: len(state(server)["gauges"]["processes"]) == 2)
    gauges = state(server)["gauges"]
    assert {tuple(p["parts"]) for p in gauges["processes"]} == {
        ("edge", "web"),
        ("stream", "crashes", "jobs"),
    }
    assert server.process is not None
    assert server.process.pid in {p["pid"] for p in gauges["processes"]}
    assert all(p["memory_bytes"] > 1e6 for p in gauges["processes"])
    assert gauges["versions"]["state_schema"].isdigit()
    assert gauges["disk"]["free_bytes"] > 0


def test_rubbish_is_marked_with_its_samples_and_counted_in_all_twins(server: RunningServer) -> None:
    for _ in range(25):
        assert server.post(address(), b'{"<script>alert(1)</script>').status_code == 200
    server.wait_until(lambda: any(d["last_hour"] == 25 for d in state(server)["discards"]))
    one = troubles(server)["edge"]
    assert (one["state"], one["href"]) == ("bad", "#samples-not_json")
    assert "100 %" in one["title"]
    shown = page(server).text
    assert "<script>alert" not in shown
    assert 'data-trouble="edge"' in shown and 'id="samples-not_json"' in shown
    assert "discarded,not_json,25,25," in page(server, format="csv").text
    assert page(server, format="json").json()["discards"] == state(server)["discards"]
    metrics = server.get("/metrics").text
    assert 'mc_pipeline_mark{box="edge"} 2.0' in metrics
    assert 'mc_discarded_last_hour{reason="not_json"} 25.0' in metrics


@pytest.mark.parametrize("query", ["format=pdf", "x=1", "format=csv&format=json"])
def test_an_unknown_or_doubled_parameter_is_refused(server: RunningServer, query: str) -> None:
    answer = server.get(f"/pipeline?{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message", "hint"}


def test_pages_alone_show_a_dead_stream_and_the_parts_of_others(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, {})
    server.only = "edge,web"
    try:
        server.start()
        assert server.post(address(), b"{}").status_code == 200
        found = troubles(server)
        assert (found["stream"]["state"], found["stream"]["command"]) == (
            "bad",
            "missioncontrol serve --only stream",
        )
        folder = server.data / "processes"
        server.wait_until(lambda: len(list(folder.glob("*.json"))) == 1)
        beat = json.loads(next(folder.glob("*.json")).read_text())
        now = datetime.now(UTC)
        elsewhere = {**beat, "machine": "<b>other</b>", "pid": 1, "parts": ["stream"], "workers": []}
        for name, silent in (("hours", 3 * 3600), ("long", 3 * 86400)):
            at = (now - timedelta(seconds=silent)).isoformat()
            (folder / f"{name}.json").write_text(json.dumps({**elsewhere, "beat_at": at}))
        (folder / "torn.json").write_text('{"pid": 1')
        assert len(state(server)["gauges"]["processes"]) == 2, "one was given up, and one cannot be read"
        assert "was not heard of for" in troubles(server)["processes"]["title"]
        shown = page(server)
        assert shown.status_code == 200 and "<b>other</b>" not in shown.text
    finally:
        server.stop()
    assert not list(folder.glob(f"*-{beat['pid']}.json")), "who ends takes its file away"


def test_a_killed_process_is_no_longer_there_and_the_next_one_clears_up(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, {})
    server.only = "web"
    try:
        server.start()
        folder = server.data / "processes"
        server.wait_until(lambda: len(list(folder.glob("*.json"))) == 1)
        [left] = folder.glob("*.json")
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.kill()
        assert left.exists()
        server.start()
        server.wait_until(lambda: not left.exists())
        assert len(state(server)["gauges"]["processes"]) == 1
    finally:
        server.stop()
