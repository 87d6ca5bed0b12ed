"""The ages at which is looked and at which curves over age are kept, in ticks of 5 minutes."""

from __future__ import annotations

import numpy as np

from missioncontrol.verdict.tables import TICKS_PER_HOUR, Floats, Ints

FINE_HOURS = 48
LIFE_HOURS = 14 * 24
LIFE_TICKS = LIFE_HOURS * TICKS_PER_HOUR
BANDWIDTH = 0.30


def looks(ticks: int = LIFE_TICKS) -> Ints:
    """Ages of the looks of a life of `ticks`: every tick to 48 h, every hour afterwards."""
    fine = np.arange(1, FINE_HOURS * TICKS_PER_HOUR + 1)
    hourly = np.arange(FINE_HOURS + 1, LIFE_HOURS + 1) * TICKS_PER_HOUR
    every = np.concatenate([fine, hourly])
    return every[every <= ticks]


def _knots() -> Ints:
    spaced = np.exp(np.linspace(0, np.log(LIFE_TICKS), 72))
    return np.unique(np.round(spaced).astype(np.int64))


KNOTS = _knots()
KNOT_HOURS: Floats = KNOTS / TICKS_PER_HOUR
_LOG_KNOTS = np.log(KNOT_HOURS)
_DENSITY = np.gradient(_LOG_KNOTS)


def smooth(values: Floats, weights: Floats) -> Floats:
    """[knots] kernel mean of `values` with `weights` (both [knots]): Gaussian in log age, bandwidth 0.30."""
    near = np.exp(-0.5 * ((_LOG_KNOTS[:, None] - _LOG_KNOTS[None, :]) / BANDWIDTH) ** 2) * (
        _DENSITY * weights
    )
    return (near * values).sum(axis=1) / np.maximum(near.sum(axis=1), 1e-300)


def at(ages: Floats, values: Floats) -> Floats:
    """A curve kept at the knots, read at `ages` (hours): linear in the logarithm of age, flat beyond."""
    return np.interp(np.log(ages), _LOG_KNOTS, values)


def at_each(ages: Floats, values: Floats) -> Floats:
    """As `at`, for curves [knots, n]: [ages, n]."""
    log_ages = np.clip(np.log(ages), _LOG_KNOTS[0], _LOG_KNOTS[-1])
    below = np.clip(np.searchsorted(_LOG_KNOTS, log_ages, "right") - 1, 0, len(KNOTS) - 2)
    steps = np.diff(values, axis=0) / np.diff(_LOG_KNOTS)[:, None]
    return steps[below] * (log_ages - _LOG_KNOTS[below])[:, None] + values[below]


def cumulative(by_tick: Floats, ticks: Ints) -> Floats:
    """[len(ticks), n] sums of the first `ticks` rows of [known, n]; beyond what is known, all of it."""
    ends = np.minimum(ticks, len(by_tick))
    starts = np.concatenate([[0], ends[:-1]])
    parts = np.zeros((len(ticks), by_tick.shape[1]))
    some = starts < ends
    if some.any():
        # reduceat sums from each start to the next; the last one must end where the last look does.
        parts[some] = np.add.reduceat(by_tick[: ends[-1]], starts[some], axis=0, dtype=np.float64)
    return np.cumsum(parts, axis=0)
