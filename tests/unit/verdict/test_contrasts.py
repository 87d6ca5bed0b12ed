"""Which users of a release differ: how often one is named without cause, how surely with one, and odd tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from missioncontrol.verdict.contrasts import Contrast, burstiness, contrasts
from missioncontrol.verdict.tables import Floats

TIMES = 24
WORLDS = 300


@dataclass(frozen=True)
class World:
    """A release and the one before it, with `events` each; the nth value's use is as 1 / n.

    differs: sd of the logarithm of a value's own rate, which lasts; drifts: sd of what it does from release to release
    without any cause; phi: variance over mean of counts.
    """

    values: int = 40
    events: float = 4000.0
    differs: float = 0.3
    drifts: float = 0.0
    phi: float = 1.5


def told(
    world: World, rng: np.random.Generator, factor: float = 1.0, of: int = 3
) -> tuple[float, Contrast, Contrast]:
    """phi, and both contrasts; all users crash 1.3 times as often as before, those of value `of` `factor` as often."""
    hours = np.outer(np.ones(TIMES) / TIMES, 1 / np.arange(1, world.values + 1)) * 1e5
    own = np.exp(rng.normal(0, world.differs, world.values))
    usual = world.events / (hours.sum(axis=0) @ own)
    moved = np.exp(rng.normal(0, world.drifts, world.values))
    moved[of] *= factor
    before = bursts(hours * usual * own, world.phi, rng)
    counts = bursts(hours * usual * own * moved * 1.3, world.phi, rng)
    phi = burstiness(counts, hours)
    rest, since = contrasts(counts.sum(axis=0), hours.sum(axis=0), before.sum(axis=0), hours.sum(axis=0), phi)
    assert since is not None
    return phi, rest, since


def bursts(means: Floats, phi: float, rng: np.random.Generator) -> Floats:
    """Counts whose variance is phi times their mean."""
    return rng.negative_binomial(np.maximum(means / (phi - 1), 1e-9), 1 / phi).astype(float)


@pytest.mark.parametrize(
    "world",
    [
        World(),
        World(drifts=0.045),
        World(events=300, phi=3.0, drifts=0.045),
        World(values=4, events=200_000, drifts=0.045),
        World(drifts=0.2),
        World(values=120, events=20_000, drifts=0.045),
    ],
)
def test_users_that_moved_as_all_did_are_seldom_named(world: World) -> None:
    rng = np.random.default_rng(7)
    false = sum(bool(told(world, rng)[2].told.any()) for _ in range(WORLDS))
    assert false <= 0.05 * WORLDS, false


def test_users_that_are_alike_are_seldom_named() -> None:
    rng = np.random.default_rng(8)
    world = World(differs=0.0)
    false = sum(
        bool((found[1].told | found[2].told).any()) for found in (told(world, rng) for _ in range(WORLDS))
    )
    assert false <= 0.05 * WORLDS, false


@pytest.mark.parametrize(("factor", "least"), [(2.0, 36), (3.0, 54)])
def test_users_that_crash_more_often_are_named_and_the_interval_holds(factor: float, least: int) -> None:
    rng = np.random.default_rng(9)
    found = [told(World(drifts=0.045), rng, factor)[2] for _ in range(60)]
    assert sum(one.told[3] for one in found) >= least
    assert sum(one.told.sum() - one.told[3] for one in found) <= 0.05 * sum(one.told.sum() for one in found)
    held = [one.low[3] <= factor and not one.high[3] < factor for one in found]
    assert sum(held) >= 55 and np.median([one.ratio[3] for one in found]) == pytest.approx(factor, rel=0.15)


def test_who_stayed_as_they_were_are_not_named_for_those_who_moved() -> None:
    counts, hours = np.array([6000.0, 900.0, 500.0]), np.array([6e4, 3e3, 5e3])
    _, since = contrasts(counts, hours, np.array([6100.0, 310.0, 510.0]), hours, 1.5)
    assert since is not None and since.told.tolist() == [False, True, False]
    assert since.ratio[1] == pytest.approx(2.95, rel=0.03) and since.ratio[0] == pytest.approx(1, rel=0.1)


def test_one_that_moved_far_is_named_among_few() -> None:
    hours = np.array([20.0, 4.0, 3.4, 2.7, 2.7, 1.1]) * 1e6
    before = np.array([2.54, 3.42, 1.44, 2.91, 1.70, 1.68]) * hours / 1000
    after = before * np.array([0.97, 0.99, 0.91, 0.96, 1.85, 0.92])
    _, since = contrasts(after, hours, before, hours, 2.0)
    assert since is not None and since.told.tolist() == [False] * 4 + [True, False]


def test_bursts_are_measured() -> None:
    rng = np.random.default_rng(10)
    assert np.mean([told(World(phi=3.0), rng)[0] for _ in range(20)]) == pytest.approx(3, rel=0.2)
    assert np.mean([told(World(phi=1.01), rng)[0] for _ in range(20)]) < 1.2


def test_tables_with_nothing_to_compare() -> None:
    one = np.array([5.0])
    for counts, hours in (
        (one, one),
        (np.zeros(3), np.ones(3)),
        (np.zeros(0), np.zeros(0)),
        (np.ones(2), np.zeros(2)),
    ):
        assert burstiness(counts[None, :], hours[None, :]) >= 1
        rest, since = contrasts(counts, hours, counts, hours, 1.5)
        assert since is not None
        for found in (rest, since):
            assert np.isnan(found.ratio).all() and not found.told.any()
    assert contrasts(np.array([5.0, 9.0]), np.ones(2), None, None, 1.5)[1] is None


def test_an_interval_has_no_end_where_the_ratio_may_be_beyond_what_is_looked_at() -> None:
    rest, _ = contrasts(np.array([0.0, 300.0, 4000.0]), np.array([10.0, 10.0, 1e4]), None, None, 1.5)
    assert rest.low[0] == 0 and rest.ratio[1] > 11 and np.isnan(rest.high[1]) and rest.told[1]
    assert (rest.low[np.isfinite(rest.low)] >= 0).all()
