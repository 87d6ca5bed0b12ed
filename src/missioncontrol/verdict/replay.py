"""A release's life look by look: what was seen, what was to be expected, and the evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.baseline import RECENT_TICKS, Baseline
from missioncontrol.verdict.controls import Control, silent_elsewhere, surroundings
from missioncontrol.verdict.environment import WINDOWS_HOURS, Environment, unseen_shock
from missioncontrol.verdict.evidence import (
    ACCEPTABLE,
    THETAS,
    THRESHOLD,
    blurred,
    e_better,
    e_same,
    e_worse,
    interval,
    log_likelihood,
)
from missioncontrol.verdict.grid import at, at_each
from missioncontrol.verdict.lives import Curves, Life, curves, live
from missioncontrol.verdict.oddities import Oddities, oddities
from missioncontrol.verdict.tables import TICKS_PER_HOUR, UP, Bools, Channel, Floats, Ints, Release, running

_DAY = 24 * TICKS_PER_HOUR
_ALL, _RECENT, _SLICES = 0.60, 0.10, 0.30
# Bursts are counted by their mean square; a slice with few of them feels their tail.
_SLICE_PHI = 1.2
_STRATA_FOR_LOUDEST = 4
_ALONE = 0.5
_RECENT_FEWEST, _RECENT_SHARE = 20.0, 0.05
_HOUR = TICKS_PER_HOUR
# An interval must hold in a shock too.
_SUSPICION = 20.0
_SILENT_BURSTS, _SILENT_SHORT, _SILENT_HOURS = 6.0, 9.0, 24.0


@dataclass(frozen=True)
class Looks:
    """By look: age in ticks, counts and expectations [looks, slices], tau [looks, slices], e-values, the interval.

    evidence: e_total of what is bad; better: of its opposite; calm: e_total with the whole as if nothing had moved all
    versions; same: e-value against a ratio beyond 1.2 or 1 / 1.2; low, high: log ratio; impaired, no_hours, no_events:
    within the hour pings were lost, hours did not come, or events; settling: there was such a gap, and not yet as much
    time after it; ground: events expected of other versions in the last day; hours: [looks] reported and weighted;
    chances: [looks, shifts] of a shock that no window is sure of.
    """

    ticks: Ints
    counts: Floats
    expected: Floats
    tau: Floats
    evidence: Floats
    better: Floats
    calm: Floats
    same: Floats
    low: Floats
    high: Floats
    impaired: Bools
    no_hours: Bools
    no_events: Bools
    settling: Bools
    ground: Floats
    hours: Floats
    life: Curves
    odd: Oddities
    chances: Floats


def replay(
    baseline: Baseline,
    release: Release,
    channel: Channel,
    others: list[Control],
    ticks: Ints,
    odd_before: bool = False,
    since: int = 0,
) -> Looks:
    """Judge a release at the ages `ticks` (ascending); each look depends on what had arrived by then alone.

    odd_before, since: as in `look()`, where it was compared with other versions before.
    """
    published = release.published
    life = live(release, channel, None, baseline.trait, silent_elsewhere(others, published, release.ticks))
    around = surroundings(others, published, life.ticks, baseline.leaving, baseline.phi)
    pings = pings_before(channel, published)
    return look(baseline, life, pings, around, ticks, None, odd_before, since)


def pings_before(channel: Channel, published: int) -> float:
    """The channel's pings in the day before a publication (tick), at least 1."""
    return max(float(channel.between(published - _DAY, published).sum()), 1.0)


