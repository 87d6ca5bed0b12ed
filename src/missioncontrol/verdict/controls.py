"""Other versions as control: each against its own level, while its users leave it.

Levels are means of a gamma-Poisson with pseudo-events, curves kernel means (Nadaraya, Theory of Probability and its
Applications 9(1), 1964; Watson, Sankhya A 26(4), 1964), spreads as in `spread`. That a version is read by how far it is
left, the profile by hour of the day, and all numbers are ours, chosen on the tuning seeds of the evaluation
(docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from missioncontrol.verdict.arrived import Arrived
from missioncontrol.verdict.environment import LONGEST_TICKS, Environment, Seen, environment
from missioncontrol.verdict.grid import KNOT_HOURS, KNOTS, at, smooth
from missioncontrol.verdict.lives import Life
from missioncontrol.verdict.spread import excess_squares
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Bools, Floats, Ints, running

SETTLED_TICKS = 48 * TICKS_PER_HOUR
_DAY_TICKS, _WEEK_TICKS = 24 * TICKS_PER_HOUR, 7 * 24 * TICKS_PER_HOUR
_PROFILE_PSEUDO = 20.0
_LEVEL_WIDTH, _LEVEL_PSEUDO = 0.12, 1.0
_ODD_AGES, _ODD_HELD = float(np.log(2.0)), 0.25
_ALL_BUT_LEFT = float(np.log(0.1))
_SPREAD_PRIOR, _SPREAD_PRIOR_RELEASES, _SPREAD_UNKNOWN = 0.04, 4.0, 0.2


@dataclass(frozen=True)
class Control:
    """Another version as control: by tick from its publication, what came of it and what rates let expect of it.

    usual: expected events of a day before it was succeeded.
    """

    published: int
    came: Arrived
    expected: Floats
    usual: float

    def between(self, start: int, end: int) -> tuple[Floats, Floats]:
        """Counts and expectations of ticks start to end that say something; 0 where nothing is known."""
        kept = self._between(self.came.kept, start, end)
        return (
            self._between(self.came.events, start, end) * kept,
            self._between(self.expected, start, end) * kept,
        )

    def seen(self, start: int, end: int) -> Seen:
        """As `between()`, and what was known only later to say nothing."""
        counts, expected = self.between(start, end)
        revoked = self._between(self.came.gaps.revoked, start, end) > 0
        return Seen(counts, expected, revoked)

    def used(self, start: int, end: int) -> Floats:
        """What rates let expect of ticks start to end, nothing left out."""
        return self._between(self.expected, start, end)

    def silent(self, start: int, end: int) -> Bools:
        """[ticks start to end] its events did not arrive."""
        return self._between(self.came.gaps.no_events, start, end) > 0

    def _between(self, by_tick: Floats | Bools, start: int, end: int) -> Floats:
        out = np.zeros(end - start)
        low = max(start, self.published)
        high = min(end, self.published + len(by_tick))
        if low < high:
            out[low - start : high - start] = by_tick[low - self.published : high - self.published]
        return out


def silent_elsewhere(others: Sequence[Control], published: int, ticks: int) -> Bools:
    """[ticks] of a life published at tick `published`: events of another version did not arrive, so none did."""
    silent = np.zeros(ticks, bool)
    for other in others:
        silent |= other.silent(published, published + ticks)
    return silent


@dataclass(frozen=True)
class Standard:
    """A version's own level: `factor` of what rates let expect, `profile` [24] by hour of the day.

    usual: expected events of a day before it was succeeded.
    """

    factor: float
    profile: Floats
    usual: float = 0.0

    def of(self, expected: Floats, first: int) -> Floats:
        """What is to be expected at ticks from `first` on of a version whose rates let expect `expected`."""
        hour = (first + np.arange(len(expected))) // TICKS_PER_HOUR % 24
        return expected * self.factor * self.profile[hour]


def standard(life: Life, rates: Floats, successor: int) -> Standard:
    """A version's level from 48 h of age on to the successor's publication (tick).

    It has a profile by hour of the day: crashes arrive while sessions run, hours when they end.
    """
    settled = slice(SETTLED_TICKS, max(successor - life.published, SETTLED_TICKS))
    counts = life.counts[settled].sum(axis=1)
    expected = (life.hours[settled] * rates).sum(axis=1)
    factor = float((counts.sum() + 1.0) / (expected.sum() + 1.0))
    hour = (life.published + np.arange(life.ticks)[settled]) // TICKS_PER_HOUR % 24
    seen = np.bincount(hour, counts, 24)
    wanted = np.bincount(hour, expected * factor, 24)
    own = Standard(factor, (seen + _PROFILE_PSEUDO) / (wanted + _PROFILE_PSEUDO))
    week = own.of(expected, life.published + settled.start)[-_WEEK_TICKS:]
    return replace(own, usual=float(week.mean()) * _DAY_TICKS if len(week) else 0.0)


def control(life: Life, rates: Floats, successor: int) -> Control:
    """A version measured by its own level, see `standard()`."""
    return as_control(standard(life, rates, successor), life, rates)


def as_control(own: Standard, life: Life, rates: Floats) -> Control:
    """A version as control by its `own` level; what is to be expected is of all hours that came, nothing left out."""
    hours = life.hours
    if not life.came.kept.all():
        hours = life.release.hours[: life.ticks] * life.health.weights[:, None].astype(hours.dtype)
    expected = own.of((hours * rates).sum(axis=1), life.published)
    return Control(life.published, life.came, expected, own.usual)


@dataclass(frozen=True)
class Leaving:
    """How a version's rate changes while its users leave, at the age [knots] at which that usually is so.

    level: go(a), factor of its own settled level; spread: sd of its logarithm from release to release; held: log of
    the last day's use over that of a usual day, falling: it tells how far a version is left.
    """

    level: Floats
    spread: Floats
    held: Floats

    def usual_age(self, held: Floats) -> Floats:
        """Hours after which versions are usually left as far as one with `held`."""
        return np.exp(np.interp(-held, -self.held, np.log(KNOT_HOURS)))


def leaving(pairs: list[tuple[Control, int]], phi: float) -> Leaving:
    """Learn from pairs of a control and the tick of its successor's publication."""
    ones = np.ones(len(KNOTS))
    if not pairs:
        return Leaving(ones, _SPREAD_UNKNOWN * ones, -np.log(1 + KNOT_HOURS))
    edges = np.concatenate([[0], KNOTS])
    counts, expected = np.zeros((len(pairs), len(KNOTS))), np.zeros((len(pairs), len(KNOTS)))
    for row, (each, successor) in enumerate(pairs):
        known = max(0, min(int(KNOTS[-1]), each.published + len(each.expected) - successor))
        ends = np.minimum(edges, known)
        for table, part in zip((counts, expected), each.between(successor, successor + known), strict=True):
            table[row] = np.diff(running(part)[ends])
    held = np.stack([_held(each, successor, KNOTS) for each, successor in pairs])
    falling = np.minimum.accumulate(held.mean(axis=0)) - np.arange(len(KNOTS)) * 1e-9
    usual = Leaving(ones, ones, falling)
    places = np.log(usual.usual_age(held))
    apart = (np.log(KNOT_HOURS)[:, None, None] - places[None, :, :]) ** 2
    near = np.exp(-0.5 * apart / _LEVEL_WIDTH**2)
    seen, wanted = (near * counts).sum(axis=(1, 2)), (near * expected).sum(axis=(1, 2))
    level = (seen + _LEVEL_PSEUDO) / (wanted + _LEVEL_PSEUDO)
    wanted = expected * np.interp(places, np.log(KNOT_HOURS), level)
    squares = excess_squares(counts, wanted, phi)
    precision = 1 / (_SPREAD_PRIOR**2 + phi / np.maximum(wanted, 1e-9)) ** 2 * (expected > 0)
    total = precision.sum(axis=0)
    mean = smooth((squares * precision).sum(axis=0) / np.maximum(total, 1e-12), total)
    sure = smooth(total, ones) * _SPREAD_PRIOR**4
    spread2 = (_SPREAD_PRIOR_RELEASES * _SPREAD_PRIOR**2 + sure * np.maximum(mean, 0)) / (
        _SPREAD_PRIOR_RELEASES + sure
    )
    return Leaving(level, np.sqrt(spread2 * (1 + 1 / len(pairs))), falling)


