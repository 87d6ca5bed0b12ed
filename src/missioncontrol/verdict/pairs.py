"""Two groups of users side by side: the ratio of their event rates, with intervals that hold at every look.

Pure functions of counts and hours in cells of time. The rates may change from cell to cell; what is compared is the
ratio r that they have in common. With y events in h hours of the group, x in g hours of the one it is compared with,
and q = h / (h + g) in each cell:

    r = sum y (1 - q) / sum x q          Mantel and Haenszel (1959) for person-time: Rothman and Boice (1979)
    u_b = sum over block b of y (1 - q) - r x q;   phi = sum u_b^2 / sum [y (1 - q)^2 + r^2 x q^2]

phi is how much more the difference scatters than single events would: a sandwich estimate (Liang and Zeger, Biometrika
73(1), 1986), from blocks of several lengths and from groups of users. Given Y = sum y (1 - q) / (1 - Q) and
X = sum x q / Q, Q the mean of q over events, the group's share of events is p(r) = Q r / (Q r + 1 - Q), and a ratio r
is inside of the interval with error a at a look as long as

    e(r) = mixture of Beta(sQ, s(1 - Q)) likelihoods at (Y, X) / phi  over the likelihood of p(r)  <  1 / a

By Ville's inequality a martingale that starts at 1 reaches 1 / a with probability a at most, at any look: Lindon and
Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022), after Robbins (1970). It is exact for single
events and a constant Q, and an approximation where phi is learned and Q moves; tests hold it against simulated groups.

Never reads anything, never decides what is said of a ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from scipy.special import betaln

from missioncontrol.verdict.tables import Floats

_SDS = np.array([0.1, 0.5, 1.2])
_WEIGHTS = np.array([0.3, 0.6, 0.1])
"""What log ratios the mixture expects: sds of normals in the logarithm, and their shares."""
PRIOR_DISPERSION = 4.0
"""Until it is known, one cause is taken to bring so many events."""
_PRIOR_BLOCKS = 10.0
_FEW_BLOCKS = 4.0
_TELLING_EVENTS = 20.0
_FARTHEST = 8.0
"""Log ratios are looked for up to here; beyond it an end of an interval is 0 or infinite."""
_HALVINGS = 30
LENGTHS = (1, 12, 36)
"""Of blocks of cells: with 5-minute cells an hour and three."""
_FACTORS = np.geomspace(1.0, 1000.0, 121)


class Looks(msgspec.Struct, frozen=True, eq=False):
    """What is known of a pair at its looks: [...] each."""

    events: Floats
    """Y: events of the group, weighted so that the ratio of Y to X is what the hours do not explain."""
    base: Floats
    """X: of the group it is compared with."""
    share: Floats
    """Q: what share of the events would be the group's if r were 1."""
    dispersion: Floats
    """phi, at least 1."""

    def at(self, place: Any) -> Looks:
        """The looks at an index of the arrays."""
        return Looks(
            *(np.asarray(one[place]) for one in (self.events, self.base, self.share, self.dispersion))
        )

    @property
    def log_ratio(self) -> Floats:
        """[...] log r; infinite where one group has no events, nan where neither has any."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(self.events / self.share) - np.log(self.base / (1 - self.share)))

    @property
    def variance(self) -> Floats:
        """[...] of log r by counting, bursts included; half an event is added on both sides."""
        return np.asarray(self.dispersion * (1 / (self.events + 0.5) + 1 / (self.base + 0.5)))


class _Scores(msgspec.Struct, frozen=True, eq=False):
    """What the ratio is made of, summed up to each look: [..., cells]."""

    a: Floats
    c: Floats
    weights: Floats
    share: Floats
    one: Floats
    """An event at r = 1, of both sides as their hours are."""
    sum_a: Floats
    sum_c: Floats
    ratio: Floats
    poisson: Floats

    def scatter(self, length: int) -> Floats:
        """[..., cells] sum of the squares of u over blocks of so many cells."""
        aa, ac, cc = (
            _in_blocks(first, second, length)
            for first, second in ((self.a, self.a), (self.a, self.c), (self.c, self.c))
        )
        return np.asarray(aa - 2 * self.ratio * ac + self.ratio**2 * cc)


def looks(
    events: Floats,
    hours: Floats,
    base_events: Floats,
    base_hours: Floats,
    lengths: Sequence[int] = LENGTHS,
    groups: tuple[Floats, Floats] | None = None,
    prior: Floats | float = PRIOR_DISPERSION,
    last: bool = False,
) -> Looks:
    """A look at the end of each cell, of what arrived by then.

    events, hours, base_events, base_hours: [..., cells], not negative. A cell that lacks hours of a side says nothing.
    lengths: of the blocks of cells that phi is learned from, ascending: events of one cause come within the longest.
    groups: [..., cells, groups] events of both sides in each group of users, summed up to each look. prior: [..., 1]
    what phi is taken to be before anything is known. last: only the newest look, [..., 1].
    """
    found = _scores(events, hours, base_events, base_hours)
    at = slice(-1, None) if last else slice(None)
    share, one, ratio, poisson, sum_a, sum_c = (
        part[..., at]
        for part in (found.share, found.one, found.ratio, found.poisson, found.sum_a, found.sum_c)
    )
    known = (np.cumsum(found.weights, axis=-1) ** 2)[..., at]
    phi = np.broadcast_to(prior, share.shape)
    most = np.ones(share.shape)
    for length in lengths:
        squares = _in_blocks(found.weights, found.weights, length)[..., at]
        phi = _shrunk(found.scatter(length)[..., at], poisson, known, squares, phi, prior)
        most = np.maximum(most, phi)
    if groups is not None:
        of_a, of_c = groups[0] * (1 - share)[..., None], groups[1] * share[..., None]
        scatter = ((of_a - ratio[..., None] * of_c) ** 2).sum(axis=-1)
        weights = of_a * (1 - share)[..., None] + of_c * share[..., None]
        phi = _shrunk(scatter, poisson, weights.sum(-1) ** 2, (weights**2).sum(-1), phi, prior)
        most = np.maximum(most, phi)
    y, x = sum_a / (1 - share), sum_c / share
    # Weights that differ from cell to cell make the sums scatter more than as many single events would.
    uneven = poisson / (sum_a + one) ** 2 / (1 / (y + share) + 1 / (x + 1 - share))
    return Looks(y, x, share, most * np.maximum(uneven, 1.0))


def dispersion_of(
    events: Floats, hours: Floats, base_events: Floats, base_hours: Floats, lengths: Sequence[int] = LENGTHS
) -> Floats:
    """[pairs + 1] phi that the first 0, 1, ... of [pairs, cells] show, at least 1: a prior for the next one.

    A median, so that one pair with a crash loop does not blur all that come after; of pairs with 20 events and more,
    and of the prior, which counts as three of them.
    """
    found = _scores(events, hours, base_events, base_hours)
    share = found.share[:, -1]
    enough = found.sum_a[:, -1] / (1 - share) + found.sum_c[:, -1] / share >= _TELLING_EVENTS
    most = np.ones(len(share) + 1)
    for length in lengths:
        blocks = -(-hours.shape[-1] // length)
        single = found.scatter(length)[:, -1] / found.poisson[:, -1] * blocks / max(blocks - 1, 1)
        for count in range(len(most)):
            told = single[:count][enough[:count]]
            most[count] = max(most[count], float(np.median([*(PRIOR_DISPERSION,) * 3, *told])))
    return most


def _scores(events: Floats, hours: Floats, base_events: Floats, base_hours: Floats) -> _Scores:
    total = hours + base_hours
    both = (hours > 0) & (base_hours > 0)
    q = np.divide(hours, total, out=np.zeros(total.shape), where=both)
    other = np.where(both, 1 - q, 0.0)
    a, c = events * other, base_events * q
    seen = np.where(both, events + base_events, 0.0)
    all_hours, own = (np.cumsum(np.where(both, one, 0.0), axis=-1) for one in (total, hours))
    by_hours = np.divide(own, all_hours, out=np.full(total.shape, 0.5), where=all_hours > 0)
    share = (np.cumsum(seen * q, axis=-1) + by_hours) / (np.cumsum(seen, axis=-1) + 1)
    sum_a, sum_c = np.cumsum(a, axis=-1), np.cumsum(c, axis=-1)
    one = share * (1 - share)
    ratio = (sum_a + one) / (sum_c + one)
    squares_a, squares_c = np.cumsum(a * other, axis=-1), np.cumsum(c * q, axis=-1)
    poisson = squares_a + one * (1 - share) + ratio**2 * (squares_c + one * share)
    return _Scores(a, c, a * other + c * q, share, one, sum_a, sum_c, ratio, poisson)


def _shrunk(
    scatter: Floats, poisson: Floats, total: Floats, squares: Floats, shorter: Floats, prior: Floats | float
) -> Floats:
    """phi of blocks; of few it is drawn to what shorter ones say and to the prior, and taken a little larger.

    How many blocks: Kish's number, so that one with most events counts for little more than one. The constants were
    chosen on simulated pairs, so that at most one in 20 misses at any look.
    """
    blocks = np.divide(total, squares, out=np.zeros(total.shape), where=squares > 0)
    found = scatter / poisson * blocks / np.maximum(blocks - 1, 1) * (1 + _FEW_BLOCKS / (blocks + 1))
    drawn = (prior + shorter) / 2
    return np.asarray((blocks * found + _PRIOR_BLOCKS * drawn) / (blocks + _PRIOR_BLOCKS))


def _in_blocks(one: Floats, other: Floats, length: int) -> Floats:
    """[..., cells] sum over the blocks so far of the product of their sums, the one that is still filling included."""
    if length == 1:
        return np.asarray(np.cumsum(one * other, axis=-1))
    cells = one.shape[-1]
    first, second = (_running(values, length) for values in (one, other))
    product = first * second
    whole = np.cumsum(product[..., -1], axis=-1) - product[..., -1]
    return np.asarray((whole[..., None] + product).reshape(*one.shape[:-1], -1)[..., :cells])


def _running(values: Floats, length: int) -> Floats:
    """[..., blocks, length] sums from the start of each block."""
    missing = -values.shape[-1] % length
    padded = np.concatenate([values, np.zeros((*values.shape[:-1], missing))], axis=-1)
    return np.asarray(np.cumsum(padded.reshape(*values.shape[:-1], -1, length), axis=-1))


def log_evidence(seen: Looks, log_ratio: Floats | float = 0.0, spread: Floats | float = 0.0) -> Floats:
    """[...] log e-value against a ratio; over log(1 / a) at any look with probability a at most if it is the true one.

    spread: sd of log r between pairs that do not differ, which no number of events takes away.
    """
    y, x = _told(seen, spread)
    return np.asarray(_mixture(y, x, seen.share) - _likelihood(y, x, seen.share, log_ratio))


def interval(seen: Looks, error: float = 0.05, spread: Floats | float = 0.0) -> tuple[Floats, Floats]:
    """[...] lowest and highest log ratio at each look; all of them hold the ratio at once with 1 - error.

    0 events on a side leave that end open: -inf, inf.
    """
    y, x = _told(seen, spread)
    limit = _mixture(y, x, seen.share) + np.log(error)
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.log(y / seen.share) - np.log(x / (1 - seen.share))
    best = np.clip(np.where(np.isnan(best), 0.0, best), -_FARTHEST, _FARTHEST)
    return _end(y, x, seen.share, limit, best, -1), _end(y, x, seen.share, limit, best, 1)


def _end(y: Floats, x: Floats, share: Floats, limit: Floats, best: Floats, side: int) -> Floats:
    """Where the likelihood falls to `limit` on a side of its highest point, by halving."""
    inner, outer = best, np.full(best.shape, side * _FARTHEST)
    open_ = _likelihood(y, x, share, outer) > limit
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        inside = _likelihood(y, x, share, middle) > limit
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return np.where(open_, side * np.inf, inner)


def _told(seen: Looks, spread: Floats | float) -> tuple[Floats, Floats]:
    """Y and X as numbers of events that would tell as much: log r has variance phi (1/Y + 1/X) + spread^2."""
    counting = 1 / (seen.events + 0.5) + 1 / (seen.base + 0.5)
    factor = seen.dispersion + np.square(spread) / counting
    return np.asarray(seen.events / factor), np.asarray(seen.base / factor)


def _likelihood(y: Floats, x: Floats, share: Floats, log_ratio: Floats | float) -> Floats:
    odds = np.log(share) - np.log1p(-share) + log_ratio
    return np.asarray(-y * np.logaddexp(0, -odds) - x * np.logaddexp(0, odds))


def _mixture(y: Floats, x: Floats, share: Floats) -> Floats:
    size = 1 / (_SDS**2 * (share * (1 - share))[..., None])
    a, b = size * share[..., None], size * (1 - share)[..., None]
    parts = betaln(a + y[..., None], b + x[..., None]) - betaln(a, b)
    return np.asarray(np.logaddexp.reduce(parts + np.log(_WEIGHTS), axis=-1))


def factor_needed(seen: Looks, log_ratio: float, evidence: float, spread: Floats | float = 0.0) -> Floats:
    """[...] how many times the events and hours it takes to tell a ratio from 1 with this e-value; inf: over 1,000.

    Events are taken to come as up to now, the group's `exp(log_ratio)` times as often.
    """
    share = seen.share[..., None]
    p = share * np.exp(log_ratio) / (share * np.exp(log_ratio) + 1 - share)
    n = np.maximum(seen.events + seen.base, 1.0)[..., None] * _FACTORS
    then = Looks(n * p, n * (1 - p), np.broadcast_to(share, n.shape), seen.dispersion[..., None])
    enough = log_evidence(then, 0.0, np.asarray(spread)[..., None]) >= np.log(evidence)
    return np.where(enough.any(axis=-1), _FACTORS[enough.argmax(axis=-1)], np.inf)


def rate_interval(
    events: Floats, hours: Floats, dispersion: Floats | float, error: float = 0.05
) -> tuple[Floats, Floats]:
    """[...] lowest and highest rate per hour of one group alone, at every look at once; nan without hours.

    Normal mixture of the log rate with sd 1 (Robbins 1970); of no event at all the exponential bound log(5 / error).
    """
    information = np.maximum(events, 0.5) / dispersion
    wide = np.sqrt((information + 1) * np.log((information + 1) / error**2)) / information
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(hours > 0, events / hours, np.nan)
        none = np.where(hours > 0, np.log(5 / error) * dispersion / hours, np.nan)
    return np.asarray(rate * np.exp(-wide)), np.where(events > 0, rate * np.exp(wide), none)
