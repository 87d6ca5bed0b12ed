"""A release's life as the method sees it: weighted hours, expected events, and what moved all versions meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.environment import LONGEST_TICKS, WINDOWS_HOURS, Environment, environment
from missioncontrol.verdict.grid import KNOTS, at, cumulative, smooth
from missioncontrol.verdict.nowcast import Complete, by_cell, inflation
from missioncontrol.verdict.outage import Health, ping_health
from missioncontrol.verdict.spread import excess_squares
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Floats, Ints, Release

SETTLED_TICKS = 48 * TICKS_PER_HOUR
_PROFILE_PSEUDO = 20.0
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


def curves(
    life: Life, rates: Floats, history: Complete | None, around: Environment | None, ticks: Ints
) -> Curves:
    """A life's sums at the ages `ticks` (ascending)."""
    hours, counts = cumulative(life.hours, ticks), cumulative(life.release.counts[: life.ticks], ticks)
    reported = hours.sum(axis=1)
    imputed = cumulative(life.imputed[:, None], ticks)[:, 0] / np.maximum(reported, 1e-9)
    grown = (
        inflation(history, life.cells, reported, ticks)
        if history and life.cells is not None
        else np.ones(len(ticks))
    )
    plain = grown * (hours * rates).sum(axis=1)
    factor = np.ones(len(ticks))
    recent = np.zeros((len(WINDOWS_HOURS), len(ticks)))
    if around is not None:
        by_tick = (life.hours * rates).sum(axis=1)[: len(around.factor)]
        moved = cumulative(np.stack([by_tick * around.factor[: len(by_tick)], by_tick], axis=1), ticks)
        factor = np.where(
            moved[:, 1] > 0, moved[:, 0] / np.maximum(moved[:, 1], 1e-12), around.factor[ticks - 1]
        )
        sums = np.concatenate([[0.0], np.cumsum(by_tick)])
        for place, hours_back in enumerate(WINDOWS_HOURS):
            since = np.maximum(ticks - int(hours_back * TICKS_PER_HOUR), 0)
            recent[place] = (sums[ticks] - sums[since]) / np.maximum(sums[ticks], 1e-12)
    return Curves(ticks, hours, counts, plain * factor, grown, reported, imputed, factor, recent)


@dataclass(frozen=True)
class Control:
    """Another version as control: by tick from its publication, counts and what rates let expect of it."""

    published: int
    counts: Floats
    expected: Floats

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


def control(life: Life, rates: Floats, successor: int) -> Control:
    """A version measured by its own level from 48 h of age on to the successor's publication (tick).

    The level has a profile by hour of the day: crashes arrive while sessions run, hours when they end.
    """
    counts = life.release.counts[: life.ticks].sum(axis=1)
    expected = (life.hours * rates).sum(axis=1)
    settled = slice(SETTLED_TICKS, max(successor - life.published, SETTLED_TICKS))
    expected = expected * (counts[settled].sum() + 1.0) / (expected[settled].sum() + 1.0)
    hour = (life.published + np.arange(life.ticks)) // TICKS_PER_HOUR % 24
    seen = np.bincount(hour[settled], counts[settled], 24)
    wanted = np.bincount(hour[settled], expected[settled], 24)
    profile = (seen + _PROFILE_PSEUDO) / (wanted + _PROFILE_PSEUDO)
    return Control(life.published, counts, expected * profile[hour])


@dataclass(frozen=True)
class Leaving:
    """How a version's rate changes while its users leave, by the age of the successor [knots].

    level: go(a), factor of its own settled level; spread: sd of its logarithm from release to release.
    """

    level: Floats
    spread: Floats


def leaving(pairs: list[tuple[Control, int]], phi: float) -> Leaving:
    """Learn from pairs of a control and the tick of its successor's publication."""
    edges = np.concatenate([[0], KNOTS])
    counts, expected = np.zeros((len(pairs), len(KNOTS))), np.zeros((len(pairs), len(KNOTS)))
    for row, (each, successor) in enumerate(pairs):
        known = max(0, min(int(KNOTS[-1]), each.published + len(each.counts) - successor))
        ends = np.minimum(edges, known)
        for table, part in zip((counts, expected), each.between(successor, successor + known), strict=True):
            table[row] = np.diff(np.concatenate([[0.0], np.cumsum(part)])[ends])
    if not pairs:
        return Leaving(np.ones(len(KNOTS)), np.full(len(KNOTS), _SPREAD_UNKNOWN))
    all_counts, all_expected = counts.sum(axis=0), expected.sum(axis=0)
    level = smooth((all_counts + 1.0) / (all_expected + 1.0), all_expected + 1.0)
    wanted = expected * level
    squares = excess_squares(counts, wanted, phi)
    precision = 1 / (_SPREAD_PRIOR**2 + phi / np.maximum(wanted, 1e-9)) ** 2 * (expected > 0)
    total = precision.sum(axis=0)
    mean = smooth((squares * precision).sum(axis=0) / np.maximum(total, 1e-12), total)
    sure = smooth(total, np.ones(len(KNOTS))) * _SPREAD_PRIOR**4
    spread2 = (_SPREAD_PRIOR_RELEASES * _SPREAD_PRIOR**2 + sure * np.maximum(mean, 0)) / (
        _SPREAD_PRIOR_RELEASES + sure
    )
    return Leaving(level, np.sqrt(spread2 * (1 + 1 / len(pairs))))


def surroundings(others: list[Control], published: int, ticks: int, gone: Leaving, phi: float) -> Environment:
    """The environment over a life of `ticks` from `published` on, against versions that are being left."""
    start = published - LONGEST_TICKS
    counts, expected = np.zeros(LONGEST_TICKS + ticks), np.zeros(LONGEST_TICKS + ticks)
    for other in others:
        o, m = other.between(start, published + ticks)
        counts += o
        expected += m
    ages = np.arange(1, ticks + 1) / TICKS_PER_HOUR
    if not ticks:
        return environment(counts, expected, phi, np.zeros(0))
    expected[LONGEST_TICKS:] *= at(ages, gone.level)
    return environment(counts, expected, phi, at(ages, gone.spread))
