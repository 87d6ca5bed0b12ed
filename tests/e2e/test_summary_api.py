"""Summaries and series in the predecessor's shape, from a running server: imports, pings and hostile addresses."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.support.pings import crash_ping, main_ping
from tests.support.server import RunningServer, running_server

NOW = datetime.now(UTC)
BEGIN = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=10)
TODAY = time.strftime("%Y%m%d", time.gmtime()) + "093000"
SUMMARY, MEASURE = "/api/channel-platform-summary/", "/api/measure/"
LINUX = {"channel": "release", "platform": "linux"}


def row(hour: int, version: str, build_id: str, crashes: int, hours: float = 1000.0) -> dict[str, Any]:
    return {
        "application": "Firefox", "channel": "release", "version": version, "build_id": build_id, "os_name": "Linux",
        "window_start": f"{BEGIN + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}", "usage_hours": hours,
        "main_crashes": crashes, "content_crashes": 2 * crashes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("summary")
    with running_server(folder, MC_STREAM__MIN_INTERVAL_S="0.1") as server:
        rows = [
            row(0, "99.0", "20261001", 10), row(30, "99.0", "20261001", 4), row(90, "99.0", "20261001", 2),
            row(120, "100.0", "20261101", 9), row(150, "100.0", "20261101", 3), row(190, "100.0", "20261101", 1),
        ]  # fmt: skip
        (folder / "rows.ndjson").write_text("".join(json.dumps(r) + "\n" for r in rows))
        server.run("import", "aggregates", str(folder / "rows.ndjson"))
        published = {
            "application": "Firefox", "channel": "release", "version": "100.0", "build_id": "20261101",
            "published_at": f"{BEGIN + timedelta(hours=100):%Y-%m-%dT%H:%M:%SZ}",
        }  # fmt: skip
        (folder / "releases.json").write_text(json.dumps([published]))
        server.run("import", "releases", str(folder / "releases.json"))
        yield server


@pytest.mark.parametrize("address", [SUMMARY, SUMMARY.rstrip("/")])
def test_a_summary_of_what_was_imported(server: RunningServer, address: str) -> None:
    answer = server.get(address, only_crash_measures="1", **LINUX)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
    [summary] = answer.json()["summaries"]
    assert list(answer.json()) == ["summaries"]
    measures = summary.pop("measures")
    assert summary == {
        "application": "firefox", "channel": "release", "platform": "linux", "latestVersionSeen": "100.0",
        "expectedMeasures": ["main_crashes", "content_crashes", "content_shutdown_crashes"],
        "latestVersionFieldDuration": 90 * 3600,
    }  # fmt: skip
    assert [m["name"] for m in measures] == summary["expectedMeasures"]
    assert measures[0]["lastUpdated"] == f"{BEGIN + timedelta(hours=190):%Y-%m-%dT%H:%M:%SZ}"
    newest = {"fieldDuration": 324_000, "count": 4, "rate": 2.0, "adjustedCount": 4, "adjustedRate": 2.0}
    older = {"fieldDuration": 360_000, "count": 6, "rate": 3.0, "adjustedCount": 6, "adjustedRate": 3.0}
    assert measures[0]["versions"] == [
        {"version": "100.0", **newest},
        {"version": "100", **newest},
        {"version": "99", **older},
    ]


def test_a_series_of_what_was_imported(server: RunningServer) -> None:
    by_age = server.get(MEASURE, measure="main_crashes", interval="108000", relative="1", **LINUX)
    assert by_age.json() == {
        "measure_data": {
            "20261101": {"version": "100.0", "data": [[0, 9.0, 1000.0], [108_000, 3.0, 1000.0]]},
            "20261001": {"version": "99.0", "data": [[0, 10.0, 1000.0], [108_000, 4.0, 1000.0]]},
        }
    }
    start = str(int((BEGIN + timedelta(hours=150)).timestamp()))
    by_clock = server.get(MEASURE.rstrip("/"), measure="main_crashes", interval="60", start=start, **LINUX)
    window = f"{BEGIN + timedelta(hours=150):%Y-%m-%dT%H:%M:%SZ}"
    assert by_clock.json() == {
        "measure_data": {"20261101": {"version": "100.0", "data": [[window, 3.0, 1000.0]]}}
    }
    assert by_clock.headers["x-complete"] == "true"


def test_pings_are_in_the_next_summary(server: RunningServer) -> None:
    def send(kind: str, ping: dict[str, Any]) -> None:
        path = f"/submit/telemetry/{uuid.uuid4()}/{kind}/Firefox/101.0/nightly/{TODAY}?v=4"
        assert server.post(path, json.dumps(ping).encode()).status_code == 200

    build = {
        "application__channel": "nightly", "application__buildId": TODAY, "environment__build__buildId": TODAY,
        "environment__build__version": "101.0a1",
    }  # fmt: skip
    send("main", main_ping(36_000, **build))
    send("crash", crash_ping("main", **build))
    asked = {"channel": "Nightly", "platform": "WINDOWS"}

    def told() -> tuple[str | None, int, float | None]:
        [summary] = server.get(SUMMARY, **asked).json()["summaries"]
        first = summary["measures"][0]["versions"][0] if summary["measures"] else {"count": 0, "rate": None}
        return summary["latestVersionSeen"], first["count"], first["rate"]

    # Experiments of the client would make it count twice.
    server.wait_until(lambda: told() == ("101", 1, 100.0))
    series = server.get(MEASURE, measure="main_crashes", interval="7200", **asked).json()["measure_data"]
    assert list(series) == [TODAY]
    assert [sum(item[place] for item in series[TODAY]["data"]) for place in (1, 2)] == [1.0, 10.0]


@pytest.mark.parametrize("parameters", [
    [("channel", "nope")], [("platform", "beos")], [("application", "\x00")], [("channel", "")],
    [("channel", "'; DROP TABLE x --")], [("platform", "x" * 4000)], [("application", f"a{n}") for n in range(1000)],
])  # fmt: skip
def test_unknown_filters_of_a_summary_give_an_empty_list(
    server: RunningServer, parameters: list[tuple[str, str]]
) -> None:
    answer = httpx.get(server.url + SUMMARY, params=parameters, timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"summaries": []})


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"channel": None}, 400, "missing_parameter"),
        ({"platform": None}, 400, "missing_parameter"),
        ({"measure": None}, 400, "missing_parameter"),
        ({"interval": None}, 400, "missing_parameter"),
        ({"channel": ["release", "beta"]}, 400, "repeated_parameter"),
        ({"chanel": "release"}, 400, "unknown_parameter"),
        ({"interval": "1e3"}, 400, "bad_interval"),
        ({"interval": "9" * 3000}, 400, "bad_interval"),
        ({"start": "now"}, 400, "bad_start"),
        ({"relative": "abc"}, 400, "bad_relative"),
        ({"measure": "nope"}, 404, "unknown_measure"),
        ({"measure": "main_crashes; --"}, 404, "unknown_measure"),
        ({"channel": "nope"}, 404, "unknown_combination"),
        ({"platform": "\x00"}, 404, "unknown_combination"),
        ({"application": [f"a{n}" for n in range(1000)]}, 404, "unknown_combination"),
    ],
)
def test_odd_series_are_refused_with_a_reason(
    server: RunningServer, change: Any, status: int, code: str
) -> None:
    asked = {**LINUX, "measure": "main_crashes", "interval": "3600", **change}
    answer = server.get(MEASURE, **{k: v for k, v in asked.items() if v is not None})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message", "hint"} and answer.json()["hint"]


def test_relative_0_is_by_the_clock_and_an_interval_of_0_is_no_failure(server: RunningServer) -> None:
    asked = {**LINUX, "measure": "main_crashes", "start": str(int(BEGIN.timestamp())), "interval": "864000"}
    assert server.get(MEASURE, relative="0", **asked).json() == server.get(MEASURE, **asked).json()
    nothing = server.get(
        MEASURE, channel="esr", platform="mac", measure="main_crashes", interval="0", relative="1"
    )
    assert (nothing.status_code, nothing.json()) == (200, {"measure_data": {}})


def test_both_are_described(server: RunningServer) -> None:
    paths = server.get("/api/v1/openapi.json").json()["paths"]
    assert {p["name"] for p in paths[MEASURE]["get"]["parameters"]} == {
        "application", "channel", "platform", "measure", "interval", "start", "relative", "version",
    }  # fmt: skip
    assert {p["name"] for p in paths[SUMMARY]["get"]["parameters"]} == {
        "application", "channel", "platform", "only_crash_measures",
    }  # fmt: skip
