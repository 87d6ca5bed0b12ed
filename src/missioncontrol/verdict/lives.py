"""A release's life as the method sees it: weighted hours, expected events, and what moved all versions meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from missioncontrol.verdict.environment import (
    LONGEST_TICKS,
    WINDOWS_HOURS,
    Environment,
    environment,
    mean_factor,
)
from missioncontrol.verdict.grid import KNOT_HOURS, KNOTS, at, cumulative, smooth
from missioncontrol.verdict.nowcast import FINE, Complete, by_cell, cells_on, inflation
from missioncontrol.verdict.outage import Health, ping_health
from missioncontrol.verdict.spread import excess_squares
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Floats, Ints, Release

SETTLED_TICKS = 48 * TICKS_PER_HOUR
_DAY_TICKS, _WEEK_TICKS = 24 * TICKS_PER_HOUR, 7 * 24 * TICKS_PER_HOUR
_PROFILE_PSEUDO = 20.0
_LEVEL_WIDTH, _LEVEL_PSEUDO = 0.12, 1.0
_ODD_AGES, _ODD_HELD = float(np.log(2.0)), 0.25
_ALL_BUT_LEFT = float(np.log(0.1))
_SPREAD_PRIOR, _SPREAD_PRIOR_RELEASES, _SPREAD_UNKNOWN = 0.04, 4.0, 0.2


@dataclass(frozen=True)
class Life:
    """A release with the weights of its hours. `hours` are weighted, `imputed` [ticks] is what the weights added."""

    release: Release
    health: Health
    hours: Floats
    imputed: Floats
    cells: tuple[Floats, Floats] | None

    @property
    def published(self) -> int:
        """Tick of publication."""
        return self.release.published

    @property
    def ticks(self) -> int:
        """For how many ticks it is known."""
        return len(self.hours)


def live(release: Release, channel: Channel, until: int | None = None) -> Life:
    """Weigh a release's hours for lost pings; nothing after tick `until` is looked at."""
    ticks = release.ticks if until is None else max(0, min(release.ticks, until - release.published))
    health = ping_health(channel, release.published, release.published + ticks)
    hours = release.hours[:ticks]
    impaired = health.weights > 1
    imputed = np.zeros(ticks)
    if impaired.any():
        imputed[impaired] = (health.weights[impaired] - 1) * hours[impaired].sum(axis=1)
        hours = hours * health.weights[:, None].astype(hours.dtype)
    cells = by_cell(release.activity, health.weights) if release.activity else None
    return Life(release, health, hours, imputed, cells)


def lived_on(before: Life, release: Release, channel: Channel, until: int) -> Life:
    """A life that was known and goes on to tick `until`, with the release's sums of now: what `live()` says of them.

    Sums of ticks that were known are not looked at again.
    """
    known = before.ticks
    ticks = max(known, min(release.ticks, until - release.published))
    more = ping_health(channel, release.published + known, release.published + ticks)
    health = Health(
        np.concatenate([before.health.weights, more.weights]),
        np.concatenate([before.health.impaired, more.impaired]),
        np.concatenate([before.health.share, more.share]),
    )
    arrived = release.hours[known:ticks]
    hours = release.hours[:ticks]
    if (health.weights > 1).any():  # else they need no copy
        weighted = arrived * more.weights[:, None].astype(arrived.dtype)
        hours = np.concatenate([before.hours, weighted])
    imputed = (more.weights - 1) * arrived.sum(axis=1)
    return Life(
        release,
        health,
        hours,
        np.concatenate([before.imputed, imputed]),
        cells_on(before.cells, release.activity, health.weights, known) if release.activity else None,
    )


def cut(life: Life, ticks: int) -> Life:
    """A life as it was known at age `ticks`."""
    health = life.health
    return Life(
        life.release,
        Health(health.weights[:ticks], health.impaired[:ticks], health.share[:ticks]),
        life.hours[:ticks],
        life.imputed[:ticks],
        life.cells,
    )


@dataclass(frozen=True)
class Curves:
    """A life at some ages, cumulative: [ages, strata] hours and counts; the rest [ages].

    raw: expected events by rates, nowcast and environment; inflation: factor of the nowcast; reported: weighted hours;
    imputed: share of them that is imputed; factor: mean environment factor; recent: [windows, ages] share of the
    expected events that fell into each trailing window of `WINDOWS_HOURS`.
    """

    ticks: Ints
    hours: Floats
    counts: Floats
    raw: Floats
    inflation: Floats
    reported: Floats
    imputed: Floats
    factor: Floats
    recent: Floats


def expected_by_tick(life: Life, rates: Floats, since: int = 0) -> Floats:
    """[ticks from `since` on] events that rates let expect of the hours that arrived."""
    return (life.hours[since:] * rates).sum(axis=1)


