"""Charts made on the server: every count is drawn and said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.query.crash_reports import Bucket
from missioncontrol.query.crash_selection import Selection
from missioncontrol.web.crashes.charts import (
    HEIGHT,
    WIDTH,
    TimeChart,
    filled,
    intervals_of,
    spark,
    time_chart,
)

START = datetime(2026, 11, 1, tzinfo=UTC)


def days(count: float, **other: object) -> Selection:
    return Selection(START, START + timedelta(days=count), **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("begins", "length", "starts", "last", "number"),
    [
        ("2026-11-25T13:27", 1, "2026-11-25T13:00", "2026-11-26T13:00", 25),
        ("2026-11-25T13:00", 2, "2026-11-25T13:00", "2026-11-27T12:00", 48),
        ("2026-11-19T13:27", 7, "2026-11-19T00:00", "2026-11-26T00:00", 8),
        ("2026-11-19T00:00", 7, "2026-11-19T00:00", "2026-11-25T00:00", 7),
        ("2026-01-01T00:00", 366, "2026-01-01T00:00", "2026-12-31T00:00", 53),
    ],
)
def test_a_span_is_cut_at_full_hours_or_days(
    begins: str, length: int, starts: str, last: str, number: int
) -> None:
    start = datetime.fromisoformat(begins).replace(tzinfo=UTC)
    intervals = intervals_of(Selection(start, start + timedelta(days=length)))
    found = intervals.starts()
    assert (f"{found[0]:%Y-%m-%dT%H:%M}", f"{found[-1]:%Y-%m-%dT%H:%M}", len(found)) == (starts, last, number)


@given(st.integers(0, 10**6), st.integers(1, 366), st.sampled_from(["report", "build"]))
def test_the_intervals_cover_the_span_and_little_more(minutes: int, length: int, by: str) -> None:
    start = START + timedelta(minutes=minutes)
    selection = Selection(start, start + timedelta(days=length), by)  # type: ignore[arg-type]
    found = intervals_of(selection)
    assert found.start <= selection.start < found.start + found.width
    assert found.start + (found.number - 1) * found.width < selection.end
    assert selection.end <= found.start + found.number * found.width
    assert found.number <= 61


def test_builds_are_never_cut_into_hours() -> None:
    assert intervals_of(days(1, by="build")).number == 1


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


def chart(selection: Selection, *found: Bucket) -> TimeChart:
    return time_chart(selection, found, intervals_of(selection))


def boxes(path: str) -> list[tuple[float, float, float]]:
    """(left, bottom, height) of each."""
    found = re.findall(r"M([\d.]+) ([\d.]+)v-([\d.]+)h[\d.]+v[\d.]+z", path)
    return [(float(x), float(y), float(height)) for x, y, height in found]


def test_the_largest_groups_have_layers_and_the_rest_share_one() -> None:
    made = chart(days(3), *(Bucket(str(n), 0, n) for n in range(1, 10)), Bucket(None, 1, 100))
    assert [layer.name for layer in made.layers] == ["(none)", "9", "8", "7", "6", "5", "4 others"]
    assert made.layers[-1].counts == [10, 0, 0]
    assert sum(layer.total for layer in made.layers) == 145
    assert len({layer.index for layer in made.layers}) == 7
    assert made.top == 100
    assert made.intervals[0].says == "2026-11-01: 9: 9, 8: 8, 7: 7, 6: 6, 5: 5, 4 others: 10"
    assert made.intervals[2].says == "2026-11-03: none"


def test_the_layers_of_a_bar_stand_on_each_other() -> None:
    made = chart(days(4), Bucket("a", 0, 3), Bucket("b", 0, 1), Bucket("a", 3, 2))
    (left, bottom, height), (last, *_) = boxes(made.layers[0].path)
    ((other_left, other_bottom, other_height),) = boxes(made.layers[1].path)
    assert other_left == left and other_bottom == pytest.approx(bottom - height, abs=0.11)
    assert height == pytest.approx(3 * other_height, abs=0.2)
    assert height + other_height == pytest.approx(HEIGHT - 4, abs=0.2)
    assert WIDTH * 3 / 4 < last < WIDTH


def test_labels_are_days_or_hours_and_the_last_is_the_end_of_the_span() -> None:
    made = chart(days(3))
    assert [i.label for i in made.intervals] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert (made.last, made.partial, made.every) == ("2026-11-03", "", "day")
    now = datetime(2026, 11, 26, 13, 28, tzinfo=UTC)
    week = chart(Selection(now - timedelta(days=7), now))
    assert (week.intervals[0].label, week.last, week.partial) == ("2026-11-19", "2026-11-26", "11-19 13:28")
    day = chart(Selection(now - timedelta(days=1), now))
    assert (day.intervals[0].label, day.last, day.every) == ("11-25 13:00", "11-26 13:00", "hour")
    assert (made.until, week.until, day.until) == ("", "11-26 13:28", "11-26 13:28")
    year = chart(Selection(now - timedelta(days=366), now))
    assert (year.last, year.every) == ("2026-11-26", "7 days")


def test_a_bar_that_is_not_full_yet_is_drawn_apart() -> None:
    selection = Selection(START, START + timedelta(days=2, hours=13))
    made = chart(selection, Bucket("a", 1, 3), Bucket("a", 2, 2), Bucket("b", 0, 1))
    assert [len(boxes(layer.path)) for layer in made.layers] == [1, 1]
    assert [len(boxes(layer.unfinished)) for layer in made.layers] == [1, 0]
    assert chart(days(3), Bucket("a", 2, 2)).layers[0].unfinished == ""
    assert chart(Selection(START, selection.end, "build"), Bucket("a", 2, 2)).until == ""
