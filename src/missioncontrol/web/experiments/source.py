"""Where the pages of experiments get what they show."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from missioncontrol.query.experiment_sums import Experiment, ExperimentSums, Sums, cell_hours

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

_MOST_KEPT = 200
_HELD_S = 60.0
"""An experiment runs for weeks, and to sum it up takes half a second where there is much."""
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
    """Reads the lake, and keeps answers while nothing new arrives, and for a minute in any case. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._sums = ExperimentSums(engine)
        self._lock = threading.Lock()
        self._kept: dict[tuple[Any, ...], tuple[float, frozenset[str], Any]] = {}

    def current(self, now: datetime) -> list[Experiment]:
        """See `ExperimentSums`."""
        # To the hour, so that what is kept is found again.
        end = now.replace(minute=59, second=59, microsecond=0)
        return self._held(("current", end), lambda: self._sums.current(end))

    def by_time(self, one: Experiment, measures: tuple[str, ...]) -> tuple[int, list[Sums]]:
        """See `ExperimentSums`."""
        asked = ("time", *_place(one), measures)
        return self._held(asked, lambda: self._sums.by_time(one, measures))

    def by_users(self, one: Experiment, measures: tuple[str, ...], cells: bool = False) -> list[Sums]:
        """See `ExperimentSums`."""
        asked = ("users", *_place(one), measures, cells)
        return self._held(asked, lambda: self._sums.by_users(one, measures, cells))

    def by_value(self, one: Experiment, dimension: str, measures: tuple[str, ...]) -> list[Sums]:
        """See `ExperimentSums`."""
        asked = ("value", *_place(one), dimension, measures)
        return self._held(asked, lambda: self._sums.by_value(one, dimension, measures))

    def _held(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        moment, revision = time.monotonic(), self._sums.revision()
        with self._lock:
            held = self._kept.get(key)
        if held and (held[1] == revision or moment - held[0] < _HELD_S):
            kept: T = held[2]
            return kept
        made = make()
        if made:  # a page without anything waits for the first ping: it is looked at anew each time
            with self._lock:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[key] = (moment, revision, made)
        return made


def _place(one: Experiment) -> tuple[str, datetime, int]:
    """What the numbers of its cells depend on."""
    return one.name, one.first, cell_hours(one)
