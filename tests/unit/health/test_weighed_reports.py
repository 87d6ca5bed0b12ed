"""From an account alone the crash reports of its release can be weighed anew, whatever the verdict was."""

from __future__ import annotations

import msgspec
import pytest
from tests.support.signature_counts import NEWEST, either, newest_is, report
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.health.model import Account
from missioncontrol.health.published import versions_of
from missioncontrol.health.signatures import Weighed, weigh


def kept(channel: SmallChannel, measure: str = "main_crashes") -> Account:
    """The account as it is read back."""
    account = channel.course("9.0", measure=measure).account
    return msgspec.json.decode(msgspec.json.encode(account), type=Account)


def weighed(channel: SmallChannel, account: Account, system: str = "") -> Weighed:
    versions = versions_of(channel.releases, "Firefox", "release")
    where = {"os_name": system} if system else {}
    return weigh(channel.services.engine, versions, account, where)


def test_all_signatures_of_a_harmless_release_are_told_with_what_was_expected(channel: SmallChannel) -> None:
    newest_is(channel, ratio=1.0)
    report(channel, lambda nth: either(nth, {"old": 10, "gone": 5}, {"old": 12, "new": 2, None: 1}))
    account = kept(channel)
    assert account.look.verdict != "worse" and account.signatures == []
    found = weighed(channel, account)
    told = {one.signature: one for one in found.shares()}
    assert set(told) == {"old", "gone", "new", None}
    assert (told["old"].observed, told["gone"].observed, told["new"].new) == (12, 0, True)
    assert told["old"].expected == pytest.approx(10, abs=1) and told["gone"].expected == pytest.approx(
        5, abs=0.5
    )
    low, high = told["old"].low, told["old"].high
    assert low is not None and high is not None and low < 1 < high
    assert found.named() == [False] * 4
    assert (found.basis.reports, found.basis.predecessors, found.basis.looked_at) == (15, NEWEST, 4)


def test_what_the_verdict_named_is_weighed_the_same(channel: SmallChannel) -> None:
    newest_is(channel, ratio=3.0)
    report(channel, lambda nth: either(nth, {"old": 10, "other": 30}, {"old": 60, "other": 31}))
    account = kept(channel)
    found = weighed(channel, account)
    named = [one for one, name in zip(found.shares(), found.named(), strict=True) if name]
    assert named == account.signatures and [one.signature for one in named] == ["old"]


def test_users_of_one_system_are_weighed_by_their_own_expectation(channel: SmallChannel) -> None:
    newest_is(channel, ratio=1.0)
    report(channel, lambda nth: {"old": 30}, os_name="Linux")
    report(channel, lambda nth: {"old": 6}, os_name="Darwin")
    account = kept(channel)
    for system, due in (("Linux", 30), ("Darwin", 6), ("", 36)):
        (one,) = weighed(channel, account, system).shares()
        assert (one.observed, one.expected) == (due, pytest.approx(due, rel=0.15)), system
    assert weighed(channel, account, "BeOS").basis.reports == 0


def test_reports_that_come_after_the_look_change_nothing(channel: SmallChannel) -> None:
    newest_is(channel, ratio=1.0)
    report(channel, lambda nth: {"old": 10})
    account = channel.course("9.0", published(NEWEST) + (published(1) - published(0)) / 2).account
    before = weighed(channel, account).shares()
    late = published(NEWEST) + (published(1) - published(0)) * 0.9
    report(channel, lambda nth: either(nth, {}, {"old": 500}), window_start=late.replace(minute=0))
    assert weighed(channel, account).shares() == before


def test_without_a_predecessor_only_what_was_seen_is_told(channel: SmallChannel) -> None:
    newest_is(channel, ratio=1.0)
    report(channel, lambda nth: either(nth, {}, {"old": 10}))
    found = weighed(channel, kept(channel))
    assert found.found is None and found.named() == [False]
    assert [(one.observed, one.expected, one.ratio) for one in found.shares()] == [(10, 0, None)]


def test_what_counts_no_crashes_has_no_exposure(channel: SmallChannel) -> None:
    rows = [row for nth in range(NEWEST + 1) for row in rows_of(nth, ghost_windows_main_above_1=3)]
    channel.take(rows)
    channel.releases = [release(nth) for nth in range(NEWEST + 1)]
    assert kept(channel).exposure is not None
    other = kept(channel, "ghost_windows_main_above_1")
    assert other.exposure is None and any(one.used for one in other.predecessors)
