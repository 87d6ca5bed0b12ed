"""What is bad when it falls is judged as the mirror of what is bad when it grows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.simulate.trains.world import STRATA
from missioncontrol.verdict.attribution import attribute, hypotheses
from missioncontrol.verdict.baseline import Baseline, learn
from missioncontrol.verdict.environment import Environment, unseen_shock
from missioncontrol.verdict.evidence import (
    SAME_THRESHOLD,
    SHIFTS,
    THETAS,
    e_better,
    e_worse,
    interval,
    log_likelihood,
)
from missioncontrol.verdict.forecast import RATIOS, forecasts
from missioncontrol.verdict.grid import looks
from missioncontrol.verdict.judge import BETTER, TOO_EARLY, WORSE, Verdict, judge
from missioncontrol.verdict.replay import Looks, replay
from missioncontrol.verdict.strata import Strata
from missioncontrol.verdict.tables import DOWN, UP

SYSTEMS = Strata(("os_name",), (("Windows_NT",), ("Darwin",), ("Linux",)))


def learned(story: Story, bad: int = DOWN) -> Baseline:
    return learn(story.predecessors, story.channel, STRATA_TABLE, story.candidate.published, bad=bad)


def seen(story: Story, baseline: Baseline) -> Looks:
    return replay(baseline, story.candidate, story.channel, story.controls(baseline), looks())


def verdicts(story: Story, bad: int = DOWN) -> list[Verdict]:
    baseline = learned(story, bad)
    return judge(baseline, seen(story, baseline))


def test_a_ratio_is_as_likely_whichever_way_is_bad() -> None:
    counts, expected, tau = np.array([40.0, 100.0]), np.array([100.0, 90.0]), np.array([0.06, 0.1])
    up, down = (log_likelihood(counts, expected, tau, 1.5, 8, bad=bad) for bad in (UP, DOWN))
    shared = np.abs(THETAS) <= 1.2
    assert np.allclose(up[:, shared], down[:, shared][:, ::-1])
    assert e_worse(down)[0] > 100 > e_worse(up)[0] and e_better(up)[0] > 100 > e_better(down)[0]
    (low, high), (low_down, high_down) = interval(up), interval(down, DOWN)
    assert np.allclose(high, high_down, atol=0.02) and np.allclose(low[1], low_down[1], atol=0.02)
    assert low[0] == THETAS[0] and low_down[0] < low[0], "the grid of ratios goes on where it is bad"


def test_a_fall_to_a_seventh_has_both_ends_of_an_interval_where_less_is_bad() -> None:
    counts, expected, tau = np.array([300.0]), np.array([2000.0]), np.array([0.05])
    low, high = interval(log_likelihood(counts, expected, tau, 1.0, 12, bad=DOWN), DOWN)
    assert -THETAS[-1] < low[0] < np.log(0.15) < high[0] < np.log(0.25)


def test_a_shock_that_is_not_sure_is_as_likely_on_the_side_that_is_bad() -> None:
    flat = np.ones((6, 1))
    chances = []
    for bad in (UP, DOWN):
        around = Environment(
            np.ones(1), np.full(1, 12), np.zeros(1, bool), flat * bad * 0.4, flat * 0.01, np.full(1, 1e3)
        )
        chances.append(unseen_shock(around, flat, np.zeros(1, np.int64), (1.0,), bad)[0, 0])
    assert np.allclose(*chances) and chances[0] @ SHIFTS > 0.2


def named(ratios: list[float], bad: int) -> list[tuple[tuple[str, str], ...]]:
    expected = np.array([400.0, 400.0, 400.0])
    possible = hypotheses(SYSTEMS, np.ones(3))
    found = attribute(np.array(ratios) * expected, expected, 1200.0, 0.06, 1.0, possible, bad)
    return [each.where for each in found]


@pytest.mark.parametrize(("ratios", "bad"), [([0.5, 0.5, 1.0], DOWN), ([2.0, 2.0, 1.0], UP)])
def test_who_is_not_hit_explains_nothing(ratios: list[float], bad: int) -> None:
    assert named(ratios, bad)[0] != (("os_name", "Linux"),)
    assert named(ratios, bad)[-1] == (("os_name", "Linux"),)


@pytest.mark.parametrize(("ratio", "bad"), [(0.5, DOWN), (2.0, UP)])
def test_who_is_hit_alone_is_named_with_a_share_of_what_is_bad(ratio: float, bad: int) -> None:
    expected = np.array([400.0, 400.0, 400.0])
    possible = hypotheses(SYSTEMS, np.ones(3))
    counts = expected * np.array([1.0, 1.0, ratio])
    best = attribute(counts, expected, 1200.0, 0.06, 1.0, possible, bad)[0]
    assert best.where == (("os_name", "Linux"),) and best.ratio == ratio
    assert best.share == pytest.approx(1.0)


def test_a_release_like_its_predecessors_is_not_called_worse(story: Story) -> None:
    told = verdicts(story)
    assert WORSE not in {each.verdict for each in told}
    assert told[0].verdict == TOO_EARLY and [each.ratio for each in told[0].forecast] == [0.8, 0.67, 0.5]


def test_half_as_many_are_worse_and_twice_as_many_better(story: Story) -> None:
    fewer = verdicts(story.worse(0.5))[-1]
    assert (fewer.verdict, fewer.where) == (WORSE, None)
    assert fewer.low is not None and fewer.high is not None and fewer.low < 0.5 < fewer.high < 1
    assert verdicts(story.worse(2.0))[-1].verdict == BETTER


def test_what_is_said_does_not_depend_on_the_direction_but_for_its_sign(story: Story) -> None:
    """Ratio and whether it is the same are of no direction; what is worse one way is better the other."""
    fewer = story.worse(0.5)
    up, down = (seen(fewer, learned(fewer, bad)) for bad in (UP, DOWN))
    assert (up.expected == down.expected).all() and (up.counts == down.counts).all()
    assert up.better[-1] > 100 and down.evidence[-1] > 100
    assert up.evidence[-1] < 1 and down.better[-1] < 1
    assert ((up.same >= SAME_THRESHOLD) == (down.same >= SAME_THRESHOLD)).all()
    known = (up.low > THETAS[0]) & (down.high < -THETAS[0])
    assert known.any() and np.allclose(up.low[known], down.low[known], atol=0.12)


def test_a_system_that_alone_has_fewer_is_named(story: Story) -> None:
    told = verdicts(story.worse(0.3, np.array([stratum[0] == "Darwin" for stratum in STRATA])))[-1]
    assert (told.verdict, told.where) == (WORSE, (("os_name", "Darwin"),))
    best = told.explanations[0]
    assert best.ratio < 0.5 and 0.8 < best.rest < 1.25


def test_a_fall_that_begins_late_is_found(story: Story) -> None:
    late, start = story.worse(0.5), 100 * 12
    counts = np.concatenate([story.candidate.counts[:start], late.candidate.counts[start:]])
    told = verdicts(replace(story, candidate=replace(story.candidate, counts=counts)))
    first = next(each for each in told if each.verdict == WORSE)
    assert start < first.age_ticks < start + 48 * 12


@pytest.mark.parametrize(("ratio", "bad"), [(0.25, DOWN), (4.0, UP)])
def test_one_predecessor_is_enough_for_what_is_far(story: Story, ratio: float, bad: int) -> None:
    told = verdicts(replace(story.worse(ratio), predecessors=story.predecessors[-1:]), bad)[-1]
    assert told.verdict == WORSE and "short_history" in told.reasons


@pytest.mark.parametrize(("ratio", "bad"), [(0.7, DOWN), (1.6, UP)])
def test_with_few_predecessors_only_what_is_far_is_called(story: Story, ratio: float, bad: int) -> None:
    told = verdicts(replace(story.worse(ratio), predecessors=story.predecessors[-4:]), bad)
    held = [each for each in told if each.evidence >= 2 and each.first is None]
    assert held and all(each.ratio is not None and 0.5 < each.ratio < 2 for each in held)


def test_when_ratios_will_be_known_is_told_of_those_that_are_bad(story: Story) -> None:
    for bad in (UP, DOWN):
        told = forecasts(learned(story, bad), 1.0, 5.0, 100.0)
        assert tuple(each.ratio for each in told) == RATIOS[bad]
        ages = [each.age_hours or np.inf for each in told]
        assert ages == sorted(ages, reverse=True) and ages[-1] < np.inf
