"""A train and its candidates: what every release counted, and what a candidate with a story of its own would have.

The use of a train is drawn once (`use`); what crashed, once for each size of fleet (`tell`); a candidate's story
(`Told.story`) draws its crashes anew, and its use too where the rollout differs. Every draw has a key of its own, so
that a story is the same whatever was drawn before it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace

import numpy as np

from missioncontrol.simulate.trains.crashes import Level, draw_crashes, draw_level, draw_swell
from missioncontrol.simulate.trains.scenarios import Scenario
from missioncontrol.simulate.trains.usage import FINE, SEEN_TICKS, Rollout, Train, Usage, draw_rollout
from missioncontrol.simulate.trains.world import (
    LIFE_TICKS,
    TICKS_PER_HOUR,
    Floats,
    Settings,
    Singles,
    World,
    draw_world,
)

_WORLD, _ROLLOUT, _USE, _SWELL, _LEVEL, _CRASHES, _STORY = range(7)


@dataclass(frozen=True)
class Interval:
    """Two weeks: the new version's use, and that of the version it replaces, both from its publication on."""

    rollout: Rollout
    left: Usage
    own: Usage


@dataclass
class Used:
    """The use of a train, client for client; `intervals[i]` begins with the publication of release i."""

    world: World
    seed: int
    intervals: list[Interval]

    def again(self, place: int, rollout: Rollout) -> Interval:
        """The interval with the same clients and another rollout."""
        left, own = Train(self.world, _dice(self.seed, _USE, place)).interval(rollout)
        return Interval(rollout, left, own)

    def hours(self, place: int, until: Interval | None = None) -> Singles:
        """[SEEN_TICKS, strata] hours of release `place` by arrival, its successor's interval included."""
        return self._joined("hours", place, until)

    def expected(self, place: int, until: Interval | None = None) -> Singles:
        """[SEEN_TICKS, strata] crashes to be expected of it."""
        return self._joined("expected", place, until)

    def _joined(self, name: str, place: int, until: Interval | None) -> Singles:
        table: Singles = getattr(self.intervals[place].own, name).copy()
        following = until or (self.intervals[place + 1] if place + 1 < len(self.intervals) else None)
        if following is not None:
            table[LIFE_TICKS:] += getattr(following.left, name)[:LIFE_TICKS]
        return table


def use(seed: int, clients: int, releases: int, settings: Settings = Settings()) -> Used:
    """Draw the use of a train of `releases`, 14 days apart, by `clients` distinct clients."""
    world = draw_world(_dice(seed, _WORLD), clients, settings=settings)
    used = Used(world, seed, [])
    for place in range(releases):
        used.intervals.append(used.again(place, draw_rollout(_dice(seed, _ROLLOUT, place))))
    return used


@dataclass(frozen=True)
class Version:
    """What a release counted, by tick since its publication and stratum; `expected` is the truth of its counts."""

    place: int
    hours: Singles
    counts: Singles
    expected: Singles
    activity_hours: Singles
    activity_starts: Singles

    @property
    def name(self) -> str:
        """Its version number."""
        return f"{self.place + 100}.0"

    @property
    def published(self) -> int:
        """Tick of publication; the train's first is at 0."""
        return self.place * LIFE_TICKS


@dataclass(frozen=True)
class Story:
    """A candidate with its predecessors as its story left them.

    pings: [ticks] of all versions, from the train's first publication to the candidate's end; factor: [ticks, strata]
    by how much it crashes more than it should; began_hours: age at which a common oddity began, None without one.
    """

    scenario: Scenario
    predecessors: list[Version]
    candidate: Version
    pings: Floats
    factor: Floats
    began_hours: float | None = None


