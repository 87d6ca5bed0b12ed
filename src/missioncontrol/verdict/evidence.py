"""Evidence that a release differs: e-values of a mixture against a null, and intervals that hold at every look.

Counts given their expectation are gamma-Poisson: the release's harmless difference is a gamma variable whose spread is
a Student t in five steps, because tau is itself learned from few releases. Mixture e-values after Robbins (1970) and
Howard, Ramdas, McAuliffe, Sekhon (Annals of Statistics 49(2), 2021); universal inference over the composite null after
Wasserman, Ramdas, Balakrishnan (PNAS 117(29), 2020).
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri, gammaln

from missioncontrol.verdict.tables import UP, Floats

# Logarithms of ratios in the direction that is bad: of a measure that is bad when it falls 0.69 is a half.
THETAS = np.round(np.arange(-1.2, 2.4001, 0.05), 10)
SHIFTS = np.round(np.arange(-0.6, 1.2001, 0.05), 10)
_STEPS = np.rint(SHIFTS / (THETAS[1] - THETAS[0])).astype(np.int64)
# [shifts, thetas] where in the grid a shifted theta lies.
_SHIFTED = np.clip(np.arange(len(THETAS))[None, :] + _STEPS[:, None], 0, len(THETAS) - 1)
THRESHOLD = 100.0
# What counts as a regression begins here; the null ends at 1, and between them neither side gains.
ACCEPTABLE = 1.05
INTERVAL_RATIO = 50.0
SAME_THRESHOLD = 20.0
"""One release in 20 whose ratio is 1.2 or more, or 1 / 1.2 or less, may ever be called the same."""
_LIMIT, _SAME_SD = float(np.log(1.2)), 0.05
SCALES = np.array([0.30, 0.35, 0.20, 0.10, 0.05])
_EXTRA_DEGREES = 3
_TINY = 1e-12
_ROWS_AT_ONCE = 64


def scales(tau: Floats, releases: int) -> Floats:
    """[..., 5] sds whose mixture with weights .30, .35, .20, .10, .05 is a t of releases + 3 degrees and scale tau."""
    degrees = releases + _EXTRA_DEGREES
    middles = np.cumsum(SCALES) - SCALES / 2
    factors: Floats = np.sqrt(degrees / chdtri(degrees, middles))
    return tau[..., None] * factors


def log_likelihood(
    counts: Floats,
    expected: Floats,
    tau: Floats,
    phi: float,
    releases: int,
    noise: Floats | None = None,
    bad: int = UP,
) -> Floats:
    """[n, thetas] log likelihood of the log ratio `bad` * theta, up to a constant of each row.

    counts, expected, tau: [n]; counts and expectations are divided by phi (a burst counts once).
    noise: [n] variance of the logarithm of `expected`, where that was itself counted; bad: `UP` or `DOWN`.
    """
    o, m = counts / phi, np.maximum(expected, _TINY) / phi
    thetas = bad * THETAS
    rates = np.exp(thetas)[None, :] * m[:, None]
    squares = scales(tau, releases) ** 2
    kappa = 1 / (squares if noise is None else squares + noise[:, None])
    parts = np.empty((len(SCALES), *rates.shape))
    for i, weight in enumerate(SCALES):
        k = kappa[:, i]
        head = np.log(weight) + gammaln(k + o) - gammaln(k) + k * np.log(k) + o * np.log(m)
        parts[i] = head[:, None] + o[:, None] * thetas - (k + o)[:, None] * np.log(k[:, None] + rates)
    top = parts.max(axis=0)
    return top + np.log(np.exp(parts - top).sum(axis=0))


def blurred(logs: Floats, chances: Floats) -> Floats:
    """[n, thetas] log likelihood when events may be moved by e^(bad * shift) with `chances` [n, SHIFTS].

    Beyond the grid its last value goes on.
    """
    spread = np.flatnonzero((chances > 0).sum(axis=1) > 1)
    out = logs.copy()
    if not len(spread):
        return out
    part, top = logs[spread], logs[spread].max(axis=1, keepdims=True)
    likelihood = np.exp(part - top)
    total = np.empty_like(likelihood)
    for start in range(0, len(spread), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        shifted = likelihood[rows][:, _SHIFTED]
        total[rows] = np.einsum("ns,nst->nt", chances[spread[rows]], shifted)
    out[spread] = np.log(np.maximum(total, 1e-300)) + top
    return out


def _half_normals(edge: float) -> Floats:
    """Prior of the alternative: half-normals above 1.05 (sd 0.5; 15 % sd 1.2)."""
    above = THETAS - edge
    density = 0.85 * np.exp(-0.5 * (above / 0.5) ** 2) / 0.5 + 0.15 * np.exp(-0.5 * (above / 1.2) ** 2) / 1.2
    density[above <= 1e-9] = 0
    return density / density.sum()


def _normals() -> Floats:
    density = 0.9 * np.exp(-0.5 * (THETAS / 0.5) ** 2) / 0.5 + 0.1 * np.exp(-0.5 * (THETAS / 1.2) ** 2) / 1.2
    return density / density.sum()


_EDGE = float(np.log(ACCEPTABLE))
_WORSE = _half_normals(_EDGE)
_NULL_WORSE = THETAS <= 1e-9
_NULL_BETTER = THETAS >= -1e-9
_BETTER_PRIOR = np.interp(-THETAS, THETAS, _WORSE, left=0.0, right=0.0)
_BETTER = _BETTER_PRIOR / _BETTER_PRIOR.sum()
_ANY = _normals()
_ABOVE, _ABOVE_MIRRORED = THETAS, -THETAS[::-1]


def e_worse(logs: Floats) -> Floats:
    """[n] e-values against "not worse than was to be expected", harmless luck included."""
    return _e(logs, _WORSE, _NULL_WORSE)


def e_better(logs: Floats) -> Floats:
    """[n] e-values against "not better than was to be expected", harmless luck included."""
    return _e(logs, _BETTER, _NULL_BETTER)


def e_same(logs: Floats) -> Floats:
    """[n] e-values against "at least 1.2 times as many, or at most 1 / 1.2 times", the lesser of the two sides.

    Two one-sided tests (Schuirmann 1987) by e-values: the union of both nulls is refuted when each is.
    """
    return np.minimum(_e_within(logs, _ABOVE), _e_within(logs[:, ::-1], _ABOVE_MIRRORED))


def _e_within(logs: Floats, grid: Floats) -> Floats:
    """[n] e-values against "above the limit": `grid` are the thetas of `logs`, ascending from the near side."""
    beyond = grid > _LIMIT
    first = int(beyond.argmax())
    at_limit = logs[:, first - 1 : first + 2] @ _quadratic(grid[first - 1 : first + 2], _LIMIT)
    at_null = np.maximum(logs[:, beyond].max(axis=1), at_limit)
    within = np.abs(grid) < _LIMIT
    prior = np.exp(-0.5 * (grid[within] / _SAME_SD) ** 2)
    with np.errstate(over="ignore"):
        return (prior / prior.sum() * np.exp(logs[:, within] - at_null[:, None])).sum(axis=1)


def _quadratic(points: Floats, place: float) -> Floats:
    """[3] weights of the parabola through three points, at a place."""
    return np.array(
        [
            np.prod([(place - other) / (point - other) for other in points if other != point])
            for point in points
        ]
    )


def _e(logs: Floats, prior: Floats, null: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    at_null = logs[:, null].max(axis=1)
    with np.errstate(over="ignore"):
        return (prior * np.exp(logs - at_null[:, None])).sum(axis=1)


def interval(logs: Floats, bad: int = UP) -> tuple[Floats, Floats]:
    """[n] lowest and highest log ratio whose mixture likelihood ratio is below 50 (linear between grid points)."""
    top = logs.max(axis=1, keepdims=True)
    mixture = top[:, 0] + np.log((_ANY * np.exp(logs - top)).sum(axis=1))
    distance = mixture[:, None] - logs - np.log(INTERVAL_RATIO)
    inside = distance < 0
    low, high = np.empty(len(logs)), np.empty(len(logs))
    for row in range(len(logs)):
        places = np.flatnonzero(inside[row])
        if not len(places):
            low[row] = high[row] = THETAS[int(logs[row].argmax())]
            continue
        low[row] = _crossing(distance[row], places[0], -1)
        high[row] = _crossing(distance[row], places[-1], 1)
    return (low, high) if bad == UP else (-high, -low)


def _crossing(distance: Floats, place: int, step: int) -> float:
    beyond = place + step
    if not 0 <= beyond < len(THETAS):
        return float(THETAS[place])
    part = distance[place] / (distance[place] - distance[beyond])
    return float(THETAS[place] + part * (THETAS[beyond] - THETAS[place]))
