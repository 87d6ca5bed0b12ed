"""The registry page of a running server: look, preview, add, backfill, remove; what is refused, and who may what."""

from __future__ import annotations

import html
import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.pings import main_ping
from tests.support.probes import firefox_file
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import PAGE, add_user, browser, sign_in

TODAY = time.strftime("%Y%m%d", time.gmtime()) + "093000"
PAUSES = {
    "add": "measure", "name": "gc_long", "title": "Long pauses <b>", "from": "main", "kind": "histogram", "of": "GC_MS",
    "process": "parent", "at_least": "150", "per": "usage_hours", "worse": "up",
}  # fmt: skip
LONG_OF_PING = 3
"""Samples of 150 ms and more in the histogram GC_MS of `main_ping()`."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path, MC_STREAM__MIN_INTERVAL_S="0.1") as server:
        server.wait_until(lambda: len(server.get("/api/v1/pipeline").json()["tables"]) >= 5)
        yield server


def send(server: RunningServer, version: str = "132.0", **changes: Any) -> None:
    build = {
        "application__buildId": TODAY,
        "environment__build__buildId": TODAY,
        "environment__build__version": version,
    }
    path = f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/{version}/release/{TODAY}?v=4"
    assert server.post(path, json.dumps(main_ping(**build, **changes)).encode()).status_code == 200


def page(server: RunningServer, path: str) -> str:
    answer = httpx.get(server.url + path, headers=PAGE, timeout=60)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def post(server: RunningServer, at: str = "/registry", /, **fields: str) -> httpx.Response:
    return httpx.post(server.url + at, data=fields, headers=PAGE, timeout=60)


def own(server: RunningServer) -> str:
    path = server.data / "registry.toml"
    return path.read_text() if path.exists() else ""


def refused(answer: httpx.Response, status: int = 400) -> str:
    """The code that a refused form shows."""
    assert answer.status_code == status, answer.text
    [code] = re.findall(r'role="alert" id="answer" data-code="(\w+)"', answer.text)
    return code


def test_what_is_declared_and_what_pings_have_of_it(server: RunningServer) -> None:
    # On a busy machine the first look takes longer than the page waits for it.
    server.wait_until(lambda: "No pings are archived yet" in page(server, "/registry"), 30)
    send(server)
    send(server, "133.0", environment__system__os={"name": "Darwin", "version": "23"})
    server.settle()
    (server.data / "registry.toml").write_text("[dimension.gfx_compositor]\nenabled = true\n")
    server.wait_until(lambda: "of 2 pings" in page(server, "/registry"), 60)
    text = page(server, "/registry")
    for name in ("main_crashes", "usage_hours", "os_name", "crash_reports", "gfx_compositor"):
        assert f'href="/registry/{name}"' in text
    assert "built in: Firefox profile, changed in registry file registry.toml" in text
    one = page(server, "/registry/os_name")
    assert "50.0 %" in one and "environment.system.os.name" in one and "× the rows" in one
    assert "/measure/Firefox/release/usage_hours?os_name=" in one
    crashes = page(server, "/registry/main_crashes")
    assert "payload.processType is 'main'" in crashes
    assert "/measure/Firefox/release/main_crashes" in crashes
    assert "/verdicts?measure=main_crashes" in crashes
    looked = page(server, "/registry/usage_hours?look=1")
    assert "2 of 2 pings have it" in looked
    unknown = httpx.get(f"{server.url}/registry/main_crushes")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "registry_unknown")
    assert "main_crashes" in unknown.json()["hint"]
    for path in ("/registry?add=magic", "/registry?colour=red", "/registry/os_name?look=perhaps"):
        assert server.get(path).status_code in (400, 422), path


def test_preview_save_and_count_without_a_restart_and_then_its_past(server: RunningServer) -> None:
    send(server)
    server.settle()
    previewed = post(server, do="preview", **PAUSES)
    assert previewed.status_code == 200, previewed.text
    assert "1 of 1 pings have it" in previewed.text
    assert (
        "at_least = 150" in previewed.text
        and "&lt;b&gt;" in previewed.text
        and "<b>&#34;" not in previewed.text
    )
    assert "no rows" in previewed.text
    assert own(server) == "", "a preview writes nothing"

    saved = post(server, do="save", **PAUSES)
    assert (saved.status_code, saved.headers["location"]) == (303, "/registry/gc_long?added=1")
    assert "[measure.gc_long]" in own(server)
    declared = page(server, "/registry/gc_long?added=1")
    assert "It is declared" in declared and "registry file registry.toml" in declared
    assert server.get("/measure/Firefox/release/gc_long").status_code == 200
    server.wait_until(lambda: server.talk.count("registry_loaded") >= 2)  # the stream has seen it too
    send(server, "133.0")
    server.settle()
    query = "SELECT version, gc_long FROM error_aggregates WHERE usage_hours > 0 ORDER BY version"
    assert server.sql(query) == [
        {"version": "132.0", "gc_long": None},
        {"version": "133.0", "gc_long": LONG_OF_PING},
    ]

    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert refused(post(server, "/registry/gc_long/backfill", since="yesterday")) == "bad_day"
    assert (
        refused(post(server, "/registry/gc_long/backfill", since="2999-01-01", until="2999-01-02"))
        == "day_in_future"
    )
    assert (
        refused(post(server, "/registry/gc_long/backfill", since=today, until="2020-01-01"))
        == "days_out_of_order"
    )
    asked = post(server, "/registry/gc_long/backfill", since=today)
    assert (asked.status_code, asked.headers["location"]) == (303, "/registry/gc_long#past")
    assert 'data-run="' in page(server, "/registry/gc_long")
    server.wait_until(lambda: "✓</span> Done" in page(server, "/registry/gc_long"), 60, 0.5)
    assert [row["gc_long"] for row in server.sql(query)] == [LONG_OF_PING, LONG_OF_PING]


def test_a_measure_by_its_probe(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "all_probes.json"
    file.write_text(json.dumps(firefox_file()))
    assert "No probe dictionary is imported" in page(server, "/registry?add=probe")
    server.run("registry", "import-probes", str(file))
    assert ">GC_MS</a>" in page(server, "/registry?add=probe&q=gc_")
    filled = page(server, "/registry?add=probe&probe=PAINT_MS")
    assert 'name="key" value="cold"' in filled
    fields = {"add": "probe", "probe": "GC_MS", "per": "usage_hours", "worse": "up"}
    answer = post(server, do="save", **fields, process="gpu")
    assert refused(answer) == "probe_process"
    assert 'name="process" value="gpu"' in answer.text, "what was typed is kept"
    assert post(server, do="save", **fields, at_least="150ms").status_code == 303
    assert "[measure.gc_ms_main_above_150]" in own(server)
    assert refused(post(server, do="save", **fields, at_least="150ms")) == "measure_declared"


def test_what_is_refused_keeps_what_was_typed_and_changes_nothing(server: RunningServer) -> None:
    assert post(server, do="save", **PAUSES).status_code == 303
    before = own(server)
    again = post(server, do="save", **PAUSES)
    assert refused(again) == "registry_declared"
    assert 'value="Long pauses &lt;b&gt;"' in again.text
    cpu = {"add": "dimension", "name": "cpu", "title": "CPU", "from": "main", "path": "environment..cpu"}
    answer = post(server, do="preview", **cpu)
    assert refused(answer) == "registry_invalid"
    assert "is no path" in html.unescape(answer.text) and 'value="environment..cpu"' in answer.text
    assert refused(post(server, do="save", add="toml", text="[measure.x\n")) == "registry_invalid"
    assert refused(post(server, do="dance", **PAUSES)) == "bad_parameter"
    assert post(server, do="save", add="toml", text="x" * 70_000).status_code == 400
    as_json = httpx.post(f"{server.url}/registry", data={"do": "save", **PAUSES})
    assert (as_json.status_code, as_json.json()["code"]) == (400, "registry_declared")
    assert refused(post(server, "/registry/main_crashes/remove")) == "registry_unknown"
    assert own(server) == before


def test_a_file_that_was_removed_or_broken_while_the_page_was_open(server: RunningServer) -> None:
    assert post(server, do="save", **PAUSES).status_code == 303
    (server.data / "registry.toml").unlink()
    gone = httpx.post(f"{server.url}/registry/gc_long/remove", headers=PAGE)
    assert gone.status_code == 404
    assert server.get("/registry/gc_long").status_code == 404
    assert post(server, do="save", **PAUSES).status_code == 303
    assert server.get("/registry/gc_long").status_code == 200

    (server.data / "registry.toml").write_text("[measure.gc_long\n")
    listed = page(server, "/registry")
    assert "is not in force as it is now" in listed
    assert 'href="/registry/gc_long"' in listed, "the last good registry holds"
    other = {**PAUSES, "name": "gc_other"}
    assert refused(post(server, do="save", **other)) == "registry_invalid"
    assert own(server) == "[measure.gc_long\n"


def test_it_is_taken_out_again(server: RunningServer) -> None:
    assert post(server, do="save", **PAUSES).status_code == 303
    user = {"add": "toml", "text": '[measure.share]\nfrom = "main"\nper = "gc_long"\n'}
    assert post(server, do="save", **user).status_code == 303
    assert refused(post(server, "/registry/gc_long/remove")) == "registry_invalid"
    for name in ("share", "gc_long"):
        assert post(server, f"/registry/{name}/remove").status_code == 303
    assert server.get("/registry/gc_long").status_code == 404


def test_reading_needs_read_and_changing_needs_admin(server: RunningServer) -> None:
    add_user(server, "ann", "read", "admin")
    add_user(server, "ben", "read", "reprocess")
    with browser(server) as stranger:
        assert stranger.post("/registry", data={"do": "save", **PAUSES}).status_code in (303, 401)
    with browser(server) as ben:
        sign_in(ben, "ben")
        listed = ben.get("/registry")
        assert listed.status_code == 200 and "needs the scope" in listed.text
        assert 'value="save"' not in ben.get("/registry?add=measure").text
        for path, fields in (
            ("/registry", {"do": "preview", **PAUSES}),
            ("/registry", {"do": "save", **PAUSES}),
            ("/registry/main_crashes/backfill", {"since": "2026-01-01"}),
            ("/registry/main_crashes/remove", {}),
        ):
            assert ben.post(path, data=fields).status_code == 403, path
    with browser(server) as ann:
        sign_in(ann, "ann")
        elsewhere = ann.post(
            "/registry", data={"do": "save", **PAUSES}, headers={"origin": "https://evil.example"}
        )
        assert elsewhere.status_code == 403
        assert own(server) == ""
        assert ann.post("/registry", data={"do": "save", **PAUSES}).status_code == 303
    assert "[measure.gc_long]" in own(server)