def look(
    baseline: Baseline,
    life: Life,
    pings: float,
    around: Environment,
    ticks: Ints,
    by_tick: Floats | None = None,
    odd_before: bool = False,
    since: int = 0,
) -> Looks:
    """As `replay()`, with the environment and `pings_before` at hand.

    by_tick: the life's `expected_by_tick`, where at hand; odd_before: the rollout was odd at an earlier look;
    since: age of the newest look that was made; looks up to there are only looked back at.
    """
    phi, bad = baseline.phi, baseline.bad
    now = curves(life, baseline.rates, baseline.history, around, ticks, by_tick)
    odd = oddities(baseline, now, around, pings, odd_before, since)
    ages = ticks / TICKS_PER_HOUR
    tau2 = at(ages, baseline.whole.tau) ** 2 + odd.variance
    slice_tau = np.sqrt(tau2[:, None] + at_each(ages, baseline.slice_tau) ** 2)
    slice_tau[:, 0] = np.sqrt(tau2)
    by_stratum = now.hours * baseline.rates * (odd.growth * now.inflation * now.factor)[:, None]
    counts, expected, quiet_counts, quiet_expected = _sliced(baseline, now, by_stratum)
    if (unused := now.reported <= 0).any():
        # Before the first hours nothing is left out: what will be is not known.
        counts[unused, 0] = np.cumsum(life.came.events)[ticks[unused] - 1]

    chances, suspected = unseen_shock(around, now.recent, ticks - 1, (1.0, _SUSPICION), bad)
    tau = slice_tau[:, 0]
    logs = log_likelihood(counts[:, 0], expected[:, 0], tau, phi, baseline.releases, bad=bad)
    blurred_wide = blurred(logs, suspected)
    low, high = interval(blurred_wide, bad)
    ratio = np.maximum(counts[:, 0], 1e-12) / np.maximum(expected[:, 0], 1e-12)
    log_ratio = bad * np.clip(bad * np.log(ratio), THETAS[0], THETAS[-1])
    logs = blurred(logs, chances)
    if bad == UP:
        heard = np.ones(len(ticks))
        better = _heard(
            e_better(logs), counts[:, 0], expected[:, 0], life, now, tau, chances, phi, baseline.releases
        )
    else:
        # Too few are what is bad here, and each part of the evidence must hold without the longest silence.
        heard = 1 - _silence(life, now)
        loudest = _without_loudest(now.counts, by_stratum * baseline.bias[0], UP)
        better = _alone(
            e_better(logs), counts[:, 0], expected[:, 0], *loudest, tau, phi, baseline.releases, UP
        )
    due, quiet_due = expected * heard[:, None], quiet_expected * heard[:, None]
    if bad != UP:
        logs = blurred(log_likelihood(counts[:, 0], due[:, 0], tau, phi, baseline.releases, bad=bad), chances)
    quiet = quiet_counts[:, 0], quiet_due[:, 0]
    e_all = _alone(e_worse(logs), counts[:, 0], due[:, 0], *quiet, tau, phi, baseline.releases, bad)
    e_slices = np.zeros(len(ticks))
    if counts.shape[1] > 1:
        beyond = _beyond(quiet_counts[:, 1:], quiet_due[:, 1:], bad)
        e_each = np.zeros(beyond.shape)
        if beyond.any():
            of_slices = log_likelihood(
                quiet_counts[:, 1:][beyond],
                quiet_due[:, 1:][beyond],
                slice_tau[:, 1:][beyond],
                _SLICE_PHI * phi,
                baseline.releases,
                bad=bad,
            )
            e_each[beyond] = e_worse(blurred(of_slices, chances[np.nonzero(beyond)[0]]))
        e_slices = e_each.mean(axis=1)
    e_recent = _recent(baseline, life, around, now, odd, phi, by_tick, heard)
    undisturbed = np.sqrt(np.maximum(tau2 - odd.shock, 1e-6))
    calm_logs = log_likelihood(
        counts[:, 0], due[:, 0] / now.factor, undisturbed, phi, baseline.releases, bad=bad
    )
    return Looks(
        ticks=ticks,
        counts=counts,
        expected=expected,
        tau=slice_tau,
        evidence=_ALL * e_all + _RECENT * e_recent + _SLICES * e_slices,
        better=better,
        calm=_ALL * e_worse(calm_logs) + _RECENT * e_recent + _SLICES * e_slices,
        same=e_same(blurred_wide),
        # The ratio supposes that what others show is what moved this one; the interval does not.
        low=np.minimum(low, log_ratio),
        high=np.maximum(high, log_ratio),
        impaired=_lately(life.health.impaired)[ticks - 1],
        no_hours=_lately(life.came.gaps.no_hours)[ticks - 1],
        no_events=_lately(life.came.gaps.no_events | life.came.lost & ~life.health.lost)[ticks - 1]
        | _silent(life, now, expected[:, 0] / phi),
        settling=_settling(~life.came.kept)[ticks - 1],
        ground=around.ground[ticks - 1],
        hours=now.reported,
        life=now,
        odd=odd,
        chances=chances,
    )


