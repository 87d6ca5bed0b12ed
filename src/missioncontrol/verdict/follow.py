"""A life that is judged while it goes on: a further look costs what has arrived since the one before.

What a look needs of the past is kept by tick and only added to: weights of hours, expected events, what moved all
versions. `judge.Said` carries what was said. A look made so says what the look in a replay of the whole life says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from missioncontrol.verdict.arrived import arrived, cut_arrived
from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.controls import (
    Control,
    Standard,
    as_control,
    silent_elsewhere,
    standard,
    surroundings,
)
from missioncontrol.verdict.environment import Environment
from missioncontrol.verdict.judge import Said
from missioncontrol.verdict.lives import Life, cut, expected_by_tick, live, lived_on
from missioncontrol.verdict.outage import Health, cut_health, joined_health, ping_health
from missioncontrol.verdict.replay import Looks, look, pings_before
from missioncontrol.verdict.tables import Bools, Channel, Floats, Ints, Release


@dataclass(frozen=True)
class Other:
    """Another version as control: its sums, from age `first` (ticks) on, and the tick at which it was succeeded."""

    release: Release
    successor: int
    first: int = 0


@dataclass(frozen=True)
class _Watched:
    """A control that goes on, its own level, and how complete its pings were."""

    own: Standard
    health: Health
    control: Control


class Follower:
    """Follows one release. Sums that were given once are not looked at again, unless it is told to `rewind()`."""

    def __init__(self, baseline: Baseline) -> None:
        self.baseline = baseline
        self._life: Life | None = None
        self._by_tick: Floats = np.zeros(0)
        self._others: dict[str, _Watched] = {}
        self._around: Environment | None = None
        self._pings = 1.0

    def looks(
        self,
        release: Release,
        channel: Channel,
        others: Sequence[Other],
        ticks: Ints,
        before: Said = Said(),
    ) -> Looks:
        """The looks at ages `ticks` (ascending, all known), after those that were said `before`.

        Sums of the others may begin later than their lives once they were given from the beginning, to `prime()` say.
        """
        baseline, end = self.baseline, int(ticks[-1])
        life, around = self._go_on(release, channel, others, end)
        said = before.odd_rollout, before.age_ticks
        return look(baseline, life, self._pings, around, ticks, self._by_tick, *said)

    def prime(self, release: Release, channel: Channel, others: Sequence[Other]) -> None:
        """Take in all that is known, from the beginning."""
        self._go_on(release, channel, others, release.ticks)

    def rewind(self, tick: int) -> None:
        """Forget what arrived from tick `tick` (of the clock) on: it is not what it was."""
        if self._life is not None:
            known = max(0, tick - self._life.published)
            self._life = cut(self._life, known)
            self._by_tick = self._by_tick[:known]
            if self._around is not None:
                self._around = _first(self._around, known)
        for version, watched in self._others.items():
            control = watched.control
            known = max(0, tick - control.published)
            less = replace(control, came=cut_arrived(control.came, known), expected=control.expected[:known])
            self._others[version] = _Watched(watched.own, cut_health(watched.health, known), less)

    def _go_on(
        self, release: Release, channel: Channel, others: Sequence[Other], ticks: int
    ) -> tuple[Life, Environment]:
        """The release's life and what was around it, to age `ticks`."""
        controls = [self._control(other, channel, release.published + ticks) for other in others]
        known = 0 if self._life is None else self._life.ticks
        elsewhere = silent_elsewhere(controls, release.published, max(ticks, known))
        life = self._live_on(release, channel, release.published + ticks, elsewhere)
        return life, self._surround(controls, release.published, ticks)

    def _live_on(self, release: Release, channel: Channel, until: int, elsewhere: Bools) -> Life:
        trait = self.baseline.trait
        if self._life is None:
            self._life = live(release, channel, until, trait, elsewhere)
            self._by_tick = expected_by_tick(self._life, self.baseline.rates)
            self._pings = pings_before(channel, release.published)
            return self._life
        known = self._life.ticks
        self._life = lived_on(self._life, release, channel, until, trait, elsewhere)
        if self._life.ticks > known:
            more = expected_by_tick(self._life, self.baseline.rates, known)
            self._by_tick = np.concatenate([self._by_tick, more])
        return self._life

    def _surround(self, controls: list[Control], published: int, ticks: int) -> Environment:
        known = 0 if self._around is None else len(self._around.factor)
        more = surroundings(
            controls, published, ticks, self.baseline.leaving, self.baseline.phi, min(known, ticks)
        )
        self._around = more if self._around is None else _joined(self._around, more)
        return self._around

    def _control(self, other: Other, channel: Channel, until: int) -> Control:
        release = other.release
        watched = self._others.get(release.version)
        if watched is None:
            life = live(release, channel, until, self.baseline.trait)
            own = standard(life, self.baseline.rates, other.successor)
            control = as_control(own, life, self.baseline.rates)
            watched = _Watched(own, life.health, control)
        else:
            watched = self._watched_on(watched, other, channel, until)
        self._others[release.version] = watched
        return watched.control

    def _watched_on(self, before: _Watched, other: Other, channel: Channel, until: int) -> _Watched:
        release, control = other.release, before.control
        known = len(control.expected)
        end = min(other.first + len(release.hours), until - release.published)
        if end <= known:
            return before
        rows = slice(known - other.first, end - other.first)
        start = release.published + known
        health = joined_health(before.health, ping_health(channel, start, release.published + end))
        hours = release.hours[rows] * health.weights[known:, None].astype(release.hours.dtype)
        came = arrived(
            np.concatenate([control.came.hours, hours.sum(axis=1, dtype=np.float64)]),
            np.concatenate([control.came.events, release.counts[rows].sum(axis=1, dtype=np.float64)]),
            health,
            None,
            self.baseline.trait,
            control.came,
        )
        more = before.own.of((hours * self.baseline.rates).sum(axis=1), start)
        expected = np.concatenate([control.expected, more])
        return _Watched(before.own, health, replace(control, came=came, expected=expected))


def _first(around: Environment, ticks: int) -> Environment:
    return Environment(*(getattr(around, each.name)[..., :ticks] for each in fields(around)))


def _joined(before: Environment, more: Environment) -> Environment:
    """One after the other: ticks are the last axis of all that it has."""
    return Environment(
        *(
            np.concatenate([getattr(before, each.name), getattr(more, each.name)], axis=-1)
            for each in fields(before)
        )
    )
