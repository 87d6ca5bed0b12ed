"""A life that is judged while it goes on: a further look costs what has arrived since the one before.

What a look needs of the past is kept by tick and only added to: weights of hours, expected events, what moved all
versions. `judge.Said` carries what was said. A look made so says what the look in a replay of the whole life says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.environment import Environment
from missioncontrol.verdict.judge import Said
from missioncontrol.verdict.lives import (
    Control,
    Life,
    Standard,
    cut,
    expected_by_tick,
    live,
    lived_on,
    standard,
    surroundings,
)
from missioncontrol.verdict.outage import ping_health
from missioncontrol.verdict.replay import Looks, look, pings_before
from missioncontrol.verdict.tables import Channel, Floats, Ints, Release


@dataclass(frozen=True)
class Other:
    """Another version as control: its sums, from age `first` (ticks) on, and the tick at which it was succeeded."""

    release: Release
    successor: int
    first: int = 0


@dataclass(frozen=True)
class _Watched:
    """A control that goes on, and its own level."""

    own: Standard
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
        life = self._live_on(release, channel, release.published + end)
        around = self._surround(others, channel, end)
        said = before.odd_rollout, before.age_ticks
        return look(baseline, life, self._pings, around, ticks, baseline.phi, self._by_tick, *said)

    def prime(self, release: Release, channel: Channel, others: Sequence[Other]) -> None:
        """Take in all that is known, from the beginning."""
        self._live_on(release, channel, release.published + release.ticks)
        self._surround(others, channel, release.ticks)

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
            less = replace(control, counts=control.counts[:known], expected=control.expected[:known])
            self._others[version] = _Watched(watched.own, less)

    def _live_on(self, release: Release, channel: Channel, until: int) -> Life:
        if self._life is None:
            self._life = live(release, channel, until)
            self._by_tick = expected_by_tick(self._life, self.baseline.rates)
            self._pings = pings_before(channel, release.published)
            return self._life
        known = self._life.ticks
        self._life = lived_on(self._life, release, channel, until)
        if self._life.ticks > known:
            more = expected_by_tick(self._life, self.baseline.rates, known)
            self._by_tick = np.concatenate([self._by_tick, more])
        return self._life

    def _surround(self, others: Sequence[Other], channel: Channel, ticks: int) -> Environment:
        assert self._life is not None
        published = self._life.published
        controls = [self._control(other, channel, published + ticks) for other in others]
        known = 0 if self._around is None else len(self._around.factor)
        more = surroundings(
            controls, published, ticks, self.baseline.leaving, self.baseline.phi, min(known, ticks)
        )
        self._around = more if self._around is None else _joined(self._around, more)
        return self._around

    def _control(self, other: Other, channel: Channel, until: int) -> Control:
        release, rates = other.release, self.baseline.rates
        watched = self._others.get(release.version)
        if watched is None:
            life = live(release, channel, until)
            own = standard(life, rates, other.successor)
            counts = release.counts[: life.ticks].sum(axis=1)
            expected = own.of(expected_by_tick(life, rates), life.published)
            watched = _Watched(own, Control(life.published, counts, expected, own.usual))
        else:
            watched = _Watched(watched.own, self._controlled_on(watched, other, channel, until))
        self._others[release.version] = watched
        return watched.control

    def _controlled_on(self, watched: _Watched, other: Other, channel: Channel, until: int) -> Control:
        before, release = watched.control, other.release
        known = len(before.counts)
        end = min(other.first + len(release.hours), until - release.published)
        if end <= known:
            return before
        rows = slice(known - other.first, end - other.first)
        start = release.published + known
        weights = ping_health(channel, start, release.published + end).weights
        hours = release.hours[rows] * weights[:, None].astype(release.hours.dtype)
        expected = (hours * self.baseline.rates).sum(axis=1)
        return replace(
            before,
            counts=np.concatenate([before.counts, release.counts[rows].sum(axis=1)]),
            expected=np.concatenate([before.expected, watched.own.of(expected, start)]),
        )


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
