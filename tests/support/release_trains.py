"""A small train of releases with known truth, as tables that verdicts read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from missioncontrol.simulate.trains.crashes import draw_crashes, draw_level
from missioncontrol.simulate.trains.usage import SEEN_TICKS, Train, draw_rollout
from missioncontrol.simulate.trains.world import DIMENSIONS, LIFE_TICKS, STRATA, Settings, draw_world
from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.controls import control
from missioncontrol.verdict.lives import live
from missioncontrol.verdict.tables import Activity, Channel, Release, Strata

STRATA_TABLE = Strata(DIMENSIONS, STRATA)


@dataclass(frozen=True)
class Story:
    """Predecessors, the candidate, the channel's pings; `expected` [ticks, strata] is the candidate's truth."""

    predecessors: list[Release]
    candidate: Release
    channel: Channel
    expected: np.ndarray

    def worse(self, factor: float, members: np.ndarray | None = None, seed: int = 1) -> Story:
        """The same story with a candidate that crashes `factor` times as often (for `members`)."""
        field = np.where(np.ones(len(STRATA), bool) if members is None else members, factor, 1.0)
        counts = draw_crashes(np.random.default_rng(seed), self.expected * field)
        return replace(self, candidate=replace(self.candidate, counts=counts.astype(np.float32)))

    def controls(self, baseline: Baseline) -> list:
        """The version before the candidate, as control."""
        before = live(self.predecessors[-1], self.channel, None, baseline.trait)
        return [control(before, baseline.rates, self.candidate.published)]


def tell(
    seed: int = 5, clients: int = 60_000, weight: int = 3, releases: int = 9, settings: Settings = Settings()
) -> Story:
    """`releases` releases two weeks apart; the last is the candidate, and nothing is wrong with it."""
    rng = np.random.default_rng(seed)
    world = draw_world(rng, clients, settings=settings)
    train = Train(world, rng)
    usages = []
    for _ in range(releases):
        old, new = train.interval(draw_rollout(rng))
        if usages:
            for name in ("hours", "expected", "pings"):
                getattr(usages[-1], name)[LIFE_TICKS:] += getattr(old, name)[:LIFE_TICKS]
        usages.append(new)
    pings = np.zeros((releases + 1) * LIFE_TICKS)
    tables, truths = [], []
    for place, usage in enumerate(usages):
        start = place * LIFE_TICKS
        known = SEEN_TICKS if place + 1 < releases else LIFE_TICKS
        expected = usage.expected[:known] * weight * draw_level(rng, world.settings).by_stratum
        pings[start : start + SEEN_TICKS] += usage.pings * weight
        activity = Activity(usage.activity_hours * weight, usage.activity_starts * weight)
        counts = draw_crashes(rng, expected).astype(np.float32)
        tables.append(Release(f"{place + 100}.0", start, usage.hours[:known] * weight, counts, activity))
        truths.append(expected)
    return Story(tables[:-1], tables[-1], Channel(0, pings[: releases * LIFE_TICKS]), truths[-1])
