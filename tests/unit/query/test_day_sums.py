"""Sums of days are kept as long as their files are there, and are right at every moment."""

from __future__ import annotations

from datetime import timedelta

from query_lake import DAY, SmallLake, row

from missioncontrol.query.day_sums import DaySums
from missioncontrol.query.engine import Engine

FIRST, SECOND = DAY.date(), (DAY + timedelta(days=1)).date()
RELEASE = ("Firefox", "release")


def sums(kept: DaySums, group: str = "version") -> dict[object, float]:
    found = kept.days([FIRST, SECOND], group, ("main_crashes", "usage_hours"))
    assert found is not None
    totals: dict[object, float] = {}
    for day, parts in found.items():
        for part in parts:
            for name, values in part.get(RELEASE, []):
                totals[day, name] = totals.get((day, name), 0.0) + (values[0] or 0.0)
    return totals


def test_days_are_added_up_by_group_and_what_is_committed_later_is_too(
    lake: SmallLake, engine: Engine
) -> None:
    kept = DaySums(engine)
    lake.add([row(0, main_crashes=1), row(5, main_crashes=2), row(5, version="60.0", main_crashes=4)])
    assert sums(kept) == {(FIRST, "59.0"): 3.0, (FIRST, "60.0"): 4.0}
    lake.add([row(10, main_crashes=8)])
    lake.add([row(24 * 60, main_crashes=16)])
    assert sums(kept) == {(FIRST, "59.0"): 11.0, (FIRST, "60.0"): 4.0, (SECOND, "59.0"): 16.0}
    assert sums(kept, "") == {(FIRST, None): 15.0, (SECOND, None): 16.0}


def test_a_day_that_is_over_is_not_read_again(lake: SmallLake, engine: Engine) -> None:
    kept = DaySums(engine)
    lake.add([row(0, main_crashes=1)])
    before = kept.days([FIRST], "version", ("main_crashes", "usage_hours"))
    lake.add([row(24 * 60, main_crashes=2)])
    after = kept.days([FIRST], "version", ("main_crashes", "usage_hours"))
    assert before is not None and after is not None
    assert after[FIRST][0] is before[FIRST][0]


def test_files_with_windows_of_other_days_have_no_sums_by_day(lake: SmallLake, engine: Engine) -> None:
    lake.add([{**row(24 * 60, main_crashes=2), "submission_date": FIRST}])
    assert DaySums(engine).days([FIRST, SECOND], "version", ("main_crashes", "usage_hours")) is None
