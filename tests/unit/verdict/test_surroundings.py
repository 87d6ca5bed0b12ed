"""What moves all versions at once, as the version that is being left shows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.verdict.baseline import Baseline, learn
from missioncontrol.verdict.controls import surroundings
from missioncontrol.verdict.environment import (
    LONGEST_TICKS,
    WINDOWS_HOURS,
    Environment,
    Seen,
    environment,
    mean_factor,
    unseen_shock,
)
from missioncontrol.verdict.evidence import SHIFTS
from missioncontrol.verdict.tables import TICKS_PER_HOUR

DAY = 24 * TICKS_PER_HOUR


def around(factor: np.ndarray, rate: float = 20.0, seed: int = 3) -> Environment:
    """The environment when other versions crash `factor` [ticks] times as often as they let expect."""
    expected = np.full(LONGEST_TICKS + len(factor), rate)
    counts = np.random.default_rng(seed).poisson(np.concatenate([np.ones(LONGEST_TICKS), factor]) * expected)
    seen = Seen(counts.astype(float), expected, np.zeros(len(counts), bool))
    return environment([seen], 1.0, np.full(len(factor), 0.04))


def test_a_shift_is_seen_within_hours_and_over_within_hours() -> None:
    factor = np.ones(6 * DAY)
    factor[2 * DAY : 4 * DAY] = 1.5
    found = around(factor)
    assert not found.shock[: 2 * DAY].any()
    assert found.shock[2 * DAY + 6 * TICKS_PER_HOUR : 4 * DAY].mean() > 0.95
    settled = found.factor[2 * DAY + 6 * TICKS_PER_HOUR : 4 * DAY]
    assert (np.abs(settled - 1.5) < 0.15).mean() > 0.9
    assert (np.abs(found.factor[4 * DAY + 12 * TICKS_PER_HOUR :] - 1) < 0.1).mean() > 0.95


def test_a_shift_counts_from_where_it_began_once_it_is_seen() -> None:
    factor = np.ones(3 * DAY)
    factor[2 * DAY :] = 1.5
    found = around(factor)
    ticks = np.array([2 * DAY, 2 * DAY + 12 * TICKS_PER_HOUR, 3 * DAY])
    means = mean_factor(found, np.ones(3 * DAY), ticks)
    truth = np.cumsum(factor)[ticks - 1] / ticks
    assert (np.abs(means - truth) < 0.03).all()


def test_the_mean_factor_rests_on_nothing_later() -> None:
    factor = np.ones(3 * DAY)
    factor[DAY:] = 0.6
    found = around(factor)
    weights = np.random.default_rng(1).random(3 * DAY)
    ticks = np.arange(1, 3 * DAY + 1, 7)
    whole = mean_factor(found, weights, ticks)
    for end in (40, 400, 700):
        cut = Environment(*(table[..., :end] for table in vars(found).values()))
        known = ticks[ticks <= end]
        assert (mean_factor(cut, weights[:end], known) == whole[: len(known)]).all()


def test_what_is_beyond_doubt_stays_a_number() -> None:
    windows = len(WINDOWS_HOURS)
    flat = np.ones((windows, 3))
    log_ratio, variance = flat * [[0.0, 1.0, 2.0]], flat * [[0.01, 1e-3, 1e-5]]
    around = Environment(np.ones(3), np.full(3, 12), np.zeros(3, bool), log_ratio, variance, np.full(3, 1e6))
    with np.errstate(all="raise", under="ignore"):
        chances = unseen_shock(around, flat, np.arange(3), (1.0,))[0]
    assert np.allclose(chances.sum(axis=1), 1.0)
    mean = chances @ SHIFTS
    assert abs(mean[0]) < 0.05 and 0.9 < mean[1] < 1.1 and mean[2] == SHIFTS[-1]


def baseline_of(story: Story) -> Baseline:
    return learn(story.predecessors, story.channel, STRATA_TABLE, story.candidate.published)


def test_a_version_that_is_left_in_hours_is_no_measure(story: Story) -> None:
    baseline = baseline_of(story)
    (usual,) = story.controls(baseline)
    published = story.candidate.published
    gone = published - usual.published + 6 * TICKS_PER_HOUR
    emptied = usual.expected.copy()
    # Its users are gone within six hours; a trickle of late hours still lets crashes be expected that do not come.
    emptied[gone:] *= 0.15
    counts = usual.came.events.copy()
    counts[gone:] = 0
    left = replace(usual, came=replace(usual.came, events=counts), expected=emptied)
    found = surroundings([left], published, 5 * DAY, baseline.leaving, baseline.phi)
    assert (np.abs(np.log(found.factor[3 * DAY :])) < 0.05).all()
    ordinary = surroundings([usual], published, 5 * DAY, baseline.leaving, baseline.phi)
    assert ordinary.log_ratio.shape == found.log_ratio.shape
    assert not ordinary.shock.any()
