"""A release's life as the method sees it: weighted hours, expected events, and what moved all versions meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.environment import LONGEST_TICKS, Environment, environment
from missioncontrol.verdict.grid import KNOTS, at, cumulative, smooth
from missioncontrol.verdict.nowcast import Complete, by_cell, inflation
from missioncontrol.verdict.outage import Health, ping_health
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Floats, Ints, Release

SETTLED_TICKS = 48 * TICKS_PER_HOUR


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

    raw: expected events by rates, nowcast and environment; plain: the same without environment; inflation: factor of
    the nowcast; reported: weighted hours; imputed: share of them that is imputed; factor: mean environment factor.
    """

    ticks: Ints
    hours: Floats
    counts: Floats
    raw: Floats
    plain: Floats
    inflation: Floats
    reported: Floats
    imputed: Floats
    factor: Floats


def curves(life: Life, rates: Floats, history: Complete | None, around: Environment | None, ticks: Ints) -> Curves:
    """A life's sums at the ages `ticks` (ascending)."""
    hours, counts = cumulative(life.hours, ticks), cumulative(life.release.counts[: life.ticks], ticks)
    reported = hours.sum(axis=1)
    imputed = cumulative(life.imputed[:, None], ticks)[:, 0] / np.maximum(reported, 1e-9)
    grown = (
        inflation(history, life.cells, reported, ticks) if history and life.cells is not None else np.ones(len(ticks))
    )
    plain = grown * (hours * rates).sum(axis=1)
    factor = np.ones(len(ticks))
    if around is not None:
        by_tick = (life.hours * rates).sum(axis=1)[: len(around.factor)]
        moved = cumulative(np.stack([by_tick * around.factor[: len(by_tick)], by_tick], axis=1), ticks)
        factor = np.where(moved[:, 1] > 0, moved[:, 0] / np.maximum(moved[:, 1], 1e-12), around.factor[ticks - 1])
    return Curves(ticks, hours, counts, plain * factor, plain, grown, reported, imputed, factor)


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
    """A version measured by its own level from 48 h of age on to the successor's publication (tick)."""
    counts = life.release.counts[: life.ticks].sum(axis=1)
    expected = (life.hours * rates).sum(axis=1)
    settled = slice(SETTLED_TICKS, max(successor - life.published, SETTLED_TICKS))
    level = (counts[settled].sum() + 1.0) / (expected[settled].sum() + 1.0)
    return Control(life.published, counts, expected * level)


def decline(pairs: list[tuple[Control, int]]) -> Floats:
    """[knots] go(a): how a version's rate changes while its users leave, by the age of the successor.

    pairs: a control and the tick of its successor's publication.
    """
    edges = np.concatenate([[0], KNOTS])
    counts, expected = np.zeros(len(KNOTS)), np.zeros(len(KNOTS))
    for each, successor in pairs:
        known = max(0, min(KNOTS[-1], each.published + len(each.counts) - successor))
        o, m = each.between(successor, successor + int(known))
        ends = np.minimum(edges, known)
        sums = np.stack([np.concatenate([[0.0], np.cumsum(o)]), np.concatenate([[0.0], np.cumsum(m)])])
        counts += np.diff(sums[0][ends])
        expected += np.diff(sums[1][ends])
    return smooth((counts + 1.0) / (expected + 1.0), expected + 1.0)


def surroundings(others: list[Control], published: int, ticks: int, leaving: Floats, phi: float) -> Environment:
    """The environment over a life of `ticks` from `published` on; `leaving` is `decline` [knots]."""
    start = published - LONGEST_TICKS
    counts, expected = np.zeros(LONGEST_TICKS + ticks), np.zeros(LONGEST_TICKS + ticks)
    for other in others:
        o, m = other.between(start, published + ticks)
        counts += o
        expected += m
    ages = np.arange(1, ticks + 1) / TICKS_PER_HOUR
    if ticks:
        expected[LONGEST_TICKS:] *= at(ages, leaving)
    return environment(counts, expected, phi)
