"""Where the pages of experiments get what they show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from missioncontrol.query.experiment_sums import Experiment, ExperimentSums, Sums


class ExperimentSource(Protocol):
    """Answers about experiments; see `ExperimentSums` for what each method promises. Blocks."""

    def current(self, now: datetime) -> list[Experiment]:
        """Those with data in the last 30 days."""

    def by_time(self, one: Experiment, measures: Sequence[str]) -> tuple[int, list[Sums]]:
        """Sums by cell of time."""

    def by_users(self, one: Experiment, measures: Sequence[str], cells: bool = False) -> list[Sums]:
        """Sums by system and country."""

    def by_value(self, one: Experiment, dimension: str, measures: Sequence[str]) -> list[Sums]:
        """Sums by value of a dimension."""


class LakeExperiments(ExperimentSums):
    """Reads the lake. Thread-safe."""

    def current(self, now: datetime) -> list[Experiment]:
        """See `ExperimentSums`."""
        # To the hour, so that what is kept is found again.
        return super().current(now.replace(minute=59, second=59, microsecond=0))
