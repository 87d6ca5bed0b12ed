"""Sums of experiments by branch: which there are, and one by time, by users, and by each dimension that is kept.

Reads experiment_aggregates alone, in which a client of two experiments is in rows of both; never adds experiments up.
What was read of a file is kept for as long as the file is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.clock import of_us
from missioncontrol.query import dialect
from missioncontrol.query.day_files import DayFiles, KeptDays, every_file, files_of_days
from missioncontrol.query.experiments import TABLE
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

LATELY = timedelta(days=30)
LOOK_BACK = timedelta(days=180)
"""What arrived before that is not looked at."""
MOST_CELLS = 120
MOST_BRANCHES = 50
"""Of an experiment, those with most usage: clients can make up any number."""
_MOST_LISTED = 5000
_MOST_DAYS = 5000
"""Of sums that are kept: an experiment of a month has 30 for each of some dimensions."""
_WIDTHS_H = (1, 2, 3, 4, 6, 8, 12, 24, 48)
_USAGE = "usage_hours"


class Branch(msgspec.Struct, frozen=True):
    """A branch with data; its name is None where a ping does not say it. `hours`: of usage, of the last 30 days."""

    name: str | None
    first: datetime
    last: datetime
    hours: float


class Experiment(msgspec.Struct, frozen=True):
    """An experiment with data in the last 30 days; the branches with most usage first."""

    name: str
    branches: list[Branch]
    channels: list[str]

    @property
    def first(self) -> datetime:
        """Start of its first window within half a year."""
        return min(one.first for one in self.branches)

    @property
    def last(self) -> datetime:
        """Start of its newest window."""
        return max(one.last for one in self.branches)

    @property
    def hours(self) -> float:
        """Of all branches."""
        return sum(one.hours for one in self.branches)


class _Seen(msgspec.Struct, frozen=True):
    """What a part of a day has of a branch."""

    experiment: str
    branch: Branch
    channels: list[str]


class Sums(msgspec.Struct, frozen=True):
    """Sums of one branch in one cell, group or slice, of some files of a day: there can be several of one key.

    `key` says which, values are in the order of the measures.
    """

    branch: str | None
    key: tuple[str | int | None, ...]
    values: tuple[float | None, ...]


class ExperimentSums:
    """Asks the engine. Thread-safe; every method blocks and raises as `Engine.over()`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listed: KeptDays[list[_Seen]] = KeptDays(_MOST_DAYS)
        self._kept: KeptDays[list[Sums]] = KeptDays(_MOST_DAYS)

    def current(self, now: datetime) -> list[Experiment]:
        """Those with data in the last 30 days, the newest first."""
        files = files_of_days(self._engine, TABLE, Span(now - LOOK_BACK, now))
        days = self._listed.days(now, files, lambda missing: self._seen(now, missing))
        branches: dict[tuple[str, str | None], Branch] = {}
        channels: dict[str, set[str]] = {}
        for seen in (one for parts in days.values() for part in parts for one in part.content):
            key = seen.experiment, seen.branch.name
            branches[key] = _joined(branches[key], seen.branch) if key in branches else seen.branch
            channels.setdefault(seen.experiment, set()).update(seen.channels)
        found: dict[str, list[Branch]] = {}
        most = sorted(branches, key=lambda key: (-branches[key].hours, key[0], key[1] is None, key[1]))
        for name, branch in most[:_MOST_LISTED]:
            found.setdefault(name, []).append(branches[name, branch])
        made = [Experiment(name, held, sorted(channels[name])) for name, held in found.items()]
        return sorted(
            (one for one in made if one.last >= now - LATELY), key=lambda one: one.first, reverse=True
        )

    def _seen(self, now: datetime, missing: DayFiles) -> dict[date, list[_Seen]]:
        hours = f"sum({_USAGE}) FILTER (window_start >= ?)"
        rows = self._engine.over(
            TABLE,
            "SELECT submission_date, experiment_id, experiment_branch, epoch_us(min(window_start)), "
            f"epoch_us(max(window_start)), coalesce({hours}, 0) AS used, list(DISTINCT channel) FROM {{relation}} "
            "WHERE window_start BETWEEN ? AND ? AND experiment_id IS NOT NULL GROUP BY 1, 2, 3 "
            f"QUALIFY row_number() OVER (PARTITION BY submission_date ORDER BY used DESC) <= {_MOST_LISTED}",
            (now - LATELY, now - LOOK_BACK, now),
            Span(dates=tuple(missing), files=every_file(missing)),
        )
        found: dict[date, list[_Seen]] = {day: [] for day in missing}
        for day, name, branch, first, last, used, where in rows:
            channels = [one for one in where if one is not None]
            found[day].append(_Seen(name, Branch(branch, of_us(first), of_us(last), float(used)), channels))
        return found

    def by_time(self, one: Experiment, measures: Sequence[str]) -> tuple[int, list[Sums]]:
        """Length of a cell in hours, and sums by (cell,), counted from the first."""
        width = cell_hours(one)
        start = int(one.first.timestamp()) // 3600
        cell = f"(epoch_us(window_start) // {3600 * 1_000_000} - {start}) // {width}"
        return width, self._sums(one, [cell], measures)

    def by_users(self, one: Experiment, measures: Sequence[str], cells: bool = False) -> list[Sums]:
        """Sums by (system, country); with `cells` by (system, country, cell)."""
        keys = ["os_name", "country"]
        if cells:
            start = int(one.first.timestamp()) // 3600
            keys.append(f"(epoch_us(window_start) // {3600 * 1_000_000} - {start}) // {cell_hours(one)}")
        return self._sums(one, keys, measures)

    def by_value(self, one: Experiment, dimension: str, measures: Sequence[str]) -> list[Sums]:
        """Sums by (value,) of a dimension."""
        return self._sums(one, [dialect.name(dimension)], measures)

    def _sums(self, one: Experiment, keys: Sequence[str], measures: Sequence[str]) -> list[Sums]:
        names = list(dict.fromkeys(measures))
        held = self._held()
        sums = ", ".join(
            f"CAST(sum({dialect.name(n)}) AS DOUBLE)" if n in held else "CAST(NULL AS DOUBLE)" for n in names
        )
        numbers = ", ".join(str(n + 3) for n in range(len(keys)))
        sql = (
            f"SELECT submission_date, experiment_branch, {', '.join(keys)}, {sums} FROM {{relation}} "
            f"WHERE experiment_id = ? AND window_start >= ? GROUP BY 1, 2, {numbers}"
        )
        size = 1 + len(keys)

        def read(missing: DayFiles) -> dict[date, list[Sums]]:
            span = Span(dates=tuple(missing), files=every_file(missing))
            found: dict[date, list[Sums]] = {day: [] for day in missing}
            for day, *row in self._engine.over(TABLE, sql, (one.name, one.first), span):
                found[day].append(Sums(row[0], tuple(row[1:size]), tuple(row[size:])))
            return found

        files = files_of_days(self._engine, TABLE, Span(first=one.first))
        days = self._kept.days((sql, one.name, one.first), files, read)
        known = {branch.name for branch in one.branches[:MOST_BRANCHES]}
        rows = (row for parts in days.values() for part in parts for row in part.content)
        return [row for row in rows if row.branch in known]

    def _held(self) -> set[str]:
        snapshot = self._engine.reader.snapshot(TABLE)
        return {c.name for c in snapshot.columns} if snapshot else set()


def cell_hours(one: Experiment) -> int:
    """Hours of a cell, so that there are 120 at most."""
    hours = (one.last - one.first).total_seconds() / 3600 + 1
    return next((width for width in _WIDTHS_H if hours / width <= MOST_CELLS), _WIDTHS_H[-1])


def _joined(one: Branch, other: Branch) -> Branch:
    return Branch(one.name, min(one.first, other.first), max(one.last, other.last), one.hours + other.hours)
