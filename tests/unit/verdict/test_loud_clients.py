"""One client that crashes all the time is in one stratum; a regression of everyone is in many."""

from dataclasses import replace

import numpy as np
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.verdict.baseline import Baseline, learn
from missioncontrol.verdict.evidence import THRESHOLD, e_worse, log_likelihood
from missioncontrol.verdict.grid import looks
from missioncontrol.verdict.replay import Looks, replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR

HOURS = 14


def seen(story: Story, baseline: Baseline, more: np.ndarray) -> Looks:
    """The first hours when `more` [strata] crashes come in from the third to the fifth hour."""
    counts = story.candidate.counts.copy()
    counts[3 * TICKS_PER_HOUR : 5 * TICKS_PER_HOUR] += more / (2 * TICKS_PER_HOUR)
    release = replace(story.candidate, counts=counts)
    return replay(baseline, release, story.channel, story.controls(baseline), looks(HOURS * TICKS_PER_HOUR))


def test_many_crashes_of_one_stratum_are_no_evidence_of_the_whole(story: Story) -> None:
    baseline = learn(story.predecessors, story.channel, STRATA_TABLE, story.candidate.published)
    strata = len(STRATA_TABLE.values)
    of_one = np.zeros(strata)
    of_one[43] = 120.0
    loud = seen(story, baseline, of_one)
    whole = (loud.counts[:, 0], loud.expected[:, 0], loud.tau[:, 0])
    assert e_worse(log_likelihood(*whole, baseline.phi, baseline.releases)).max() > 10 * THRESHOLD
    assert loud.evidence.max() < THRESHOLD

    everywhere = seen(story, baseline, 120.0 * baseline.rates / baseline.rates.sum())
    assert everywhere.evidence.max() >= THRESHOLD
