"""A verdict on one crash signature: its reports by window, over usage hours, against the releases before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.signature_reports import NEWEST, fill, reports
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.errors import BadRequest
from missioncontrol.health.asking import courses
from missioncontrol.health.model import Course


def judged(channel: SmallChannel, signature: str, measure: str | None = None, hours: float = 60) -> Course:
    until = published(NEWEST) + timedelta(hours=hours)
    newest = f"{NEWEST + 1}.0"
    (found,) = courses(
        channel.services.engine, channel.releases, "Firefox", "release", newest, measure, until, signature
    )
    return found


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> SmallChannel:
    """What moved in the newest release: `bad` fourfold, `linux` there alone; `new` and `few` came with it."""
    channel = SmallChannel(tmp_path_factory.mktemp("busy"))
    everywhere = {
        "old": (2.0, 2.0),
        "bad": (1.0, 4.0),
        "linux": (1.5, 1.5),
        "new": (0.0, 2.0),
        "few": (0.0, 0.04),
    }
    found = [
        one
        for nth in range(NEWEST + 1)
        for signature, rates in everywhere.items()
        for one in reports(nth, signature, rates[nth == NEWEST])
    ]
    found += reports(NEWEST, "linux", 5.0, seed=1, os_name="Linux")
    for nth in range(NEWEST + 1):
        found += reports(nth, "tab", 1.0, process_type="content")
    fill(channel, found)
    return channel


def test_one_signature_is_worse_while_another_and_all_crashes_together_are_not(busy: SmallChannel) -> None:
    bad, old = judged(busy, "bad").account, judged(busy, "old").account
    assert bad.look.verdict == "worse"
    assert old.look.verdict in ("same", "too-early")
    assert bad.look.ratio is not None and 3 < bad.look.ratio < 5.2
    assert bad.look.low is not None and bad.look.low > 1.5
    assert bad.subject.signature == "bad"
    assert bad.sentence.startswith("7.0 main crashes with signature bad: worse")
    assert bad.signatures == [] and bad.reports is None
    assert busy.course("7.0").account.look.verdict != "worse"


def test_the_replay_ends_with_what_is_said_and_a_look_knows_nothing_of_later_ones(busy: SmallChannel) -> None:
    whole, early = judged(busy, "bad"), judged(busy, "bad", hours=20)
    assert whole.looks[-1] == whole.account.look
    assert whole.looks[: len(early.looks)] == early.looks
    assert early.looks[-1] == early.account.look


def test_users_are_told_apart_as_far_as_reports_say(busy: SmallChannel) -> None:
    look = judged(busy, "linux").account.look
    assert (look.verdict, look.slice) == ("worse", {"os_name": "Linux"})


def test_one_that_no_predecessor_had_is_judged_as_if_each_had_had_one(busy: SmallChannel) -> None:
    found = judged(busy, "new").account
    assert found.look.verdict == "worse"
    assert 0.5 < found.look.expected < 1.5
    assert "signature new, which no predecessor had" in found.sentence


def test_a_few_of_one_that_no_predecessor_had_prove_nothing(busy: SmallChannel) -> None:
    look = judged(busy, "few").account.look
    assert 0 < look.observed <= 4
    assert look.verdict == "too-early"


def test_only_processes_of_the_measure_count(busy: SmallChannel) -> None:
    assert judged(busy, "tab").account.look.observed == 0
    assert judged(busy, "tab", "content_crashes").account.look.observed > 30


def test_one_that_nobody_ever_had_is_not_worse(busy: SmallChannel) -> None:
    assert judged(busy, "' OR true --").account.look.verdict != "worse"


def test_sampled_reports_weigh_as_what_they_stand_for(channel: SmallChannel) -> None:
    """A quarter of the predecessors' reports was kept, of the release all: the same number of crashes."""
    found = [one for nth in range(NEWEST) for one in reports(nth, "old", 1.0, throttle_rate=0.25)]
    fill(channel, [*found, *reports(NEWEST, "old", 4.0, throttle_rate=1.0)])
    look = judged(channel, "old").account.look
    assert look.verdict != "worse"
    assert look.ratio is not None and 0.7 < look.ratio < 1.4


def test_releases_whose_reports_are_not_known_are_left_out_and_told(channel: SmallChannel) -> None:
    fill(channel, (one for nth in range(3, NEWEST + 1) for one in reports(nth, "old", 2.0)))
    told = judged(channel, "old").account
    assert {p.version: p.why for p in told.predecessors if not p.used} == {
        f"{n}.0": "no crash reports" for n in range(1, 4)
    }
    assert "short_history" in told.look.reasons
    assert told.look.ratio is not None and 0.7 < told.look.ratio < 1.4


def test_without_crash_reports_nothing_can_be_compared(channel: SmallChannel) -> None:
    channel.history(NEWEST)
    channel.take(rows_of(NEWEST))
    channel.releases.append(release(NEWEST))
    look = judged(channel, "old").account.look
    assert (look.verdict, look.observed) == ("too-early", 0)
    assert "no_history" in look.reasons


@pytest.mark.parametrize("measure", ["all", "hang_seconds", "usage_hours"])
def test_only_one_measure_of_crashes_has_signatures(channel: SmallChannel, measure: str) -> None:
    channel.history()
    with pytest.raises(BadRequest) as refused:
        courses(channel.services.engine, channel.releases, "Firefox", "release", "7.0", measure, None, "old")
    assert refused.value.code == "not_judged"
