"""Branches of experiments: all intervals at once at every look, and what differs is told."""

from __future__ import annotations

import numpy as np

from missioncontrol.verdict.branches import course, differences, slices
from missioncontrol.verdict.tables import Floats

MEASURES, BRANCHES, CELLS, GROUPS = 6, 3, 60, 20
COMPARISONS = MEASURES * (BRANCHES - 1)


def experiment(
    rng: np.random.Generator, events: float = 600.0, ratio: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """[measures, branches, cells] events and hours, [measures, branches, cells, groups] sums by users.

    Bursts of 2; every group of users of a branch has luck of its own; branch 2 has the ratio in measure 0.
    """
    hours = np.full((MEASURES, BRANCHES, CELLS), 100.0) * rng.gamma(50, 1 / 50, (1, BRANCHES, CELLS))
    luck = rng.gamma(30, 1 / 30, (MEASURES, BRANCHES, 1, GROUPS))
    expected = np.full((MEASURES, BRANCHES, CELLS, GROUPS), events / CELLS / GROUPS) * luck
    expected[0, 2] *= ratio
    causes = rng.poisson(expected / 2)
    groups = (causes + np.where(causes > 0, rng.negative_binomial(np.maximum(causes, 1), 0.5), 0)).astype(
        float
    )
    return groups.sum(axis=3), hours, groups


def test_in_at_most_one_experiment_of_twenty_any_interval_ever_misses() -> None:
    from missioncontrol.verdict import pairs

    rng = np.random.default_rng(21)
    missed = 0
    for _ in range(500):
        events, hours, groups = experiment(rng)
        users = groups.cumsum(axis=2)
        base = np.s_[0:1]
        sides = (
            events[:, 1:],
            hours[:, 1:],
            np.repeat(events[:, base], 2, 1),
            np.repeat(hours[:, base], 2, 1),
        )
        seen = pairs.looks(*sides, (1, 3, 12), (users[:, 1:], np.repeat(users[:, base], 2, 1)))
        missed += bool((pairs.log_evidence(seen) > np.log(COMPARISONS / 0.05)).any())
    assert missed <= 25


def test_a_difference_is_told_with_its_size_and_nothing_else_is() -> None:
    events, hours, groups = experiment(np.random.default_rng(22), 3000, 2.0)
    found = differences(events, hours, 0, COMPARISONS, groups.sum(axis=2))
    assert [one is None for one in found[0]] == [True, False, False]
    told = found[0][2]
    assert told and told.answer == "more" and told.low and told.high and told.low < 2.0 < told.high
    others = [one for row in found for one in row if one and one is not told]
    assert {one.answer for one in others} <= {"too-early", "same"}


def test_the_other_way_round_it_is_less() -> None:
    events, hours, groups = experiment(np.random.default_rng(22), 3000, 2.0)
    there = differences(events, hours, 0, COMPARISONS, groups.sum(axis=2))[0][2]
    back = differences(events, hours, 2, COMPARISONS, groups.sum(axis=2))[0][0]
    assert there and back and there.ratio and back.ratio and there.low and back.high
    assert back.answer == "less"
    assert np.isclose(there.ratio * back.ratio, 1) and np.isclose(there.low * back.high, 1)


def test_the_course_ends_where_the_newest_look_is_and_narrows() -> None:
    events, hours, groups = experiment(np.random.default_rng(23), 2000, 1.5)
    last = differences(events, hours, 0, COMPARISONS, groups.sum(axis=2))[0][2]
    went = course(events[0], hours[0], 2, 0, COMPARISONS, groups[0].cumsum(axis=1))
    assert last and np.isclose(went.ratio[-1], last.ratio) and np.isclose(went.low[-1], last.low)
    assert went.high[-1] / went.low[-1] < went.high[9] / went.low[9]


def test_more_comparisons_widen() -> None:
    events, hours, groups = experiment(np.random.default_rng(24))
    few, many = (differences(events, hours, 0, n, groups.sum(axis=2))[0][1] for n in (1, 100))
    assert few and many and few.low and many.low and few.high and many.high
    assert many.low < few.low and many.high > few.high and many.ratio == few.ratio


def test_a_branch_without_usage_is_not_compared() -> None:
    events, hours, groups = experiment(np.random.default_rng(25))
    hours[:, 1] = 0
    one = differences(events, hours, 0, COMPARISONS, groups.sum(axis=2))[0][1]
    assert one and one.answer == "too-early" and one.ratio is None and one.low is None


def test_values_without_usage_of_a_branch_have_no_ratio() -> None:
    ratio, low, high = slices(
        np.array([[9.0, 3.0], [4.0, 1.0]]), np.array([[10.0, 0.0], [10.0, 5.0]]), 2.0, 4
    )
    assert np.isclose(ratio[0], 9 / 4) and low[0] < 9 / 4 < high[0]
    assert np.isnan([ratio[1], low[1], high[1]]).all()
