"""Which users of one release differ from its other users, or moved otherwise than they did since the release before.

A value's count is set against what the other users' rate makes of its hours, and against what the release before makes
of them: the value's own rate then, times how much the others moved since. Given that, counts are gamma-Poisson as the
whole's (`evidence`): their spread has a harmless part, as slices have it from release to release, and the noise of the
counts that the expectation comes from. Bursts count once (phi).

What is told is what the e-BH procedure rejects at 5 % (Wang and Ramdas, Journal of the Royal Statistical Society
B 84(3), 2022): of those that are told at most 5 % are expected to be there by chance, whatever the values have to do
with each other, and at whichever look. Pure; no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.evidence import THETAS, e_better, e_worse, interval, log_likelihood
from missioncontrol.verdict.tables import Bools, Floats

CHANCE = 0.05
HARMLESS_SD = 0.045
"""Of the logarithm of a ratio of some users, as the prior of `spread.slice_spread()`."""
_SPREADS = np.arange(HARMLESS_SD, 1.0, 0.015)
_FEWEST_SPREAD, _FEWEST_TELLING = 5, 20.0
_MEDIAN_SQUARE, _MEDIAN_SLACK = 0.455, 0.25
"""Of a chi-square with one degree; a quarter of the sd that the median of n squares has, times the root of n."""
_FEWEST_USUAL = 2
_PSEUDO_EVENTS = 2.0
_PHI_START, _PHI_DEGREES = 1.5, 20.0
_LEAST_CELL = 0.25
_TINY = 1e-12


@dataclass(frozen=True)
class Contrast:
    """By value [values]: events to be expected, the ratio with its 95 % interval at every look, log10 of the e-value.

    low is 0 and high nan where the ratio may be beyond those that are looked at (0.3 to 11). told: those beyond noise.
    All nan where nothing can be expected.
    """

    expected: Floats
    ratio: Floats
    low: Floats
    high: Floats
    evidence: Floats
    told: Bools


def burstiness(counts: Floats, hours: Floats) -> float:
    """phi, the variance of counts over their mean, from counts and hours [times, values] of one release.

    Pearson statistic around each value's own rate, rescaled so that every time's total matches; cells that expect under
    0.25 say too little. The prior 1.5 stands for 20 degrees of freedom. Never below 1.
    """
    rates = counts.sum(axis=0) / np.maximum(hours.sum(axis=0), _TINY)
    expected = hours * rates
    total = expected.sum(axis=1, keepdims=True)
    matched = expected * np.divide(
        counts.sum(axis=1, keepdims=True), total, out=np.zeros_like(total), where=total > 0
    )
    used = matched > _LEAST_CELL
    squares = float(((counts - matched)[used] ** 2 / matched[used]).sum())
    degrees = max(float(used.sum() - used.any(axis=0).sum() - used.any(axis=1).sum()), 0.0)
    phi = (_PHI_START * _PHI_DEGREES + squares) / (_PHI_DEGREES + degrees)
    return max(phi, 1.0)


def contrasts(
    counts: Floats, hours: Floats, before_counts: Floats | None, before_hours: Floats | None, phi: float
) -> tuple[Contrast, Contrast | None]:
    """Against the other users, and against how those moved since the release before (None without one).

    counts, hours, before_counts, before_hours: [values]; `hours` is whatever rates are per. A value that moved is
    none of the others that the rest is set against: else two thirds of the users were told for what one third did.
    """
    rest = _against_others(counts, hours, phi)
    if before_counts is None or before_hours is None:
        return _told([rest])[0], None
    spread = _harmless(counts, hours, before_counts, before_hours, phi)
    usual = np.ones(len(counts), bool)
    while True:
        since = _since(counts, hours, before_counts, before_hours, phi, spread, usual)
        one, other = _told([rest, since])
        moved = other.told & usual
        if not moved.any() or usual.sum() <= _FEWEST_USUAL:
            return one, other
        strongest = int(np.where(moved, other.evidence, -np.inf).argmax())
        usual = usual & (np.arange(len(counts)) != strongest)


def _against_others(counts: Floats, hours: Floats, phi: float) -> Contrast:
    others = counts.sum() - counts
    rate = others / np.maximum(hours.sum() - hours, _TINY)
    known = (others > 0) & (hours > 0) & (hours < hours.sum())
    expected = np.where(known, hours * rate, np.nan)
    return _judged(counts, expected, phi / np.maximum(others, 0.5), phi, (HARMLESS_SD, 1))


def _since(
    counts: Floats,
    hours: Floats,
    before_counts: Floats,
    before_hours: Floats,
    phi: float,
    spread: tuple[float, int],
    usual: Bools,
) -> Contrast:
    """Against how the usual others moved."""
    others, rate = _rate_of_others(counts, hours, usual)
    others_before, rate_before = _rate_of_others(before_counts, before_hours, usual)
    steady = np.divide(_PSEUDO_EVENTS, rate_before, out=np.full_like(rate, np.nan), where=rate_before > 0)
    own_before = (before_counts + _PSEUDO_EVENTS) / (before_hours + steady)
    moved = np.divide(rate, rate_before, out=np.full_like(rate, np.nan), where=rate_before > 0)
    noise = phi * (
        1 / np.maximum(others, 0.5)
        + 1 / np.maximum(others_before, 0.5)
        + 1 / (before_counts + _PSEUDO_EVENTS)
    )
    known = (others > 0) & (others_before > 0) & (hours > 0)
    expected = np.where(known, hours * own_before * moved, np.nan)
    return _judged(counts, expected, noise, phi, spread)


def _rate_of_others(counts: Floats, hours: Floats, usual: Bools) -> tuple[Floats, Floats]:
    """[values] events of the usual values but the one itself, and their rate."""
    others = (counts * usual).sum() - counts * usual
    others_hours = (hours * usual).sum() - hours * usual
    return others, others / np.maximum(others_hours, _TINY)


def _harmless(
    counts: Floats, hours: Floats, before_counts: Floats, before_hours: Floats, phi: float
) -> tuple[float, int]:
    """The sd that logarithms of ratios have from release to release without any cause, and how much is known of it.

    Loud users, and who updates first, make it large in small populations. It is the least that brings the median of
    squares about the median change, over their variances, to that of a chi-square with one degree, or hardly above:
    what a few values do moves neither median. Five values with 20 events or more are needed; 4 say as much as one more
    release would.
    """
    known = (
        (counts >= _FEWEST_TELLING) & (before_counts >= _FEWEST_TELLING) & (hours > 0) & (before_hours > 0)
    )
    number = int(known.sum())
    if number < _FEWEST_SPREAD:
        return HARMLESS_SD, 1
    own, before = counts[known], before_counts[known]
    changes = np.log(own / hours[known]) - np.log(before / before_hours[known])
    squares = (changes - np.median(changes)) ** 2 * number / (number - 1)
    variances = phi / own + phi / before
    most = _MEDIAN_SQUARE + _MEDIAN_SLACK / np.sqrt(number)
    fits = [sd for sd in _SPREADS if np.median(squares / (variances + sd**2)) <= most]
    return float(fits[0] if fits else _SPREADS[-1]), 1 + number // 4


def _judged(
    counts: Floats, expected: Floats, noise: Floats, phi: float, spread: tuple[float, int]
) -> Contrast:
    known = np.isfinite(expected) & (expected > 0)
    ratio, low, high, evidence = (np.full(len(counts), np.nan) for _ in range(4))
    if known.any():
        harmless = np.full(int(known.sum()), spread[0])
        logs = log_likelihood(counts[known], expected[known], harmless, phi, spread[1], noise[known])
        both = (e_worse(logs) + e_better(logs)) / 2
        evidence[known] = np.log10(np.clip(both, 1e-300, 1e300))
        lows, highs = interval(logs)
        low[known] = np.where(lows <= THETAS[0], 0.0, np.exp(lows))
        high[known] = np.where(highs >= THETAS[-1], np.nan, np.exp(highs))
        ratio[known] = counts[known] / expected[known]
    return Contrast(expected, ratio, low, high, evidence, np.zeros(len(counts), bool))


def _told(found: list[Contrast]) -> list[Contrast]:
    """e-BH over all that were tried: the k strongest, for the largest k with which each has K / (0.05 k)."""
    every = np.concatenate([one.evidence for one in found])
    tried = np.isfinite(every)
    strongest = np.sort(every[tried])[::-1]
    ranks = np.arange(1, len(strongest) + 1)
    enough = np.flatnonzero(strongest >= np.log10(len(strongest) / (CHANCE * ranks)))
    least = strongest[enough[-1]] if len(enough) else np.inf
    return [
        Contrast(
            one.expected,
            one.ratio,
            one.low,
            one.high,
            one.evidence,
            np.where(np.isfinite(one.evidence), one.evidence, -np.inf) >= least,
        )
        for one in found
    ]
