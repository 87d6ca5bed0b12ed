"""Build days from hours of builds: which builds a day has, its sums by age, and what it is against other days.

Pure, but for numpy, which is loaded with the first page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query.build_hours import LIFE, BuildHour
from missioncontrol.query.hour_sums import hour_after
from missioncontrol.query.summary_scope import platform_of

if TYPE_CHECKING:
    from missioncontrol.verdict.days import Against

DAYS = 30
BEFORE = 9
"""Days before the first that is shown, for it to be compared with."""
_LIFE_HOURS = int(LIFE.total_seconds() // 3600)


class BuildTotal(msgspec.Struct, frozen=True):
    """One build in the first week after it was made. `events` and `hours` are None where nobody reported them."""

    build_id: str
    version: str | None
    built_at: datetime
    hours: float | None
    events: float | None


class BuildDay(msgspec.Struct, frozen=True):
    """The builds of one day (UTC, by their ids), those with most usage first."""

    day: date
    age_hours: float
    """Of the oldest of them, at most a week: what is counted ends there."""
    hours: float | None
    events: float | None
    rate: float | None
    """Events per hour of usage."""
    rate_low: float | None
    rate_high: float | None
    builds: list[BuildTotal]
    before_day: date | None = None
    """The build day before."""
    before: Against | None = None
    earlier: Against | None = None
    """Against up to seven build days before that one."""


def built_at(build_id: str) -> datetime | None:
    """When a build was made by its id: YYYYMMDD, and hh where it follows; None: the id does not say."""
    digits = build_id[:10] if len(build_id) >= 10 else build_id[:8] + "00"
    if len(build_id) < 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:8]), int(digits[8:10]), tzinfo=UTC)
    except ValueError:
        return None


def platforms_of(rows: Iterable[BuildHour]) -> list[str]:
    """The platforms with rows, those with most usage first."""
    hours: dict[str, float] = {}
    for row in rows:
        name = platform_of(row.os_name)
        hours[name] = hours.get(name, 0.0) + (row.per or 0.0)
    return sorted(hours, key=lambda name: -hours[name])


def build_days(rows: Iterable[BuildHour], end: datetime, platform: str = "") -> list[BuildDay]:
    """The days that have builds, the oldest first, of the last 30 days before `end`, the end of the data.

    The hour of the end counts whole; later ones, of a clock that was wrong, not at all.
    """
    last = hour_after(end)
    of_build: dict[str, list[BuildHour]] = {}
    made: dict[str, datetime] = {}
    for row in rows:
        moment = made.get(row.build_id) or built_at(row.build_id)
        if moment is None or moment > end or (platform and platform_of(row.os_name) != platform):
            continue
        made[row.build_id] = moment
        if row.hour < last and 0 <= row.hour - int(moment.timestamp()) // 3600 < _LIFE_HOURS:
            of_build.setdefault(row.build_id, []).append(row)
    by_day: dict[date, list[str]] = {}
    for build_id in of_build:
        by_day.setdefault(made[build_id].date(), []).append(build_id)
    days = [
        _day(day, [_total(one, made[one], of_build[one]) for one in by_day[day]], end)
        for day in sorted(by_day)
        if day > end.date() - timedelta(days=DAYS + BEFORE)
    ]
    compared = _compared([day for day in days if day.hours], of_build, made)
    shown = [compared.get(day.day, day) for day in days]
    return [day for day in shown if day.day > end.date() - timedelta(days=DAYS)]


def _total(build_id: str, moment: datetime, rows: Sequence[BuildHour]) -> BuildTotal:
    version = max((row.version for row in rows if row.version), default=None)
    return BuildTotal(
        build_id, version, moment, _sum(row.per for row in rows), _sum(row.events for row in rows)
    )


def _day(day: date, builds: list[BuildTotal], end: datetime) -> BuildDay:
    hours, events = _sum(one.hours for one in builds), _sum(one.events for one in builds)
    oldest = min(one.built_at for one in builds)
    age = min((end - oldest).total_seconds() / 3600, float(_LIFE_HOURS))
    # Where there is usage and nobody sent an event, there was none.
    rate = (events or 0.0) / hours if hours else None
    return BuildDay(
        day, age, hours, events, rate, None, None, sorted(builds, key=lambda one: -(one.hours or 0.0))
    )


def _compared(
    days: list[BuildDay], of_build: dict[str, list[BuildHour]], made: dict[str, datetime]
) -> dict[date, BuildDay]:
    if not days:
        return {}
    import numpy as np

    from missioncontrol.verdict.days import compare_days

    events, hours = np.zeros((len(days), _LIFE_HOURS)), np.zeros((len(days), _LIFE_HOURS))
    for n, day in enumerate(days):
        for one in day.builds:
            first = int(made[one.build_id].timestamp()) // 3600
            for row in of_build[one.build_id]:
                events[n, row.hour - first] += row.events or 0.0
                hours[n, row.hour - first] += row.per or 0.0
    ages = [min(int(day.age_hours) + 1, _LIFE_HOURS) for day in days]
    found = compare_days(events, hours, ages)
    return {
        day.day: msgspec.structs.replace(
            day,
            rate_low=said.rate_low,
            rate_high=said.rate_high,
            before_day=days[n - 1].day if n else None,
            before=said.before,
            earlier=said.earlier,
        )
        for n, (day, said) in enumerate(zip(days, found, strict=True))
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
