"""Which signatures carry an excess: how often one is named without cause, and how surely with one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from missioncontrol.verdict.carriers import Counts, carriers
from missioncontrol.verdict.tables import Floats

NAMES = 300
"""Signatures that every release may have."""
NEW = 15
"""That a release brings; they fade with the two after it."""


@dataclass(frozen=True)
class World:
    """Releases with signatures of which the nth is as frequent as 1 / n^1.1, and all `total` crashes together.

    differs: sd of a signature's rate from release to release; phi: variance over mean of counts, by bursts; sampled:
    crashes that a report stands for; heavy: sizes of new signatures are log-normal instead of exponential.
    """

    predecessors: int = 12
    total: float = 3000.0
    differs: float = 0.2
    phi: float = 1.5
    sampled: int = 1
    heavy: bool = False


def told(world: World, rng: np.random.Generator, factor: float = 1.0, of: int = 0) -> Counts:
    """A release without any change, but that signature `of` is `factor` times as frequent, and its predecessors."""
    releases = world.predecessors + 1
    usual = 1 / np.arange(1, NAMES + 1) ** 1.1
    usual *= world.total / usual.sum()
    events = world.total * np.exp(rng.normal(0, 0.3, releases))
    crashes = np.zeros((releases, NAMES + NEW * releases))
    for n in range(releases):
        rates = np.zeros(crashes.shape[1])
        shape = 1 / world.differs**2
        rates[:NAMES] = usual * rng.gamma(shape, 1 / shape, NAMES) * np.exp(rng.normal(0, 0.05))
        for brought in range(max(n - 2, 0), n + 1):
            some = rng.lognormal(0.3, 1.2, NEW) if world.heavy else rng.exponential(2.0, NEW) + 0.5
            rates[NAMES + NEW * brought :][:NEW] = some / (1 + n - brought)
        if n == releases - 1:
            rates[of] *= factor
        crashes[n] = bursts(rates * events[n] / world.total, world.phi, rng)
    reports = rng.binomial(crashes.astype(int), 1 / world.sampled).astype(float)
    weighed = reports * world.sampled
    return Counts(weighed[-1], reports[-1], weighed[:-1], reports[:-1], float(events[-1]), events[:-1])


def bursts(rates: Floats, phi: float, rng: np.random.Generator) -> Floats:
    """Counts of mean `rates` that come in bursts of geometric size, so that their variance is phi times that."""
    size = (phi + 1) / 2
    number = rng.poisson(rates / size)
    return number + rng.negative_binomial(np.maximum(number, 1), 1 / size) * (number > 0)


@pytest.mark.parametrize(
    "world",
    [
        World(),
        World(differs=0.02),
        World(differs=0.5),
        World(total=200),
        World(total=20_000),
        World(predecessors=3),
        World(predecessors=1),
        World(sampled=10, total=20_000),
        World(phi=4.0),
        World(heavy=True),
    ],
    ids=repr,
)
def test_without_a_change_a_signature_is_named_in_at_most_5_of_100_cases(world: World) -> None:
    rng = np.random.default_rng(11)
    named = sum(bool(carriers(told(world, rng), world.phi).named.any()) for _ in range(150))
    assert named <= 0.05 * 150 + 2.5 * np.sqrt(150 * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("of", "factor", "least"), [(0, 3.0, 0.9), (5, 4.0, 0.8), (NAMES + 12 * NEW, 60.0, 0.7)]
)
def test_what_carries_an_excess_is_named_and_little_else(of: int, factor: float, least: float) -> None:
    rng = np.random.default_rng(12)
    found = [carriers(told(World(), rng, factor, of), 1.5) for _ in range(50)]
    assert sum(bool(each.named[of]) for each in found) >= least * 50
    assert sum(int(each.named.sum() - each.named[of]) for each in found) <= 5


def test_intervals_hold() -> None:
    rng = np.random.default_rng(13)
    held = 0
    for _ in range(100):
        found = carriers(told(World(), rng, 3.0), 1.5)
        held += bool(found.low[0] <= 3.0 <= found.high[0])
    assert held >= 93


def plain(now: list[float], before: list[list[float]], **other: Any) -> Counts:
    counts = Counts(
        np.array(now), np.array(now), np.array(before), np.array(before), 100.0, np.full(len(before), 100.0)
    )
    return replace(counts, **other)


def test_what_is_expected_goes_by_what_the_measure_expects() -> None:
    before = [[10.0, 4.0], [10.0, 6.0]]
    assert carriers(plain([10.0, 5.0], before), 1.0).expected == pytest.approx([10.0, 5.0])
    assert carriers(plain([10.0, 5.0], before, events=300.0), 1.0).expected == pytest.approx([30.0, 15.0])
    longer = np.array([100.0, 300.0])
    assert carriers(plain([10.0, 5.0], before, before_events=longer), 1.0).expected == pytest.approx(
        [5.0, 2.5]
    )


def test_three_against_one_is_no_excess_and_thirty_against_one_is() -> None:
    before = [[50.0, 1.0]] * 8
    assert not carriers(plain([50.0, 3.0], before), 1.0).named.any()
    assert carriers(plain([50.0, 30.0], before), 1.0).named.tolist() == [False, True]


def test_the_more_signatures_are_looked_at_the_more_it_takes() -> None:
    few, many = [10.0] + [10.0] * 2, [10.0] + [10.0] * 2000
    now = 26.0
    assert carriers(plain([now, *few[1:]], [few] * 8), 1.0).named[0]
    assert not carriers(plain([now, *many[1:]], [many] * 8), 1.0).named[0]


def test_one_that_is_new_is_measured_by_those_that_earlier_releases_brought() -> None:
    """A column a release: each brought one signature of that size."""
    for size, named in ((1.0, True), (30.0, False)):
        table = np.hstack([np.full((9, 1), 50.0), size * np.eye(9)])
        table[8, 9] = 25.0
        found = carriers(plain(list(table[8]), table[:8].tolist()), 1.0)
        assert found.named[9] == named


def test_without_signatures_none_is_named() -> None:
    none = np.zeros(0)
    found = carriers(Counts(none, none, np.zeros((2, 0)), np.zeros((2, 0)), 10.0, np.ones(2)), 1.0)
    assert (found.looked_at, len(found.named)) == (0, 0)
