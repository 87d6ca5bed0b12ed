"""Where the pages of experiments get what they show."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from missioncontrol.query.experiment_sums import Experiment, ExperimentSums, Sums

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

_MOST_KEPT = 200
T = TypeVar("T")


class ExperimentSource(Protocol):
    """Answers about experiments; see `ExperimentSums` for what each method promises. Blocks."""

    def current(self, now: datetime) -> list[Experiment]:
        """Those with data in the last 30 days."""

    def by_time(self, one: Experiment, measures: tuple[str, ...]) -> tuple[int, list[Sums]]:
        """Sums by cell of time."""

    def by_users(self, one: Experiment, measures: tuple[str, ...], cells: bool = False) -> list[Sums]:
        """Sums by system and country."""

    def by_value(self, one: Experiment, dimension: str, measures: tuple[str, ...]) -> list[Sums]:
        """Sums by value of a dimension."""


class LakeExperiments:
    """Reads the lake, and keeps answers for as long as nothing new arrives. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._sums = ExperimentSums(engine)
        self._lock = threading.Lock()
        self._revision: frozenset[str] = frozenset()
        self._kept: dict[tuple[Any, ...], Any] = {}

    def current(self, now: datetime) -> list[Experiment]:
        """See `ExperimentSums`."""
        # To the hour, so that what is kept is found again.
        end = now.replace(minute=59, second=59, microsecond=0)
        return self._held(("list", end), lambda: self._sums.current(end))

    def by_time(self, one: Experiment, measures: tuple[str, ...]) -> tuple[int, list[Sums]]:
        """See `ExperimentSums`."""
        return self._held(("time", one.name, measures), lambda: self._sums.by_time(one, measures))

    def by_users(self, one: Experiment, measures: tuple[str, ...], cells: bool = False) -> list[Sums]:
        """See `ExperimentSums`."""
        asked = ("users", one.name, measures, cells)
        return self._held(asked, lambda: self._sums.by_users(one, measures, cells))

    def by_value(self, one: Experiment, dimension: str, measures: tuple[str, ...]) -> list[Sums]:
        """See `ExperimentSums`."""
        asked = ("value", one.name, dimension, measures)
        return self._held(asked, lambda: self._sums.by_value(one, dimension, measures))

    def _held(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        now = self._sums.revision()
        with self._lock:
            if now != self._revision or len(self._kept) > _MOST_KEPT:
                self._kept.clear()
                self._revision = now
            if key in self._kept:
                kept: T = self._kept[key]
                return kept
        made = make()
        with self._lock:
            if now == self._revision:
                self._kept[key] = made
        return made
