"""The method on an installation's own past: who counts, how often it was wrong, and what threshold that supports."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.courses import course_of, outcome_of, past_of
from tests.support.release_trains import Story, tell
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.blobs.local import LocalBlobs
from missioncontrol.health.calibrating import calibrate
from missioncontrol.health.calibration import (
    FEWEST_ACCEPTED,
    Calibration,
    PastRelease,
    Replayed,
    binomial_interval,
    calibrated,
    tail_of,
)
from missioncontrol.health.calibration_store import keep, kept
from missioncontrol.health.model import Course, Look

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture(scope="module")
def train() -> Story:
    return tell()


@pytest.fixture(scope="module")
def past(train: Story) -> dict[str, Course]:
    return past_of(train)


def calibration_of(channel: SmallChannel, now: datetime) -> list[Replayed]:
    """The releases of a channel, newest first."""
    engine = channel.services.engine
    (made,) = calibrate(engine, channel.releases, "Firefox", "release", ["main_crashes"], now)
    return made.releases


def made_of(courses: dict[str, Course]) -> Calibration:
    releases = [PastRelease(version, NOW + timedelta(days=n)) for n, version in enumerate(courses)]
    outcomes = [(one, outcome_of(one, courses[one.version])) for one in releases]
    return calibrated("Firefox", "release", "main_crashes", outcomes, NOW)


def test_a_harmless_train_has_no_false_alarm(past: dict[str, Course]) -> None:
    found = made_of(past)
    assert (found.accepted, found.false_alarms, len(found.releases)) == (8, 0, 8)
    assert found.low == 0.0 and found.high == pytest.approx(0.3694, abs=1e-4)
    assert found.suggestion is None
    assert [one.release.version for one in found.releases] == sorted(past, reverse=True)
    assert [one.history for one in found.releases][-1] == 1
    assert all(one.largest < 2 for one in found.releases)
    assert all(len(one.verdicts) == 4 and None not in one.verdicts for one in found.releases)


def test_a_bad_release_that_is_still_accepted_is_a_false_alarm_until_it_is_labelled(train: Story) -> None:
    course = course_of(train.worse(2.0))
    accepted = outcome_of(PastRelease("108.0", NOW), course)
    assert accepted is not None and accepted.false_alarm and accepted.largest >= 2
    first = next(look for look in course.looks if look.verdict == "worse")
    assert accepted.worse_at_hours == first.age_hours and accepted.verdicts[-1] == "worse"
    for label in (
        PastRelease("108.0", NOW, "worse", said_by="somebody"),
        PastRelease("108.0", NOW, "excluded"),
    ):
        labelled = outcome_of(label, course)
        assert labelled is not None and not labelled.counts and not labelled.false_alarm
    by_itself = outcome_of(PastRelease("108.0", NOW, "worse"), course)  # that is what is to be checked
    assert by_itself is not None and by_itself.false_alarm


def test_evidence_counts_of_looks_at_which_worse_could_be_said(channel: SmallChannel) -> None:
    """Once the next version has everyone, one in a hundred users of 8.0 stays, and crashes ten times as often."""
    channel.history()
    few = rows_of(8, "8.0", hours=260, usage_hours=1.0, ratio=0.1, seed=4, build_id="b7")
    channel.take([*rows_of(8, hours=260), *few])
    channel.releases.append(release(8))
    found = {one.release.version: one for one in calibration_of(channel, published(8) + timedelta(hours=260))}
    looks = channel.course("8.0").looks
    assert max(look.evidence for look in looks) > 2 and "worse" not in {look.verdict for look in looks}
    assert found["8.0"].counts and found["8.0"].largest < 1


def test_evidence_that_a_short_history_does_not_let_speak_does_not_count(channel: SmallChannel) -> None:
    channel.history(4)
    channel.take(rows_of(4, hours=200, ratio=1.7))
    channel.releases.append(release(4))
    found = calibration_of(channel, published(4) + timedelta(hours=200))[0]
    looks = channel.course("5.0").looks
    assert max(look.evidence for look in looks) > 2 and found.worse_at_hours is None
    assert found.release.version == "5.0" and found.counts and found.largest < 2


def test_a_release_that_could_never_be_called_worse_does_not_count(channel: SmallChannel) -> None:
    channel.history()
    channel.take(rows_of(8, hours=200, usage_hours=0.0))
    channel.releases.append(release(8))
    found = calibration_of(channel, published(8) + timedelta(hours=199))[0]
    assert (found.release.version, found.counts, found.largest) == ("9.0", False, 0.0)


def test_who_is_younger_than_a_week_does_not_count_yet(train: Story) -> None:
    young = outcome_of(PastRelease("108.0", NOW), course_of(train, hours=30))
    assert young is not None and not young.counts
    assert [verdict is None for verdict in young.verdicts] == [False, False, False, True]
    old = outcome_of(PastRelease("108.0", NOW), course_of(train, hours=168))
    assert old is not None and old.counts


def test_a_release_without_data_is_named_and_not_counted(past: dict[str, Course]) -> None:
    nothing = Course(past["108.0"].account, [])
    assert outcome_of(PastRelease("1.0", NOW), nothing) is None
    found = calibrated("Firefox", "release", "m", [(PastRelease("1.0", NOW), None)], NOW)
    assert [one.version for one in found.not_replayed] == ["1.0"]
    assert (found.accepted, found.low, found.suggestion) == (0, None, None)


def of_largest(largest: list[float]) -> Calibration:
    """A calibration of releases that count and came so far."""
    look = Look(NOW, 336.0, "too-early", 1.0, 0.9, 1.1, 0.0, 10.0, 10.0)
    releases = [PastRelease(f"{n}.0", NOW + timedelta(days=n)) for n in range(len(largest))]
    outcomes = [
        (one, Replayed(one, 12, [None] * 4, None, look, value, True))
        for one, value in zip(releases, largest, strict=True)
    ]
    return calibrated("Firefox", "release", "m", outcomes, NOW)


def spaced(n: int, scale: float = 0.4, start: float = 0.2) -> list[float]:
    """The quantiles of an exponential tail."""
    return [start - scale * math.log((place + 0.5) / n) for place in range(n)]


def test_a_threshold_is_suggested_from_thirty_releases_on() -> None:
    few, enough = of_largest(spaced(FEWEST_ACCEPTED - 1)), of_largest(spaced(FEWEST_ACCEPTED))
    assert few.suggestion is None and all(one.supported is None for one in few.releases)
    found = enough.suggestion
    assert found is not None and found.tail == 10
    assert found.low < found.threshold < found.high
    assert found.threshold == pytest.approx(0.2 + 0.4 * math.log(100), abs=0.4)
    assert found.others_low <= found.threshold <= found.others_high and found.beyond == 0


def test_the_threshold_of_a_long_history_is_surer() -> None:
    short, long = (of_largest(spaced(n)).suggestion for n in (40, 400))
    assert short is not None and long is not None and long.tail == 40
    assert long.high - long.low < 0.6 * (short.high - short.low)
    assert long.threshold == pytest.approx(0.2 + 0.4 * math.log(100), abs=0.1)


def test_what_is_left_out_tells_how_far_releases_came_and_not_only_their_order() -> None:
    """Two histories of equal length without ties: in one a release stands alone."""
    usual, lone = spaced(40), spaced(40)
    lone[0] += 4
    found = [of_largest(each) for each in (usual, lone)]
    assert [one.suggestion.beyond if one.suggestion else None for one in found] == [0, 1]
    (beyond,) = (one for one in found[1].releases if one.beyond)
    assert beyond.largest == lone[0] and beyond.supported is not None
    others = tail_of(sorted(lone)[:-1]).threshold
    assert beyond.supported == others < lone[0] - 2
    rest = [one.supported for one in found[1].releases if not one.beyond]
    assert min(one for one in rest if one is not None) > others, "those that know of it support more"


def test_equal_releases_support_what_they_reached() -> None:
    found = of_largest([1.0] * 40).suggestion
    assert found is not None and (found.low, found.threshold, found.high, found.beyond) == (1.0, 1.0, 1.0, 0)


@given(st.lists(st.floats(-2, 20), min_size=11, max_size=250), st.floats(-3, 3), st.floats(0.1, 10))
def test_a_threshold_moves_and_grows_with_the_evidence(
    values: list[float], shift: float, factor: float
) -> None:
    found = tail_of(values)
    assert found.low <= found.threshold <= found.high
    moved = tail_of([factor * value + shift for value in values])
    assert moved[:3] == pytest.approx([factor * end + shift for end in found[:3]], abs=1e-6)
    raised = tail_of([max(values) + 1, *sorted(values)[:-1]])
    assert raised.threshold >= found.threshold - 1e-9


def test_one_in_a_hundred_goes_beyond_it() -> None:
    """Of exponential tails the chance to go beyond the threshold of 40 releases, and how often its interval holds."""
    rng = np.random.default_rng(7)
    truth = math.log(100)
    found = [tail_of(list(rng.exponential(size=40))) for _ in range(2000)]
    chances = [math.exp(-each.threshold) for each in found]
    assert 0.008 < float(np.mean(chances)) < 0.012
    held = sum(each.low <= truth <= each.high for each in found) / len(found)
    assert held > 0.9


def test_the_interval_of_a_rate_is_that_of_clopper_and_pearson() -> None:
    # where nothing or everything was seen the rule 0.025^(1/n) gives it
    assert binomial_interval(5, 550) == pytest.approx((0.00296, 0.02109), abs=1e-4)
    assert binomial_interval(0, 54) == pytest.approx((0.0, 1 - 0.025 ** (1 / 54)))
    assert binomial_interval(3, 3) == pytest.approx((0.025 ** (1 / 3), 1.0))


def test_it_is_kept_and_replaced_by_names_that_hold_anything(tmp_path: Path, past: dict[str, Course]) -> None:
    blobs = LocalBlobs(tmp_path)
    assert kept(blobs) == []
    one = made_of(past)
    odd = calibrated("../x/☃" * 30, "", "a b", [], NOW)
    for each in (one, odd, one):
        keep(blobs, each)
    blobs.put("calibration/other.json", b'{"of": "another version"}')
    assert kept(blobs) == [odd, one]
    blobs.close()
