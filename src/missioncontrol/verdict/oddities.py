"""Odd circumstances make less sure: each adds to the spread of what a harmless release may show (variances add).

The pace is tested by the predictive t of a normal whose variance has a scaled inverse chi squared prior (Gelman and
others, Bayesian Data Analysis, 2013, 3.3); a mix by total variation distance. The prior of the pace, limits, and how
much each circumstance adds are ours, chosen on the tuning seeds of the evaluation (docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from missioncontrol.verdict.baseline import Baseline, shares
from missioncontrol.verdict.environment import Environment
from missioncontrol.verdict.grid import KNOT_HOURS, at, at_each
from missioncontrol.verdict.lives import Curves
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Bools, Floats

_SHOCK_HOURS = 12
_SHOCK_LEVEL = 0.05
_SHOCK_PART = 0.40
_IMPUTED_PART = 0.25
_ROLLOUT_FROM_HOURS = 1.5
# Ordinary rollouts differ: the prior stands for so many releases. Looks of one life are some ten independent ones.
_ROLLOUT_PRIOR_SD, _ROLLOUT_PRIOR_RELEASES, _ROLLOUT_CHANCE = 0.25, 4, 0.001
_SESSION_HOURS = 4.0
_ROLLOUT_MIX = 0.2
_ROLLOUT_PART = 0.7
_ROLLOUT_YOUNG, _ROLLOUT_OLD, _ROLLOUT_HOURS = 0.12, 0.06, 72.0
_MIX_FACTOR, _MIX_MARGIN, _MIX_PART = 1.5, 0.03, 0.15


@dataclass(frozen=True)
class Oddities:
    """By look: variance to add to tau^2 for each circumstance, the growth to use, and which flags stand."""

    shock: Floats
    imputed: Floats
    rollout: Floats
    mix: Floats
    growth: Floats
    odd_rollout: Bools
    odd_mix: Bools

    @property
    def variance(self) -> Floats:
        """All of it."""
        return self.shock + self.imputed + self.rollout + self.mix


def oddities(
    baseline: Baseline,
    life: Curves,
    around: Environment,
    pings_before: float,
    odd_before: bool = False,
    since: int = 0,
) -> Oddities:
    """What is odd about a release at each look. pings_before: the channel's pings in the day before publication.

    odd_before: the rollout was odd at an earlier look, and stays so; since: looks to that age are only looked back at,
    and what they show of the rollout was said, or not, against what they were compared with.
    """
    ages = life.ticks / TICKS_PER_HOUR
    log_mean = np.abs(np.log(life.factor))
    lately = np.zeros(len(ages))
    if around.shock.any():
        flagged = np.where(around.shock, np.abs(np.log(around.factor)), 0.0)
        lately = _trailing_max(flagged, _SHOCK_HOURS * TICKS_PER_HOUR)[life.ticks - 1]
    shocked = (lately > 0) | (log_mean > _SHOCK_LEVEL)
    shock = np.where(shocked, _SHOCK_PART * np.maximum(log_mean, lately), 0.0) ** 2

    now = shares(life.hours, baseline.countries)
    mean_mix, usual_distance = baseline.usual_mix
    usual_mix = at_each(ages, mean_mix)
    distance = 0.5 * np.abs(now - usual_mix).sum(axis=1)
    excess = np.maximum(distance - (_MIX_FACTOR * at(ages, usual_distance) + _MIX_MARGIN), 0.0)

    adopted = np.log(np.maximum(life.reported, 1e-9) / pings_before)
    pace = unusual_pace(baseline.adoption, ages, adopted, life.reported)
    # Whoever offers it to one country first may well keep the pace. The mix of few sessions is chance.
    chance = 0.5 * np.sqrt(usual_mix).sum(axis=1) * np.sqrt(_SESSION_HOURS / np.maximum(life.reported, 1e-9))
    odd = (pace | (excess > _ROLLOUT_MIX + chance)) & (ages >= _ROLLOUT_FROM_HOURS)
    odd = np.logical_or.accumulate(odd & (life.ticks > since)) | odd_before
    log_growth = at(ages, np.log(baseline.whole.growth))
    curve = np.maximum.accumulate(baseline.adoption.mean(axis=0)) + np.arange(len(KNOT_HOURS)) * 1e-9
    same_adoption = np.exp(np.interp(adopted, curve, np.log(KNOT_HOURS)))
    there = at(same_adoption, np.log(baseline.whole.growth))
    reach = _range_between(np.log(baseline.whole.growth), ages, same_adoption)
    rollout = np.where(
        odd,
        (_ROLLOUT_PART * reach) ** 2 + np.where(ages <= _ROLLOUT_HOURS, _ROLLOUT_YOUNG, _ROLLOUT_OLD) ** 2,
        0.0,
    )
    growth = np.exp(np.where(odd, 0.5 * (log_growth + there), log_growth))

    return Oddities(
        shock=shock,
        imputed=(_IMPUTED_PART * life.imputed) ** 2,
        rollout=rollout,
        mix=(_MIX_PART * excess) ** 2,
        growth=growth,
        odd_rollout=odd,
        odd_mix=excess > 0,
    )


def unusual_pace(adoption: Floats, ages: Floats, adopted: Floats, hours: Floats) -> Bools:
    """[looks] whether a release is adopted at another pace than those before it.

    adoption: [predecessors, knots], adopted: [looks] logarithms of hours over the channel's pings of a day; ages in
    hours. The test is a t of what a next release may be: a dozen predecessors do not know their spread well. Hours come
    in sessions, so that the logarithm of a few of them has a variance of `_SESSION_HOURS` over their number besides.
    """
    releases = len(adoption)
    own = adoption.var(axis=0, ddof=1) if releases > 1 else np.zeros(adoption.shape[1])
    degrees = _ROLLOUT_PRIOR_RELEASES + releases - 1
    spread = (_ROLLOUT_PRIOR_RELEASES * _ROLLOUT_PRIOR_SD**2 + (releases - 1) * own) / degrees
    variance = at(ages, spread * (1 + 1 / releases)) + _SESSION_HOURS / np.maximum(hours, 1e-9)
    most = float(stdtrit(degrees, 1 - _ROLLOUT_CHANCE / 2))
    odd: Bools = np.abs(adopted - at(ages, adoption.mean(axis=0))) > most * np.sqrt(variance)
    return odd


def variance_later(
    odd: Oddities, i: int, factor: float, hours: Floats, ages: Floats, grown: Floats
) -> Floats:
    """[n] what look `i`'s circumstances will still add to tau^2 when nothing new happens.

    factor: mean environment factor of the life so far; hours: [n] from now on; ages: [n] in hours; grown: [n] how many
    times as many events there will be. What is imputed and what moved all versions becomes a smaller part of the life;
    a flagged shock counts for 12 h, an odd rollout less after 72 h, an odd mix as long as it lasts.
    """
    mean = np.abs(np.log1p((factor - 1) / grown))
    mean[mean <= _SHOCK_LEVEL] = 0.0
    shock = np.where(hours < _SHOCK_HOURS, odd.shock[i], (_SHOCK_PART * mean) ** 2)
    rollout = np.full(len(ages), odd.rollout[i])
    if odd.odd_rollout[i]:
        settled = odd.rollout[i] - _ROLLOUT_YOUNG**2 + _ROLLOUT_OLD**2
        rollout = np.where((ages > _ROLLOUT_HOURS) & (ages[0] <= _ROLLOUT_HOURS), settled, rollout)
    return shock + odd.imputed[i] / grown**2 + rollout + odd.mix[i]


def _trailing_max(values: Floats, width: int) -> Floats:
    """[n] largest of the last `width` values."""
    padded = np.concatenate([np.zeros(width - 1), values])
    return np.lib.stride_tricks.sliding_window_view(padded, width).max(axis=1)


def _range_between(curve: Floats, one: Floats, other: Floats) -> Floats:
    """[looks] largest less smallest value of a curve at the knots between two ages (hours)."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    ends = np.stack([at(low, curve), at(high, curve)])
    between = (KNOT_HOURS[None, :] > low[:, None]) & (KNOT_HOURS[None, :] < high[:, None])
    largest = np.maximum(np.where(between, curve, -np.inf).max(axis=1), ends.max(axis=0))
    smallest = np.minimum(np.where(between, curve, np.inf).min(axis=1), ends.min(axis=0))
    return largest - smallest
