"""How a train of releases is used: hours and starts as they arrive, and the crashes that are to be expected.

One interval is the life of a release until the next: every client has sessions in it, on the new version from its
update on, on the old one before. Sessions end with a ping that arrives within minutes, or with the next start; those
that run over local midnight are cut there. All is summed at once into ticks of 5 minutes of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.simulate.trains.world import (
    LIFE_DAYS,
    LIFE_TICKS,
    STRATA,
    TICKS_PER_HOUR,
    Bools,
    Floats,
    Ints,
    Singles,
    World,
)

# A version is followed through its own life and its successor's.
SEEN_TICKS = 2 * LIFE_TICKS
ACTIVITY_HOURS = 72
_CELLS_PER_HOUR = 2
CELLS = ACTIVITY_HOURS * _CELLS_PER_HOUR
# Arrival of the activity table: 5-minute ticks to 72 h, hours afterwards to the end of the life.
FINE = ACTIVITY_HOURS * TICKS_PER_HOUR
ARRIVALS = FINE + LIFE_DAYS * 24 - ACTIVITY_HOURS

_LATE_CRASHES = 0.1
_LATE_CRASH_HOURS = 8.0


@dataclass(frozen=True)
class Rollout:
    """How a release reaches its users: offered to `share` of them for `hours` hours, to all later.

    `haste` divides the time until a client updates; with `first_country` (index of a country) the others wait 24 h.
    """

    share: float
    hours: float
    haste: float = 1.0
    first_country: int | None = None


@dataclass
class Usage:
    """What a release's users did, by its age.

    hours, expected: [SEEN_TICKS, strata] float32, usage hours by arrival and crashes to be expected by arrival;
    activity_hours, activity_starts: [ARRIVALS, CELLS] float32, by arrival and by the half hour of activity;
    pings: [SEEN_TICKS] pings that arrived. One row stands for one client (weights are not applied).
    """

    hours: Singles
    expected: Singles
    activity_hours: Singles
    activity_starts: Singles
    pings: Floats


def draw_rollout(rng: np.random.Generator) -> Rollout:
    """An ordinary rollout: a quarter of the users for a day or two, at varying speed."""
    return Rollout(
        share=float(np.clip(0.25 * np.exp(0.25 * rng.standard_normal()), 0.05, 1.0)),
        hours=float(rng.uniform(20, 44)),
        haste=float(np.exp(0.2 * rng.standard_normal())),
    )


# Sessions by local hour: few at night, most in the evening; by day from a Tuesday on.
_BY_HOUR = np.array([3, 2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 7, 7, 7, 7, 7, 8, 9, 10, 10, 9, 7, 5], float)
_BY_DAY = np.tile([1.04, 1.04, 1.04, 1.0, 0.85, 0.87, 1.04], LIFE_DAYS // 7)
_PUBLISHED_UTC_HOUR = 14.0
_QUICK = 0.85
_QUICK_HOURS = 0.05
_NEXT_START_HOURS = 10.0
_LONG_AWAY = 0.2
_LONG_AWAY_HOURS = 48.0
_LONGEST_HOURS = 20.0


class Train:
    """Releases one after the other, every 14 days; each `interval()` is the life of the next one."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self._world = world
        self._rng = rng

    def interval(self, rollout: Rollout) -> tuple[Usage, Usage]:
        """The two weeks from a publication on: usage of the version that leaves, and of the new one.

        Rows of both count from this publication; activity is that of the new one (the leaving one has none).
        """
        world, rng = self._world, self._rng
        counts = rng.poisson(world.sessions_per_day * LIFE_DAYS)
        client = np.repeat(np.arange(world.clients), counts)
        begin, hour = self._starts(client)
        length = np.minimum(
            world.settings.session_hours
            * np.exp(world.settings.session_spread * rng.standard_normal(len(client), np.float32)),
            _LONGEST_HOURS,
        )
        new = begin >= self._updates(rollout)[client]
        stratum = world.stratum[client]
        expected = self._expected(begin, length, stratum, new, world.crashes_per_hour[client])
        hours, activity, pings = self._reported(begin, hour, length, stratum, new)
        none = np.zeros((0, CELLS), np.float32)
        return Usage(hours[0], expected[0], none, none, pings[0]), Usage(
            hours[1], expected[1], *activity, pings[1]
        )

    def _updates(self, rollout: Rollout) -> Floats:
        """Hours after publication at which each client takes the new version."""
        world, rng = self._world, self._rng
        later = rng.random(world.clients) >= rollout.share
        wait = np.where(later, rollout.hours, 0.0)
        if rollout.first_country is not None:
            countries = len({stratum[2] for stratum in STRATA})
            wait = np.where(world.stratum % countries == rollout.first_country, 0.0, np.maximum(wait, 24.0))
        return wait + world.update_hours / rollout.haste * rng.standard_exponential(world.clients)

    def _starts(self, client: Ints) -> tuple[Singles, Singles]:
        """Hours since publication, and local hour, at which sessions start."""
        rng, n = self._rng, len(client)
        table = np.repeat(np.arange(24), np.round(_BY_HOUR * 64).astype(int))
        hour = table[(rng.random(n, np.float32) * len(table)).astype(np.int32)].astype(np.float32)
        hour += rng.random(n, np.float32)
        days = np.repeat(np.arange(LIFE_DAYS), np.round(_BY_DAY * 256).astype(int))
        day = days[(rng.random(n, np.float32) * len(days)).astype(np.int32)]
        offset = (self._world.tz_hours + _PUBLISHED_UTC_HOUR).astype(np.float32)[client]
        return day.astype(np.float32) * 24 + np.mod(hour - offset, np.float32(24)), hour

    def _expected(
        self, begin: Singles, length: Singles, stratum: Ints, new: Bools, rate: Floats
    ) -> list[Singles]:
        """Crashes to be expected by tick of arrival and stratum, for the old and the new version."""
        size = len(STRATA) * (SEEN_TICKS + 2)
        row = (new * len(STRATA) + stratum) * (SEEN_TICKS + 2)
        per_tick = rate / TICKS_PER_HOUR
        slopes = np.zeros(2 * size)
        for at, sign in ((begin, 1.0), (begin + length, -1.0)):
            tick = at * TICKS_PER_HOUR
            whole = tick.astype(np.int64)
            part = per_tick * (tick - whole) * sign
            slopes += np.bincount(row + whole, per_tick * sign - part, 2 * size)
            slopes += np.bincount(row + whole + 1, part, 2 * size)
        by_tick = np.cumsum(slopes.reshape(2, len(STRATA), SEEN_TICKS + 2), axis=2)[:, :, :SEEN_TICKS]
        return [_late(by_tick[which].T).astype(np.float32) for which in (0, 1)]

    def _reported(
        self, begin: Singles, hour: Singles, length: Singles, stratum: Ints, new: Bools
    ) -> tuple[list[Singles], tuple[Singles, Singles], list[Floats]]:
        """Hours by tick of arrival and stratum, the activity cells of the new version, pings by tick."""
        rng = self._rng
        over = np.flatnonzero(hour + length > 24)
        first = length.copy()
        first[over] = 24 - hour[over]
        starts = np.concatenate([begin, begin[over] + first[over]])
        lengths = np.concatenate([first, length[over] - first[over]])
        stratum = np.concatenate([stratum, stratum[over]])
        new = np.concatenate([new, new[over]])
        delay = rng.standard_exponential(len(starts), np.float32)
        slow = rng.random(len(starts), np.float32)
        delay *= np.where(
            slow < _QUICK,
            _QUICK_HOURS,
            np.where(slow < 1 - (1 - _QUICK) * _LONG_AWAY, _NEXT_START_HOURS, _LONG_AWAY_HOURS),
        ).astype(np.float32)
        delay[over] = np.float32(_QUICK_HOURS)
        tick = ((starts + lengths + delay) * TICKS_PER_HOUR).astype(np.int64)
        inside = tick < SEEN_TICKS
        tick = np.minimum(tick, SEEN_TICKS - 1)
        size = SEEN_TICKS * len(STRATA)
        key = new * size + tick * len(STRATA) + stratum
        hours = np.bincount(key, lengths * inside, 2 * size).reshape(2, SEEN_TICKS, len(STRATA))
        pings = np.bincount(new * SEEN_TICKS + tick, inside, 2 * SEEN_TICKS).reshape(2, SEEN_TICKS)
        young = np.flatnonzero(new & (starts < ACTIVITY_HOURS) & (tick < LIFE_TICKS))
        activity = _activity(starts[young], lengths[young], tick[young])
        return [half.astype(np.float32) for half in hours], activity, list(pings)


