"""The HTTP API over a real server and a real lake."""

import asyncio
import csv
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from fastapi import FastAPI
from tests.support.form import config_of, installed

from missioncontrol.config import Query
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.tables import lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.query.engine import Engine
from missioncontrol.query.sql import SqlRunner
from missioncontrol.registry.load import load_registry
from missioncontrol.web.aggregates.api import build_api
from missioncontrol.web.sql.desk import SqlDesk

REGISTRY = load_registry()
START = datetime(2018, 3, 28, 2, 5, tzinfo=UTC)
ROWS = [
    {
        "channel": "release",
        "version": "9.0",
        "os_name": "Windows",
        "main_crashes": 412,
        "usage_hours": 1000.0,
    },
    {"channel": "release", "version": "61.0", "os_name": "Linux", "main_crashes": 8, "usage_hours": 4000.0},
    {"channel": "beta", "version": "100.0b3", "os_name": "Linux", "main_crashes": 1, "usage_hours": None},
]


class Served:
    """A server on a free port, with the writer of its lake."""

    def __init__(self, folder: Path) -> None:
        limits = Query(timeout_s=2, memory_limit_mb=256, threads=1, max_rows=20_000)
        config = msgspec.structs.replace(config_of(installed(folder)), query=limits)
        self.writer = LakeWriter(config.lake_place)
        self.writer.ensure(REGISTRY)
        self._version = 0
        engine = Engine(LakeReader(config.lake_place, config.cache_path), lambda: REGISTRY, config.query)
        app = FastAPI()
        sql = SqlRunner(engine.reader, lambda: REGISTRY, config.query, config.cache_path / "spill")
        app.include_router(build_api(engine, SqlDesk(config, sql), lambda: REGISTRY, config))
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()

    def add(self, rows: list[dict[str, Any]], table: str = "error_aggregates") -> None:
        columns = lake_tables(REGISTRY)[table].columns
        schema = pa.schema([(c.name, ARROW_TYPES[c.type]) for c in columns])
        common = {"window_start": START, "submission_date": START.date(), "application": "Firefox"}
        full = [{c.name: {**common, **row}.get(c.name) for c in columns} for row in rows]
        self._version += 1
        self.writer.append(table, pa.Table.from_pylist(full, schema), "test", self._version)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("data"))
    server.add(ROWS)
    yield server
    server.stop()


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as opened:
        yield opened


M = ("measurements", "main_crashes")


@pytest.mark.parametrize("address", ["/api/aggregates/", "/api/aggregates"])
def test_aggregates_answer_in_the_predecessors_shape(client: httpx.Client, address: str) -> None:
    pairs = [M, ("measurements", "usage_hours"), ("dimensions", "channel"), ("dimensions", "submission_date")]
    answer = client.get(address, params=[*pairs, ("os_name", "Linux"), ("application", "Firefox")])
    assert answer.status_code == 200
    assert answer.json()["results"] == [
        {"channel": "beta", "submission_date": "2018-03-28", "main_crashes": 1, "usage_hours": None},
        {"channel": "release", "submission_date": "2018-03-28", "main_crashes": 8, "usage_hours": 4000.0},
    ]


def test_answers_may_be_read_from_any_page_and_are_never_kept(client: httpx.Client) -> None:
    for answer in (client.get("/api/aggregates/", params=[M]), client.get("/api/aggregates/")):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "no-store"


def test_v1_describes_its_columns_and_gives_rates(client: httpx.Client) -> None:
    body = client.get("/api/v1/aggregates", params=[M, ("interval", "day"), ("version", "9.0")]).json()
    assert body["results"] == [
        {
            "window_start": "2018-03-28T00:00:00Z",
            "main_crashes": 412,
            "main_crashes_per_1000_usage_hours": 412.0,
        }
    ]
    assert [(c["name"], c["type"]) for c in body["columns"]] == [
        ("window_start", "timestamp"),
        ("main_crashes", "int64"),
        ("main_crashes_per_1000_usage_hours", "float64"),
    ]
    assert all(c["title"] for c in body["columns"])
    assert body["complete"] is True