def _lately(by_tick: Bools) -> Bools:
    """[ticks] true now or within the last hour."""
    return np.convolve(by_tick, np.ones(_HOUR + 1))[: len(by_tick)] > 0


def _settling(out: Bools) -> Bools:
    """[ticks] less time has passed since ticks were left out than the time they held (in four days; a day at most).

    Events of the first hours after a gap come before the hours in which they happened.
    """
    every = np.arange(1, len(out) + 1)
    sums = np.concatenate([[0], np.cumsum(out)])
    held = np.minimum(sums[every] - sums[np.maximum(every - 4 * _DAY, 0)], _DAY)
    last = np.maximum.accumulate(np.where(out, every, -_DAY))
    return every - last < held


def _silent(life: Life, now: Curves, bursts: Floats) -> Bools:
    """[looks] not one event came in a trailing window in which so many bursts were to be expected.

    bursts: [looks] expected of the whole life. From some 7 on no event at all would pass for an improvement.
    """
    sums = running(life.came.events * life.came.kept)
    silent = np.zeros(len(now.ticks), bool)
    for hours, share in zip(WINDOWS_HOURS, now.recent, strict=True):
        since = np.maximum(now.ticks - int(hours * TICKS_PER_HOUR), 0)
        enough = np.where((since == 0) | (hours >= _SILENT_HOURS), _SILENT_BURSTS, _SILENT_SHORT)
        silent |= (sums[now.ticks] - sums[since] <= 0) & (share * bursts >= enough)
    return silent


def _heard(
    e_values: Floats,
    counts: Floats,
    expected: Floats,
    life: Life,
    now: Curves,
    tau: Floats,
    chances: Floats,
    phi: float,
    releases: int,
) -> Floats:
    """[looks] e-values for fewer events, as something better, that hold without the longest silence too."""
    spoken = e_values >= THRESHOLD
    if not spoken.any():
        return e_values
    heard = 1 - _silence(life, now)
    logs = log_likelihood(counts[spoken], (expected * heard)[spoken], tau[spoken], phi, releases)
    out = e_values.copy()
    out[spoken] = np.minimum(out[spoken], e_better(blurred(logs, chances[spoken])))
    return out


def _silence(life: Life, now: Curves) -> Floats:
    """[looks] share of the hours that lies in the longest silence: events may have been lost in it."""
    hours = running(life.hours.sum(axis=1, dtype=np.float64))
    events = life.came.events * life.came.kept > 0
    at_event = np.maximum.accumulate(np.where(events, hours[1:], 0.0))
    longest: Floats = np.maximum.accumulate(hours[1:] - at_event)[now.ticks - 1]
    return longest / np.maximum(hours[now.ticks], 1e-9)


def _alone(
    e_values: Floats,
    counts: Floats,
    expected: Floats,
    quiet_counts: Floats,
    quiet_expected: Floats,
    tau: Floats,
    phi: float,
    releases: int,
    way: int,
) -> Floats:
    """[looks] e-values of the whole: where one stratum holds over half of the excess, at most those without it.

    Few clients carry most crashes; a regression of everyone is in more than one stratum. way: `UP` where e-values are
    for more events, `DOWN` for fewer, where the excess is what is missing.
    """
    excess = way * (counts - expected)
    alone = (excess > 0) & (way * (quiet_counts - quiet_expected) < _ALONE * excess)
    if not alone.any():
        return e_values
    logs = log_likelihood(quiet_counts[alone], quiet_expected[alone], tau[alone], phi, releases, bad=way)
    out = e_values.copy()
    out[alone] = np.minimum(out[alone], e_worse(logs))
    return out


