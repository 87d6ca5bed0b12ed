"""Sums of every measure by version, system and hour or day, as one table of numbers a version and system.

Pure. Hours count from the epoch, in UTC; a sum that nobody reported is nan. Of days that a stretch of a version's life
has wholly in it sums of the day are enough; hours are held only of days that it begins or ends in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from missioncontrol.query.hour_sums import HourSum
from missioncontrol.query.summary_scope import platform_of

Floats: TypeAlias = NDArray[np.float64]
Span = tuple[int, int]
"""Hours from the first to before the last."""
DAY_H = 24


class Sheet(msgspec.Struct, frozen=True):
    """A version on a system in some files of a day. hours [n] ascending; values [n, measures]; total [measures]."""

    hours: NDArray[np.int64]
    values: Floats
    total: Floats
    last_s: int
    """End of the newest window."""

    def over(self, first: int, last: int) -> Floats:
        """[measures] sums of the hours from first to before last."""
        if first <= self.hours[0] and self.hours[-1] < last:
            return self.total
        return added(self.values[(self.hours >= first) & (self.hours < last)])


Sheets = dict[tuple[str | None, str | None], Sheet]
"""(version, system) -> its numbers."""


class Days(msgspec.Struct, frozen=True):
    """What was read, by the first hour of the day: sums of days, and of the hours of some days."""

    whole: Mapping[int, Sequence[Sheets]]
    hourly: Mapping[int, Sequence[Sheets]]
    end: int
    """No data is of this hour or later."""

    def over(self, span: Span) -> list[Sheets]:
        """The parts in which a span lies."""
        whole, cut = split(span, self.end)
        days = [self.whole.get(day, ()) for day in whole] + [self.hourly.get(day, ()) for day in cut]
        return [part for parts in days for part in parts]

    def every(self) -> list[Sheets]:
        """All that was read; a day may be there both by itself and by hours."""
        return [part for days in (self.whole, self.hourly) for parts in days.values() for part in parts]


def split(span: Span, end: int) -> tuple[list[int], list[int]]:
    """First hours of the days that lie in a span, and of those that it begins or ends in; no data is after `end`."""
    first, last = span
    days = range(first // DAY_H * DAY_H, last, DAY_H)
    whole = [day for day in days if first <= day and (day + DAY_H <= last or end <= last)]
    return whole, [day for day in days if day not in whole]


def sheets_of(rows: Iterable[HourSum]) -> Sheets:
    """Rows of some files of one channel."""
    gathered: dict[tuple[str | None, str | None], list[HourSum]] = {}
    for row in rows:
        _, _, system, version = row.key
        gathered.setdefault((version, system), []).append(row)
    return {key: _sheet(held) for key, held in gathered.items()}


def _sheet(rows: list[HourSum]) -> Sheet:
    rows.sort(key=lambda row: row.hour)
    values = np.array([row.values for row in rows], np.float64)
    hours = np.array([row.hour for row in rows], np.int64)
    return Sheet(hours, values, added(values), max(row.last_s for row in rows))


def added(values: Floats) -> Floats:
    """[measures] sums of [n, measures]; nan where no row says anything."""
    told = ~np.isnan(values)
    return np.where(told.any(axis=0), np.where(told, values, 0.0).sum(axis=0), np.nan)


def systems_of(parts: Iterable[Sheets], platform: str) -> list[str | None]:
    """The systems of a family that there is data of; empty text: all of them."""
    found = {system for part in parts for _, system in part}
    wanted = [one for one in found if not platform or platform_of(one) == platform]
    return sorted(wanted, key=lambda one: (one is None, one or ""))


def version_sums(days: Days, versions: Iterable[str], platform: str, span: Span) -> Floats | None:
    """[measures] sums of versions on a family of systems (empty: all) in some hours; None where nothing arrived."""
    names, (first, last) = set(versions), span
    found = [
        sheet.over(first, last)
        for part in days.over(span)
        for (version, system), sheet in part.items()
        if version in names
        and (not platform or platform_of(system) == platform)
        and sheet.hours[-1] >= first
        and sheet.hours[0] < last
    ]
    sums = added(np.stack(found)) if found else None
    return None if sums is None or np.isnan(sums).all() else sums
