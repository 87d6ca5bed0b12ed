"""Sums of every measure by version, system and hour, as one table of numbers a version and system.

Pure. Hours count from the epoch, in UTC; a sum that nobody reported is nan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from missioncontrol.query.hour_sums import HourSum
from missioncontrol.query.summary_scope import platform_of

Floats: TypeAlias = NDArray[np.float64]
Channel = tuple[str | None, str | None]


class Sheet(msgspec.Struct, frozen=True):
    """A version on a system in some files. hours [n] ascending; values [n, measures]; total [measures]."""

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
Pieces = dict[Channel, Sheets]


def sheets_of(rows: Iterable[HourSum]) -> Pieces:
    """Rows of some files, by channel."""
    gathered: dict[Channel, dict[tuple[str | None, str | None], list[HourSum]]] = {}
    for row in rows:
        application, channel, system, version = row.key
        gathered.setdefault((application, channel), {}).setdefault((version, system), []).append(row)
    return {of: {key: _sheet(held) for key, held in own.items()} for of, own in gathered.items()}


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


def version_sums(
    parts: Sequence[Sheets], versions: Iterable[str], platform: str, first: int, last: int
) -> Floats | None:
    """[measures] sums of versions on a family of systems (empty: all) in some hours; None where nothing arrived."""
    names = set(versions)
    found = [
        sheet.over(first, last)
        for part in parts
        for (version, system), sheet in part.items()
        if version in names
        and (not platform or platform_of(system) == platform)
        and sheet.hours[-1] >= first
        and sheet.hours[0] < last
    ]
    sums = added(np.stack(found)) if found else None
    return None if sums is None or np.isnan(sums).all() else sums
