"""Sums of experiments by branch: which there are, and one by time, by users, and by each dimension that is kept.

Reads experiment_aggregates alone, in which a client of two experiments is in rows of both; never adds experiments up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.clock import WINDOW_S, of_us
from missioncontrol.query import dialect
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


class Sums(msgspec.Struct, frozen=True):
    """Sums of one branch in one cell, group or slice: `key` says which, values are in the order of the measures."""

    branch: str | None
    key: tuple[str | int | None, ...]
    values: tuple[float | None, ...]


class ExperimentSums:
    """Asks the engine. Thread-safe; every method blocks and raises as `Engine.over()`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def revision(self) -> frozenset[str]:
        """Changes when what any method answers may change."""
        snapshot = self._engine.reader.snapshot(TABLE)
        return frozenset(file.path for file in snapshot.files) if snapshot else frozenset()

    def current(self, now: datetime) -> list[Experiment]:
        """Those with data in the last 30 days, the newest first."""
        hours = f"sum({_USAGE}) FILTER (window_start >= ?)"
        rows = self._engine.over(
            TABLE,
            "SELECT experiment_id, experiment_branch, epoch_us(min(window_start)), epoch_us(max(window_start)), "
            f"coalesce({hours}, 0), list(DISTINCT channel) FROM {{relation}} WHERE window_start BETWEEN ? AND ? "
            f"AND experiment_id IS NOT NULL GROUP BY 1, 2 ORDER BY 5 DESC, 1, 2 LIMIT {_MOST_LISTED}",
            (now - LATELY, now - LOOK_BACK, now),
            Span(now - LOOK_BACK, now),
        )
        found: dict[str, list[Branch]] = {}
        channels: dict[str, set[str]] = {}
        for name, branch, first, last, used, where in rows:
            found.setdefault(name, []).append(Branch(branch, of_us(first), of_us(last), float(used)))
            channels.setdefault(name, set()).update(one for one in where if one is not None)
        made = [Experiment(name, branches, sorted(channels[name])) for name, branches in found.items()]
        return sorted(
            (one for one in made if one.last >= now - LATELY), key=lambda one: one.first, reverse=True
        )

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
        last = one.last + timedelta(seconds=WINDOW_S)
        numbers = ", ".join(str(n + 2) for n in range(len(keys)))
        rows = self._engine.over(
            TABLE,
            f"SELECT experiment_branch, {', '.join(keys)}, {sums} FROM {{relation}} WHERE experiment_id = ? "
            f"AND window_start BETWEEN ? AND ? GROUP BY 1, {numbers}",
            (one.name, one.first, last),
            Span(one.first, last),
        )
        known = {branch.name for branch in one.branches[:MOST_BRANCHES]}
        size = 1 + len(keys)
        return [Sums(row[0], tuple(row[1:size]), tuple(row[size:])) for row in rows if row[0] in known]

    def _held(self) -> set[str]:
        snapshot = self._engine.reader.snapshot(TABLE)
        return {c.name for c in snapshot.columns} if snapshot else set()


def cell_hours(one: Experiment) -> int:
    """Hours of a cell, so that there are 120 at most."""
    hours = (one.last - one.first).total_seconds() / 3600 + 1
    return next((width for width in _WIDTHS_H if hours / width <= MOST_CELLS), _WIDTHS_H[-1])
