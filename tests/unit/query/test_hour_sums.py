"""Sums by hour that are kept by file: what is read again and what is not, and what builds count for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.small_channel import SmallChannel, published, rows_of

from missioncontrol.query.hour_sums import HourSum, HourSums, days_between

MEASURES = ("usage_hours", "main_crashes", "", "count")
DAYS = days_between(published(0), published(1))


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[SmallChannel]:
    made = SmallChannel(tmp_path)
    yield made
    made.services.close()


def sums_of(channel: SmallChannel) -> HourSums[list[HourSum]]:
    return HourSums(channel.services.engine, list)


def test_hours_add_up_and_what_nobody_reported_is_none(channel: SmallChannel) -> None:
    channel.take(rows_of(0, hours=2))
    (part,) = sums_of(channel).days(DAYS, MEASURES, {})
    assert {row.key for row in part.content} == {
        ("Firefox", "release", system, "1.0") for system in ("Windows_NT", "Darwin", "Linux")
    }
    assert len(part.content) == 6 and {row.values[0] for row in part.content} == {100.0}
    assert {row.values[2:] for row in part.content} == {(None, 200.0)}
    first = int(published(0).timestamp())
    assert sorted({(row.hour * 3600, row.last_s) for row in part.content}) == [
        (first, first + 300), (first + 3600, first + 3900),
    ]  # fmt: skip


def test_what_was_read_is_kept_and_only_new_files_are_read(channel: SmallChannel) -> None:
    channel.take(rows_of(0, hours=2))
    sums = sums_of(channel)
    (first,) = sums.days(DAYS, MEASURES, {})
    channel.take(rows_of(0, hours=1, seed=1))
    again = sums.days(DAYS, MEASURES, {})
    assert again[0] is first and len(again) == 2
    assert len(again[1].content) == 3 and not again[1].files & first.files
    assert again == sums.days(DAYS, MEASURES, {})


def test_files_that_were_replaced_are_read_anew(channel: SmallChannel) -> None:
    for seed in range(12):
        channel.take(rows_of(0, hours=1, seed=seed))
    sums = sums_of(channel)
    before = sums.days(DAYS, MEASURES, {})
    channel.services.care().run_once()
    after = sums.days(DAYS, MEASURES, {})

    def hours(parts: list) -> float:  # type: ignore[type-arg]
        return sum(row.values[0] for part in parts for row in part.content)

    assert hours(before) == hours(after) == 12 * 300


def test_a_build_counts_for_the_version_that_it_was_published_as(channel: SmallChannel) -> None:
    channel.take([*rows_of(0, "61.0", hours=1), *rows_of(0, "61.0", hours=1, build_id="other")])
    sums = sums_of(channel)
    builds = {("Firefox", "release", "other"): "61.0b3", ("Firefox", "beta", "b0"): "no"}
    (part,) = sums.days(DAYS, MEASURES, builds)
    assert sorted(str(row.key[3]) for row in part.content) == ["61.0"] * 3 + ["61.0b3"] * 3
    (other,) = sums.days(DAYS, MEASURES, {})
    assert {row.key[3] for row in other.content} == {"61.0"} and {row.values[0] for row in other.content} == {
        200.0
    }


def test_days_between_are_all_that_a_time_touches() -> None:
    assert len(days_between(published(0), published(0) + timedelta(minutes=1))) == 1
    assert len(days_between(published(0), published(0) + timedelta(hours=12))) == 2


def test_an_empty_lake_has_no_days(channel: SmallChannel) -> None:
    sums = sums_of(channel)
    assert sums.newest() is None and sums.files() == {} and sums.days(DAYS, MEASURES, {}) == []


def test_sums_of_days_and_of_one_channel(channel: SmallChannel) -> None:
    channel.take([*rows_of(0, hours=30), *rows_of(0, hours=1, channel="beta")])
    of: HourSums[list[HourSum]] = HourSums(
        channel.services.engine, list, ("Firefox", "release"), step_hours=24
    )
    parts = of.days(DAYS, MEASURES, {})
    assert {row.key[1] for part in parts for row in part.content} == {"release"}
    midnight = int(published(0).timestamp()) // 86400 * 24
    first, second = ({(row.hour, row.values[0]) for row in part.content} for part in parts)
    assert first == {(midnight, 1200.0)} and second == {(midnight + 24, 1800.0)}
    nobody: HourSums[list[HourSum]] = HourSums(channel.services.engine, list, (None, "release"))
    assert [part.content for part in nobody.days(DAYS, MEASURES, {})] == [[], []]
