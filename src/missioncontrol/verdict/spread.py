"""How far harmless releases differ: the dispersion of counts, and tau, a prediction for the next release.

phi is Pearson's statistic over its degrees of freedom (McCullagh and Nelder, Generalized Linear Models, 1989). tau^2 is
a moment estimator of a variance between releases, as that of DerSimonian and Laird (Controlled Clinical Trials 7,
1986), with the inverse variance of a squared normal as weight; drawn to its prior by degrees of freedom, as the scale
of a normal with a scaled inverse chi squared prior (Gelman and others, Bayesian Data Analysis, 2013, 2.6); and widened
by 1 + 1/n to what a next one may be. `reliability` is the squared share of the prior's variance in prior and counting
noise together. Priors, floors and limits are ours, chosen on the tuning seeds of the evaluation
(docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

import numpy as np

from missioncontrol.verdict.grid import KNOT_HOURS, smooth
from missioncontrol.verdict.tables import Floats

_CELL_LOW, _CELL_HIGH = 0.25, 20.0
_PHI_LOW, _PHI_HIGH = 1.0, 8.0
_DENSE = 25.0
_PRIOR_RELEASES = 4.0
_YOUNG_HOURS, _FLOOR_YOUNG, _FLOOR = 36.0, 0.05, 0.04
_FLOOR_SLICE = 0.03
_LATER = 0.8
_LUCK, _LUCK_HOURS = 0.25, 12.0
_OWN_SHARE = 0.6


def dispersion(cells: list[tuple[Floats, Floats]], before: float) -> float:
    """phi, the variance of counts over their mean, of crash bursts.

    cells: for each predecessor counts and expectations [hours of age 6 to 48, strata]. Expectations are rescaled so
    that every total matches what was seen: that takes out the noise of releases, which belongs to tau.
    Pearson statistic over cells that expect 0.25 to 20. `before` when there are none.
    """
    squares, degrees = 0.0, 0.0
    for counts, expected in cells:
        totals = expected.sum(axis=1, keepdims=True)
        matched = expected * np.divide(
            counts.sum(axis=1, keepdims=True), totals, out=np.zeros_like(totals), where=totals > 0
        )
        used = (matched > _CELL_LOW) & (matched < _CELL_HIGH)
        share = np.divide(matched, matched.sum(axis=1, keepdims=True), out=np.zeros_like(matched), where=used)
        squares += float(((counts - matched)[used] ** 2 / matched[used]).sum())
        degrees += float((1 - share[used]).sum())
    if degrees < 1:
        return before
    return float(np.clip(squares / degrees, _PHI_LOW, _PHI_HIGH))


def settled_prior(ages: Floats) -> Floats:
    """Prior sd of a release's level at `ages` (hours): 0.055, and 0.25 more at birth that fades in 4 h."""
    return np.sqrt(0.055**2 + (0.25 * np.exp(-ages / 4)) ** 2)


def excess_squares(counts: Floats, expected: Floats, phi: float) -> Floats:
    """Unbiased squares of the log ratio beyond counting noise; linearised where counts are sparse."""
    logs = np.log((counts + 0.5) / (expected + 0.5)) ** 2 - phi / (counts + 1)
    sparse = ((counts - expected) ** 2 - phi * expected) / np.maximum(expected, 0.3) ** 2
    return np.where(expected > _DENSE, logs, sparse)


def release_spread(
    counts: Floats, expected: Floats, known: Floats, phi: float, prior: Floats, floor: Floats | None = None
) -> Floats:
    """tau [knots]: the predicted sd of the next release's log ratio around its predecessors'.

    counts, expected, known: [predecessors, knots] cumulative events, their expectation (all corrections in it), and 1
    where the predecessor had that age; prior: [knots]. The prior stands for 4 releases. A quarter more at birth, fading
    with 12 h.
    """
    mean_square, reliability, releases = _measured(counts, expected, known, phi, prior)
    weight = (releases - 1) * reliability
    tau2 = (_PRIOR_RELEASES * prior**2 + weight * mean_square) / (_PRIOR_RELEASES + weight)
    tau = np.sqrt(tau2 * (1 + 1 / releases) * releases / np.maximum(releases - 1, 1))
    least = np.where(KNOT_HOURS < _YOUNG_HOURS, _FLOOR_YOUNG, _FLOOR) if floor is None else floor
    tau = np.maximum(tau, least)
    later = np.maximum.accumulate(tau[::-1])[::-1]
    # Who comes first is luck with a longer tail than a dozen predecessors show.
    return np.maximum(tau, _LATER * later) * (1 + _LUCK * np.exp(-KNOT_HOURS / _LUCK_HOURS))


def slice_spread(counts: Floats, expected: Floats, known: Floats, phi: float) -> Floats:
    """tau_s [knots, slices]: sd of a slice's log ratio against its own release's.

    counts, expected: [predecessors, knots, slices], expectations rescaled to each release's total. Own spread and that
    of all slices together are mixed by how much the own one can be relied on.
    """
    slices = counts.shape[2]
    prior = np.full(len(KNOT_HOURS), _FLOOR_SLICE * 1.5)
    own = np.empty((len(KNOT_HOURS), slices))
    trust = np.empty_like(own)
    for v in range(slices):
        own[:, v], trust[:, v], _ = _measured(counts[:, :, v], expected[:, :, v], known, phi, prior)
    total = np.maximum(trust.sum(axis=1), 1e-12)
    pooled = (own * trust).sum(axis=1) / total
    mixed = _OWN_SHARE * trust * own + (1 - _OWN_SHARE * trust) * pooled[:, None]
    return np.sqrt(np.maximum(mixed, _FLOOR_SLICE**2))


def _measured(
    counts: Floats, expected: Floats, known: Floats, phi: float, prior: Floats
) -> tuple[Floats, Floats, Floats]:
    releases = np.maximum(known.sum(axis=0), 1.0)
    squares = (excess_squares(counts, expected, phi) * known).sum(axis=0) / releases
    mean = (expected * known).sum(axis=0) / releases
    precision = 1 / (prior**2 + phi / np.maximum(mean, 1e-9)) ** 2
    return np.maximum(smooth(squares, precision), 0.0), prior**4 * precision, releases
