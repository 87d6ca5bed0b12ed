"""A life that is judged while it goes on: a further look costs what has arrived since the one before.

What a look needs of the past is kept by tick and only added to: weights of hours, expected events, what moved all
versions. `judge.Said` carries what was said. A look made so says what the look in a replay of the whole life says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.environment import Environment
from missioncontrol.verdict.judge import Said, Verdict, judge, looked_back
from missioncontrol.verdict.lives import (
    Control,
    Life,
    Standard,
    expected_by_tick,
    live,
    lived_on,
    standard,
    surroundings,
)
from missioncontrol.verdict.replay import Looks, look, pings_before
from missioncontrol.verdict.tables import Bools, Channel, Floats, Ints, Release


@dataclass(frozen=True)
class Other:
    """Another version as control: its sums up to now, and the tick at which it was succeeded."""

    release: Release
    successor: int


@dataclass(frozen=True)
class _Watched:
    """A control that goes on: its own level, and up to where it is known."""

    life: Life
    own: Standard
    control: Control


class Follower:
    """Follows one release. Sums that were given once may only be added to: else make another one."""

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
        """The looks at ages `ticks` (ascending, all known), and those that judging them looks back at."""
        baseline = self.baseline
        until = release.published + int(ticks[-1])
        self._go_on(release, channel, until)
        life, around = self._life, self._surround(others, channel, int(ticks[-1]))
        assert life is not None
        every = looked_back(ticks)
        return look(
            baseline, life, self._pings, around, every, baseline.phi, self._by_tick, before.odd_rollout
        )

    def judge(
        self,
        release: Release,
        channel: Channel,
        others: Sequence[Other],
        ticks: Ints,
        before: Said = Said(),
        may_alarm: Bools | None = None,
    ) -> list[Verdict]:
        """The verdicts at ages `ticks`, all after those that were said `before`; may_alarm: [ticks]."""
        made = self.looks(release, channel, others, ticks, before)
        allowed = None
        if may_alarm is not None:
            allowed = np.ones(len(made.ticks), bool)
            allowed[np.searchsorted(made.ticks, ticks)] = may_alarm
        after = replace(before, age_ticks=max(before.age_ticks, int(ticks[0]) - 1))
        wanted = set(ticks.tolist())
        told = judge(self.baseline, made, allowed, before=after)
        return [each for each in told if each.age_ticks in wanted]

    def _go_on(self, release: Release, channel: Channel, until: int) -> None:
        if self._life is None:
            self._life = live(release, channel, until)
            self._by_tick = expected_by_tick(self._life, self.baseline.rates)
            self._pings = pings_before(channel, release.published)
            return
        known = self._life.ticks
        self._life = lived_on(self._life, release, channel, until)
        if self._life.ticks > known:
            more = expected_by_tick(self._life, self.baseline.rates, known)
            self._by_tick = np.concatenate([self._by_tick, more])

    def _surround(self, others: Sequence[Other], channel: Channel, ticks: int) -> Environment:
        assert self._life is not None
        until = self._life.published + ticks
        controls = [self._control(other, channel, until) for other in others]
        known = 0 if self._around is None else len(self._around.factor)
        more = surroundings(
            controls, self._life.published, ticks, self.baseline.leaving, self.baseline.phi, known
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
            watched = _Watched(life, own, Control(life.published, counts, expected))
        else:
            known = watched.life.ticks
            life = lived_on(watched.life, release, channel, until)
            if life.ticks > known:
                counts = release.counts[known : life.ticks].sum(axis=1)
                expected = watched.own.of(expected_by_tick(life, rates, known), life.published + known)
                before = watched.control
                control = Control(
                    life.published,
                    np.concatenate([before.counts, counts]),
                    np.concatenate([before.expected, expected]),
                )
                watched = _Watched(life, watched.own, control)
        self._others[release.version] = watched
        return watched.control


def _joined(before: Environment, more: Environment) -> Environment:
    return Environment(
        np.concatenate([before.factor, more.factor]),
        np.concatenate([before.shock, more.shock]),
        np.concatenate([before.log_ratio, more.log_ratio], axis=1),
        np.concatenate([before.variance, more.variance], axis=1),
    )
