"""A life look by look: what is said, and that it rests on nothing that came later."""

from dataclasses import replace

import numpy as np
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.simulate.trains.world import STRATA
from missioncontrol.verdict.baseline import learn
from missioncontrol.verdict.grid import looks
from missioncontrol.verdict.judge import DATA_PROBLEM, TOO_EARLY, WORSE, Verdict, judge
from missioncontrol.verdict.replay import replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Release


def verdicts(story: Story, hours: float = 336) -> list[Verdict]:
    ticks = looks(int(hours * TICKS_PER_HOUR))
    baseline = learn(story.predecessors, story.channel, STRATA_TABLE, story.candidate.published)
    return judge(baseline, replay(baseline, story.candidate, story.channel, story.controls(baseline), ticks))


def cut(release: Release, ticks: int) -> Release:
    return replace(release, hours=release.hours[:ticks], counts=release.counts[:ticks])


def test_a_release_like_its_predecessors_is_not_called_worse(story: Story) -> None:
    told = verdicts(story)
    assert len(told) == 576 + 288
    assert WORSE not in {each.verdict for each in told}
    assert told[0].verdict == TOO_EARLY
    assert told[0].forecast
    assert 0.8 < told[-1].ratio < 1.25
    assert told[-1].low <= told[-1].ratio <= told[-1].high


def test_a_release_that_crashes_twice_as_often_is_called_worse_and_stays_so(story: Story) -> None:
    told = verdicts(story.worse(2.0))
    kinds = [each.verdict for each in told]
    first = kinds.index(WORSE)
    assert told[first].age_ticks <= 48 * TICKS_PER_HOUR
    assert told[first].evidence >= 2
    assert set(kinds[first:]) == {WORSE}
    assert told[-1].first == told[first].age_ticks
    assert told[-1].where is None
    assert told[-1].low < 2.0 < told[-1].high


def test_a_system_that_alone_is_worse_is_named(story: Story) -> None:
    linux = np.array([stratum[0] == "Darwin" for stratum in STRATA])
    told = verdicts(story.worse(3.0, linux))
    assert told[-1].verdict == WORSE
    assert told[-1].where == (("os_name", "Darwin"),)
    best = told[-1].explanations[0]
    assert best.ratio > 2
    assert 0.8 < best.rest < 1.25


def test_a_look_rests_on_what_had_arrived_by_then(story: Story) -> None:
    bad = story.worse(1.5)
    whole = verdicts(bad)
    end = bad.candidate.published
    for ticks in (5, 70, 300, 576, 60 * TICKS_PER_HOUR, 200 * TICKS_PER_HOUR):
        before = replace(
            bad,
            candidate=cut(bad.candidate, ticks),
            predecessors=[cut(each, end + ticks - each.published) for each in bad.predecessors],
            channel=Channel(0, bad.channel.counts[: end + ticks]),
        )
        then = verdicts(before, ticks / TICKS_PER_HOUR)
        assert then == whole[: len(then)]


def test_lost_pings_are_a_problem_of_data_and_no_regression(story: Story) -> None:
    hours, counts = story.candidate.hours.copy(), story.channel.counts.copy()
    start, end = 20 * TICKS_PER_HOUR, 23 * TICKS_PER_HOUR
    hours[start:end] *= 0.2
    published = story.candidate.published
    counts[published + start : published + end] *= 0.2
    lossy = replace(
        story, candidate=replace(story.candidate, hours=hours, activity=None), channel=Channel(0, counts)
    )
    told = {each.age_ticks: each for each in verdicts(lossy, 48)}
    assert told[22 * TICKS_PER_HOUR].verdict == DATA_PROBLEM
    assert "pings_lost" in told[22 * TICKS_PER_HOUR].reasons
    assert WORSE not in {each.verdict for each in told.values()}


def test_without_activity_tables_it_is_judged_more_cautiously(story: Story) -> None:
    def bare(release: Release) -> Release:
        return replace(release, activity=None)

    bad = story.worse(2.0)
    plain = replace(
        bad, candidate=bare(bad.candidate), predecessors=[bare(each) for each in bad.predecessors]
    )
    told = verdicts(plain)
    assert told[-1].verdict == WORSE
    assert told[-1].low < 2.0 < told[-1].high
