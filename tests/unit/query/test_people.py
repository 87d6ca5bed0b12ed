"""Numbers of clients and sessions by API and SQL: estimates within their bounds of the exact numbers."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from query_lake import SmallLake, row
from test_engine import ask

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest
from missioncontrol.lake.sketches import sketch
from missioncontrol.query.engine import Engine
from missioncontrol.query.sql import SqlRunner


def people(minute: int, clients: range, crashed: range = range(0), **values: Any) -> dict[str, Any]:
    """A row of client_aggregates; client n has the sessions n/a and n/b."""
    ids = [f"client-{n}" for n in clients]
    return row(
        minute,
        **values,
        clients=sketch(ids),
        sessions=sketch([f"{i}{s}" for i in ids for s in "ab"]),
        main_crashes_clients=sketch([f"client-{n}" for n in crashed]) if crashed else None,
    )


@pytest.fixture
def crowd(lake: SmallLake) -> SmallLake:
    """Two versions over three hours and two systems: clients come again, and some have both versions."""
    lake.add(
        [
            people(0, range(100), range(5), version="60.0"),
            people(60, range(50, 150), range(5, 7), version="60.0"),
            people(60, range(140, 160), version="60.0", os_name="Darwin"),
            people(60, range(90, 290), range(90, 100), version="59.0"),
            people(1500, range(1000), version="60.0"),
        ],
        "client_aggregates",
    )
    lake.add([row(0, version="60.0", main_crashes=7, usage_hours=50.0)])
    return lake


COUNT = ("measurements", "client_count")
CRASHED = ("measurements", "main_crashes_client_count")
FIRST_DAY = ("submission_date", "2018-03-28")
BY_DAY = ("dimensions", "submission_date")


def test_clients_are_merged_over_hours_and_dimensions(crowd: SmallLake, engine: Engine) -> None:
    found = ask(engine, COUNT, CRASHED, BY_DAY, FIRST_DAY)
    assert found == [{"submission_date": "2018-03-28", "client_count": 290, "main_crashes_client_count": 17}]
    found = ask(engine, COUNT, CRASHED, BY_DAY, ("dimensions", "version"), FIRST_DAY)
    by_version = {r["version"]: (r["client_count"], r["main_crashes_client_count"]) for r in found}
    assert by_version == {"59.0": (200, 10), "60.0": (160, 7)}
    assert ask(engine, COUNT, BY_DAY, FIRST_DAY, ("os_name", "Darwin"))[0]["client_count"] == 20


def test_sessions_and_bounds(crowd: SmallLake, engine: Engine) -> None:
    found = ask(
        engine, ("measurements", "session_count"), ("measurements", "client_count_low"),
        ("measurements", "client_count"), ("measurements", "client_count_high"), BY_DAY,
    )  # fmt: skip
    assert [r["session_count"] for r in found] == [
        pytest.approx(580, rel=0.04),
        pytest.approx(2000, rel=0.04),
    ]
    assert all(r["client_count_low"] <= r["client_count"] <= r["client_count_high"] for r in found)
    assert found[1]["client_count_low"] < 1000 < found[1]["client_count_high"]


def test_crash_free_users(crowd: SmallLake, engine: Engine) -> None:
    names = [("measurements", f"crash_free_users{bound}") for bound in ("_low", "", "_high")]
    [found] = ask(engine, *names, BY_DAY, FIRST_DAY, ("version", "60.0"))
    assert found["crash_free_users"] == pytest.approx(1 - 7 / 160, abs=1e-6)
    assert found["crash_free_users_low"] <= 1 - 7 / 160 <= found["crash_free_users_high"]


def test_beside_sums_each_group_has_both(crowd: SmallLake, engine: Engine) -> None:
    found = ask(
        engine, COUNT, ("measurements", "main_crashes"), BY_DAY, ("dimensions", "version"), FIRST_DAY,
        ("order", "-client_count"), edition="v1",
    )  # fmt: skip
    assert found == [
        {"submission_date": "2018-03-28", "version": "59.0", "main_crashes": None, "client_count": 200,
         "main_crashes_per_1000_usage_hours": None},
        {"submission_date": "2018-03-28", "version": "60.0", "main_crashes": 7, "client_count": 160,
         "main_crashes_per_1000_usage_hours": 140.0},
    ]  # fmt: skip


def test_windows_are_hours(crowd: SmallLake, engine: Engine) -> None:
    found = ask(engine, COUNT, ("measurements", "main_crashes"), ("version", "60.0"), ("os_name", "Linux"))
    assert [(r["window_start"], r["client_count"], r["main_crashes"]) for r in found] == [
        ("2018-03-28T00:00:00Z", 100, 7),
        ("2018-03-28T01:00:00Z", 100, None),
        ("2018-03-29T01:00:00Z", pytest.approx(1000, rel=0.05), None),
    ]
    cut = ask(
        engine,
        COUNT,
        BY_DAY,
        ("window_start", "2018-03-28T00:25:00Z"),
        ("window_start", "2018-03-28T00:40:00Z"),
    )
    assert [r["client_count"] for r in cut] == [100], "an hour that a filter touches counts whole"


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([COUNT, ("dimensions", "country")], "not_kept_for_clients"),
        ([COUNT, ("country", "DE")], "not_kept_for_clients"),
        ([COUNT, ("experiment_id", "x")], "not_kept_for_clients"),
        ([("measurements", "usage_hours_client_count")], "unknown_measure"),
        ([("measurements", "client_counts")], "unknown_measure"),
    ],
)
def test_what_is_not_kept_is_refused(engine: Engine, pairs: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(engine, *pairs)
    assert refused.value.code == code
    assert refused.value.hint


def test_an_empty_product_has_nobody(engine: Engine) -> None:
    assert ask(engine, COUNT, CRASHED, BY_DAY) == []
    assert ask(engine, COUNT, ("measurements", "main_crashes"), BY_DAY) == []


def sql(lake: SmallLake, query: str) -> Any:
    sink = io.BytesIO()
    runner = SqlRunner(lake.reader, lambda: lake.registry, Query(), lake.folder / "spill")
    runner.run(query, sink)
    return json.loads(sink.getvalue())


def test_sql_has_functions_for_sketches(crowd: SmallLake) -> None:
    query = """
        SELECT version, distinct_count(clients) AS n, distinct_count_low(clients) AS low, distinct_count_high(clients) AS high,
               distinct_count(sessions) AS sessions, crash_free(clients, main_crashes_clients) AS free
        FROM client_aggregates WHERE submission_date = '2018-03-28' GROUP BY version ORDER BY version"""
    old, new = sql(crowd, query)
    assert (old["n"], new["n"]) == (200, 160)
    assert old["low"] <= 200 <= old["high"]
    assert new["free"] == pytest.approx(1 - 7 / 160, abs=1e-6)
    assert new["sessions"] == pytest.approx(320, rel=0.04)


def test_sketches_can_be_merged_first_and_counted_later(crowd: SmallLake) -> None:
    query = """
        WITH days AS (SELECT submission_date, version, merge_sketches(clients) AS clients FROM client_aggregates GROUP BY ALL)
        SELECT distinct_count(clients) AS n FROM days WHERE submission_date = '2018-03-28'"""
    assert sql(crowd, query) == [{"n": 290.0}]


def test_a_view_shows_crash_free_users_by_day_and_version(crowd: SmallLake) -> None:
    found = sql(crowd, "FROM crash_free_users WHERE submission_date = '2018-03-28' ORDER BY version")
    assert [(r["version"], r["active_clients"], r["affected_clients"]) for r in found] == [
        ("59.0", 200.0, 10.0),
        ("60.0", 160.0, 7.0),
    ]
    assert all(
        r["crash_free_users_low"] <= r["crash_free_users"] <= r["crash_free_users_high"] for r in found
    )


def test_bytes_that_are_no_sketch_are_a_clear_refusal(crowd: SmallLake) -> None:
    with pytest.raises(BadRequest, match="no HLL sketch"):
        sql(crowd, "SELECT distinct_count('abc'::BLOB)")
    assert sql(crowd, "SELECT distinct_count(NULL::BLOB) AS n, crash_free(NULL::BLOB, NULL) AS s") == [
        {"n": 0.0, "s": None}
    ]
