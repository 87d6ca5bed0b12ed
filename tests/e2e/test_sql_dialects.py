"""Queries of Presto and PostgreSQL by the command line and by HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.support.server import RunningServer, running_server

RATES = (
    "SELECT dimensions['channel'] AS channel, 1000 * sum(stats['main_crashes']) / sum(stats['usage_hours']) AS rate "
    "FROM crash_aggregates WHERE submission_date > date_format(now() - interval '7' day, '%Y-%m-%d') "
    "GROUP BY dimensions['channel']"
)
POSTGRES = "SELECT 7 / 2 AS n, count(dimensions->>'channel') AS rows FROM crash_aggregates"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("dialects")) as server:
        yield server


def test_the_command_line_runs_and_shows_translations(server: RunningServer) -> None:
    assert json.loads(server.run("sql", "--dialect", "presto", RATES).stdout) == []
    assert json.loads(server.run("sql", "--dialect", "postgres", POSTGRES).stdout) == [{"n": 3, "rows": 0}]
    shown = server.run("sql", "--dialect", "presto", "--translate", "SELECT date_format(now(), '%i')").stdout
    assert shown == "SELECT STRFTIME(CURRENT_TIMESTAMP, '%M')\n"


def test_the_command_line_refuses_with_one_message(server: RunningServer) -> None:
    refused = server.run("sql", "--dialect", "postgres", "SELECT pg_read_file('/etc/passwd')", check=False)
    assert refused.returncode != 0
    assert "pg_read_file" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_http_takes_a_dialect(server: RunningServer) -> None:
    body = {"query": POSTGRES, "dialect": "postgres"}
    answer = httpx.post(f"{server.url}/api/v1/sql", json=body, timeout=60)
    assert (answer.status_code, answer.json()["results"]) == (200, [{"n": 3, "rows": 0}])


@pytest.mark.parametrize(
    "query", ["SELECT " + "(" * 10_000 + "1" + ")" * 10_000, "SELECT " + "1," * 499_000 + "1"]
)
def test_http_refuses_what_nobody_writes(server: RunningServer, query: str) -> None:
    answer = httpx.post(f"{server.url}/api/v1/sql", json={"query": query, "dialect": "presto"}, timeout=60)
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"code", "message", "hint"}
    assert httpx.get(f"{server.url}/__heartbeat__", timeout=10).status_code == 200
