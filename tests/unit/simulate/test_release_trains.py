"""Release trains: what is drawn adds up, and differs where a story says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from missioncontrol.simulate.trains.crashes import draw_crashes, draw_swell
from missioncontrol.simulate.trains.scenarios import SCENARIOS
from missioncontrol.simulate.trains.usage import CELLS, FINE, SEEN_TICKS, Rollout, Train, Usage, draw_rollout
from missioncontrol.simulate.trains.world import LIFE_DAYS, LIFE_TICKS, STRATA, World, draw_world

CLIENTS = 20_000
EVERYONE = Rollout(share=1.0, hours=0.0, haste=100.0)


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(np.random.default_rng(3), CLIENTS)


def interval(world: World, rollout: Rollout, seed: int = 4) -> tuple[Usage, Usage]:
    return Train(world, np.random.default_rng(seed)).interval(rollout)


def test_hours_and_crashes_are_those_of_the_clients(world: World) -> None:
    old, new = interval(world, draw_rollout(np.random.default_rng(1)))
    sessions = (world.sessions_per_day * LIFE_DAYS).sum()
    hours = old.hours.sum() + new.hours.sum()
    # Lognormal sessions of 0.8 h and sd 1, none over 20 h; some pings come after all that is looked at.
    assert hours == pytest.approx(sessions * 0.8 * np.exp(0.5), rel=0.03)
    expected = old.expected.sum() + new.expected.sum()
    wanted = (world.crashes_per_hour * world.sessions_per_day).sum() * LIFE_DAYS * 0.8 * np.exp(0.5)
    assert expected == pytest.approx(wanted, rel=0.05)
    assert old.pings.sum() + new.pings.sum() == pytest.approx(sessions * 1.08, rel=0.06)


def test_each_stratum_has_its_own_clients(world: World) -> None:
    _, new = interval(world, EVERYONE)
    of_clients = np.bincount(world.stratum, world.sessions_per_day, len(STRATA))
    shares = new.hours.sum(axis=0) / new.hours.sum()
    assert np.abs(shares - of_clients / of_clients.sum()).max() < 0.01


def test_users_come_over_and_the_old_version_is_left(world: World) -> None:
    old, new = interval(world, draw_rollout(np.random.default_rng(1)))
    day = 288
    assert new.hours[:day].sum() < old.hours[:day].sum()
    assert new.hours[10 * day : 11 * day].sum() > 20 * old.hours[10 * day : 11 * day].sum()
    fast, _ = interval(world, EVERYONE)
    assert fast.hours[day:].sum() < old.hours[day:].sum()


def test_one_country_first(world: World) -> None:
    _, new = interval(world, Rollout(share=1.0, hours=0.0, first_country=1))
    first_day = new.hours[: 20 * 12].sum(axis=0)
    outside = sum(hours for hours, stratum in zip(first_day, STRATA, strict=True) if stratum[2] != "DE")
    assert first_day.sum() > 0
    assert outside == 0


def test_activity_is_the_same_hours_by_when_they_were(world: World) -> None:
    _, new = interval(world, EVERYONE)
    assert new.activity_hours.shape[1] == CELLS
    by_arrival = new.activity_hours[:FINE].sum(axis=1).cumsum()
    reported = new.hours[:FINE].sum(axis=1).cumsum()
    # All that was reported by 36 h of age was used before 72 h.
    assert by_arrival[36 * 12 - 1] == pytest.approx(reported[36 * 12 - 1], rel=1e-4)
    # Nothing arrives before it happened: cells lie before their arrival.
    ahead = [new.activity_hours[tick, tick // 6 + 1 :].sum() for tick in range(FINE - 6)]
    assert max(ahead) == pytest.approx(0, abs=1e-3)


def test_crashes_are_drawn_around_what_is_expected_in_bursts() -> None:
    expected = np.full((SEEN_TICKS, 4), 0.05)
    counts = np.stack([draw_crashes(np.random.default_rng(seed), expected).sum() for seed in range(200)])
    assert counts.mean() == pytest.approx(expected.sum(), rel=0.01)
    assert 1.4 < counts.var() / counts.mean() < 2.6


def test_the_same_seed_draws_the_same_train(world: World) -> None:
    one, other = interval(world, EVERYONE, 9), interval(world, EVERYONE, 9)
    assert one[1].hours.tobytes() == other[1].hours.tobytes()
    assert one[1].expected.tobytes() == other[1].expected.tobytes()
    assert interval(world, EVERYONE, 10)[1].hours.tobytes() != one[1].hours.tobytes()


def test_a_swell_comes_and_goes_around_one(world: World) -> None:
    swell = draw_swell(np.random.default_rng(2), 40 * LIFE_TICKS, world.settings)
    assert np.log(swell).mean() == pytest.approx(0, abs=0.01)
    assert np.log(swell).std() == pytest.approx(world.settings.swell_spread, rel=0.2)


def test_scenarios_hit_whom_they_name() -> None:
    linux = SCENARIOS["linux_x2"]
    field = linux.field(12)
    systems = np.array([stratum[0] for stratum in STRATA])
    assert set(np.unique(field[:, systems == "Linux"])) == {2.0}
    assert set(np.unique(field[:, systems != "Linux"])) == {1.0}
    late = SCENARIOS["late"].field(LIFE_TICKS)[:, 0]
    assert late[30 * 12 - 1] == 1.0
    assert late[30 * 12] == 2.0
    assert [name for name, scenario in SCENARIOS.items() if scenario.harmless] == [
        "clean", "x0.8", "x0.67", "shock", "calm", "outage", "no_hours", "no_crashes", "fast", "first_country",
        "calm_adopters", "bad_predecessor",
    ]  # fmt: skip
    assert SCENARIOS["fast"].offered(Rollout(0.2, 30.0)) == replace(Rollout(0.2, 30.0), share=1.0, haste=2.5)
