"""Which columns are protected, and that a view without them has no way to them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from query_lake import DAY, SmallLake

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import Column, lake_tables
from missioncontrol.query.sql import SqlRunner
from missioncontrol.query.views import protected_columns, views

PING = {
    "submission_date": DAY.date(), "doc_type": "main", "received": DAY, "received_ns": 1, "window_start": DAY,
    "log_offset": 1, "document_id": "an-id", "headers": '{"User-Agent": "x"}', "body": b"{}", "encoding": "",
}  # fmt: skip


@pytest.fixture
def runner(lake: SmallLake) -> SqlRunner:
    lake.add([PING], "pings")
    settings = Query(threads=1, memory_limit_mb=256)
    return SqlRunner(lake.reader, lambda: lake.registry, settings, lake.folder / "spill")


def run(runner: SqlRunner, query: str, with_protected: bool) -> tuple[bytes, list[list[str]]]:
    sink, seen = io.BytesIO(), []  # type: ignore[var-annotated]
    try:
        runner.run(query, sink, with_protected=with_protected, seen=lambda t: seen.append(list(t)))
    except BadRequest as error:
        return f"{error.code}: {error.message} {error.hint}".encode(), seen
    return sink.getvalue(), seen


def test_columns_that_nobody_declares_are_protected_where_others_are(lake: SmallLake) -> None:
    tables = lake_tables(lake.registry)
    more = Column("left_from_before", "string")
    assert protected_columns(tables["pings"], (*tables["pings"].columns, more)) == (
        "document_id", "given_date", "headers", "body", "sent_crc32", "left_from_before",
    )  # fmt: skip
    assert protected_columns(tables["discards"], (*tables["discards"].columns, more)) == ()


@pytest.mark.parametrize("with_rows", [True, False])
def test_a_view_without_them_is_the_same_but_for_them(lake: SmallLake, with_rows: bool) -> None:
    if with_rows:
        lake.add([PING], "pings")
    whole = {v.name: v for v in views(lake.reader, lake.registry)}
    less = {v.name: v for v in views(lake.reader, lake.registry, with_protected=False)}
    assert list(whole) == list(less)
    assert [name for name in whole if whole[name] != less[name]] == ["crashes", "pings"]
    assert "body" in whole["pings"].sql and "body" not in less["pings"].sql


def test_a_query_of_them_fails_and_tells_what_is_missing(runner: SqlRunner) -> None:
    answer, seen = run(runner, "SELECT BODY FROM pings", False)
    assert b"With the scope `protected` there are also: pings.body." in answer and seen == []
    answer, _ = run(runner, "SELECT nothing FROM pings", False)
    assert b"sql_failed" in answer and b"protected" not in answer


@pytest.mark.parametrize(
    "query, tables",
    [
        ("SELECT body FROM pings", [["pings"]]),
        ("SELECT CAST(document_id AS INTEGER) FROM pings", [["pings"]]),
        ("SELECT count(*) FROM discards JOIN (FROM pings) ON true", [["pings"]]),
        ("SELECT count(*) FROM discards", []),
        ("SELECT count(*) FROM information_schema.columns", []),
        ("SELECT nothing FROM", []),
    ],
)
def test_what_could_be_read_is_told_also_when_the_query_fails(
    runner: SqlRunner, query: str, tables: list[Any]
) -> None:
    assert run(runner, query, True)[1] == tables
    assert run(runner, query, False)[1] == []


def test_a_query_whose_reading_cannot_be_recorded_gives_no_answer(runner: SqlRunner) -> None:
    def full(tables: Any) -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        runner.run("SELECT body FROM pings", io.BytesIO(), seen=full)
