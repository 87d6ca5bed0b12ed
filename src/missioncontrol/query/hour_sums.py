"""Sums of error_aggregates by hour, for pages that show weeks of every channel at once and are asked all the time.

What was read of a file is kept for as long as the file is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.query import dialect
from missioncontrol.query.day_files import (
    DayFiles,
    KeptDays,
    Part,
    every_file,
    files_of_days,
    newest_window,
)
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine
    from missioncontrol.query.statement import Parameter

HOUR_S = 3600
MOST_ROWS = 60_000
"""Rows of a day that are read, the most used first: clients can make up any number of versions."""
_MOST_DAYS = 400
_EPOCH = date(1970, 1, 1).toordinal()
_KEYS = ("application", "channel", "os_name", "version")
_BUILD = ("application", "channel", "build_id")
Key = tuple[str | None, str | None, str | None, str | None]
"""Application, channel, system and version."""
Builds = Mapping[tuple[str, str, str], str]
"""(application, channel, build id) -> the version that the build was published as."""
T = TypeVar("T")


class HourSum(msgspec.Struct, frozen=True, gc=False):
    """One hour or day of one version on one system, from its first hour; hours count from the epoch.

    last_s: end of its newest window.
    """

    key: Key
    hour: int
    last_s: int
    values: tuple[float | None, ...]
    """In the order of the measures; None where nobody reported it."""


class HourSums(Generic[T]):
    """Reads days, and keeps what `fold` makes of their rows. Thread-safe; blocks.

    of: the one application and channel whose rows these are, else of all. step_hours: 24 for sums of whole days.
    """

    def __init__(
        self,
        engine: Engine,
        fold: Callable[[list[HourSum]], T],
        of: tuple[str | None, str | None] | None = None,
        step_hours: int = 1,
        most_days: int = _MOST_DAYS,
    ) -> None:
        self._engine, self._fold, self._of = engine, fold, of
        self._step_hours = step_hours
        self._kept: KeptDays[T] = KeptDays(most_days)
        self._builds: Builds = {}

    def files(self) -> dict[date, frozenset[str]]:
        """The files of each day as they are now: the revision of what `days()` answers. Raises `StorageError`."""
        return files_of_days(self._engine)

    def newest(self) -> datetime | None:
        """Start of the newest window of all data."""
        return newest_window(self._engine)

    def days(self, wanted: Iterable[date], measures: Sequence[str], builds: Builds) -> list[Part[T]]:
        """What the wanted days hold, in parts that are the same objects for as long as their files are there.

        A build that is among `builds` counts for the version it was published as: others of these are other rows. A
        measure without a name is None everywhere. Raises as `Engine.over()`.
        """
        files, names = self.files(), tuple(measures)
        if builds != self._builds:
            self._kept.forget()
            self._builds = builds
        asked = {day: files[day] for day in sorted(set(wanted) & files.keys())}
        found = self._kept.days(names, asked, lambda missing: self._read(missing, names, builds))
        return [part for parts in found.values() for part in parts]

    def _read(self, missing: DayFiles, measures: Sequence[str], builds: Builds) -> dict[date, T]:
        """One query for all of them."""
        names = [name for name in measures if name]
        sums = ", ".join(
            f"CAST(sum({dialect.name(name)}) AS DOUBLE)" if name else "CAST(NULL AS DOUBLE)"
            for name in measures
        )
        known = ", ".join(f"unnest(?::VARCHAR[]) AS {name}" for name in (*_BUILD, "published"))
        conditions = [dialect.same(*pair) for pair in zip(_KEYS[:2], self._of or (), strict=False)]
        where = " AND ".join(condition for condition, _ in conditions) or "true"
        keys = ", ".join(("submission_date", *_KEYS, "build_id"))
        # The names of builds are looked up for sums, not for rows.
        sql = (
            "SELECT submission_date, application, channel, os_name, coalesce(b.published, version) AS named, hour, "
            f"max(ends), {sums} FROM (SELECT {keys}, "
            f"epoch_us(window_start) // {self._step_hours * HOUR_S * 1_000_000} * {self._step_hours} AS hour, "
            f"epoch_us(max(window_start)) // 1000000 + {WINDOW_S} AS ends, "
            f"{', '.join(f'sum({n}) AS {n}' for n in map(dialect.name, dict.fromkeys(names)))} FROM {{relation}} "
            f"WHERE {where} GROUP BY {keys}, hour) LEFT JOIN (SELECT {known}) AS b "
            f"USING ({', '.join(_BUILD)}) GROUP BY submission_date, application, channel, os_name, named, hour "
            "QUALIFY row_number() OVER (PARTITION BY submission_date "
            f"ORDER BY sum({dialect.name(names[0])}) DESC NULLS LAST) <= {MOST_ROWS}"
        )
        listed = [*zip(*builds, strict=True)] if builds else [(), (), ()]
        parameters: list[Parameter] = [value for _, values in conditions for value in values]
        parameters += [[str(name) for name in column] for column in (*listed, builds.values())]
        columns = ("submission_date", *_KEYS, "build_id", "window_start", *names)
        span = Span(dates=tuple(missing), files=every_file(missing))
        rows: dict[date, list[HourSum]] = {day: [] for day in missing}
        for day, *row in self._engine.over_sums(columns, sql, parameters, span):
            rows[day].append(HourSum((row[0], row[1], row[2], row[3]), row[4], row[5], tuple(row[6:])))
        return {day: self._fold(rows[day]) for day in missing}


def hour_after(end: datetime) -> int:
    """The first hour since the epoch that has nothing of what ended."""
    return int((end - timedelta(seconds=1)).timestamp()) // HOUR_S + 1


def days_of_hours(first: int, last: int) -> list[date]:
    """Every day that has a part of the hours since the epoch, from the first to before the last."""
    return [date.fromordinal(_EPOCH + day) for day in range(first // 24, (last - 1) // 24 + 1)]


def days_between(first: datetime, last: datetime) -> list[date]:
    """Every day that has a part of the time from first to last."""
    return [first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1)]
