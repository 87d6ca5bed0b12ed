"""What crashes in a train: counts drawn around what is to be expected, in bursts, with every release's own luck."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from missioncontrol.simulate.trains.world import STRATA, TICKS_PER_HOUR, Floats, Ints, Settings

# Crashes come in bursts of one client: most are alone, some repeat for half an hour, few loop.
_REPEATS = 0.12
_REPEATS_MEAN = 2.0
_LOOPS = 0.0005
_LOOP_SIZES = (10, 25)
_BURST_HOURS = 0.5
_MEAN_BURST = 1 + _REPEATS * _REPEATS_MEAN + _LOOPS * (sum(_LOOP_SIZES) / 2 - 1)
_SIZES = np.arange(_LOOP_SIZES[0], _LOOP_SIZES[1] + 1)
# Variance over mean of what is drawn: mean square over mean of a burst (repeats are geometric, beside the first).
TRUE_PHI = float(
    (
        (1 - _REPEATS - _LOOPS)
        + _REPEATS * (1 + 2 * _REPEATS_MEAN + 2 * _REPEATS_MEAN**2 - _REPEATS_MEAN)
        + _LOOPS * np.mean(_SIZES.astype(float) ** 2)
    )
    / ((1 - _REPEATS - _LOOPS) + _REPEATS * (1 + _REPEATS_MEAN) + _LOOPS * np.mean(_SIZES))
)


@dataclass(frozen=True)
class Level:
    """By how much a release differs from what its users would see anyway: factors by stratum, [strata]."""

    by_stratum: Floats = field(default_factory=lambda: np.ones(len(STRATA)))


def draw_level(rng: np.random.Generator, settings: Settings) -> Level:
    """An ordinary release: a little better or worse than its predecessors, and not the same on every system."""
    systems = sorted({stratum[0] for stratum in STRATA})
    own = dict(zip(systems, settings.release_os_spread * rng.standard_normal(len(systems)), strict=True))
    common = settings.release_spread * rng.standard_normal()
    return Level(np.exp([common + own[stratum[0]] for stratum in STRATA]))


def draw_swell(rng: np.random.Generator, ticks: int, settings: Settings) -> Floats:
    """[ticks] factor common to all versions that comes and goes (Ornstein-Uhlenbeck in the logarithm)."""
    steps = -(-ticks // TICKS_PER_HOUR)
    keep = np.exp(-1 / settings.swell_hours)
    noise = rng.standard_normal(steps) * np.sqrt(1 - keep**2)
    state, path = rng.standard_normal(), np.empty(steps)
    for step in range(steps):
        state = keep * state + noise[step]
        path[step] = state
    return np.repeat(np.exp(settings.swell_spread * path), TICKS_PER_HOUR)[:ticks]


def draw_crashes(rng: np.random.Generator, expected: Floats) -> Ints:
    """[ticks, strata] counts whose expectation is `expected`, in bursts of one stratum."""
    flat = np.cumsum(expected, dtype=np.float64, axis=None)
    events = rng.poisson(flat[-1] / _MEAN_BURST)
    cell = np.searchsorted(flat, rng.random(events) * flat[-1], side="right")
    kind = rng.random(events)
    more = np.zeros(events, np.int64)
    repeats = kind < _REPEATS
    more[repeats] = rng.geometric(1 / _REPEATS_MEAN, int(repeats.sum()))
    loops = kind > 1 - _LOOPS
    more[loops] = rng.integers(_LOOP_SIZES[0] - 1, _LOOP_SIZES[1], int(loops.sum()))
    later = np.repeat(cell, more)
    later += (
        np.ceil(rng.exponential(_BURST_HOURS * TICKS_PER_HOUR, len(later))).astype(np.int64)
        * expected.shape[1]
    )
    counts = np.bincount(np.concatenate([cell, later[later < expected.size]]), minlength=expected.size)
    return counts.reshape(expected.shape)
