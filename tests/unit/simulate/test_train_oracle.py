"""The oracle of a train knows what is true of a candidate, and no method can be much quicker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from missioncontrol.simulate.trains.crashes import TRUE_PHI
from missioncontrol.simulate.trains.history import Told, tell, use
from missioncontrol.simulate.trains.oracle import Truth, oracle
from missioncontrol.simulate.trains.scenarios import SCENARIOS
from missioncontrol.simulate.trains.world import TICKS_PER_HOUR
from missioncontrol.verdict.evidence import THRESHOLD
from missioncontrol.verdict.forecast import events_needed
from missioncontrol.verdict.grid import cumulative, looks

RELEASES, LAST = 4, 3


@pytest.fixture(scope="module")
def told() -> Told:
    return tell(use(2, 8_000, RELEASES), 25)


def truth(told: Told, name: str) -> Truth:
    return oracle(told.story(LAST, SCENARIOS[name], LAST), looks())


def found_at(e_values: np.ndarray) -> float:
    """Age of the first alarm, in hours."""
    alarms = e_values >= THRESHOLD
    return float(looks()[alarms.argmax()]) / TICKS_PER_HOUR if alarms.any() else np.inf


def test_the_true_ratio_is_that_of_the_story(told: Told) -> None:
    assert (truth(told, "clean").log_ratio == 0).all()
    assert np.exp(truth(told, "x2").log_ratio[100:]) == pytest.approx(2.0, rel=1e-5)
    late = truth(told, "late").log_ratio
    before = looks() <= SCENARIOS["late"].from_hours * TICKS_PER_HOUR
    assert (late[before] == 0).all() and 0 < late[~before][0] < late[-1] < np.log(2)


def test_it_is_the_ratio_of_what_was_to_be_expected_in_a_shock_too(told: Told) -> None:
    """What moves all versions is no fault of the candidate."""
    assert (truth(told, "shock").log_ratio == 0).all()


def test_nothing_wrong_is_no_alarm_and_what_is_worse_is_the_sooner_found_the_worse_it_is(told: Told) -> None:
    assert found_at(truth(told, "clean").whole) == np.inf
    ages = [found_at(truth(told, name).whole) for name in ("x5", "x2", "x1.5")]
    assert ages == sorted(ages) and ages[0] > 0 and ages[-1] < np.inf


def test_who_is_hit_alone_shows_it_sooner_than_everyone(told: Told) -> None:
    known = truth(told, "linux_x2")
    assert found_at(known.hit) < found_at(known.whole)
    everyone = truth(told, "x2")
    assert (everyone.hit == everyone.whole).all()


def test_it_needs_about_as_many_events_as_a_known_baseline_lets_expect(told: Told) -> None:
    """phi log(222) / (r log r - r + 1), which forecasts rest on: with counts that are what is to be expected."""
    story = told.story(LAST, SCENARIOS["x2"], LAST)
    smooth = replace(story, candidate=replace(story.candidate, counts=story.candidate.expected * 2))
    e_values = oracle(smooth, looks()).whole
    expected = cumulative(story.candidate.expected, looks()).sum(axis=1)
    needed = float(expected[(e_values >= THRESHOLD).argmax()])
    assert needed == pytest.approx(events_needed(2.0, TRUE_PHI), rel=0.3)


def test_a_look_knows_what_had_been_counted_by_then_alone(told: Told) -> None:
    story = told.story(LAST, SCENARIOS["x2"], LAST)
    whole, some = oracle(story, looks()), looks()[:100]
    candidate = replace(story.candidate, counts=story.candidate.counts[: int(some[-1])])
    then = oracle(replace(story, candidate=candidate), some)
    assert (then.whole == whole.whole[:100]).all() and (then.hit == whole.hit[:100]).all()