def _beyond(counts: Floats, expected: Floats, bad: int) -> Bools:
    """Whether a ratio is beyond what is acceptable, in the direction that is bad."""
    return counts > expected * ACCEPTABLE if bad == UP else counts * ACCEPTABLE < expected


def _sliced(baseline: Baseline, now: Curves, by_stratum: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Counts and expectations [looks, slices]; and the same without each slice's loudest stratum.

    by_stratum: [looks, strata] what is to be expected, but for the slices' bias.
    """
    shape = (len(now.ticks), len(baseline.slices))
    counts, expected, quiet_counts, quiet_expected = (np.empty(shape) for _ in range(4))
    for v, part in enumerate(baseline.slices):
        o, m = now.counts[:, part.places], by_stratum[:, part.places] * baseline.bias[v]
        counts[:, v], expected[:, v] = o.sum(axis=1), m.sum(axis=1)
        quiet_counts[:, v], quiet_expected[:, v] = _without_loudest(o, m, baseline.bad)
    return counts, expected, quiet_counts, quiet_expected


def _without_loudest(counts: Floats, expected: Floats, way: int) -> tuple[Floats, Floats]:
    """[looks] sums over strata [looks, strata] but the one with most above (`UP`) or below (`DOWN`) what was expected.

    Of few strata all are taken.
    """
    o, m = counts.sum(axis=1), expected.sum(axis=1)
    if counts.shape[1] < _STRATA_FOR_LOUDEST:
        return o, m
    rows = np.arange(len(counts))
    loudest = (way * (counts - expected)).argmax(axis=1)
    return o - counts[rows, loudest], m - expected[rows, loudest]


def _recent(
    baseline: Baseline,
    life: Life,
    around: Environment,
    now: Curves,
    odd: Oddities,
    phi: float,
    by_tick: Floats | None,
    heard: Floats,
) -> Floats:
    """[looks] e-values of the last half of the life; 1 before a day of age and for windows that hold too little.

    heard: [looks] share of the hours of the whole life that evidence rests on; what is silent may lie in this half.
    """
    out = np.ones(len(now.ticks))
    old = now.ticks >= RECENT_TICKS
    if not old.any():
        return out
    ticks = now.ticks[old]
    half = curves(life, baseline.rates, baseline.history, around, ticks // 2, by_tick)
    ages = ticks / TICKS_PER_HOUR
    counts = now.counts[old].sum(axis=1) - half.counts.sum(axis=1)
    raw = np.maximum(now.raw[old] - half.raw, 0.0)
    expected = raw * baseline.bias[0] * at(ages, baseline.recent.growth)
    part = now.raw[old] / np.maximum(raw, 1e-12)
    (chances,) = unseen_shock(
        around, np.minimum(now.recent[:, old] * part, 1.0), ticks - 1, (1.0,), baseline.bad
    )
    usual = at(ages, baseline.recent_reported.mean(axis=0))
    enough = (expected >= _RECENT_FEWEST) & (now.reported[old] - half.reported >= _RECENT_SHARE * usual)
    # A shift of all versions is known for a whole life better than for a part of it.
    enough &= odd.shock[old] == 0
    if enough.any():
        tau = np.sqrt(at(ages, baseline.recent.tau) ** 2 + odd.variance[old])
        silent = (1 - heard[old]) * now.reported[old] / np.maximum(now.reported[old] - half.reported, 1e-9)
        due = expected * (1 - np.minimum(silent, 1.0))
        logs = log_likelihood(
            counts[enough], due[enough], tau[enough], phi, baseline.releases, bad=baseline.bad
        )
        spoken = np.ones(len(ticks))
        spoken[enough] = e_worse(blurred(logs, chances[enough]))
        out[old] = spoken
    return out
