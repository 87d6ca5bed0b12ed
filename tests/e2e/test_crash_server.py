"""A server for crash reports alone, and what a server says of the parts that do not run."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.crash_reports import report, send
from tests.support.crashes import make_crash
from tests.support.server import RunningServer

PING = "/submit/telemetry/0b0c6a3c-52a1-4f34-9d1c-1d1f6f6f0f01/main/Firefox/133.0/release/20261101093000?v=4"


@contextmanager
def running(folder: Path, only: str) -> Iterator[RunningServer]:
    server = RunningServer(folder, {})
    server.only = only
    try:
        server.start()
        yield server
    finally:
        server.stop()


def pipeline(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/api/v1/pipeline").json()
    return found


def test_crashes_and_web_are_a_server_for_crash_reports(tmp_path: Path) -> None:
    with running(tmp_path, "crashes,web") as server:
        assert "Runs: collector, web, stream, crashes (collector, stream added" in server.talk
        left_out = server.talk.partition("Does not run:")[2]
        assert re.findall(r"^  (\w+) ", left_out, re.MULTILINE) == ["edge", "jobs"]
        assert server.get("/").headers["location"] == "/crashes"

        make_crash(tmp_path / "crash", url=f"{server.url}/submit")
        count = "SELECT count(*) AS n FROM crashes"
        server.wait_until(lambda: server.get("/crashes", format="json").json()["products"] != [], 60)
        assert server.sql(count) == [{"n": 1}]

        ping = server.post(PING, b"{}")
        assert (ping.status_code, ping.json()["code"]) == (404, "pings_not_taken")
        assert "--only" in ping.json()["hint"]
        assert send(server.url, report({}, upload_file_minidump=b"MDMP")).status_code == 400
        refused = {"edge_pings_not_taken": 1, "edge_crash_malformed_no_annotations": 1}
        server.wait_until(
            lambda: {d["reason"]: d["last_day"] for d in pipeline(server)["discards"]} == refused, 60
        )
        counted = server.get("/metrics").text.splitlines()
        assert "mc_crash_accepted_total 1.0" in counted
        assert {
            f'mc_edge_refused_total{{code="{code.removeprefix("edge_")}"}} 1.0' for code in refused
        } <= set(counted)
        status = pipeline(server)
        assert status["stream_runs"] is True
        assert status["crash_reports"] == {"document": "crash report", "last_hour": 1, "last_day": 1}
        page = server.get("/pipeline").text
        assert "data-no-stream" not in page
        assert "takes crash reports only" in page
        assert re.search(r'<a href="/crashes">crash reports</a></th><td class="n">1</td>', page)


def test_without_the_stream_the_pipeline_page_says_so(tmp_path: Path) -> None:
    with running(tmp_path, "edge,web") as server:
        assert (
            send(server.url, report({"ProductName": "Notes"}, upload_file_minidump=b"MDMP")).status_code
            == 200
        )
        assert pipeline(server)["stream_runs"] is False
        page = server.get("/pipeline").text
        assert "data-no-stream" in page
        assert "Not known: the part stream does not run." in page
        first = server.get("/").text
        assert '<a href="/crashes">1 crash report came in the last 24 hours.</a>' in first
        assert "Point a client here" in first


def test_a_server_of_pages_alone_says_that_it_takes_no_crash(tmp_path: Path) -> None:
    with running(tmp_path, "web") as server:
        assert send(server.url, report({"ProductName": "Notes"})).status_code == 404
        page = server.get("/crashes").text
        assert "data-takes-nothing" in page
        assert "Crashes are taken at" not in page


def test_workers_alone_say_that_nothing_listens(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, {})
    talk = tmp_path / "workers.log"
    with talk.open("wb") as file:
        server.process = server._popen(
            ["serve", "--data", str(server.data), "--only", "crashes"], stdout=file, stderr=file
        )
    try:
        server.wait_until(lambda: "Nothing listens" in talk.read_text())
        assert "Runs: crashes.\n" in talk.read_text()
        assert "  web " in talk.read_text()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    finally:
        server.kill()


def test_a_wrong_part_is_answered_with_what_the_parts_are(tmp_path: Path) -> None:
    said = RunningServer(tmp_path, {}).run("serve", "--only", "crash", check=False)
    assert said.returncode == 2
    assert "no part 'crash'" in said.stderr
    assert "workers that process crash reports" in said.stderr


def test_the_documentation_has_an_index_that_leads_to_the_guide(tmp_path: Path) -> None:
    with running(tmp_path, "web") as server:
        for address in ("/docs", "/docs/"):
            answer = server.get(address)
            assert answer.status_code == 200
            assert '<a href="/docs/how-to/electron-crashes">' in answer.text
        guide = server.get("/docs/how-to/electron-crashes")
        assert "serve --only crashes,web" in guide.text
        assert '<a href="/docs/how-to/electron-crashes">' in server.get("/crashes").text
