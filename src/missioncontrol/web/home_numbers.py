"""Numbers of the first page: every version on every platform by hour, and what is drawn of them.

Pure. A platform is a family of systems; hours count from the epoch, in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from missioncontrol.query.hour_sums import HOUR_S, HourSum
from missioncontrol.query.summary_scope import platform_of
from missioncontrol.query.versions import is_version, version_key
from missioncontrol.state.release_model import Version

DAYS_SHOWN = 14
_HOURS_SHOWN = 24 * DAYS_SHOWN
_STRAY_SHARE = 1e-4
"""A version that nobody published and that has less of the usage is not believed to be out."""
_STEP_H = 6
_BINS = ((24.0, 1), (72.0, 3), (168.0, 6))
"""Up to this age so many hours are one point of a course."""
_WIDEST_BIN_H = 12

Channel = tuple[str | None, str | None]
"""Application and channel, null where clients sent none."""


class Sums(msgspec.Struct):
    """What is added up. None: nobody reported it."""

    hours: float = 0.0
    """Usage hours."""
    crashes: float = 0.0
    """Of the measure that is drawn."""
    reports: float = 0.0
    """Crashes by crash reports."""
    pings: float = 0.0

    def add(self, values: Sequence[float | None]) -> None:
        """Usage hours, crashes, reports and pings of a row."""
        self.hours += values[0] or 0.0
        self.crashes += values[1] or 0.0
        self.reports += values[2] or 0.0
        self.pings += values[3] or 0.0

    def join(self, other: Sums) -> None:
        """Add other sums."""
        self.add((other.hours, other.crashes, other.reports, other.pings))

    @property
    def rate(self) -> float | None:
        """Crashes per 1,000 usage hours; None without usage."""
        return 1000 * self.crashes / self.hours if self.hours > 0 else None


class Place(msgspec.Struct, frozen=True):
    """A platform of a channel: `platform` is windows, mac, linux, ios, android or other."""

    application: str | None
    channel: str | None
    platform: str


class Line(msgspec.Struct):
    """A version on a platform, by hour."""

    hours: dict[int, Sums]
    last_s: int = 0
    """End of the newest window."""
    systems: set[str] = msgspec.field(default_factory=set)
    """The names of the systems as they were sent."""

    def total(self, first: int, last: int) -> Sums:
        """Sums of the hours from first to before last."""
        found = Sums()
        for hour, sums in self.hours.items():
            if first <= hour < last:
                found.join(sums)
        return found


Numbers = dict[Place, dict[str | None, Line]]
Builds = Mapping[tuple[str | None, str | None, str | None], str]
"""(application, channel, build id) -> the version that the build was published as."""


def builds_of(versions: Iterable[Version]) -> dict[tuple[str | None, str | None, str | None], str]:
    """What builds are called: pings of a beta say 61.0 where its release is 61.0b3."""
    return {
        (one.application, one.channel, build): one.version
        for one in versions
        for build in one.build_ids
        if build
    }


def numbers_of(rows: Iterable[HourSum], builds: Builds) -> Numbers:
    """Rows added up by place and version."""
    found: Numbers = {}
    platforms: dict[str | None, str] = {}
    for row in rows:
        application, channel, system, version, build = row.key
        if system not in platforms:
            platforms[system] = platform_of(system)
        named = builds.get((application, channel, build), version)
        lines = found.setdefault(Place(application, channel, platforms[system]), {})
        line = lines.get(named)
        if line is None:
            line = lines[named] = Line({})
        sums = line.hours.get(row.hour)
        if sums is None:
            sums = line.hours[row.hour] = Sums()
        sums.add(row.values)
        line.last_s = max(line.last_s, row.last_s)
        if system:
            line.systems.add(system)
    return found


def joined(parts: Iterable[Numbers]) -> Numbers:
    """Numbers of several days as one; the parts stay as they are."""
    found: Numbers = {}
    for part in parts:
        for place, lines in part.items():
            into = found.setdefault(place, {})
            for version, line in lines.items():
                held = into.get(version)
                if held is None:
                    into[version] = Line(dict(line.hours), line.last_s, set(line.systems))
                    continue
                for hour, sums in line.hours.items():
                    if hour in held.hours:
                        both = Sums()
                        both.join(held.hours[hour])
                        both.join(sums)
                        held.hours[hour] = both
                    else:
                        held.hours[hour] = sums
                held.last_s = max(held.last_s, line.last_s)
                held.systems |= line.systems
    return found


def hour_of(moment: datetime) -> int:
    """The hour that a time is in."""
    return int(moment.timestamp()) // HOUR_S


def newest_of(
    lines: Mapping[str | None, Line], known: Sequence[Version], end: int
) -> tuple[str | None, Version | None]:
    """The newest version on a place, and what is known of it. `known`: versions of its channel, oldest first.

    What was published last counts; where nothing of what has data was published, the highest version that is not stray.
    """
    first = end - _HOURS_SHOWN
    totals = {name: line.total(first, end) for name, line in lines.items()}
    alive = {name for name, sums in totals.items() if sums.hours or sums.reports or sums.pings}
    for one in reversed(known):
        if one.version in alive and hour_of(one.published_at) < end:
            return one.version, one
    least = _STRAY_SHARE * sum(_weight(totals[name]) for name in alive)
    told = [name for name in alive if name is not None and _weight(totals[name]) >= least]
    found = max(told, key=lambda name: (is_version(name), version_key(name), name), default=None)
    return found, None


def _weight(sums: Sums) -> float:
    """How much something is used: by hours, or where nothing tells of those, by reports."""
    return sums.hours or sums.pings or sums.reports


def adoption(
    lines: Mapping[str | None, Line], version: str | None, end: int
) -> list[tuple[int, float | None]]:
    """(hour, share of the usage that the version has), every six hours of what is shown; None without any usage.

    A share of the crash reports where nothing tells of usage.
    """
    by_hours = any(sums.hours for line in lines.values() for sums in line.hours.values())
    steps = _HOURS_SHOWN // _STEP_H
    whole, own = [0.0] * steps, [0.0] * steps
    first = end - steps * _STEP_H
    for name, line in lines.items():
        for hour, sums in line.hours.items():
            if first <= hour < end:
                value = sums.hours if by_hours else sums.reports
                step = (hour - first) // _STEP_H
                whole[step] += value
                if name == version:
                    own[step] += value
    return [(first + n * _STEP_H, own[n] / whole[n] if whole[n] > 0 else None) for n in range(steps)]


def share_now(lines: Mapping[str | None, Line], version: str | None, end: int) -> float | None:
    """Its share of the usage of the last day (of crash reports where there is no usage); None without any."""
    days = {name: line.total(end - 24, end) for name, line in lines.items()}
    for what in ("hours", "reports"):
        whole = sum(getattr(sums, what) for sums in days.values())
        if whole:
            return float(getattr(days[version], what)) / whole if version in days else 0.0
    return None


def bin_hours(age_hours: float) -> int:
    """How many hours are one point of a course that is so long."""
    return next((wide for most, wide in _BINS if age_hours <= most), _WIDEST_BIN_H)


def course(line: Line, start: int, length: int, wide: int) -> list[tuple[float, float | None]]:
    """(age in hours, crashes per 1,000 usage hours) from hour `start` on; None where there was no usage."""
    found = []
    for begin in range(0, length, wide):
        sums = Sums()
        for hour in range(start + begin, start + min(begin + wide, length)):
            if hour in line.hours:
                sums.join(line.hours[hour])
        found.append((begin + min(wide, length - begin) / 2, sums.rate))
    return found


def reports_course(line: Line, start: int, length: int, wide: int) -> list[tuple[float, float | None]]:
    """(age in hours, crash reports an hour), for what tells of no usage."""
    found: list[tuple[float, float | None]] = []
    for begin in range(0, length, wide):
        hours = range(start + begin, start + min(begin + wide, length))
        number = sum(line.hours[hour].reports for hour in hours if hour in line.hours)
        found.append((begin + len(hours) / 2, number / max(len(hours), 1)))
    return found
