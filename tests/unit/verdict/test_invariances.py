"""What may not matter to a verdict: units, how users are cut into groups, groups that nobody is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.verdict.baseline import learn
from missioncontrol.verdict.controls import control
from missioncontrol.verdict.evidence import e_worse, interval, log_likelihood
from missioncontrol.verdict.grid import looks
from missioncontrol.verdict.lives import live
from missioncontrol.verdict.replay import Looks, replay
from missioncontrol.verdict.tables import Activity, Release, Strata


def seen(story: Story, strata: Strata = STRATA_TABLE) -> Looks:
    baseline = learn(story.predecessors, story.channel, strata, story.candidate.published)
    before = control(
        live(story.predecessors[-1], story.channel, None, baseline.trait),
        baseline.rates,
        story.candidate.published,
    )
    return replay(baseline, story.candidate, story.channel, [before], looks())


def changed(story: Story, change: Callable[[Release], Release]) -> Story:
    return replace(
        story, candidate=change(story.candidate), predecessors=[change(each) for each in story.predecessors]
    )


def test_hours_may_be_minutes(story: Story) -> None:
    def in_minutes(release: Release) -> Release:
        assert release.activity is not None
        activity = Activity(release.activity.hours * 60, release.activity.starts)
        return replace(release, hours=release.hours * np.float32(60), activity=activity)

    bad = story.worse(1.5)
    one, other = seen(bad), seen(changed(bad, in_minutes))
    np.testing.assert_allclose(one.expected, other.expected, rtol=1e-3)
    np.testing.assert_allclose(np.log(one.evidence), np.log(other.evidence), rtol=0.01, atol=0.02)
    np.testing.assert_allclose(one.low, other.low, atol=0.01)


def test_groups_that_nobody_is_in_change_nothing(story: Story) -> None:
    def with_empty(release: Release) -> Release:
        empty = np.zeros((release.ticks, 2), np.float32)
        return replace(
            release,
            hours=np.concatenate([release.hours, empty], axis=1),
            counts=np.concatenate([release.counts, empty], axis=1),
        )

    nobody = (("Haiku", "1", "US", "x86"), ("Haiku", "1", "DE", "x86"))
    strata = Strata(STRATA_TABLE.dimensions, STRATA_TABLE.values + nobody)
    bad = story.worse(1.5)
    one, other = seen(bad), seen(changed(bad, with_empty), strata)
    np.testing.assert_allclose(one.evidence, other.evidence, rtol=1e-4)
    np.testing.assert_allclose(one.expected, other.expected, rtol=1e-5)


def test_cutting_every_group_in_two_alike_changes_little(story: Story) -> None:
    def in_two(release: Release) -> Release:
        left = np.floor(release.counts / 2 + np.arange(release.ticks)[:, None] % 2 / 2)
        counts = np.concatenate([left, release.counts - left], axis=1)
        hours = np.concatenate([release.hours, release.hours], axis=1) / 2
        return replace(release, hours=hours, counts=counts)

    values = tuple((*value, half) for half in ("a", "b") for value in STRATA_TABLE.values)
    strata = Strata((*STRATA_TABLE.dimensions, "half"), values)
    one, other = seen(story), seen(changed(story, in_two), strata)
    settled = one.ticks >= 12 * 24
    apart = np.abs(np.log(one.expected[settled, 0] / other.expected[settled, 0]))
    # Where a window only just agrees with a shorter one, another may be taken.
    assert np.median(apart) < 0.01
    assert apart.max() < 0.06
    np.testing.assert_allclose(one.counts[:, 0], other.counts[:, 0])


def test_an_interval_holds_at_every_look_of_nearly_every_life_when_the_baseline_is_known() -> None:
    rng = np.random.default_rng(11)
    lives, steps, ratio = 400, 150, 1.5
    missed = 0
    for _ in range(lives):
        expected = np.cumsum(np.full(steps, 4.0))
        counts = np.cumsum(rng.poisson(4.0 * ratio, steps))
        low, high = interval(log_likelihood(counts, expected, np.full(steps, 1e-3), 1.0, 1000))
        missed += bool(((low > np.log(ratio)) | (high < np.log(ratio))).any())
    assert missed / lives <= 0.05


def test_the_interval_leaves_out_1_when_the_test_has_enough_evidence() -> None:
    expected = np.geomspace(10, 5000, 40)
    tau = np.full(40, 0.06)
    for ratio in (1.3, 1.6, 2.5):
        logs = log_likelihood(expected * ratio, expected, tau, 1.5, 12)
        low, _ = interval(logs)
        # The test spends its prior on one side only: what it refuses, a two-sided interval refuses a little later.
        assert (e_worse(logs)[low > 0] >= 20).all()
        assert (low[e_worse(logs) >= 300] > 0).all()
