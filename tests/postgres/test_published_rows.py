"""What stands in PostgreSQL is what the lake has, cell by cell, whatever is in the cells."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_lake import TABLES, Crash, PublishedLake, Sum, ordered
from tests.support.postgres import Postgres

from missioncontrol.lake.compaction import compact
from missioncontrol.lake.publishing.days import DayRange
from missioncontrol.lake.tables import CRASH_STATS, lake_tables

pytestmark = pytest.mark.apt

DAY, NEXT = "2016-03-14", "2016-03-15"
NIGHTLY = {"channel": "nightly", "build_id": "20160313030418", "os_name": "Windows_NT", "country": "DE"}
SEED = 20160314


def check(postgres: Postgres, dsn: str, lake: PublishedLake, *tables: str) -> None:
    """Every published row is the lake's, and every row of the lake is published."""
    for table in tables or TABLES:
        columns = ", ".join(f'"{name}"' for name in lake.columns(table))
        found = postgres.rows(dsn, f"SELECT {columns} FROM {table}")
        assert ordered(found) == ordered(lake.expected(table))


def odd_texts() -> list[str]:
    return [
        "", " ", "\\N", "\\.", "\n\\.\n", '"', '""', ",", "\r\n", "\t", "\x00", "a\x00b\x00", "\x01\x1f\x7f", "NULL",
        "ünïcödé", "日本語", "\U0001f98a", "\ufeff", "\uffff", "\u2028", "'; DROP TABLE crash_aggregates; --", "{}",
    ]  # fmt: skip


