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
STRAY_SHARE = 1e-4
"""A version that nobody published and that has less of the usage is not believed to be out."""
_STEP_H = 6
_BINS = ((24.0, 1), (72.0, 3), (168.0, 6))
"""Up to this age so many hours are one point of a course."""
_WIDEST_BIN_H = 12

Channel = tuple[str | None, str | None]
"""Application and channel, null where clients sent none."""


class Sums(msgspec.Struct, gc=False):
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

    def total(self, first: int, last: int) -> Sums:
        """Sums of the hours from first to before last."""
        found = Sums()
        for hour, sums in self.hours.items():
            if first <= hour < last:
                found.join(sums)
        return found

    def join(self, other: Line) -> None:
        """Add another line, which stays as it is."""
        shared = self.hours.keys() & other.hours.keys()
        both = {hour: Sums() for hour in shared}
        for hour, sums in both.items():
            sums.join(self.hours[hour])
            sums.join(other.hours[hour])
        self.hours |= other.hours
        self.hours |= both
        self.last_s = max(self.last_s, other.last_s)


class Piece(msgspec.Struct, frozen=True):
    """What some files hold of a place: each version, all of them together, and the sums of each."""

    lines: dict[str | None, Line]
    whole: Line
    totals: dict[str | None, Sums]


class Field(msgspec.Struct):
    """A place: the pieces of the days that are shown, and of days before that only predecessors are drawn of."""

    shown: list[Piece]
    further: list[Piece]
    _totals: dict[str | None, Sums] = {}

    def totals(self) -> dict[str | None, Sums]:
        """The sums of each version over the days that are shown; added up once."""
        if not self._totals:
            found: dict[str | None, Sums] = {}
            for piece in self.shown:
                for version, sums in piece.totals.items():
                    found.setdefault(version, Sums()).join(sums)
            self._totals = found
        return self._totals

    def whole(self) -> Line:
        """All versions, over the days that are shown."""
        found = Line({})
        for piece in self.shown:
            found.join(piece.whole)
        return found

    def line(self, version: str | None) -> Line:
        """One version, over all days; empty where nothing of it arrived."""
        found = Line({})
        for piece in (*self.further, *self.shown):
            if version in piece.lines:
                found.join(piece.lines[version])
        return found


Pieces = dict[Place, Piece]
Numbers = dict[Place, Field]


def pieces_of(rows: Iterable[HourSum]) -> Pieces:
    """Rows added up by place and version."""
    found: dict[Place, dict[str | None, Line]] = {}
    places: dict[tuple[str | None, str | None, str | None], Place] = {}
    for row in rows:
        application, channel, system, version = row.key
        place = places.get((application, channel, system))
        if place is None:
            place = places[application, channel, system] = Place(application, channel, platform_of(system))
        lines = found.setdefault(place, {})
        line = lines.get(version)
        if line is None:
            line = lines[version] = Line({})
        sums = line.hours.get(row.hour)
        if sums is None:
            sums = line.hours[row.hour] = Sums()
        sums.add(row.values)
        line.last_s = max(line.last_s, row.last_s)
    return {place: _piece(lines) for place, lines in found.items()}


def _piece(lines: dict[str | None, Line]) -> Piece:
    whole, totals = Line({}), {}
    for version, line in lines.items():
        whole.join(line)
        totals[version] = sums = Sums()
        for one in line.hours.values():
            sums.join(one)
    return Piece(lines, whole, totals)


def numbers_of(shown: Iterable[Pieces]) -> Numbers:
    """Pieces of the days that are shown, by place."""
    found: Numbers = {}
    for pieces in shown:
        for place, piece in pieces.items():
            found.setdefault(place, Field([], [])).shown.append(piece)
    return found


def add_further(numbers: Numbers, further: Iterable[Pieces]) -> None:
    """Add days of before; a place that only has such is none."""
    for pieces in further:
        for place, piece in pieces.items():
            if place in numbers:
                numbers[place].further.append(piece)


def hour_of(moment: datetime) -> int:
    """The hour that a time is in."""
    return int(moment.timestamp()) // HOUR_S


def newest_of(
    totals: Mapping[str | None, Sums], known: Sequence[Version], now: datetime
) -> tuple[str | None, Version | None]:
    """The newest version on a place, and what is known of it. `known`: versions of its channel, oldest first.

    What was published last counts; where nothing of what has data was published, the highest version that is not stray.
    """
    alive = {name for name, sums in totals.items() if _weight(sums)}
    for one in reversed(known):
        if one.version in alive and one.published_at <= now:
            return one.version, one
    least = STRAY_SHARE * sum(_weight(totals[name]) for name in alive)
    told = [name for name in alive if name is not None and _weight(totals[name]) >= least]
    return max(told, key=lambda name: (is_version(name), version_key(name), name), default=None), None


def _weight(sums: Sums) -> float:
    """How much something is used: by hours, or where nothing tells of those, by reports."""
    return sums.hours or sums.pings or sums.reports


def adoption(whole: Line, own: Line, by: str, end: int) -> list[tuple[int, float | None]]:
    """(hour, share that the version has of `by`), every six hours of what is shown; None without any usage.

    by: `hours`, or `reports` where nothing tells of usage.
    """
    steps = _HOURS_SHOWN // _STEP_H
    first = end - steps * _STEP_H
    all_of, part = [0.0] * steps, [0.0] * steps
    for line, into in ((whole, all_of), (own, part)):
        for hour, sums in line.hours.items():
            if first <= hour < end:
                into[(hour - first) // _STEP_H] += getattr(sums, by)
    return [(first + n * _STEP_H, part[n] / all_of[n] if all_of[n] > 0 else None) for n in range(steps)]


def share_now(whole: Line, own: Line, by: str, end: int) -> float | None:
    """Its share of the usage (`by` as above) of the last day; None without any."""
    of = float(getattr(whole.total(end - 24, end), by))
    return float(getattr(own.total(end - 24, end), by)) / of if of > 0 else None


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
