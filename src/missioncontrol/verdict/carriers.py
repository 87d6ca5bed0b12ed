"""Which crash signatures carry a release's excess: how surprising each one's count is, and those that are named.

A signature is expected as often per expected event as its predecessors had it at the same age. How far it differs from
release to release without any change is learned, own and pooled over signatures; given that, counts are gamma-Poisson,
their spread a Student t in five steps, as the whole's (`evidence`). Every release brings signatures that none before
had, so one that is new, or as rare, is measured by the usual size of those.

Named is what the procedure of Benjamini and Hochberg (Journal of the Royal Statistical Society B 57(1), 1995) rejects
at 5 %: on a release without any change some signature is named in at most 5 % of cases, and of those that are named at
most 5 % are expected to be there by chance. Signatures of which more is expected have more weight in it (Genovese,
Roeder, Wasserman, Biometrika 93(3), 2006): an excess is looked for where it would matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from missioncontrol.verdict.evidence import SCALES, interval, log_likelihood, scales
from missioncontrol.verdict.spread import excess_squares
from missioncontrol.verdict.tables import Bools, Floats

CHANCE = 0.05
_LEAST = 1.0
"""Of reports to be expected: signatures with fewer are measured by what appears anew."""
_PRIOR, _PRIOR_RELEASES = 0.3, 4.0
_TINY = 1e-12


@dataclass(frozen=True)
class Counts:
    """Weighted crashes and kept reports by signature.

    crashes, reports: [signatures] of the release; before_crashes, before_reports: [predecessors, signatures], oldest
    first; events: what the measure expects of the release; before_events: [predecessors] the same, all above 0.
    """

    crashes: Floats
    reports: Floats
    before_crashes: Floats
    before_reports: Floats
    events: float
    before_events: Floats


@dataclass(frozen=True)
class Carriers:
    """By signature [signatures]: crashes to be expected, probability of as many, 95 % interval of the ratio.

    low, high: factors that hold at every look, nan where nothing is expected; named: those that
    carry the excess; looked_at: how many signatures could have been named.
    """

    expected: Floats
    chance: Floats
    low: Floats
    high: Floats
    named: Bools
    looked_at: int


def carriers(counts: Counts, phi: float) -> Carriers:
    """The signatures of a release with at least one predecessor. phi: dispersion of the measure's counts."""
    total = counts.before_crashes.sum(axis=0)
    expected = counts.events * total / counts.before_events.sum()
    weight = _weights(counts.crashes, counts.reports)
    seen, due = counts.crashes / weight, expected / weight
    releases, tau = len(counts.before_events), _spread(counts, phi)
    known = due >= _LEAST
    looked_at = known | (seen > 0)
    tried = int(looked_at.sum())
    above = (seen > due) & (seen > 0)
    had = due > 0
    size, variation = _appearing(counts)
    chance = np.ones(len(seen))
    # Given that it appeared: others that could have did not.
    usual, spread = np.array([size]), np.array([variation])
    appeared = _tail(np.ones(1), usual, spread, phi, releases)
    chance[above] = np.minimum(_tail(seen[above], usual, spread, phi, releases) / appeared, 1.0)
    common = above & known
    chance[common] = np.maximum(chance[common], _tail(seen[common], due[common], tau[common], phi, releases))
    low, high = np.full(len(seen), np.nan), np.full(len(seen), np.nan)
    if had.any():
        ends = interval(log_likelihood(seen[had], due[had], tau[had], phi, releases))
        low[had], high[had] = (np.exp(end) for end in ends)
    return Carriers(expected, chance, low, high, _rejected(chance / _worth(due, looked_at), tried), tried)


def _tail(seen: Floats, due: Floats, tau: Floats, phi: float, releases: int) -> Floats:
    """[n] probability of at least `seen` where `due` are expected; counts are divided by phi (a burst counts once)."""
    kappa = 1 / scales(tau, releases) ** 2
    events = (due / phi)[:, None]
    tails = betainc((seen / phi)[:, None], kappa, events / (events + kappa))
    out: Floats = tails @ SCALES
    return out


