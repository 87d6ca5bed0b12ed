"""A release's life as the method sees it: weighted hours, what says nothing left out, and expected events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.arrived import UNKNOWN, Arrived, Trait, arrived, cut_arrived
from missioncontrol.verdict.environment import WINDOWS_HOURS, Environment, mean_factor
from missioncontrol.verdict.grid import cumulative
from missioncontrol.verdict.nowcast import FINE, Complete, by_cell, cells_on, inflation
from missioncontrol.verdict.outage import Health, cut_health, joined_health, ping_health
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Bools, Channel, Floats, Ints, Release


@dataclass(frozen=True)
class Life:
    """A release with the weights of its hours. `hours` are weighted, `imputed` [ticks] is what the weights added.

    hours, counts: [ticks, strata], 0 in ticks that are left out (see `Arrived`).
    """

    release: Release
    health: Health
    came: Arrived
    hours: Floats
    counts: Floats
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


def live(
    release: Release,
    channel: Channel,
    until: int | None = None,
    trait: Trait = UNKNOWN,
    elsewhere: Bools | None = None,
) -> Life:
    """Weigh a release's hours for lost pings; nothing after tick `until` is looked at.

    trait: what is known of the measure; elsewhere: [ticks] events of other versions do not arrive.
    """
    ticks = release.ticks if until is None else max(0, min(release.ticks, until - release.published))
    health = ping_health(channel, release.published, release.published + ticks)
    hours, counts = release.hours[:ticks], release.counts[:ticks]
    impaired = health.weights > 1
    imputed = np.zeros(ticks)
    if impaired.any():
        imputed[impaired] = (health.weights[impaired] - 1) * hours[impaired].sum(axis=1)
        hours = hours * health.weights[:, None].astype(hours.dtype)
    came = arrived(
        hours.sum(axis=1, dtype=np.float64), counts.sum(axis=1, dtype=np.float64), health, elsewhere, trait
    )
    kept = came.kept
    if not kept.all():
        hours, counts = hours * kept[:, None], counts * kept[:, None]
        imputed = imputed * kept
    cells = by_cell(release.activity, health.weights * kept) if release.activity else None
    return Life(release, health, came, hours, counts, imputed, cells)


def lived_on(
    before: Life, release: Release, channel: Channel, until: int, trait: Trait, elsewhere: Bools | None
) -> Life:
    """A life that was known and goes on to tick `until`, with the release's sums of now: what `live()` says of them.

    Sums of ticks that were known are not looked at again, but for those before its first hours.
    """
    if before.came.gaps.time is None:
        return live(release, channel, until, trait, elsewhere)
    known = before.ticks
    ticks = max(known, min(release.ticks, until - release.published))
    more = ping_health(channel, release.published + known, release.published + ticks)
    health = joined_health(before.health, more)
    raw = release.hours[known:ticks]
    weighted = raw * more.weights[:, None].astype(raw.dtype)
    events = release.counts[known:ticks]
    came = arrived(
        np.concatenate([before.came.hours, weighted.sum(axis=1, dtype=np.float64)]),
        np.concatenate([before.came.events, events.sum(axis=1, dtype=np.float64)]),
        health,
        elsewhere,
        trait,
        before.came,
    )
    kept = came.kept
    hours, counts = release.hours[:ticks], release.counts[:ticks]
    if not kept.all() or (health.weights > 1).any():  # else they need no copy
        hours = np.concatenate([before.hours, weighted * kept[known:, None]])
        counts = np.concatenate([before.counts, events * kept[known:, None]])
    imputed = (more.weights - 1) * raw.sum(axis=1) * kept[known:]
    weights = health.weights * kept
    return Life(
        release,
        health,
        came,
        hours,
        counts,
        np.concatenate([before.imputed, imputed]),
        cells_on(before.cells, release.activity, weights, known) if release.activity else None,
    )


def cut(life: Life, ticks: int) -> Life:
    """A life as it was known at age `ticks`."""
    return Life(
        life.release,
        cut_health(life.health, ticks),
        cut_arrived(life.came, ticks),
        life.hours[:ticks],
        life.counts[:ticks],
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
    hours, counts = cumulative(life.hours, ticks), cumulative(life.counts, ticks)
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
