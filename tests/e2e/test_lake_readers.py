"""The lake opens in other tools without the product: each block of the guide is run as it is printed there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.support.form import config_of
from tests.support.server import RunningServer, running_server
from tests.support.snippets import blocks

from missioncontrol.simulate.corpus import make_corpus

GUIDE = blocks("how-to/read-the-lake.md")
THEN = "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)"
"""A notebook goes on after its cell. An interpreter that ends right after a scan may be aborted by Arrow
(apache/arrow#39862)."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with some days of simulated pings; its data folder is `missioncontrol-data` of the working folder."""
    folder = tmp_path_factory.mktemp("guide")
    with running_server(folder) as running:
        pings = folder / "pings.ndjson"
        make_corpus(pings, 3000, seed=1, now_ns=time.time_ns(), light=True)
        running.run("import", "pings", str(pings))
        running.run("backfill", "--min-submission-date", "2020-01-01", "--max-submission-date", "2099-01-01")
        (folder / "missioncontrol-data").symlink_to(running.data)
        yield running


def said(server: RunningServer, heading: str) -> str:
    """What the one Python block under a heading prints."""
    [(language, text)] = GUIDE[heading]
    assert language == "python"
    if lake := config_of(server.data).lake.url:
        text = text.replace("missioncontrol-data/lake", lake)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", text + THEN],
        cwd=server.data.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rates(server: RunningServer, query: str) -> dict[str, float]:
    return {r["name"]: r["rate"] for r in server.sql(query) if r["rate"] is not None}


BY_VERSION = "SELECT version AS name, 1000 * sum(main_crashes) / sum(usage_hours) AS rate FROM error_aggregates GROUP BY 1"
BY_CHANNEL = "SELECT dimensions['channel'] AS name, 1000 * sum(main_crashes) / sum(usage_hours) AS rate FROM crash_aggregates GROUP BY 1"


def test_pandas(server: RunningServer) -> None:
    lines = [line.split() for line in said(server, "pandas").splitlines()]
    printed = {words[0]: float(words[1]) for words in lines if len(words) == 2 and words[0][0].isdigit()}
    expected = rates(server, BY_VERSION)
    assert {v: r for v, r in printed.items() if r > 0} == pytest.approx(
        {v: r for v, r in expected.items() if r > 0}, abs=1e-5
    )
    assert any(expected.values())


def test_polars(server: RunningServer) -> None:
    printed = said(server, "Polars")
    assert "rate" in printed
    newest = server.sql(
        "SELECT version FROM error_aggregates WHERE channel = 'release' GROUP BY 1 ORDER BY sum(count) DESC LIMIT 1"
    )
    assert newest[0]["version"] in printed


SPARK = pytest.param(
    "PySpark", marks=[pytest.mark.apt, pytest.mark.embedded_only("Spark on S3 has a guide of its own")]
)


@pytest.mark.parametrize("heading", ["DuckDB", SPARK])
def test_sql_over_the_maps(server: RunningServer, heading: str) -> None:
    printed = said(server, heading)
    for channel, rate in rates(server, BY_CHANNEL).items():
        [line] = [line for line in printed.splitlines() if channel in line]
        assert float(re.split(r"[│|]", line)[-2]) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(("heading", "rows"), [("Redash", "path"), ("Grafana", "root_selector")])
def test_what_dashboards_ask_of_the_api(server: RunningServer, heading: str, rows: str) -> None:
    [text] = [text for language, text in GUIDE[heading] if language == "yaml"]
    asked = dict(line.split(": ", 1) for line in text.splitlines())
    url = asked["url"].replace("http://127.0.0.1:8000", server.url)
    for macro, value in (
        ("${__from:date:iso}", "2020-01-01T00:00:00.000Z"),
        ("${__to:date:iso}", "2099-01-01T00:00:00.000Z"),
    ):
        url = url.replace(macro, value)
    answer = httpx.get(url)
    assert answer.status_code == 200, answer.text
    found = answer.json()[asked[rows]]
    assert found
    assert {"version", "main_crashes", "main_crashes_per_1000_usage_hours"} <= found[0].keys()
