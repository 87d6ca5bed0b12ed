"""Experiments of a lake: which there are, since when, and their sums by time and users."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.small_channel import SmallChannel

from missioncontrol.query.experiment_sums import Experiment, ExperimentSums, cell_hours

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[SmallChannel]:
    made = SmallChannel(tmp_path)
    yield made
    made.services.close()


def row(hours_ago: float, branch: str | None = "control", name: str = "one", **more: Any) -> dict[str, Any]:
    fixed = {
        "application": "Firefox", "channel": "beta", "version": "149.0", "os_name": "Linux", "country": "DE",
        "experiment_id": name, "experiment_branch": branch, "usage_hours": 2.0, "main_crashes": 1,
        "window_start": NOW - timedelta(hours=hours_ago),
    }  # fmt: skip
    return {**fixed, **more}


def sums(channel: SmallChannel, rows: list[dict[str, Any]]) -> ExperimentSums:
    channel.take(rows, "experiment_aggregates")
    return ExperimentSums(channel.services.engine)


def test_those_with_recent_data_are_listed_the_newest_first(channel: SmallChannel) -> None:
    days = 24
    found = sums(
        channel,
        [
            row(5), row(90 * days), row(3, "treatment"), row(3, None), row(1, name="new", channel="nightly"),
            row(1, name="new"), row(40 * days, name="over"), row(200 * days, name="one"),
        ],
    ).current(NOW)  # fmt: skip
    assert [one.name for one in found] == ["new", "one"]
    assert found[0].channels == ["beta", "nightly"] and found[0].hours == 4.0
    one = found[1]
    assert {branch.name: branch.hours for branch in one.branches} == {
        "control": 2.0,
        "treatment": 2.0,
        None: 2.0,
    }
    assert one.first == NOW - timedelta(days=90) and one.last == NOW - timedelta(hours=3)


def test_sums_by_time_and_users_and_value_are_the_same_in_all(channel: SmallChannel) -> None:
    asked = sums(channel, [row(n, branch, country=country) for n in (1, 2, 50) for branch in ("control", None)
                           for country in ("DE", None)])  # fmt: skip
    (one,) = asked.current(NOW)
    width, by_time = asked.by_time(one, ("main_crashes", "usage_hours"))
    assert width == 1
    assert {row.key for row in by_time} == {(0,), (48,), (49,)}
    by_users = asked.by_users(one, ("main_crashes", "usage_hours"))
    assert {row.key for row in by_users} == {("Linux", "DE"), ("Linux", None)}
    for rows in (
        by_time, by_users, asked.by_users(one, ("main_crashes", "usage_hours"), cells=True),
        asked.by_value(one, "channel", ("main_crashes", "usage_hours")),
    ):  # fmt: skip
        for branch in ("control", None):
            of = [row.values for row in rows if row.branch == branch]
            assert [sum(values[n] or 0 for values in of) for n in (0, 1)] == [6, 12.0]


def test_what_nobody_reported_is_none_and_so_is_a_measure_without_a_column(channel: SmallChannel) -> None:
    asked = sums(channel, [row(1, main_crashes=None)])
    (one,) = asked.current(NOW)
    (found,) = asked.by_time(one, ("main_crashes", "no_such_column"))[1]
    assert found.values == (None, None)


def test_there_are_120_cells_at_most(channel: SmallChannel) -> None:
    (one,) = sums(channel, [row(1), row(170 * 24)]).current(NOW)
    assert cell_hours(one) == 48
    assert (
        max(
            int(row.key[0] or 0)
            for row in ExperimentSums(channel.services.engine).by_time(one, ("count",))[1]
        )
        < 120
    )


def test_an_empty_lake_has_none(channel: SmallChannel) -> None:
    empty: list[Experiment] = ExperimentSums(channel.services.engine).current(NOW)
    assert empty == []