def test_a_cut_answer_says_so_in_the_body_and_in_a_header(client: httpx.Client) -> None:
    answer = client.get("/api/aggregates/", params=[M, ("dimensions", "version"), ("limit", "2")])
    assert (answer.json()["complete"], answer.json()["limit"], len(answer.json()["results"])) == (False, 2, 2)
    assert answer.headers["x-complete"] == "false"
    text = client.get(
        "/api/aggregates/", params=[M, ("dimensions", "version"), ("limit", "2"), ("format", "csv")]
    )
    assert text.headers["x-complete"] == "false"


def test_every_format_holds_the_same_numbers(client: httpx.Client) -> None:
    def get(form: str) -> httpx.Response:
        return client.get("/api/aggregates/", params=[M, ("dimensions", "version"), ("format", form)])

    expected = [("100.0b3", 1), ("61.0", 8), ("9.0", 412)]
    assert [(r["version"], r["main_crashes"]) for r in get("json").json()["results"]] == expected
    lines = [json.loads(line) for line in get("ndjson").text.splitlines()]
    assert [(r["version"], r["main_crashes"]) for r in lines] == expected
    table = list(csv.DictReader(io.StringIO(get("csv").text)))
    assert [(r["version"], int(r["main_crashes"])) for r in table] == expected
    for arrow in (
        pq.read_table(pa.BufferReader(get("parquet").content)),
        pa.ipc.open_stream(get("arrow").content).read_all(),
    ):
        assert (
            list(zip(arrow["version"].to_pylist(), arrow["main_crashes"].to_pylist(), strict=True))
            == expected
        )
        assert arrow["window_start"].to_pylist() == [START] * 3
    assert get("csv").headers["content-type"] == "text/csv; charset=utf-8"


