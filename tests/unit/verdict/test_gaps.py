"""Hours that do not come while events do, and events that do not come while hours do: nothing is concluded of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.release_trains import STRATA_TABLE, Story

from missioncontrol.verdict.baseline import learn
from missioncontrol.verdict.gaps import Gaps, gaps
from missioncontrol.verdict.grid import looks
from missioncontrol.verdict.judge import Verdict, judge
from missioncontrol.verdict.replay import replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Floats, Release

DAY = 24 * TICKS_PER_HOUR


def series(seed: int, pings: float, days: int = 6) -> tuple[Floats, Floats]:
    """Hours and events of a version that grows for some hours, by day and night."""
    rng = np.random.default_rng(seed)
    ticks = np.arange(days * DAY)
    use = (1 + 0.5 * np.sin(ticks / DAY * 2 * np.pi)) * (1 - np.exp(-ticks / 300))
    return rng.poisson(pings * use) * 0.7, rng.poisson(pings * 0.03 * use).astype(float)


@pytest.mark.parametrize("pings", [0.3, 5, 500])
@pytest.mark.parametrize("every", [1, TICKS_PER_HOUR])
def test_an_ordinary_version_has_no_gap_even_when_rows_come_by_the_hour(pings: float, every: int) -> None:
    hours, events = series(1, pings)
    batches = np.zeros((2, len(hours)))
    batches[:, every - 1 :: every] = np.stack([hours, events]).reshape(2, -1, every).sum(axis=2)
    assert not gaps(*batches, 1.5).out.any()


@pytest.mark.parametrize("pings", [20, 500])
@pytest.mark.parametrize("left", [0.0, 0.02])
def test_a_day_without_hours_is_found_while_it_begins_and_ends_with_it(pings: float, left: float) -> None:
    hours, events = series(2, pings)
    hours[2 * DAY : 3 * DAY] *= left
    found = gaps(hours, events, 1.5)
    (out,) = runs(found.no_hours)
    before = events[2 * DAY : out[0]].sum()
    assert before <= max(8, events[2 * DAY]), "a few events came before it showed"
    assert abs(out[1] - 3 * DAY) <= 12
    assert not found.no_events.any()


@pytest.mark.parametrize("pings", [20, 500])
def test_a_day_without_events_is_found_when_some_were_due(pings: float) -> None:
    hours, events = series(3, pings)
    due = events[2 * DAY : 3 * DAY].sum()
    events[2 * DAY : 3 * DAY] = 0
    found = gaps(hours, events, 1.5)
    (out,) = runs(found.no_events)
    assert series(3, pings)[1][2 * DAY : out[0]].sum() < min(40, due)
    assert abs(out[1] - 3 * DAY) <= 24
    assert not found.no_hours.any()


def test_what_was_missed_and_comes_all_at_once_is_left_out_too() -> None:
    hours, events = series(4, 500)
    lost = hours[2 * DAY : 3 * DAY].sum()
    hours[2 * DAY : 3 * DAY] = 0
    hours[3 * DAY : 3 * DAY + 12] += lost / 12
    kept = ~gaps(hours, events, 1.5).out
    assert hours[kept].sum() < series(4, 500)[0][kept].sum() * 1.01
    assert kept[3 * DAY + 24 :].mean() > 0.95


def test_what_never_comes_back_is_how_things_are_now() -> None:
    hours, events = series(5, 500)
    hours[2 * DAY :] *= 0.01
    assert runs(gaps(hours, events, 1.5).no_hours)[0] == (2 * DAY, 4 * DAY)


def test_events_before_the_first_hours_are_left_out() -> None:
    hours, events = series(6, 500)
    hours[:DAY] = 0
    assert runs(gaps(hours, events, 1.5).no_hours) == [(0, DAY)]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    pings=st.sampled_from([2.0, 20.0, 300.0]),
    cuts=st.lists(
        st.tuples(st.integers(0, 1300), st.integers(1, 500), st.booleans(), st.sampled_from([0, 0.02, 6])),
        max_size=3,
    ),
    steps=st.lists(st.integers(1, 400), min_size=3, max_size=12),
)
def test_what_is_found_depends_on_nothing_later_and_not_on_how_it_is_cut(
    seed: int, pings: float, cuts: list[tuple[int, int, bool, float]], steps: list[int]
) -> None:
    hours, events = series(seed, pings, days=5)
    for start, length, of_hours, factor in cuts:
        (hours if of_hours else events)[start : start + length] *= factor
    whole = gaps(hours, events, 1.5, 0.03)
    known, found = 0, None
    for step in steps:
        known = min(known + step, len(hours))
        found = gaps(hours[:known], events[:known], 1.5, 0.03, found)
        if hours[:known].any():
            assert (found.no_hours == whole.no_hours[:known]).all()
            assert (found.no_events == whole.no_events[:known]).all()


def runs(out: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of True, some ticks between them overlooked: first tick and the one after the last."""
    places = np.flatnonzero(out)
    parts = np.split(places, np.flatnonzero(np.diff(places) > 12) + 1) if len(places) else []
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]


