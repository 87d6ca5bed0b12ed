"""What moves all versions at once: every other version against its own level (a concurrent control).

Noise or a shock: spike and slab after Mitchell and Beauchamp (Journal of the American Statistical Association 83(404),
1988), both normal. The longest window that agrees with all shorter ones holds: Lepski (Theory of Probability and its
Applications 35, 1991). Variances of logarithms of counts by the delta method. Windows, sds, chances of a shock and what
counts as sure are ours, chosen on the tuning seeds of the evaluation (docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.evidence import SHIFTS
from missioncontrol.verdict.tables import TICKS_PER_HOUR, UP, Bools, Floats, Ints, running

WINDOWS_HOURS = (48.0, 24.0, 12.0, 6.0, 3.0, 1.5)
_STEADY_HOURS = 24.0
_NOISE, _SHOCK = 0.05, 0.5
_PRIOR_SHOCK, _PRIOR_SHORT = 0.01, 0.003
_SHORT_HOURS = 6.0
_FEWEST, _FEWEST_SHORT = 8.0, 20.0
_SURE, _LARGE = 0.9, 0.2
# Windows disagree when they are so many sds apart.
_APART_SDS = 2.0
_EXTRA_VARIANCE = 0.02**2
_UNKNOWN_VARIANCE = 4.0
_LARGEST_LOG = 600.0
_NOTHING = 1e-6
_SHOCKS_PER_HOUR = 0.01 / 24
_UNMOVED = int(np.abs(SHIFTS).argmin())
_SHOCK_PRIOR = np.exp(-0.5 * (SHIFTS / _SHOCK) ** 2)
_SHOCK_PRIOR /= _SHOCK_PRIOR.sum()
LONGEST_TICKS = int(WINDOWS_HOURS[0] * TICKS_PER_HOUR)


@dataclass(frozen=True)
class Environment:
    """By tick: the `factor` common to all versions over the last `reach` ticks, and whether a `shock` is flagged.

    log_ratio, variance: [windows, ticks] what the other versions show over each of `WINDOWS_HOURS`, and how surely;
    ground: [ticks] events that were to be expected of them in the last day.
    """

    factor: Floats
    reach: Ints
    shock: Bools
    log_ratio: Floats
    variance: Floats
    ground: Floats


@dataclass(frozen=True)
class Seen:
    """Another version: [LONGEST_TICKS + ticks] its events, what its own level lets expect, and where the following
    ticks showed that they say nothing (`revoked`)."""

    counts: Floats
    expected: Floats
    revoked: Bools

    def windows(self, ticks: int) -> Callable[[int], tuple[Floats, Floats]]:
        """For a width its events and what was to be expected, in windows that end with each of the last `ticks`.

        What is revoked is left out from the tick on that follows it.
        """
        end = np.arange(len(self.counts) - ticks + 1, len(self.counts) + 1)
        every = np.arange(len(self.counts) + 1)
        # The end of what is revoked at each tick: in a stretch of it, its beginning.
        told = np.maximum.accumulate(np.where(np.append(self.revoked, False), 0, every))
        until = np.where(self.revoked[end - 1], told[end - 1], end)
        sums = [running(each) for each in (self.counts, self.expected)]
        off = [running(each * self.revoked) for each in (self.counts, self.expected)]

        def of(width: int) -> tuple[Floats, Floats]:
            start = end - width
            o, m = (
                whole[end] - whole[start] - (out[until] - out[np.minimum(start, until)])
                for whole, out in zip(sums, off, strict=True)
            )
            return o, m

        return of


def environment(others: Sequence[Seen], phi: float, spread: Floats) -> Environment:
    """The common factor of the other versions over time.

    spread: [ticks] sd of the level that is expected; the answer is for these ticks. A spike-and-slab estimate in
    trailing windows: normal noise (sd 0.05) or a shock (sd 0.5); the 24 h estimate holds unless a window is sure of a
    large shift.
    """
    ticks = len(spread)
    windows = [other.windows(ticks) for other in others]

    def sums(width: int) -> tuple[Floats, Floats]:
        o, m = np.zeros(ticks), np.zeros(ticks)
        for of in windows:
            one, wanted = of(width)
            o, m = o + one, m + wanted
        # Differences of sums are never quite nothing.
        return np.where(o > _NOTHING, o, 0.0), np.where(m > _NOTHING, m, 0.0)

    widths = [int(hours * TICKS_PER_HOUR) for hours in WINDOWS_HOURS]
    o, m = (np.stack(each) for each in zip(*(sums(width) for width in widths), strict=True))
    short = (np.array(WINDOWS_HOURS) < _SHORT_HOURS)[:, None]
    speaks = m >= np.where(short, _FEWEST_SHORT, _FEWEST)
    y = np.log((o + 0.5) / (m + 0.5))
    counted = phi / (np.maximum(o, m) + 1)
    variance = counted + _EXTRA_VARIANCE + spread**2
    prior = np.where(short, _PRIOR_SHORT, _PRIOR_SHOCK)
    of_noise = _density(y, _NOISE**2 + variance) * (1 - prior)
    of_shock = _density(y, _SHOCK**2 + variance) * prior
    p = np.where(speaks, of_shock / np.maximum(of_noise + of_shock, 1e-300), 0.0)
    shrunk = (1 - p) * y * _NOISE**2 / (_NOISE**2 + variance) + p * y * _SHOCK**2 / (_SHOCK**2 + variance)
    sure = (p > _SURE) & (np.abs(y) > _LARGE)
    apart = _APART_SDS * np.sqrt(counted + _NOISE**2)

    log_factor = np.zeros(ticks)
    shock = np.zeros(ticks, bool)
    agrees = np.ones(ticks, bool)
    reach = np.full(ticks, int(_STEADY_HOURS * TICKS_PER_HOUR))
    # The longest window holds that agrees with all shorter ones that speak.
    for place in reversed(range(len(WINDOWS_HOURS))):
        agrees &= ~(speaks & (np.abs(y - y[place]) > apart))[place + 1 :].any(axis=0)
        taken = agrees & speaks[place]
        log_factor = np.where(taken, shrunk[place], log_factor)
        reach = np.where(taken, widths[place], reach)
        shock = np.where(taken, sure[place], shock)
    ratios = np.where(m > 0, y, 0.0)
    variances = np.where(m > 0, variance + _NOISE**2, _UNKNOWN_VARIANCE)
    return Environment(
        np.exp(log_factor), reach, shock, ratios, variances, m[WINDOWS_HOURS.index(_STEADY_HOURS)]
    )


def mean_factor(around: Environment, weights: Floats, ticks: Ints) -> Floats:
    """[looks] mean of the common factor over a life up to `ticks`, by `weights` [ticks of the life].

    What is known at a look goes back as far as its window reaches; what was before is what was known then, and so on.
    So a shift that was seen late counts from where it began.
    """
    sums = running(weights)
    at, total = ticks.copy(), np.zeros(len(ticks))
    while (at > 0).any():
        place = np.maximum(at, 1) - 1
        start = np.maximum(at - around.reach[place], 0)
        total += around.factor[place] * (sums[at] - sums[start])
        at = start
    known = sums[ticks]
    return np.where(known > 0, total / np.maximum(known, 1e-12), around.factor[ticks - 1])


def _density(y: Floats, variance: Floats) -> Floats:
    return np.exp(-0.5 * y * y / variance) / np.sqrt(variance)


def unseen_shock(
    around: Environment, shares: Floats, places: Ints, suspicions: tuple[float, ...], bad: int = UP
) -> Floats:
    """[suspicions, looks, SHIFTS] chances that a shock no window is sure of moves events by e^(bad * shift).

    shares: [windows, looks] share of the release's expected events that fell into each trailing window; places: [looks]
    ticks of `around`. A shock of log size N(0, 0.5^2) begins once in 100 days; each window is weighed by what the other
    versions show in it (ratio of normal densities). Where a shock is flagged the estimated factor stands for it.
    suspicions: how many times as frequent shocks are taken to be while other versions can tell of them.
    """
    looks, sizes = len(places), len(SHIFTS)
    hours = np.array(WINDOWS_HOURS)
    rho = _SHOCKS_PER_HOUR * (hours - np.append(hours[1:], 0.0))[:, None, None]
    y, v = around.log_ratio[:, places, None], around.variance[:, places, None]
    log_fits = (y * (bad * SHIFTS) - 0.5 * SHIFTS**2) / v
    # Chances are relative to each other: where they would be too large for a number, all of that look are made smaller.
    excess = np.maximum(log_fits.max(axis=(0, 2)) - _LARGEST_LOG, 0.0)
    fits = np.exp(log_fits - excess[:, None])
    moved = bad * np.log1p(shares[:, :, None] * np.expm1(bad * SHIFTS))
    bins = np.clip(np.rint((moved - SHIFTS[0]) / 0.05).astype(np.int64), 0, sizes - 1)
    rows = np.arange(looks) * sizes
    # What did not move comes first, then what each window lets expect.
    places_of = np.concatenate([rows + _UNMOVED, (bins + rows[:, None]).ravel()])
    told, sure = v < _UNKNOWN_VARIANCE, around.shock[places]
    out = np.empty((len(suspicions), looks, sizes))
    for chances, suspicion in zip(out, suspicions, strict=True):
        weights = np.where(told, suspicion, 1.0) * rho * _SHOCK_PRIOR * fits
        weights = np.concatenate([np.exp(-excess), weights.ravel()])
        chances[:] = np.bincount(places_of, weights, out[0].size).reshape(looks, sizes)
        if sure.any():
            chances[sure] = np.arange(sizes) == _UNMOVED
        chances /= chances.sum(axis=1, keepdims=True)
    return out