def test_the_accept_header_chooses_a_format(client: httpx.Client) -> None:
    answer = client.get("/api/v1/aggregates", params=[M], headers={"accept": "text/csv"})
    assert answer.text.startswith("window_start,main_crashes,")


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/api/aggregates/", "no_measurement"),
        ("/api/aggregates/?measurements=nope", "unknown_measure"),
        ("/api/aggregates/?measurements=main_crashes&dimensions=nope", "unknown_dimension"),
        ("/api/aggregates/?measurements=main_crashes&nope=1", "unknown_parameter"),
        ("/api/aggregates/?measurements=main_crashes&channel=", "empty_filter"),
        ("/api/aggregates/?measurements=main_crashes&format=xml", "unknown_format"),
        ("/api/v1/aggregates?measurements=main_crashes&limit=1e9", "bad_limit"),
        ("/api/v1/aggregates?measurements=main_crashes&window_start=now", "bad_time"),
        ("/api/v1/values", "no_dimension"),
        ("/api/v1/values?dimension=body", "unknown_dimension"),
        ("/api/v1/values?dimension=channel&channel=", "empty_filter"),
    ],
)
def test_every_refusal_is_400_with_code_message_and_hint(
    client: httpx.Client, address: str, code: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message", "hint"}
    assert answer.json()["code"] == code


def test_odd_bytes_in_an_address_are_only_values(client: httpx.Client) -> None:
    for odd in ("%00", "%FF%FE", "%27%20OR%201=1%20--", "%F0%9F%A6%8A", "%ED%A0%80"):
        answer = client.get(f"/api/aggregates/?measurements=main_crashes&channel={odd}")
        assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_what_is_declared_can_be_listed(client: httpx.Client) -> None:
    body = client.get("/api/v1/registry").json()
    measures = {m["name"]: m for m in body["measures"]}
    assert measures["main_crashes"]["per"] == "usage_hours"
    assert measures["main_crashes"]["worse"] == "up"
    assert [d["name"] for d in body["dimensions"]] == [d.name for d in REGISTRY.keys]
    assert "Firefox" in {a["name"] for a in body["applications"]}


def test_versions_for_a_menu_come_newest_first(client: httpx.Client) -> None:
    assert client.get("/api/v1/values?dimension=version").json()["values"] == ["100.0b3", "61.0", "9.0"]
    assert client.get("/api/v1/values?dimension=version&channel=beta").json()["values"] == ["100.0b3"]


def test_sql_answers_columns_and_results(client: httpx.Client) -> None:
    query = "SELECT window_start, version, main_crashes FROM error_aggregates_v2 WHERE main_crashes > 100"
    answer = client.post("/api/v1/sql", json={"query": query})
    assert answer.status_code == 200
    assert answer.json() == {
        "columns": [
            {"name": "window_start", "type": "TIMESTAMP WITH TIME ZONE"},
            {"name": "version", "type": "VARCHAR"},
            {"name": "main_crashes", "type": "BIGINT"},
        ],
        "results": [{"window_start": "2018-03-28T02:05:00Z", "version": "9.0", "main_crashes": 412}],
        "complete": True,
    }


def test_sql_of_other_dialects_is_answered(client: httpx.Client) -> None:
    query = "SELECT channel FROM error_aggregates_v2 WHERE regexp_like(version, '^9\\.') GROUP BY 1"
    answer = client.post("/api/v1/sql", json={"query": query, "dialect": "presto"})
    assert answer.json()["results"] == [{"channel": "release"}]
    answer = client.post("/api/v1/sql", json={"query": "SELECT 'a' ~ '^a$' AS x", "dialect": "postgres"})
    assert answer.json()["results"] == [{"x": True}]
    refused = client.post("/api/v1/sql", json={"query": "SELECT 1", "dialect": "oracle"})
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_dialect")


def test_sql_is_cut_at_the_most_rows(client: httpx.Client) -> None:
    answer = client.post("/api/v1/sql", json={"query": "FROM range(20001)"})
    assert (answer.json()["complete"], answer.json()["limit"], len(answer.json()["results"])) == (
        False,
        20_000,
        20_000,
    )
    assert answer.headers["x-complete"] == "false"


def test_a_large_answer_arrives_whole(client: httpx.Client, served: Served) -> None:
    answer = client.post(
        "/api/v1/sql?format=csv", json={"query": "SELECT range, repeat('x', 1000) FROM range(20000)"}
    )
    assert len(answer.content) > 20_000_000
    assert answer.text.splitlines()[-1].startswith("19999,xxx")
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_body"),
        (b"SELECT 1", "bad_body"),
        (b'{"query": 1}', "bad_body"),
        (b'{"sql": "SELECT 1"}', "bad_body"),
        (b'{"query": "\xff"}', "bad_body"),
        (b'{"query": "SELECT 1", "dialect": "oracle"}', "unknown_dialect"),
        (b'{"query": "SELECT 1", "format": "xml"}', "unknown_format"),
        (b'{"query": "PRAGMA version"}', "sql_refused"),
        (b'{"query": "FROM \'/etc/passwd\'"}', "unknown_table"),
        (b'{"query": "SELEC 1"}', "sql_invalid"),
        (b'{"query": "SELECT x"}', "sql_failed"),
        (b'{"query": "SELECT 1", "format": "' + b"x" * 3_000_000 + b'"}', "sql_too_long"),
    ],
)
def test_sql_that_cannot_run_is_refused(client: httpx.Client, body: bytes, code: str) -> None:
    answer = client.post("/api/v1/sql", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert set(answer.json()) == {"code", "message", "hint"}


def test_sql_past_its_time_is_stopped_and_told(client: httpx.Client) -> None:
    query = "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE a.range + b.range = 7"
    answer = client.post("/api/v1/sql", json={"query": query})
    assert (answer.status_code, answer.json()["code"]) == (503, "query_timeout")


def test_slow_sql_does_not_hold_up_aggregates(client: httpx.Client, served: Served) -> None:
    query = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT max(x) FROM t"

    def slow() -> httpx.Response:
        return httpx.post(f"{served.url}/api/v1/sql", json={"query": query}, timeout=30)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(slow) for _ in range(4)]
        time.sleep(0.3)
        quick = client.get("/api/aggregates/", params=[M])
        assert not any(r.done() for r in running)
        assert quick.status_code == 200
        assert {r.result().json()["code"] for r in running} <= {"query_timeout", "busy"}


