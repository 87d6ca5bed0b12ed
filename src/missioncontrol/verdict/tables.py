"""What verdicts are made from: sums of a release by tick of arrival and stratum.

A tick is 5 minutes; ticks of a release count from its publication (tick 0 are the 5 minutes that begin with it).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TICKS_PER_HOUR = 12
UP, DOWN = 1, -1
"""Which way a measure is bad: when it grows, or when it falls. It is given once (`Baseline.bad`). What is multiplied by
it, a difference or the logarithm of a ratio, is the larger the worse it is, and so the method has one side only."""


def running(by_tick: Floats) -> Floats:
    """[n + 1] sums of the first 0, 1, ... n of `by_tick` [n], in 64 bits."""
    return np.concatenate([[0.0], np.cumsum(by_tick, dtype=np.float64)])


@dataclass(frozen=True)
class Strata:
    """The finest groups of users: `values[s]` are the values of `dimensions` in stratum s."""

    dimensions: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Activity:
    """Hours and starts of a release by when they arrived and when they happened.

    hours, starts: [FINE + hours until the end, 144] by arrival (5-minute ticks to 72 h of age, hours afterwards) and by
    half hour of activity to 72 h.
    """

    hours: Floats
    starts: Floats


@dataclass(frozen=True)
class Release:
    """One release's sums.

    published: tick of publication, counted from any origin that all tables share; hours, counts: [ticks, strata]
    usage hours and events of the measure, by tick of arrival since publication.
    """

    version: str
    published: int
    hours: Floats
    counts: Floats
    activity: Activity | None = None

    @property
    def ticks(self) -> int:
        """For how many ticks its sums are known."""
        return len(self.hours)


@dataclass(frozen=True, eq=False)
class Channel:
    """Pings of all versions by tick; `counts[0]` is tick `first`. Never changed: what is known of it may be kept."""

    first: int
    counts: Floats

    def between(self, start: int, end: int) -> Floats:
        """[end - start] counts; 0 where nothing is known."""
        known = np.zeros(max(end - start, 0))
        low, high = max(start, self.first), min(end, self.first + len(self.counts))
        if low < high:
            known[low - start : high - start] = self.counts[low - self.first : high - self.first]
        return known
