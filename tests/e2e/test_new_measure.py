"""A new measure is a block of TOML: it takes effect on a running server, from the next ping to the CSV, no code touched."""

from __future__ import annotations

import csv
import io
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.pings import main_ping
from tests.support.server import RunningServer, running_server

TODAY = time.strftime("%Y%m%d", time.gmtime()) + "093000"
BLOCK = """\
[measure.gc_long_pauses]
title = "Main-process GC pauses of 150 ms and more"
from = "main"                       # which document type
histogram = "GC_MS"
process = "parent"
at_least = 150                      # count of samples in buckets >= 150
per = "usage_hours"                 # shown per 1,000 usage hours
worse = "up"
"""
MEASURE_OF_PING = 3
"""Samples of 150 ms and more in the histogram GC_MS of `main_ping()`."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path, MC_STREAM__MIN_INTERVAL_S="0.1") as server:
        # A stream that starts later than a file was written has nothing to load again.
        server.wait_until(lambda: len(server.get("/api/v1/pipeline").json()["tables"]) >= 5)
        yield server


def send(server: RunningServer, version: str, **changes: Any) -> None:
    """One main ping of a version, in the lake when this returns."""
    build = {
        "application__buildId": TODAY,
        "environment__build__buildId": TODAY,
        "environment__build__version": version,
    }
    path = f"/submit/telemetry/{uuid.uuid4()}/main/Firefox/{version}/release/{TODAY}?v=4"
    assert server.post(path, json.dumps(main_ping(**build, **changes)).encode()).status_code == 200
    server.wait_until(lambda: by_version(server, "count").get(version) not in (None, ""))


def by_version(server: RunningServer, measure: str) -> dict[str, str]:
    """The CSV of one measure by version, as text: an empty one is null."""
    answer = server.get("/api/aggregates/", measurements=measure, dimensions="version", format="csv")
    assert answer.status_code == 200, answer.text
    return {row["version"]: row[measure] for row in csv.DictReader(io.StringIO(answer.text))}


def knows(server: RunningServer, measure: str = "gc_long_pauses") -> bool:
    return measure in names(server.get("/api/v1/registry").json()["measures"])


def wait_for_both(server: RunningServer, event: str, times: int = 2) -> None:
    """The server, which looks when it is asked something, and its stream have both told of the change."""
    server.wait_until(lambda: server.get("/api/v1/registry").is_success and server.talk.count(event) >= times)


def names(declared: Any) -> list[str]:
    return [d["name"] for d in declared] if isinstance(declared, list) else list(declared)


def columns(server: RunningServer, table: str) -> list[str]:
    described = json.loads(server.run("sql", "--format", "json", f"SELECT * FROM {table} LIMIT 1").stdout)
    return list(described[0])


def test_a_block_in_registry_toml_takes_effect_on_a_running_server(server: RunningServer) -> None:
    assert server.process is not None
    process = server.process.pid
    send(server, "132.0")
    assert not knows(server)
    refused = server.get("/api/aggregates/", measurements="gc_long_pauses")
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_measure")
    assert "gc_long_pauses" not in columns(server, "error_aggregates")

    (server.data / "registry.toml").write_text(BLOCK)
    wait_for_both(server, "registry_loaded")
    send(server, "133.0")

    assert by_version(server, "gc_long_pauses") == {"132.0": "", "133.0": str(MEASURE_OF_PING)}
    rows = server.sql("SELECT version, gc_long_pauses FROM error_aggregates ORDER BY version")
    assert rows == [
        {"version": "132.0", "gc_long_pauses": None},
        {"version": "133.0", "gc_long_pauses": MEASURE_OF_PING},
    ]
    assert "gc_long_pauses" in columns(server, "experiment_aggregates")
    title = "Main-process GC pauses of 150 ms and more"
    assert title in server.get("/api/v1/registry").text
    assert title in server.get("/measure/Firefox/release/main_crashes").text, "the menu does not offer it"
    assert server.get("/measure/Firefox/release/gc_long_pauses").status_code == 200
    assert server.process.pid == process


def test_a_ping_without_the_histogram_adds_nothing_to_the_new_measure(server: RunningServer) -> None:
    (server.data / "registry.toml").write_text(BLOCK)
    wait_for_both(server, "registry_loaded")
    send(server, "133.0", payload__histograms={})
    send(server, "134.0")
    assert by_version(server, "gc_long_pauses") == {"133.0": "", "134.0": str(MEASURE_OF_PING)}


def test_registry_add_does_the_same_and_remove_takes_it_back_without_losing_rows(
    server: RunningServer, tmp_path: Path
) -> None:
    send(server, "132.0")
    block = tmp_path / "gc-pauses.toml"
    block.write_text(BLOCK)
    said = server.run("registry", "add", str(block)).stderr
    assert "measure.gc_long_pauses" in said
    assert "# count of samples in buckets >= 150" in (server.data / "registry.toml").read_text()
    wait_for_both(server, "registry_loaded")
    send(server, "133.0")
    assert by_version(server, "gc_long_pauses") == {"132.0": "", "133.0": str(MEASURE_OF_PING)}

    server.run("registry", "remove", "gc_long_pauses")
    server.wait_until(lambda: not knows(server))
    send(server, "134.0")
    rows = server.sql("SELECT sum(gc_long_pauses) AS n FROM error_aggregates")
    assert rows == [{"n": MEASURE_OF_PING}]


INVALID = (
    (BLOCK.replace("histogram =", "histogramm ="), "registry.toml:4", "Did you mean `histogram`?"),
    (BLOCK.replace("[measure.", "[mesure."), "registry.toml:1", "Did you mean `measure`?"),
    (BLOCK.replace('"main" ', '"mian" '), "registry.toml:3", "Did you mean `main`?"),
    (BLOCK.replace("at_least = 150", 'at_least = "150"'), "registry.toml:6", ""),
    (BLOCK + "[measure", "line 9", ""),
)


def test_an_invalid_file_changes_nothing_and_is_told_with_file_line_and_suggestion(
    server: RunningServer, tmp_path: Path
) -> None:
    own, candidate = server.data / "registry.toml", tmp_path / "candidate.toml"
    put(own, BLOCK)
    wait_for_both(server, "registry_loaded")
    for number, (text, line, hint) in enumerate(INVALID):
        put(own, text)
        wait_for_both(server, "registry_rejected", 2 * number + 2)
        told = [json.loads(told) for told in server.talk.splitlines() if "registry_rejected" in told][-2:]
        assert all(str(own) in entry["message"] and line in entry["message"] for entry in told), told
        assert [entry["hint"] for entry in told] == [hint, hint]
        assert knows(server)
        checked = server.run("registry", "check", check=False)
        assert checked.returncode == 2
        assert line in checked.stderr
        assert hint in checked.stderr
        assert "Traceback" not in checked.stderr
    send(server, "133.0")
    assert by_version(server, "gc_long_pauses") == {"133.0": str(MEASURE_OF_PING)}
    put(own, BLOCK)
    for text, _, _ in INVALID:
        candidate.write_text(text)
        assert server.run("registry", "add", str(candidate), check=False).returncode == 2
        assert own.read_text() == BLOCK


def put(path: Path, text: str) -> None:
    """Replace a file at once, as editors do."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)
