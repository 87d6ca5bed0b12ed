"""A life judged look by look while it goes on says what a replay of the whole of it says."""

from dataclasses import replace

import numpy as np
import pytest
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.verdict.baseline import Baseline, learn
from missioncontrol.verdict.follow import Follower, Other
from missioncontrol.verdict.grid import looks
from missioncontrol.verdict.judge import Said, Verdict, judge, looked_back, said
from missioncontrol.verdict.replay import replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Activity, Channel, Release

_NUMBERS = ("ratio", "low", "high", "evidence", "observed", "expected")
FINE = 72 * TICKS_PER_HOUR


def known(release: Release, ticks: int) -> Release:
    """What is known of a release when it is so old: later rows are not there yet."""
    activity = release.activity
    if activity is not None:
        rows = ticks if ticks <= FINE else FINE + (ticks - FINE) // TICKS_PER_HOUR
        activity = Activity(activity.hours[:rows], activity.starts[:rows])
    return replace(release, hours=release.hours[:ticks], counts=release.counts[:ticks], activity=activity)


def at(story: Story, tick: int) -> tuple[Release, Channel, list[Other]]:
    published = story.candidate.published
    before = story.predecessors[-1]
    other = known(before, published + tick - before.published)
    channel = Channel(0, story.channel.counts[: published + tick])
    return known(story.candidate, tick), channel, [Other(other, published)]


def followed(story: Story, baseline: Baseline, ticks: list[np.ndarray], restarts: set[int]) -> list[Verdict]:
    """Turn by turn; at `restarts` all that was in memory is gone, and only what was said is known."""
    follower, before, told = Follower(baseline), Said(), []
    for turn, some in enumerate(ticks):
        if turn in restarts:
            follower = Follower(baseline)
        found = follower.looks(*at(story, int(some[-1])), looked_back(some), before)
        # Where memory was lost, what was looked back at is no new look.
        told += judge(baseline, found, before=before)
        before = said(told[-1])
    return told


def outage(story: Story) -> Story:
    """For three hours of the first day most pings are lost."""
    start, end = 20 * TICKS_PER_HOUR, 23 * TICKS_PER_HOUR
    hours, counts = story.candidate.hours.copy(), story.channel.counts.copy()
    hours[start:end] *= 0.2
    counts[story.candidate.published + start : story.candidate.published + end] *= 0.2
    return replace(story, candidate=replace(story.candidate, hours=hours), channel=Channel(0, counts))


def silence(story: Story) -> Story:
    """No hours come from 30 to 40 h of age, while crashes do."""
    hours = story.candidate.hours.copy()
    hours[30 * TICKS_PER_HOUR : 40 * TICKS_PER_HOUR] = 0
    return replace(story, candidate=replace(story.candidate, hours=hours))


def lost_events(story: Story) -> Story:
    """No crash of any version arrives from 50 to 60 h of age."""
    start, end = (story.candidate.published + hours * TICKS_PER_HOUR for hours in (50, 60))
    lost = []
    for release in (*story.predecessors, story.candidate):
        counts = release.counts.copy()
        counts[max(start - release.published, 0) : max(end - release.published, 0)] = 0
        lost.append(replace(release, counts=counts))
    return replace(story, predecessors=lost[:-1], candidate=lost[-1])


def unthrottled(story: Story) -> Story:
    """Far more users than ever before in the first hours: the rollout is odd, and stays so."""
    candidate = story.candidate
    hours = candidate.hours.copy()
    hours[: 20 * TICKS_PER_HOUR] *= 15
    busy = replace(candidate, hours=hours, counts=candidate.counts * 9)
    # Of the first release of all it is not known how many users there were before.
    return replace(story, candidate=busy, predecessors=story.predecessors[1:])


STORIES = {
    "clean": lambda story: story,
    "worse": lambda story: story.worse(1.5),
    "outage": lambda story: outage(story.worse(1.4)),
    "silence": silence,
    "lost events": lost_events,
    "odd rollout": unthrottled,
}


@pytest.mark.parametrize("name", STORIES)
def test_each_look_is_that_of_the_replay(story: Story, name: str) -> None:
    told = STORIES[name](story)
    baseline = learn(told.predecessors, told.channel, STRATA_TABLE, told.candidate.published)
    every = looks(len(told.candidate.hours))
    whole = judge(baseline, replay(baseline, told.candidate, told.channel, told.controls(baseline), every))
    # A turn a look to 8 h, then turns that missed some; memory is lost twice.
    turns = [every[:1], *(every[i : i + 1] for i in range(1, 96)), *np.array_split(every[96:], 150)]
    mine = followed(told, baseline, turns, {40, 180})
    assert len(mine) == len(whole)
    for one, other in zip(mine, whole, strict=True):
        assert (one.age_ticks, one.verdict, one.first, one.where) == (
            other.age_ticks, other.verdict, other.first, other.where,
        )  # fmt: skip
        assert one.reasons == other.reasons
        for number in _NUMBERS:
            now, then = getattr(one, number), getattr(other, number)
            assert now == (None if then is None else pytest.approx(then, rel=1e-9, abs=1e-9)), number
    kinds = {each.verdict for each in whole} | {reason for each in whole for reason in each.reasons}
    expected = {
        "worse": "worse",
        "outage": "pings_lost",
        "silence": "no_hours",
        "lost events": "no_events",
        "odd rollout": "odd_rollout",
    }
    assert expected.get(name, "same") in kinds | ({"same"} if name == "clean" else set())