def _held(each: Control, successor: int, ticks: Ints) -> Floats:
    """[ticks] log of a version's use of the last day over that of a usual day, at ages `ticks` of its successor."""
    expected = each.used(successor - _DAY_TICKS, successor + int(ticks[-1]))
    sums = running(expected)
    day = sums[ticks + _DAY_TICKS] - sums[ticks]
    return np.log((day + 1e-9) / (each.usual + 1e-9))


def surroundings(
    others: list[Control], published: int, ticks: int, gone: Leaving, phi: float, since: int = 0
) -> Environment:
    """The environment over a life of `ticks` from `published` on, against versions that are being left.

    One that is left much faster or slower than those before it says nothing, since how its rate changes is not known;
    nor does one that has a tenth of its use left. since: the tick of the life with which the answer begins.
    """
    start, end = published + since - LONGEST_TICKS, published + max(ticks, since)
    wanted = max(ticks - since, 0)
    every = np.arange(max(since - LONGEST_TICKS, 0) + 1, since + wanted + 1)
    ages = every / TICKS_PER_HOUR
    lived = slice(LONGEST_TICKS + wanted - len(every), None)
    seen = []
    for other in others if wanted else []:
        found = other.seen(start, end)
        held = _held(other, published, every)
        usual_ages = gone.usual_age(held)
        odd = np.abs(np.log(usual_ages / ages)) > _ODD_AGES
        odd &= np.abs(held - at(ages, gone.held)) > _ODD_HELD
        odd |= held < _ALL_BUT_LEFT
        found.counts[lived][odd] = 0.0
        found.expected[lived] *= np.where(odd, 0.0, at(usual_ages, gone.level))
        seen.append(found)
    return environment(seen, phi, at(ages[len(ages) - wanted :], gone.spread))