def test_values_are_those_of_the_lake_cell_by_cell(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    chance = random.Random(SEED)
    channels = ["nightly", "beta", None]
    for day in (DAY, NEXT):
        for _ in range(3):  # several files a day, whose keys are partly the same
            lake.add(
                *(
                    Crash(
                        day,
                        {k: v for k, v in NIGHTLY.items() if chance.random() < 0.7},
                        {stat: chance.uniform(0, 1e6) for stat in CRASH_STATS if chance.random() < 0.7},
                        chance.choice([DAY, "2016-03-08"]),
                    )
                    for _ in range(50)
                ),
                *(
                    Sum(
                        day,
                        {k: v for k, v in (("channel", chance.choice(channels)), ("version", "45.0")) if v},
                        {
                            "main_crashes": chance.choice([None, 0, 3, 2**53 + 1]),
                            "usage_hours": chance.choice([None, 0.1, 1 / 3, 5e-324, 1.7e300]),
                        },
                        5 * chance.randrange(3),
                    )
                    for _ in range(50)
                ),
            )
    done = lake.publish(dsn)
    check(postgres, dsn, lake)
    assert [done[table].days for table in TABLES] == [(date(2016, 3, 14), date(2016, 3, 15))] * 2
    assert done["crash_aggregates"].rows == 300
    assert done["error_aggregates"].read_rows == 300 > done["error_aggregates"].rows


def test_numbers_that_are_no_numbers_are_published_as_such(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    odd = [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2]
    lake.add(
        *(Crash(DAY, NIGHTLY, {"usage_hours": value}) for value in odd),
        *(Sum(DAY, {"channel": str(i)}, {"usage_hours": value}) for i, value in enumerate(odd) if value),
    )
    lake.publish(dsn)
    check(postgres, dsn, lake)


def test_a_row_without_maps_or_with_empty_ones(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    lake.add(Crash(DAY, {}, {}), Crash(DAY, None, None), Crash(DAY, NIGHTLY, {"ping_count": 1.0}))
    lake.publish(dsn)
    check(postgres, dsn, lake)


def test_texts_of_any_kind_as_keys_and_values(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    texts = odd_texts()
    lake.add(
        *(Crash(DAY, {text: other, "channel": text}, {}) for text in texts for other in texts),
        *(Sum(DAY, {"channel": text, "country": text[::-1]}, {"main_crashes": 1}) for text in texts),
    )
    done = lake.publish(dsn)
    check(postgres, dsn, lake)
    with_nul = sum("\x00" in text for text in texts)
    assert done["crash_aggregates"].repaired_texts == with_nul * len(texts) * 3
    assert done["error_aggregates"].repaired_texts == with_nul * 2


def test_keys_that_differ_only_in_what_postgresql_cannot_hold_are_one_row(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*(Sum(DAY, {"channel": text}, {"main_crashes": 1}) for text in ("a\x00", "a\ufffd")))
    lake.publish(dsn)
    assert postgres.rows(dsn, "SELECT channel, main_crashes FROM error_aggregates") == [("a\ufffd", 2)]


def test_texts_too_long_for_a_b_tree_are_published_whole(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    chance = random.Random(SEED)
    long = "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(100_000))
    lake.add(
        Crash(DAY, {"channel": long, long: long}, {"ping_count": 1.0}),
        Sum(DAY, {"channel": long, "version": long, "build_id": long}, {"main_crashes": 1}),
    )
    lake.publish(dsn)
    check(postgres, dsn, lake)


@settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)  # fmt: skip
@given(st.lists(st.dictionaries(st.text(), st.text(), max_size=5), min_size=1, max_size=30))
def test_any_map_of_texts_is_published(
    postgres: Postgres, tmp_path: Path, maps: list[dict[str, str]]
) -> None:
    # Keys that become one key are a case of their own.
    maps = [{key.replace("\ufffd", ""): value for key, value in one.items()} for one in maps]
    dsn = postgres.new_database()
    lake = PublishedLake(Path(mkdtemp(dir=tmp_path)) / "data")
    lake.add(*(Crash(DAY, one, {}) for one in maps))
    lake.publish(dsn)
    check(postgres, dsn, lake, "crash_aggregates")


def test_a_day_of_more_rows_than_are_added_at_once_has_one_row_a_key(
    postgres: Postgres, dsn: str, lake: PublishedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("missioncontrol.lake.publishing.rows._AT_ONCE_ROWS", 50)
    monkeypatch.setattr("missioncontrol.lake.publishing.rows._COPY_ROWS", 20)
    chance = random.Random(SEED)
    for _ in range(4):
        lake.add(
            *(
                Sum(
                    DAY,
                    {"channel": chance.choice("abcde"), "os_name": chance.choice("xyz")},
                    {"main_crashes": chance.randrange(9)},
                    chance.randrange(5),
                )
                for _ in range(100)
            )
        )
    lake.publish(dsn, tables=["error_aggregates"])
    check(postgres, dsn, lake, "error_aggregates")


def test_publishing_again_does_nothing(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    lake.add(Crash(DAY, NIGHTLY, {"main_crashes": 1.0}), Sum(DAY, NIGHTLY, {"main_crashes": 1}))
    lake.publish(dsn)
    before = postgres.rows(dsn, "SELECT xmin::text, * FROM missioncontrol_published ORDER BY 2")
    again = lake.publish(dsn)
    assert postgres.rows(dsn, "SELECT xmin::text, * FROM missioncontrol_published ORDER BY 2") == before
    assert [(again[t].days, again[t].same_days) for t in TABLES] == [((), 1)] * 2
    check(postgres, dsn, lake)


def test_a_changed_day_is_replaced_and_no_other(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    lake.add(*(Crash(day, NIGHTLY, {"main_crashes": 1.0}) for day in (DAY, NEXT)))
    lake.add(*(Sum(day, NIGHTLY, {"main_crashes": 1}) for day in (DAY, NEXT)))
    lake.publish(dsn)
    lake.replace(
        "crash_aggregates",
        DAY,
        Crash(DAY, NIGHTLY, {"main_crashes": 7.0}),
        Crash(DAY, {}, {"ping_count": 1.0}),
    )
    lake.add(Sum(NEXT, NIGHTLY, {"main_crashes": 5}))
    done = lake.publish(dsn)
    assert done["crash_aggregates"].days == (date(2016, 3, 14),)
    assert done["error_aggregates"].days == (date(2016, 3, 15),)
    check(postgres, dsn, lake)


def test_a_compacted_day_has_the_same_rows(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    for _ in range(3):
        lake.add(Sum(DAY, NIGHTLY, {"main_crashes": 1}))
    lake.publish(dsn)
    table = lake_tables(lake.registry)["error_aggregates"]
    assert compact(lake.path, lake.data / "cache", table, 2**27, full=True)
    assert lake.publish(dsn)["error_aggregates"].rows == 1
    assert postgres.rows(dsn, "SELECT main_crashes FROM error_aggregates") == [(3,)]


def test_only_days_within_the_range_are_published(postgres: Postgres, dsn: str, lake: PublishedLake) -> None:
    days = [f"2016-03-{day}" for day in (10, 11, 12, 13)]
    lake.add(*(Crash(day, NIGHTLY, {}) for day in days))
    lake.publish(dsn, within=DayRange(date(2016, 3, 11), date(2016, 3, 12)))
    found = postgres.rows(dsn, "SELECT submission_date::text FROM crash_aggregates ORDER BY 1")
    assert found == [("2016-03-11",), ("2016-03-12",)]
    lake.publish(dsn)
    check(postgres, dsn, lake, "crash_aggregates")


def test_days_that_the_lake_forgot_stay_until_they_are_pruned(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(*(Crash(day, NIGHTLY, {"main_crashes": 1.0}) for day in (DAY, NEXT)))
    lake.publish(dsn)
    lake.replace("crash_aggregates", DAY)
    assert lake.publish(dsn)["crash_aggregates"].pruned_days == ()
    assert postgres.rows(dsn, "SELECT count(*) FROM crash_aggregates") == [(2,)]
    outside = lake.publish(dsn, prune=True, within=DayRange(date(2016, 3, 15)))
    assert outside["crash_aggregates"].pruned_days == ()
    assert lake.publish(dsn, prune=True)["crash_aggregates"].pruned_days == (date(2016, 3, 14),)
    check(postgres, dsn, lake)


def test_a_declared_measure_becomes_a_column_and_a_forgotten_one_stays(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(Sum(DAY, NIGHTLY, {"main_crashes": 1}))
    lake.publish(dsn)
    lake.declare(
        '[measure.gc_long_pauses]\ntitle = "Pauses"\nfrom = "main"\nhistogram = "GC_MS"\nat_least = 150\n'
    )
    lake.publish(dsn, tables=["error_aggregates"])
    assert postgres.rows(dsn, "SELECT gc_long_pauses FROM error_aggregates") == [(None,)]
    lake.add(Sum(NEXT, NIGHTLY, {"gc_long_pauses": 4}))
    lake.publish(dsn)
    check(postgres, dsn, lake, "error_aggregates")
    lake.declare()
    lake.add(Sum(DAY, NIGHTLY, {"main_crashes": 2}))
    lake.publish(dsn)
    found = postgres.rows(
        dsn, "SELECT main_crashes, gc_long_pauses FROM error_aggregates ORDER BY submission_date"
    )
    assert found == [(3, None), (None, 4)]


def test_a_column_that_appears_while_a_run_is_under_way_is_published_by_that_run(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(Sum(DAY, NIGHTLY, {"main_crashes": 1}), Sum(NEXT, NIGHTLY, {"main_crashes": 1}))

    def declare(step: object) -> None:
        if "late" not in lake.registry.measures:
            registry_of_publisher = lake.reader
            lake.declare('[measure.late]\ntitle = "Late"\nfrom = "main"\nhistogram = "GC_MS"\nat_least = 1\n')
            lake.add(Sum(NEXT, {"channel": "beta"}, {"late": 9}))
            lake.reader = registry_of_publisher

    lake.publish(dsn, declare, tables=["error_aggregates"])
    check(postgres, dsn, lake, "error_aggregates")
    assert postgres.rows(dsn, "SELECT late FROM error_aggregates WHERE channel = 'beta'") == [(9,)]


def test_a_table_that_was_dropped_is_published_anew(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.add(Crash(DAY, NIGHTLY, {"main_crashes": 1.0}))
    lake.publish(dsn)
    postgres.execute(dsn, "DROP TABLE crash_aggregates")
    lake.publish(dsn)
    check(postgres, dsn, lake)


def test_a_schema_of_its_own_is_made_and_nothing_else_is_touched(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    postgres.execute(
        dsn, "CREATE TABLE crash_aggregates (mine int)", "INSERT INTO crash_aggregates VALUES (1)"
    )
    lake.add(Crash(DAY, NIGHTLY, {"main_crashes": 1.0}))
    lake.publish(dsn, schema='Odd "name"')
    assert postgres.rows(dsn, 'SELECT main_crashes FROM "Odd ""name""".crash_aggregates') == [(1.0,)]
    assert postgres.rows(dsn, "SELECT mine FROM crash_aggregates") == [(1,)]


def test_before_the_lake_has_anything_there_are_empty_tables(
    postgres: Postgres, dsn: str, lake: PublishedLake
) -> None:
    lake.publish(dsn)
    assert postgres.rows(dsn, "SELECT count(usage_hours) FROM crash_aggregates") == [(0,)]
    assert postgres.rows(dsn, "SELECT count(usage_hours) FROM error_aggregates") == [(0,)]