def _activity(start: Singles, length: Singles, tick: Ints) -> tuple[Singles, Singles]:
    """[ARRIVALS, CELLS] hours and starts by arrival and half hour of activity."""
    arrival = np.where(tick < FINE, tick, FINE + (tick - FINE) // TICKS_PER_HOUR)
    width = CELLS + 2
    slopes = np.zeros(ARRIVALS * width)
    for at, sign in ((start, 1.0), (start + length, -1.0)):
        cell = np.minimum(at * _CELLS_PER_HOUR, CELLS)
        whole = cell.astype(np.int64)
        part = (cell - whole) * sign
        slopes += np.bincount(arrival * width + whole, sign - part, ARRIVALS * width)
        slopes += np.bincount(arrival * width + whole + 1, part, ARRIVALS * width)
    hours = np.cumsum(slopes.reshape(ARRIVALS, width), axis=1)[:, :CELLS] / _CELLS_PER_HOUR
    cell = (start * _CELLS_PER_HOUR).astype(np.int64)
    starts = np.bincount(arrival * CELLS + cell, minlength=ARRIVALS * CELLS).reshape(ARRIVALS, CELLS)
    return hours.astype(np.float32), starts.astype(np.float32)


def _late(by_tick: Floats) -> Floats:
    """Crash pings arrive one tick later; a tenth waits for the next start (first-order lag of 8 hours)."""
    keep = np.exp(-1 / (_LATE_CRASH_HOURS * TICKS_PER_HOUR))
    waiting = np.empty_like(by_tick)
    state = np.zeros(by_tick.shape[1])
    for tick in range(len(by_tick)):
        state = state * keep + by_tick[tick] * (1 - keep)
        waiting[tick] = state
    arrived = (1 - _LATE_CRASHES) * by_tick + _LATE_CRASHES * waiting
    return np.concatenate([np.zeros_like(arrived[:1]), arrived[:-1]])