def curves(
    life: Life,
    rates: Floats,
    history: Complete | None,
    around: Environment | None,
    ticks: Ints,
    by_tick: Floats | None = None,
) -> Curves:
    """A life's sums at the ages `ticks` (ascending); by_tick: its `expected_by_tick`, where that is at hand."""
    hours, counts = cumulative(life.hours, ticks), cumulative(life.release.counts[: life.ticks], ticks)
    reported = hours.sum(axis=1)
    imputed = cumulative(life.imputed[:, None], ticks)[:, 0] / np.maximum(reported, 1e-9)
    grown = (
        inflation(history, life.cells, reported, ticks, _reported_young(life, ticks))
        if history and life.cells is not None
        else np.ones(len(ticks))
    )
    plain = grown * (hours * rates).sum(axis=1)
    factor = np.ones(len(ticks))
    recent = np.zeros((len(WINDOWS_HOURS), len(ticks)))
    if around is not None:
        by_tick = (expected_by_tick(life, rates) if by_tick is None else by_tick)[: len(around.factor)]
        factor = mean_factor(around, by_tick, ticks)
        sums = np.concatenate([[0.0], np.cumsum(by_tick)])
        for place, hours_back in enumerate(WINDOWS_HOURS):
            since = np.maximum(ticks - int(hours_back * TICKS_PER_HOUR), 0)
            recent[place] = (sums[ticks] - sums[since]) / np.maximum(sums[ticks], 1e-12)
    return Curves(ticks, hours, counts, plain * factor, grown, reported, imputed, factor, recent)


def _reported_young(life: Life, ticks: Ints) -> float:
    """Hours reported at the age to which they are nowcast, where any of `ticks` is older."""
    return float(life.hours[:FINE].sum(dtype=np.float64)) if (ticks > FINE).any() else 0.0


@dataclass(frozen=True)
class Control:
    """Another version as control: by tick from its publication, counts and what rates let expect of it.

    usual: expected events of a day before it was succeeded.
    """

    published: int
    counts: Floats
    expected: Floats
    usual: float

    def between(self, start: int, end: int) -> tuple[Floats, Floats]:
        """Counts and expectations of ticks start to end; 0 where nothing is known."""
        out = np.zeros((2, end - start))
        low = max(start, self.published)
        high = min(end, self.published + len(self.counts))
        if low < high:
            part = slice(low - self.published, high - self.published)
            out[0, low - start : high - start] = self.counts[part]
            out[1, low - start : high - start] = self.expected[part]
        return out[0], out[1]


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
    counts = life.release.counts[: life.ticks][settled].sum(axis=1)
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
    counts = life.release.counts[: life.ticks].sum(axis=1)
    own = standard(life, rates, successor)
    return Control(life.published, counts, own.of(expected_by_tick(life, rates), life.published), own.usual)


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
        known = max(0, min(int(KNOTS[-1]), each.published + len(each.counts) - successor))
        ends = np.minimum(edges, known)
        for table, part in zip((counts, expected), each.between(successor, successor + known), strict=True):
            table[row] = np.diff(np.concatenate([[0.0], np.cumsum(part)])[ends])
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
    _, expected = each.between(successor - _DAY_TICKS, successor + int(ticks[-1]))
    sums = np.concatenate([[0.0], np.cumsum(expected)])
    day = sums[ticks + _DAY_TICKS] - sums[ticks]
    return np.log((day + 1e-9) / (each.usual + 1e-9))


def surroundings(
    others: list[Control], published: int, ticks: int, gone: Leaving, phi: float, since: int = 0
) -> Environment:
    """The environment over a life of `ticks` from `published` on, against versions that are being left.

    One that is left much faster or slower than those before it says nothing, since how its rate changes is not known;
    nor does one that has a tenth of its use left. since: the tick of the life with which the answer begins.
    """
    start = published + since - LONGEST_TICKS
    wanted = max(ticks - since, 0)
    counts, expected = np.zeros(LONGEST_TICKS + wanted), np.zeros(LONGEST_TICKS + wanted)
    if not wanted:
        return environment(counts, expected, phi, np.zeros(0))
    every = np.arange(max(since - LONGEST_TICKS, 0) + 1, since + wanted + 1)
    ages = every / TICKS_PER_HOUR
    lived = slice(len(counts) - len(every), None)
    for other in others:
        o, m = other.between(start, published + since + wanted)
        held = _held(other, published, every)
        usual_ages = gone.usual_age(held)
        odd = np.abs(np.log(usual_ages / ages)) > _ODD_AGES
        odd &= np.abs(held - at(ages, gone.held)) > _ODD_HELD
        odd |= held < _ALL_BUT_LEFT
        o[lived][odd] = 0.0
        m[lived] *= np.where(odd, 0.0, at(usual_ages, gone.level))
        counts += o
        expected += m
    return environment(counts, expected, phi, at(ages[-wanted:], gone.spread))
