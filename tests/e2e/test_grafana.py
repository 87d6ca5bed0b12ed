"""Grafana's dashboards over a running server: each of their queries is asked as Grafana asks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support import judged_train
from tests.support.server import RunningServer, running_server

from missioncontrol.simulate.trains.export import write_train
from missioncontrol.verdict.tables import Strata

DASHBOARDS = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
WITH_KAFKA = {"operate"}
"""Its metrics are asked for where there is a Kafka: tests/scale/test_operation.py."""
HOURS = 30
VARIABLES = {"application": "Firefox", "channel": "release", "measure": "main_crashes", "version": " "}
SELDOM_THERE = {"mc_alert_deliveries", "mc_process_cpu_ratio"}
"""Have no sample before the first alert, and in the first ten seconds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A channel whose newest version is bad on Windows; judged, which takes some seconds."""
    folder = tmp_path_factory.mktemp("grafana")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    now -= timedelta(minutes=now.minute % 5)
    told = judged_train.story(3.0, "Windows_NT")
    releases, pings = judged_train.at_age(told, 12 * HOURS)
    start = now - timedelta(hours=HOURS, minutes=5 * told.candidate.published)
    strata = Strata(("os_name",), tuple((system,) for system in judged_train.SYSTEMS))
    written = write_train(folder / "train", releases, pings, strata, start, name="release")
    with running_server(folder) as running:
        running.run("import", "aggregates", str(written.aggregates))
        running.run("import", "aggregates", "--table", "usage_by_activity", str(written.activity))
        running.run("import", "releases", str(written.releases))
        running.post("/submit/telemetry/1/main/Firefox/61.0/release/20180621125625?v=4", b"{}")
        running.settle()
        running.wait_until(lambda: bool(running.get("/api/v1/grafana/verdicts").json()), 120, 0.5)
        yield running


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def filled(text: str) -> str:
    """The text with variables as Grafana writes them."""
    now = datetime.now(UTC)
    times = {"__from": now - timedelta(days=7), "__to": now}
    values = VARIABLES | {name: str(round(moment.timestamp() * 1000)) for name, moment in times.items()}
    return re.sub(r"\$\{(\w+)(?::csv)?\}", lambda found: values[found[1]], text)


def infinity_queries(value: Any) -> Iterator[dict[str, Any]]:
    """All queries of the Infinity source in a dashboard, wherever they stand."""
    if isinstance(value, dict):
        if "url_options" in value:
            yield value
        for inner in value.values():
            yield from infinity_queries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from infinity_queries(inner)


QUERIES = list(infinity_queries(dashboards()))


def ask(server: RunningServer, query: dict[str, Any]) -> list[dict[str, Any]]:
    parameters = {p["key"]: filled(p["value"]) for p in query["url_options"]["params"]}
    answer = server.get(query["url"], **parameters)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    return rows


def test_every_query_answers_rows_with_the_columns_that_its_panel_names(server: RunningServer) -> None:
    assert len(QUERIES) == 11
    for query in QUERIES:
        rows = ask(server, query)
        if {"key": "kind", "value": "alert"} not in query["url_options"]["params"]:
            assert rows, query
        for row in rows:
            for column in query["columns"]:
                value = row[column["selector"]]
                kinds = {"string": str, "number": int | float | None, "timestamp_epoch": int}
                assert isinstance(value, kinds[column["type"]]), (query["url"], column, value)


def test_the_bad_release_is_the_first_verdict_and_a_mark_on_the_axis(server: RunningServer) -> None:
    verdicts = server.get("/api/v1/grafana/verdicts", application="Firefox").json()
    worst = verdicts[0]
    assert (worst["verdict"], worst["rank"]) == ("worse", 0)
    assert worst["ratio"] > 1 and worst["low"] <= worst["ratio"] <= worst["high"]
    assert server.get(urlsplit(worst["url"]).path).status_code == 200
    marks = server.get("/api/v1/grafana/annotations", kind="verdict").json()
    assert any(worst["version"] in mark["title"] and "worse" in mark["tags"].split(",") for mark in marks)
    releases = server.get("/api/v1/grafana/annotations", kind="release", channel="release").json()
    assert worst["version"] in releases[-1]["title"]
    assert server.get("/api/v1/grafana/annotations", kind="release", channel="beta").json() == []


def test_what_people_note_is_a_mark_in_its_channel(server: RunningServer) -> None:
    body = b'{"at": "2026-01-05T10:00:00Z", "text": "Study <b>began</b>", "application": "Firefox", "channel": "beta"}'
    added = server.post("/api/v1/annotations", body, content_type="application/json")
    assert added.status_code in (200, 201), added.text
    span = {"kind": "note", "from": "2026-01-05", "to": "2026-01-06"}
    [mark] = server.get("/api/v1/grafana/annotations", **span, channel="beta").json()
    assert (mark["title"], mark["tags"]) == ("Study &lt;b&gt;began&lt;/b&gt;", "note,Firefox,beta")
    assert server.get("/api/v1/grafana/annotations", **span, channel="release").json() == []


def test_rates_are_those_of_the_aggregates(server: RunningServer) -> None:
    options = server.get("/api/v1/grafana/options", of="version", channel="release").json()
    newest = options[0]["value"]
    place = {"application": "Firefox", "channel": "release"}
    rows = server.get(
        "/api/v1/grafana/rates", measure="main_crashes", version=newest, interval="day", **place
    ).json()
    assert {row["version"] for row in rows} == {newest}
    hours = server.get("/api/v1/aggregates", measurements="usage_hours", dimensions="version", version=newest,
                       interval="day", per="", **place).json()["results"]  # fmt: skip
    assert sum(r["usage_hours"] for r in rows) == pytest.approx(sum(r["usage_hours"] for r in hours))
    for row in rows:
        assert row["rate"] == pytest.approx(1000 * row["count"] / row["usage_hours"])
    both = server.get("/api/v1/grafana/rates", measure="main_crashes", versions=2, **place).json()
    assert len({row["version"] for row in both}) == 2


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("annotations?kind=birthday", "unknown_kind"),
        ("annotations?from=soon", "bad_time"),
        ("annotations?form=1", "unknown_parameter"),
        ("annotations?from=1&from=2", "repeated_parameter"),
        ("rates?measure=nothing&application=Firefox&channel=release", "unknown_measure"),
        ("rates?measure=main_crashes&application=Firefox", "bad_parameter"),
        ("rates?measure=main_crashes&application=Firefox&channel=release&interval=week", "unknown_interval"),
        ("rates?measure=main_crashes&application=Firefox&channel=release&version=" + ",".join(map(str, range(21))),
         "too_many_versions"),
        ("options?of=country", "bad_parameter"),
        ("verdicts?limit=1", "unknown_parameter"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(server: RunningServer, address: str, code: str) -> None:
    if "nothing" in address:
        address += "&version=1.0"
    answer = server.get(f"/api/v1/grafana/{address}")
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert answer.json()["hint"]


def test_every_metric_that_a_panel_names_is_there(server: RunningServer) -> None:
    told = {
        line.split("{")[0].split(" ")[0]
        for line in server.get("/metrics").text.splitlines()
        if line[:1] != "#"
    }
    panels = [p for name, d in dashboards().items() for p in d["panels"] if name not in WITH_KAFKA]
    named = {n for p in panels for t in p["targets"] for n in re.findall(r"\bmc_\w+", t.get("expr", ""))}
    assert len(named) > 20
    assert named - SELDOM_THERE <= told
    declared = server.get("/metrics").text
    assert all(f"# TYPE {name.removesuffix('_total')}" in declared for name in named)


def test_dashboards_have_what_grafana_needs_to_load_them() -> None:
    found = dashboards()
    assert set(found) == {"pipeline", "release-health", "operate"}
    for board in found.values():
        assert {"uid", "title", "schemaVersion", "panels", "templating", "annotations", "time"} <= set(board)
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            assert panel["description"] and panel["datasource"]["uid"] in (
                "mission-control",
                "mission-control-metrics",
            )
    names = {v["name"] for v in found["release-health"]["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(found["release-health"])))
    assert used - names <= {"__from", "__to", "__value"}
