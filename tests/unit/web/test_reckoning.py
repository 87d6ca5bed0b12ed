"""The SQL of numbers: its conditions mean what the product's own rules mean, whatever names clients send."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest

from missioncontrol.query.crash_selection import Condition, Selection, where, written
from missioncontrol.query.summary_scope import platform_of
from missioncontrol.web.reckoning import Reckoning, Rows, platform_sql, rate_query, share_query
from missioncontrol.web.rendering import TEMPLATES

START = datetime(2026, 1, 31, 14, tzinfo=UTC)
END = START + timedelta(hours=2)
SYSTEMS = (
    "Windows_NT", "Windows", "WINNT", "Darwin", "Mac OS X", "Linux", "FreeBSD", "SunOS", "Solaris", "iOS", "iPhone OS",
    "my iPhone", "Android", "Android Linux", "Haiku", "", None, "windows", "Windows Linux",
)  # fmt: skip
ODD = 'it\'s "odd"; -- ?'


def test_platforms_are_those_of_the_registry() -> None:
    for name in SYSTEMS:
        (found,) = duckdb.execute(
            f"SELECT {platform_sql()} FROM (SELECT ? AS os_name)", [name]
        ).fetchone() or ("",)
        assert found == platform_of(name), name


@pytest.fixture
def table() -> duckdb.DuckDBPyConnection:
    """Rows of an hour and an hour later: (version, build) of the channel, and others."""
    made = duckdb.connect()
    made.execute(
        "CREATE TABLE error_aggregates (application VARCHAR, channel VARCHAR, version VARCHAR, build_id VARCHAR, "
        "os_name VARCHAR, window_start TIMESTAMPTZ, main_crashes BIGINT, usage_hours DOUBLE)"
    )
    rows = [
        ("Firefox", ODD, "61.0", "own", "Linux", START, 1, 10.0),
        ("Firefox", ODD, "61.0", None, "Linux", START, 2, 10.0),
        ("Firefox", ODD, "other name", "own", "Linux", START, 4, 10.0),
        ("Firefox", ODD, "61.0", "other", "Linux", START, 8, 10.0),
        ("Firefox", ODD, "61.0", "own", "Windows", START, 16, 10.0),
        ("Firefox", ODD, "61.0", "own", "Linux", END, 32, 10.0),
        ("Firefox", "beta", "61.0", "own", "Linux", START, 64, 10.0),
        (None, ODD, "61.0", "own", "Linux", START, 128, 10.0),
        ("Firefox", ODD, None, None, "Linux", START, None, 10.0),
    ]
    made.executemany("INSERT INTO error_aggregates VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return made


def sums(table: duckdb.DuckDBPyConnection, query: str) -> tuple[object, ...]:
    found = table.execute(query).fetchone()
    assert found is not None
    return tuple(found)


def test_a_version_is_its_builds_whatever_they_say_and_no_build_of_another(
    table: duckdb.DuckDBPyConnection,
) -> None:
    rows = Rows("Firefox", ODD, "61.0", START, END, "linux", ("own",), ("other",))
    assert sums(table, rate_query("main_crashes", "usage_hours", rows)) == (
        7,
        30.0,
        pytest.approx(7000 / 30),
        3,
    )
    assert sums(table, share_query("usage_hours", rows)) == (30.0, 50.0, pytest.approx(0.6), 5)


def test_names_that_are_null_are_asked_for_so(table: duckdb.DuckDBPyConnection) -> None:
    assert (
        sums(table, rate_query("main_crashes", "usage_hours", Rows(None, ODD, "61.0", START, END)))[0] == 128
    )
    nameless = Rows("Firefox", ODD, None, START, END)
    assert sums(table, rate_query("main_crashes", "usage_hours", nameless))[::3] == (0, 1)


def test_a_query_that_no_address_can_hold_has_no_link() -> None:
    rows = Rows("Firefox", "nightly", "62.0a1", START, END, builds=tuple(str(n) for n in range(2000)))
    long = Reckoning("rate", "", [], rate_query("main_crashes", "usage_hours", rows))
    assert long.query and long.href == "" and Reckoning("rate", "", []).href == ""
    short = Reckoning("rate", "", [], "SELECT 1")
    assert parse_qs(urlsplit(short.href).query)["query"] == ["SELECT 1"]


def test_no_template_puts_a_reckoning_into_a_paragraph() -> None:
    """A browser ends a paragraph where something that opens begins."""
    inside = re.compile(r"<p\b[^>]*>(?:(?!</p>).)*computed\(", re.S)
    for template in TEMPLATES.glob("*.html"):
        assert not inside.search(template.read_text(encoding="utf-8")), template.name


def test_a_selection_is_written_with_what_it_is_bound_to() -> None:
    conditions = (
        Condition("product", (ODD,)),
        Condition("signature", (ODD, "b"), "contains"),
        Condition("release_channel", (), "null"),
    )
    selection = Selection(START, END, conditions=conditions, versions=("4.0b", "3.9"))
    condition, parameters = where(selection)
    columns = (
        'NULL::TIMESTAMPTZ AS "date", NULL::VARCHAR AS product, NULL::VARCHAR AS signature, '
        "NULL::VARCHAR AS release_channel, NULL::VARCHAR AS version"
    )
    rows = [
        (START, ODD, f"xx{ODD.upper()}", None, "4.0b7"),
        (START, ODD, "b", None, "3.9"),
        (START, ODD, "b", None, "3.9.1"),
        (END, ODD, "b", None, "3.9"),
        (START, "other", "b", None, "3.9"),
        (START, ODD, "b", "beta", "3.9"),
    ]
    table = duckdb.connect()
    table.execute(f"CREATE TABLE crashes AS SELECT {columns} WHERE false")
    table.executemany("INSERT INTO crashes VALUES (?, ?, ?, ?, ?)", rows)
    bound = table.execute(f"SELECT count(*) FROM crashes WHERE {condition}", parameters).fetchone()
    assert (
        table.execute(f"SELECT count(*) FROM crashes WHERE {written(selection)}").fetchone() == bound == (2,)
    )
