"""An ordinary rollout is not called odd because its users are few; one that is offered otherwise is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.support.release_trains import STRATA_TABLE

from missioncontrol.simulate.trains.history import Story, Told, Version, tell, use
from missioncontrol.simulate.trains.scenarios import SCENARIOS
from missioncontrol.simulate.trains.world import LIFE_TICKS
from missioncontrol.verdict.baseline import PREDECESSORS, learn
from missioncontrol.verdict.grid import KNOTS, looks
from missioncontrol.verdict.oddities import unusual_pace
from missioncontrol.verdict.replay import replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Activity, Channel, Floats, Release

LOOKS = looks()
AGES = LOOKS / TICKS_PER_HOUR
DAY = 24 * TICKS_PER_HOUR


def adoption(seed: int, clients: int, releases: int) -> tuple[Floats, Floats, Floats]:
    """[releases, ticks] hours so far, the same of rollouts offered to everyone, [releases] pings of the day before."""
    used = use(seed, clients, releases)
    pings = np.zeros((releases + 2) * LIFE_TICKS)
    for place, each in enumerate(used.intervals):
        both = each.own.pings + each.left.pings
        pings[place * LIFE_TICKS : place * LIFE_TICKS + len(both)] += both
    days = pings.reshape(-1, DAY).sum(axis=1)
    before = np.array([days[max(place * 14 - 1, 0)] for place in range(releases)])
    fast = [
        used.again(place, SCENARIOS["fast"].offered(each.rollout))
        for place, each in enumerate(used.intervals)
    ]
    own = (np.cumsum([i.own.hours.sum(axis=1) for i in told], axis=1) for told in (used.intervals, fast))
    return (*own, before)


def odd(history: Floats, before: Floats, hours: Floats, pings: float) -> bool:
    """Whether a rollout is ever at an unusual pace."""
    known = np.log(np.maximum(history[:, KNOTS - 1], 1e-9) / before[:, None])
    mine = hours[LOOKS - 1]
    adopted = np.log(np.maximum(mine, 1e-9) / pings)
    return bool((unusual_pace(known, AGES, adopted, mine) & (AGES >= 1.5)).any())


@pytest.mark.parametrize(("seed", "clients"), [(2, 2_000), (7, 2_000), (4, 20_000)])
def test_ordinary_rollouts_of_few_users_are_not_odd_and_fast_ones_are(seed: int, clients: int) -> None:
    hours, fast, before = adoption(seed, clients, 30)
    ordinary, hasty = 0, 0
    candidates = range(PREDECESSORS + 1, len(hours))
    for place in candidates:
        earlier = slice(place - PREDECESSORS, place)
        ordinary += odd(hours[earlier], before[earlier], hours[place], before[place])
        hasty += odd(hours[earlier], before[earlier], fast[place], before[place])
    assert ordinary == 0
    assert hasty == len(candidates)


@cache
def train() -> Told:
    return tell(use(6, 4_000, 9), 50)


def flags(story: Story) -> tuple[set[str], float]:
    """Which oddities stand at some look, and the age at which the rollout is first odd."""
    channel = Channel(0, story.pings)
    candidate = released(story.candidate)
    baseline = learn(
        [released(each) for each in story.predecessors], channel, STRATA_TABLE, candidate.published
    )
    found = replay(baseline, candidate, channel, [], LOOKS)
    named = {"odd_rollout": found.odd.odd_rollout, "odd_mix": found.odd.odd_mix}
    first = found.odd.odd_rollout.argmax()
    return {name for name, stands in named.items() if stands.any()}, float(AGES[first])


def released(version: Version) -> Release:
    tables = (version.hours, version.counts, version.activity_hours, version.activity_starts)
    hours, counts, active, starts = (table.astype(np.float64) for table in tables)
    return Release(version.name, version.published, hours, counts, Activity(active, starts))


@pytest.mark.parametrize(("scenario", "known_at"), [("clean", None), ("fast", 3.0), ("first_country", 6.0)])
def test_a_rollout_that_is_offered_otherwise_is_odd_within_hours(
    scenario: str, known_at: float | None
) -> None:
    named, first = flags(train().story(8, SCENARIOS[scenario], 8))
    assert ("odd_rollout" in named) is (known_at is not None)
    assert known_at is None or first <= known_at


def test_the_mix_of_the_first_few_sessions_is_chance(train_of_few: Story) -> None:
    assert flags(train_of_few)[0] <= {"odd_mix"}


@pytest.fixture(scope="module")
def train_of_few() -> Story:
    """A candidate whose first users of three hours live in one country, and are three."""
    story = train().story(8, SCENARIOS["clean"], 8)
    hours = story.candidate.hours.copy()
    hours[: 3 * TICKS_PER_HOUR] = 0
    hours[TICKS_PER_HOUR, :3] = 1.0
    return replace(story, candidate=replace(story.candidate, hours=hours))
