"""Which days the daily batch makes: those that are over and not made, or of which pings came later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from missioncontrol.config import Jobs
from missioncontrol.errors import ConfigError
from missioncontrol.jobs.due import daily_time, due_days, may_try
from missioncontrol.state.runs import BuiltDay, Run, Status

NOW = datetime(2026, 11, 26, 1, 0, tzinfo=UTC)
YESTERDAY, BEFORE = date(2026, 11, 25), date(2026, 11, 24)
ONE_AM = Jobs(daily_at="01:00")


def made(day: date, pings: int) -> dict[date, BuiltDay]:
    return {day: BuiltDay("crash_aggregates", day, 1, "default", "r", pings, pings, 3, 0.1, NOW)}


def run(status: Status, attempts: int = 1, ago: timedelta = timedelta()) -> Run:
    return Run(1, "backfill", "{}", "schedule", status, attempts, NOW, NOW, NOW, NOW - ago)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW, [BEFORE, YESTERDAY]),
        (NOW - timedelta(minutes=1), [BEFORE]),
        (NOW + timedelta(days=5, hours=22), [BEFORE, YESTERDAY]),
        (NOW + timedelta(days=6), [YESTERDAY]),
        (NOW + timedelta(days=400), []),
        (NOW - timedelta(days=400), []),
    ],
)
def test_a_day_is_due_once_it_is_over_for_some_days(now: datetime, expected: list[date]) -> None:
    archived = {BEFORE: 5, YESTERDAY: 7, date(2026, 11, 26): 3, date(2099, 1, 1): 1, date(1970, 1, 1): 1}
    if now.date() > date(2026, 11, 26):
        del archived[date(2026, 11, 26)]
    assert due_days(archived, {}, ONE_AM, now) == expected


def test_a_day_that_was_made_is_due_again_only_when_more_pings_came() -> None:
    for pings, expected in ((7, []), (6, [YESTERDAY]), (9, [])):
        assert due_days({YESTERDAY: 7}, made(YESTERDAY, pings), ONE_AM, NOW) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, True),
        (run("done"), True),
        (run("stopped"), True),
        (run("running"), False),
        (run("waiting"), False),
        (run("failed", 1, timedelta(minutes=4)), False),
        (run("failed", 1, timedelta(minutes=5)), True),
        (run("failed", 2, timedelta(minutes=9)), False),
        (run("failed", 2, timedelta(minutes=10)), True),
        (run("failed", 2, timedelta(days=-3)), True),
        (run("failed", 3, timedelta(days=3)), False),
    ],
)
def test_a_failure_is_tried_again_with_growing_pauses_and_not_for_ever(
    last: Run | None, expected: bool
) -> None:
    assert may_try(last, ONE_AM, NOW) is expected


@pytest.mark.parametrize("odd", ["", "25:00", "1", "01:00:00", "one"])
def test_an_odd_time_of_day_is_a_clear_error(odd: str) -> None:
    with pytest.raises(ConfigError, match="daily_at"):
        daily_time(Jobs(daily_at=odd))
