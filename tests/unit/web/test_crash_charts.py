"""Charts made on the server: every count is drawn and said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from missioncontrol.query.crash_reports import Bucket
from missioncontrol.query.crash_selection import Selection
from missioncontrol.web.crash_charts import buckets_of, filled, spark, time_chart

START = datetime(2026, 11, 1, tzinfo=UTC)


def days(count: float, **other: object) -> Selection:
    return Selection(START, START + timedelta(days=count), **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(("length", "number"), [(1, 24), (2, 48), (3, 3), (28, 28), (366, 60)])
def test_short_spans_are_cut_into_hours_and_long_ones_into_days(length: int, number: int) -> None:
    assert buckets_of(days(length)) == number


def test_builds_are_never_cut_into_hours() -> None:
    assert buckets_of(days(1, by="build")) == 1


def test_a_bar_for_each_part_with_crashes_and_the_numbers_in_words() -> None:
    made = spark([0, 4, 0, 1])
    assert made.path.count("M") == 2
    assert made.says == "0, 4, 0, 1"
    assert spark([0, 0]).path == ""


def test_groups_are_filled_up_with_zeros() -> None:
    assert filled([Bucket("a", 0, 2), Bucket("a", 2, 1), Bucket(None, 1, 1), Bucket("a", 9, 5)], 3) == {
        "a": [2, 0, 1],
        None: [0, 1, 0],
    }


def test_the_largest_groups_have_lines_and_the_rest_share_one() -> None:
    found = [Bucket(str(n), 0, n) for n in range(1, 10)] + [Bucket(None, 1, 100)]
    chart = time_chart(days(2), found, 2)
    assert [line.name for line in chart.lines] == ["(none)", "9", "8", "7", "6", "5", "4 others"]
    assert chart.lines[-1].counts == [10, 0]
    assert sum(line.total for line in chart.lines) == 145
    assert len({line.index for line in chart.lines}) == 7


def test_labels_say_days_where_parts_are_days() -> None:
    assert time_chart(days(3), [], 3).labels == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert time_chart(days(1), [], 24).labels[1] == "11-01 01:00"