# ---- lives


def less(release: Release, start: int, end: int, what: str, factor: float) -> Release:
    """A release with `factor` times the hours (or counts) in ticks start to end of the clock."""
    table = getattr(release, what).copy()
    table[max(start - release.published, 0) : max(end - release.published, 0)] *= factor
    return replace(release, **{what: table})


def with_gap(story: Story, ages: tuple[int, int], what: str, factor: float, everywhere: bool) -> Story:
    """The candidate (or every version) has a gap at these hours of age."""
    start, end = (story.candidate.published + hours * TICKS_PER_HOUR for hours in ages)
    candidate = less(story.candidate, start, end, what, factor)
    if what == "hours" and candidate.activity is not None:
        rows = slice(ages[0] * TICKS_PER_HOUR, min(ages[1], 72) * TICKS_PER_HOUR)
        tables = [table.copy() for table in (candidate.activity.hours, candidate.activity.starts)]
        for table in tables:
            table[rows] *= factor
        candidate = replace(
            candidate, activity=replace(candidate.activity, hours=tables[0], starts=tables[1])
        )
    if not everywhere:
        return replace(story, candidate=candidate)
    pings = story.channel.counts.copy()
    if what == "hours":
        pings[start:end] *= factor
    before = [less(each, start, end, what, factor) for each in story.predecessors]
    return replace(story, candidate=candidate, predecessors=before, channel=Channel(0, pings))


def judged(story: Story) -> list[Verdict]:
    baseline = learn(story.predecessors, story.channel, STRATA_TABLE, story.candidate.published)
    every = looks(len(story.candidate.hours))
    return judge(baseline, replay(baseline, story.candidate, story.channel, story.controls(baseline), every))


GAPS = [
    ((24, 48), "hours", 0.0, False),
    ((24, 48), "hours", 0.0, True),
    ((3, 10), "hours", 0.0, False),
    ((0, 12), "hours", 0.0, False),
    ((24, 48), "hours", 0.01, False),
    ((24, 48), "hours", 0.01, True),
    ((24, 48), "counts", 0.0, False),
    ((8, 32), "counts", 0.0, False),
    ((0, 24), "counts", 0.0, False),
    ((6, 24), "counts", 0.0, True),
    ((24, 42), "counts", 0.0, True),
]


@pytest.mark.parametrize(("ages", "what", "factor", "everywhere"), GAPS)
def test_a_gap_makes_no_ordinary_release_worse_or_better(
    story: Story, ages: tuple[int, int], what: str, factor: float, everywhere: bool
) -> None:
    found = judged(with_gap(story, ages, what, factor, everywhere))
    assert {each.verdict for each in found} <= {"too-early", "same", "data-problem"}
    reason = "no_hours" if what == "hours" else "no_events"
    assert any(each.verdict == "data-problem" and reason in each.reasons for each in found)
    assert found[-1].verdict in ("too-early", "same"), "it is over"
    whole = judged(story)[-1]
    assert found[-1].ratio == pytest.approx(whole.ratio, rel=0.1)


@pytest.mark.parametrize("what", ["hours", "counts"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_bad_release_is_still_found_after_a_gap(story: Story, what: str, everywhere: bool) -> None:
    bad = story.worse(2.0)
    without = next(each for each in judged(bad) if each.verdict == "worse")
    hour = max(without.age_ticks // TICKS_PER_HOUR - 2, 1)
    found = judged(with_gap(bad, (hour, hour + 12), what, 0.0, everywhere))
    first = next(each for each in found if each.verdict == "worse")
    assert hour + 12 < first.age_ticks / TICKS_PER_HOUR < hour + 48
    assert 1.5 < found[-1].ratio < 2.7


def test_before_the_first_hours_what_was_seen_is_told(story: Story) -> None:
    gap = with_gap(story.worse(5.0), (0, 12), "hours", 0.0, everywhere=False)
    look = judged(gap)[11 * TICKS_PER_HOUR - 1]
    assert look.ratio is None and look.verdict == "data-problem"
    assert look.observed == gap.candidate.counts[: 11 * TICKS_PER_HOUR].sum()


def test_nothing_found_is_no_gap() -> None:
    nothing = np.zeros(50)
    assert not gaps(nothing, nothing).out.any()
    assert isinstance(gaps(np.zeros(0), np.zeros(0)), Gaps)
