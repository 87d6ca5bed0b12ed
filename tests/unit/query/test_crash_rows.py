"""Which rows of `crashes` count: processed again, deleted, merged by compaction; in searches and in SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from tests.support.crash_lake import NOW, CrashLake

from missioncontrol.lake.care import compact_now
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query.crash_rows import counting_rows
from missioncontrol.query.relation import Span


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[CrashLake]:
    lake = CrashLake(tmp_path / "data")
    yield lake
    lake.close()


def compact(lake: CrashLake) -> int:
    """How many merges of crashes there were."""
    config = lake.services.config
    done = compact_now(config.lake_path, config.cache_path, lake.services.registry(), config.lake)
    return sum(merge.table in ("crashes", "crash_revisions") and merge.committed for merge in done)


def by_sql(lake: CrashLake) -> list[dict[str, Any]]:
    sink = BytesIO()
    lake.services.sql.run("SELECT signature, count(*) AS n FROM crashes GROUP BY 1 ORDER BY 1", sink)
    rows: list[dict[str, Any]] = json.loads(sink.getvalue())
    return rows


def check(lake: CrashLake, expected: dict[str, int]) -> None:
    found = lake.search("date=>=2026-01-01")
    assert {item["term"]: item["count"] for item in found.facets["signature"]} == expected
    assert found.total == len(found.hits) == sum(expected.values())
    assert {row["signature"]: row["n"] for row in by_sql(lake)} == expected


def test_the_newest_row_of_a_crash_counts_and_compaction_changes_nothing(lake: CrashLake) -> None:
    first, second, third = lake.add({"signature": "A"}, {"signature": "A"}, {"signature": "A"})
    (old,) = lake.add({"signature": "A", "hours_ago": 48})
    lake.add({"signature": "Z", "hours_ago": 72})
    check(lake, {"A": 4, "Z": 1})
    lake.add({"signature": "B", "uuid": first}, revision=1)
    check(lake, {"A": 3, "B": 1, "Z": 1})
    lake.add({"signature": "C", "uuid": first}, {"signature": "C", "uuid": old, "hours_ago": 48}, revision=2)
    check(lake, {"A": 2, "C": 2, "Z": 1})
    lake.index.delete([second], NOW)
    expected = {"A": 1, "C": 2, "Z": 1}
    check(lake, expected)
    assert compact(lake) >= 3
    check(lake, expected)
    lake.add({"signature": "D", "uuid": third}, revision=1)
    lake.index.delete([first], NOW)
    expected = {"D": 1, "C": 1, "Z": 1}
    check(lake, expected)
    assert compact(lake) >= 1
    check(lake, expected)


def test_a_deleted_crash_stays_deleted_when_it_is_processed_once_more(lake: CrashLake) -> None:
    (crash,) = lake.add({"signature": "A"})
    lake.index.delete([crash], NOW)
    lake.add({"signature": "B", "uuid": crash}, revision=1)
    check(lake, {})
    compact(lake)
    check(lake, {})


def test_the_same_crash_indexed_twice_by_a_worker_that_died(lake: CrashLake) -> None:
    """Between the row and its leaving the queue: the next worker processes it again, as a further revision."""
    (crash,) = lake.add({"signature": "A"})
    lake.add({"signature": "A", "uuid": crash}, revision=1)
    check(lake, {"A": 1})


def test_days_without_revisions_are_read_without_a_join(lake: CrashLake) -> None:
    columns = [c for c in lake_tables(lake.services.registry())["crashes"].columns if c.name == "signature"]
    (crash,) = lake.add({"signature": "A", "hours_ago": 100})
    lake.add({"signature": "B"})
    assert "JOIN" not in counting_rows(lake.services.reader, columns)
    lake.add({"signature": "C", "uuid": crash, "hours_ago": 100}, revision=1)
    assert "JOIN" in counting_rows(lake.services.reader, columns)
    assert "JOIN" not in counting_rows(lake.services.reader, columns, Span(dates=(NOW.date(),)))


def test_first_seen(lake: CrashLake) -> None:
    lake.add({"signature": "A", "build": "2"}, {"signature": "A", "build": "1", "hours_ago": 24 * 400})
    lake.add({"signature": "B"})
    found = lake.services.crash_search.first_seen(["A", "B", "none"])
    assert [(f.signature, f.first_date, f.first_build) for f in found] == [
        ("A", "2025-10-22T12:00:00+00:00", "1"),
        ("B", "2026-11-26T11:00:00+00:00", None),
    ]
    assert lake.services.crash_search.first_seen([]) == []
