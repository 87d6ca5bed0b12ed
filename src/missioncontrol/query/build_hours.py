"""Sums of one channel by build and hour, for the page that follows builds day by day.

What was read of a file is kept for as long as the file is there. Builds are those whose id begins with a date of the
last weeks; a build's hours are those of its first week.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query import dialect
from missioncontrol.query.day_files import DayFiles, KeptDays, every_file, files_of_days, newest_window
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

LIFE = timedelta(days=7)
"""So long a build is followed."""
MOST_ROWS = 200_000
"""Of what is read at once, the most used first: clients can make up any number of builds."""
_MOST_KEPT = 1000
_COLUMNS = ("application", "channel", "build_id", "version", "os_name", "window_start")
_HOUR_S = 3600


class BuildHour(msgspec.Struct, frozen=True, gc=False):
    """One hour of a build on one system. `hour` counts from the epoch."""

    build_id: str
    version: str | None
    os_name: str | None
    hour: int
    events: float | None
    """None where nobody reported the measure."""
    per: float | None


class Wanted(msgspec.Struct, frozen=True):
    """A measure of a channel, and what its rate is per."""

    application: str | None
    channel: str | None
    measure: str
    per: str


class BuildHours:
    """Reads hours of builds. Thread-safe; blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: KeptDays[list[BuildHour]] = KeptDays(_MOST_KEPT)

    def newest(self) -> datetime | None:
        """Start of the newest window of all data."""
        return newest_window(self._engine)

    def read(self, wanted: Wanted, days: Iterable[date]) -> list[BuildHour]:
        """What arrived on these days of builds that were made in the week before. Raises as `Engine.over()`."""
        files = self.files()
        asked = {day: files[day] for day in sorted(set(days) & files.keys())}
        found = self._kept.days(wanted, asked, lambda missing: self._read(wanted, missing))
        return [row for parts in found.values() for part in parts for row in part.content]

    def files(self) -> dict[date, frozenset[str]]:
        """The files of each day as they are now: the revision of what `read()` answers. Raises `StorageError`."""
        return files_of_days(self._engine)

    def _read(self, wanted: Wanted, missing: DayFiles) -> dict[date, list[BuildHour]]:
        of, on = dialect.same("application", wanted.application), dialect.same("channel", wanted.channel)
        events, per = (f"CAST(sum({dialect.name(n)}) AS DOUBLE)" for n in (wanted.measure, wanted.per))
        sql = (
            f"SELECT build_id, max(version), os_name, epoch_us(window_start) // {_HOUR_S * 1_000_000} AS hour, "
            f"{events}, {per} FROM {{relation}} WHERE {of[0]} AND {on[0]} "
            f"AND build_id >= ? AND build_id < ? "
            f"GROUP BY build_id, os_name, hour ORDER BY {per} DESC NULLS LAST LIMIT {MOST_ROWS}"
        )
        first, last = min(missing) - LIFE - timedelta(days=1), max(missing) + timedelta(days=2)
        parameters = (*of[1], *on[1], f"{first:%Y%m%d}", f"{last:%Y%m%d}")
        columns = dict.fromkeys((*_COLUMNS, wanted.measure, wanted.per))
        span = Span(dates=tuple(missing), files=every_file(missing))
        rows = self._engine.over_sums(tuple(columns), sql, parameters, span)
        found: dict[date, list[BuildHour]] = {day: [] for day in missing}
        for row in rows:
            # A file of a day can hold a window of another only where it was written by other hands.
            day = datetime.fromtimestamp(row[3] * _HOUR_S, UTC).date()
            found.get(day, found[min(missing)]).append(BuildHour(*row))
        return found