def _worth(due: Floats, looked_at: Bools) -> Floats:
    """[signatures] weights of mean 1 of those that are looked at: half evenly, half by the root of what is expected."""
    roots = np.sqrt(np.maximum(due, _LEAST))
    worth: Floats = 0.5 + 0.5 * roots / (roots[looked_at].mean() if looked_at.any() else 1.0)
    return worth


def _rejected(chance: Floats, hypotheses: int) -> Bools:
    """Benjamini-Hochberg: the k smallest, for the largest k of which each is at most CHANCE k / hypotheses."""
    order = np.argsort(chance, kind="stable")
    ranks = np.arange(1, len(order) + 1)
    enough = np.flatnonzero(chance[order] * max(hypotheses, 1) <= CHANCE * ranks)
    named = np.zeros(len(chance), bool)
    if len(enough):
        named[order[: enough[-1] + 1]] = True
    return named


def _weights(crashes: Floats, reports: Floats) -> Floats:
    """[..., signatures] crashes that a report stands for; where a signature has none, as all of the release do."""
    whole = crashes.sum(axis=-1, keepdims=True) / np.maximum(reports.sum(axis=-1, keepdims=True), _TINY)
    of_all = np.where(whole > 0, whole, 1.0)
    return np.where(reports > 0, crashes / np.maximum(reports, _TINY), np.broadcast_to(of_all, reports.shape))


def _spread(counts: Counts, phi: float) -> Floats:
    """[signatures] tau: the predicted sd of the logarithm of the next release's ratio, what is not known included."""
    crashes, events = counts.before_crashes, counts.before_events
    releases, total = len(events), crashes.sum(axis=0)
    weights = _weights(crashes, counts.before_reports)
    seen, due = crashes / weights, events[:, None] * (total / events.sum()) / weights
    precision = 1 / (_PRIOR**2 + phi / np.maximum(due, 1e-9)) ** 2
    trusted = (releases - 1) / releases * _PRIOR**4 * precision
    # The mean was taken from the same counts.
    squares = excess_squares(seen, due, phi) * releases / max(releases - 1, 1)
    pooled = _drawn(_PRIOR**2, np.maximum((trusted * squares).sum(), 0.0), trusted.sum())
    own = _drawn(pooled, np.maximum((trusted * squares).sum(axis=0), 0.0), trusted.sum(axis=0))
    effective = total**2 / np.maximum((weights * crashes).sum(axis=0), _TINY)
    tau: Floats = np.sqrt(own * (1 + 1 / releases) + phi / np.maximum(effective, 0.5))
    return tau


def _drawn(prior: Floats | float, squares: Floats, trusted: Floats) -> Floats:
    """A mean of squares, drawn to a prior that stands for 4 releases."""
    mean: Floats = (_PRIOR_RELEASES * prior + squares) / (_PRIOR_RELEASES + trusted)
    return mean


def _appearing(counts: Counts) -> tuple[float, float]:
    """How many reports a signature usually has that no earlier release had, and the sd of that over the mean.

    From the younger half of the predecessors, each against all before it; the prior is one such signature of one
    report. Sizes are at least as variable as exponential ones.
    """
    crashes, events = counts.before_crashes, counts.before_events
    weight = float(counts.crashes.sum() / counts.reports.sum()) if counts.reports.any() else 1.0
    sizes = [np.ones(1)]
    for place in range(-(-len(events) // 2), len(events)):
        new = (crashes[place] > 0) & (crashes[:place].sum(axis=0) == 0)
        sizes.append(np.maximum(crashes[place, new] * counts.events / events[place] / weight, 1.0))
    each = np.concatenate(sizes)
    mean = float(each.mean())
    variation = max(float((each**2).mean()) / mean**2 - 1, 1.0)
    return mean, float(np.sqrt(variation * (1 + 1 / len(each))))
