"""Which days the daily batch has to make now: a pure function of the archive, of what was made, and of the time.

A day is due once it is over by `daily_at`, if the archive has more pings of it than were there when it was made. So a
machine that was off, or an import that came late, is caught up with; a clock that jumps back makes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from missioncontrol.config import Jobs
from missioncontrol.errors import ConfigError
from missioncontrol.telemetry.backfill_plan import CRASHES, Plan

if TYPE_CHECKING:
    from missioncontrol.state.runs import BuiltDay, Run

FIRST_PAUSE = timedelta(minutes=5)
"""Between the first failure and the second attempt; each further pause is twice as long."""


def plan_for(day: date) -> Plan:
    """What the daily batch makes of a day."""
    return Plan((CRASHES,), day, day)


def due_days(
    archived: Mapping[date, int], made: Mapping[date, BuiltDay], settings: Jobs, now: datetime
) -> list[date]:
    """The days to make, oldest first. `archived`: pings by submission date; `made`: crash_aggregates by day."""
    begins = daily_time(settings)
    over = now - timedelta(hours=begins.hour, minutes=begins.minute)
    last, first = over.date() - timedelta(days=1), now.date() - timedelta(days=settings.lookback_days)
    return sorted(
        day
        for day, pings in archived.items()
        if first <= day <= last and (day not in made or made[day].pings < pings)
    )


def may_try(last: Run | None, settings: Jobs, now: datetime) -> bool:
    """Whether a due day may be tried now, after its last run; a failure is tried again with growing pauses."""
    if last is None or last.status in ("done", "stopped"):
        return True
    if last.status != "failed" or last.attempts >= settings.attempts:
        return False
    pause = FIRST_PAUSE * 2 ** (last.attempts - 1)
    return last.finished_at is None or abs(now - last.finished_at) >= pause


def daily_time(settings: Jobs) -> time:
    """The time of day, UTC. Raises `ConfigError` (`config_invalid`)."""
    try:
        return datetime.strptime(settings.daily_at, "%H:%M").replace(tzinfo=UTC).time()
    except ValueError:
        raise ConfigError(
            "config_invalid",
            f"Setting `jobs.daily_at` is no time: {settings.daily_at!r}.",
            "As in 01:00 (UTC).",
        ) from None