@dataclass
class Told:
    """A train as counted at one size of fleet: each client stands for `weight`."""

    used: Used
    weight: int
    swell: Floats
    levels: list[Level]
    versions: list[Version]
    pings: Floats = field(repr=False)

    def story(self, place: int, scenario: Scenario, predecessors: int) -> Story:
        """Release `place` as candidate of `scenario`, and the `predecessors` before it."""
        dice = _dice(self.used.seed, _STORY, place, self.weight, zlib.crc32(scenario.name.encode()))
        usual = self.used.intervals[place]
        offered = scenario.offered(usual.rollout)
        now = usual if offered == usual.rollout else self.used.again(place, offered)
        before = self.versions[place - predecessors : place]
        start = place * LIFE_TICKS
        pings = self.pings[: start + LIFE_TICKS].copy()
        pings[start:] += (now.own.pings + now.left.pings - usual.own.pings - usual.left.pings)[
            :LIFE_TICKS
        ] * self.weight
        if now is not usual:
            before = [*before[:-1], self._left(before[-1], now, dice)]
        if scenario.bad_predecessor != 1.0:
            which = int(dice.integers(len(before)))
            counts = draw_crashes(dice, scenario.bad_predecessor * before[which].expected.astype(np.float64))
            before[which] = replace(before[which], counts=counts.astype(np.float32))
        common, seen = np.ones(LIFE_TICKS), np.ones(LIFE_TICKS)
        began: float | None = None
        if scenario.lasts_hours:
            began = float(dice.uniform(*scenario.when_hours))
            spell = slice(int(began * TICKS_PER_HOUR), int((began + scenario.lasts_hours) * TICKS_PER_HOUR))
            common[spell], seen[spell] = scenario.common, 1 - scenario.lost
        harmless = self._expected(place, now.own.expected[:LIFE_TICKS]) * common[:, None]
        factor = scenario.field(LIFE_TICKS)
        candidate = Version(
            place,
            now.own.hours[:LIFE_TICKS] * np.float32(self.weight) * seen[:, None].astype(np.float32),
            draw_crashes(dice, harmless * factor).astype(np.float32),
            harmless.astype(np.float32),
            *_thinned(now.own, seen, self.weight),
        )
        if began is not None:
            before = [*before[:-1], _moved(before[-1], common, seen, dice)]
            pings[start:] *= seen
        return Story(scenario, before, candidate, pings, factor, began)

    def _expected(self, place: int, expected: Singles) -> Floats:
        """What its clients would see, with its own level and the swell of the time."""
        start = place * LIFE_TICKS
        swell = self.swell[start : start + len(expected), None]
        table: Floats = expected * self.weight * self.levels[place].by_stratum * swell
        return table

    def _left(self, version: Version, now: Interval, dice: np.random.Generator) -> Version:
        """The predecessor when its users leave as in `now`."""
        expected = self._expected(version.place, self.used.expected(version.place, now))
        counts = version.counts.copy()
        counts[LIFE_TICKS:] = draw_crashes(dice, expected[LIFE_TICKS:])
        hours = self.used.hours(version.place, now) * np.float32(self.weight)
        return replace(version, hours=hours, counts=counts, expected=expected.astype(np.float32))


def tell(used: Used, weight: int) -> Told:
    """Draw what crashed in a train, release for release, when each client stands for `weight`."""
    settings, seed = used.world.settings, used.seed
    releases = len(used.intervals)
    swell = draw_swell(_dice(seed, _SWELL, weight), (releases + 1) * LIFE_TICKS, settings)
    levels = [draw_level(_dice(seed, _LEVEL, weight, place), settings) for place in range(releases)]
    pings = np.zeros((releases + 2) * LIFE_TICKS)
    for place, interval in enumerate(used.intervals):
        start = place * LIFE_TICKS
        pings[start : start + SEEN_TICKS] += (interval.own.pings + interval.left.pings) * weight
    told = Told(used, weight, swell, levels, [], pings)
    for place, interval in enumerate(used.intervals):
        expected = told._expected(place, used.expected(place))
        counts = draw_crashes(_dice(seed, _CRASHES, weight, place), expected)
        activity = _thinned(interval.own, np.ones(LIFE_TICKS), weight)
        told.versions.append(
            Version(
                place,
                used.hours(place) * np.float32(weight),
                counts.astype(np.float32),
                expected.astype(np.float32),
                *activity,
            )
        )
    return told


def _thinned(own: Usage, seen: Floats, weight: int) -> tuple[Singles, Singles]:
    """Hours and starts by activity when `seen` [ticks] of the pings arrive."""
    of_row = np.full(len(own.activity_hours), float(weight))
    of_row[:FINE] *= seen[:FINE]
    column = of_row[:, None].astype(np.float32)
    return own.activity_hours * column, own.activity_starts * column


def _moved(version: Version, common: Floats, seen: Floats, dice: np.random.Generator) -> Version:
    """The version that is being left, in a shock (more or fewer crashes) or an outage of pings."""
    hours, counts = version.hours.copy(), version.counts.copy()
    hours[LIFE_TICKS:] *= seen[:, None].astype(np.float32)
    moved = common != 1
    if moved.any():
        expected = version.expected[LIFE_TICKS:] * common[:, None]
        counts[LIFE_TICKS:][moved] = draw_crashes(dice, expected)[moved]
    return replace(version, hours=hours, counts=counts)


def _dice(*key: int) -> np.random.Generator:
    return np.random.default_rng(list(key))