def test_new_data_is_in_the_next_answer(client: httpx.Client, served: Served) -> None:
    question = [M, ("channel", "nightly")]
    assert client.get("/api/aggregates/", params=question).json()["results"] == []
    served.add([{"channel": "nightly", "version": "63.0a1", "main_crashes": 5}])
    assert client.get("/api/aggregates/", params=question).json()["results"][0]["main_crashes"] == 5
    sql = "SELECT main_crashes FROM error_aggregates WHERE channel = 'nightly'"
    assert client.post("/api/v1/sql", json={"query": sql}).json()["results"] == [{"main_crashes": 5}]


def test_many_questions_at_once_are_all_answered(served: Served) -> None:
    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=served.url, timeout=60) as many:
            answers = await asyncio.gather(*(many.get("/api/v1/aggregates", params=[M]) for _ in range(40)))
            return [a.status_code for a in answers]

    assert asyncio.run(ask()) == [200] * 40


def test_an_experiment_answers_in_the_predecessors_shape(client: httpx.Client, served: Served) -> None:
    row = {"channel": "release", "experiment_id": "flip", "usage_hours": 150.25}
    served.add(
        [
            {**row, "experiment_branch": "control"},
            {**row, "experiment_branch": "treatment", "main_crashes": 3},
        ],
        "experiment_aggregates",
    )
    asked = {
        "experiment": "flip",
        "measure": "main_crashes",
        "interval": 300,
        "start": int(START.timestamp()),
    }
    answer = client.get("/api/experiment/", params=asked)
    window = "2018-03-28T02:05:00Z"
    assert answer.json() == {
        "measure_data": {"control": [[window, 0.0, 150.25]], "treatment": [[window, 3.0, 150.25]]}
    }
    assert answer.headers["access-control-allow-origin"] == "*"
    for change, status, code in (
        ({"experiment": "flop"}, 404, "unknown_experiment"),
        ({"interval": "x"}, 400, "bad_interval"),
        ({"measure": "' OR 1=1 --"}, 400, "unknown_measure"),
        ({"experiment": ""}, 400, "missing_parameter"),
    ):
        refused = client.get("/api/experiment/", params={**asked, **change})
        assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_people_are_measurements_in_every_format(client: httpx.Client, served: Served) -> None:
    from missioncontrol.lake.sketches import sketch

    hour = START.replace(minute=0)
    row = {
        "window_start": hour,
        "channel": "release",
        "version": "61.0",
        "clients": sketch(["a", "b", "c", "d"]),
    }
    served.add(
        [{**row, "main_crashes_clients": sketch(["a"])}, {**row, "clients": sketch(["d", "e"])}],
        "client_aggregates",
    )
    asked = [
        ("measurements", m)
        for m in ("client_count", "main_crashes_client_count", "crash_free_users", "main_crashes")
    ]
    asked += [("dimensions", "version"), ("dimensions", "submission_date"), ("version", "61.0")]
    found = client.get("/api/aggregates/", params=asked).json()["results"]
    assert found == [
        {"submission_date": "2018-03-28", "version": "61.0", "main_crashes": 8, "client_count": 5,
         "main_crashes_client_count": 1, "crash_free_users": pytest.approx(0.8, abs=1e-6)}
    ]  # fmt: skip
    for form in ("csv", "ndjson", "parquet", "arrow"):
        assert client.get("/api/v1/aggregates", params=[*asked, ("format", form)]).status_code == 200


def test_openapi_describes_every_parameter(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    described = {p["name"]: p["description"] for p in paths["/api/v1/aggregates"]["get"]["parameters"]}
    assert {"measurements", "dimensions", "order", "limit", "format", "per", "interval"} <= set(described)
    assert all(described.values())
    assert "requestBody" in paths["/api/v1/sql"]["post"]
