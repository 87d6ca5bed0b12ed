"""A release that is worse names the signatures that carry the excess, if crash reports are known."""

from __future__ import annotations

from datetime import timedelta

from tests.support.signature_counts import NEWEST, either, newest_is, report
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.health.model import Account


def account(channel: SmallChannel) -> Account:
    return channel.course("9.0").account


def test_a_release_that_is_worse_names_them(channel: SmallChannel) -> None:
    newest_is(channel)
    report(channel, lambda nth: either(nth, {"old": 10}, {"old": 11, "new": 40}))
    (found,) = account(channel).signatures
    assert (found.signature, found.observed, found.expected, found.new) == ("new", 40, 0, True)
    assert (found.ratio, found.low, found.high) == (None, None, None)
    assert found.share is not None and 0.9 < found.share <= 1.0


def test_one_that_earlier_releases_had_is_told_with_its_ratio(channel: SmallChannel) -> None:
    newest_is(channel)
    report(channel, lambda nth: either(nth, {"old": 10, "other": 30}, {"old": 60, "other": 31}))
    told = account(channel)
    (found,) = told.signatures
    assert (found.signature, found.observed, found.new) == ("old", 60, False)
    assert abs(found.expected - 10) < 1
    assert found.ratio is not None and found.low is not None and found.high is not None
    assert 1.5 < found.low < found.ratio < found.high < 12
    assert "; 99 % of the excess of crash reports has signature old" in told.sentence


def test_any_other_release_names_none(channel: SmallChannel) -> None:
    newest_is(channel, ratio=1.0)
    report(channel, lambda nth: either(nth, {"old": 10}, {"old": 11, "new": 40}))
    assert account(channel).signatures == []


def test_without_crash_reports_there_are_none(channel: SmallChannel) -> None:
    newest_is(channel)
    told = account(channel)
    assert (told.look.verdict, told.signatures) == ("worse", [])
    assert told.reports is not None and (told.reports.reports, told.reports.predecessors) == (0, 0)


def test_predecessors_without_crash_reports_do_not_dilute_what_is_expected(channel: SmallChannel) -> None:
    newest_is(channel)
    report(channel, lambda nth: {} if nth < 5 else either(nth, {"old": 20}, {"old": 100}))
    told = account(channel)
    assert abs(told.signatures[0].expected - 20) < 2
    assert told.reports is not None and told.reports.predecessors == 3


def test_one_predecessor_of_which_no_report_was_kept_does_not_dilute_either(channel: SmallChannel) -> None:
    newest_is(channel)
    report(channel, lambda nth: {} if nth in (3, 6) else either(nth, {"old": 20}, {"old": 100}))
    told = account(channel)
    assert abs(told.signatures[0].expected - 20) < 2
    assert told.reports is not None and told.reports.predecessors == 6


def test_reports_that_begin_later_than_a_predecessor_leave_it_out(channel: SmallChannel) -> None:
    """Of 5.0 only the last day is known: at most a third of its crashes."""
    newest_is(channel)
    report(channel, lambda nth: {} if nth < 5 else either(nth, {"old": 20}, {"old": 100}))
    late = published(4) + timedelta(hours=60)
    report(
        channel, lambda nth: {"old": 1} if nth == 4 else {}, window_start=late, submission_date=late.date()
    )
    told = account(channel)
    assert abs(told.signatures[0].expected - 20) < 2
    assert told.reports is not None and told.reports.predecessors == 3


def test_without_any_predecessor_with_reports_none_is_named(channel: SmallChannel) -> None:
    newest_is(channel)
    report(channel, lambda nth: either(nth, {}, {"old": 100}))
    told = account(channel)
    assert told.signatures == []
    assert told.reports is not None and (told.reports.reports, told.reports.predecessors) == (100, 0)


def test_a_few_reports_are_no_excess(channel: SmallChannel) -> None:
    newest_is(channel)
    report(channel, lambda nth: either(nth, {"old": 10, "rare": 1}, {"old": 12, "rare": 3, "new": 4}))
    told = account(channel)
    assert told.signatures == []
    assert told.reports is not None and told.reports.looked_at == 3


def test_new_signatures_are_measured_by_those_that_earlier_releases_brought(channel: SmallChannel) -> None:
    newest_is(channel)
    each = {f"new of {n}": 30 for n in range(NEWEST + 1)}
    report(channel, lambda nth: either(nth, {"old": 10, f"new of {nth}": 30}, {"old": 10, "new": 40}))
    assert len(each) == NEWEST + 1 and account(channel).signatures == []


def test_sampled_reports_are_weighed_on_both_sides(channel: SmallChannel) -> None:
    """Of predecessors a tenth was kept; of this release all, which is no excess; few kept reports prove little."""
    newest_is(channel)
    report(channel, lambda nth: {} if nth == NEWEST else {"old": 100, "burst": 10}, reports=10)
    report(channel, lambda nth: {"old": 110, "burst": 40} if nth == NEWEST else {})
    (found,) = account(channel).signatures
    assert (found.signature, found.observed) == ("burst", 40)
    assert abs(found.expected - 10) < 1


def test_the_noise_of_sampled_reports_counts(channel: SmallChannel) -> None:
    """Forty crashes of which four reports were kept."""
    newest_is(channel)
    report(channel, lambda nth: either(nth, {"old": 100, "burst": 10}, {"old": 110, "burst": 40}), reports=4)
    assert account(channel).signatures == []


def test_where_it_is_worse_on_one_system_its_reports_are_compared(channel: SmallChannel) -> None:
    channel.history()
    channel.take(
        {**row, "main_crashes": row["main_crashes"] * (6 if row["os_name"] == "Linux" else 1)}
        for row in rows_of(NEWEST)
    )
    channel.releases.append(release(NEWEST))
    report(channel, lambda nth: either(nth, {"bad": 10}, {"bad": 60}))
    # On Windows the same signature is as frequent as it was, and another one moved.
    report(
        channel,
        lambda nth: either(nth, {"bad": 300, "elsewhere": 10}, {"bad": 300, "elsewhere": 90}),
        os_name="Windows_NT",
    )
    told = account(channel)
    assert told.look.slice == {"os_name": "Linux"}
    assert told.reports is not None and told.reports.where == {"os_name": "Linux"}
    (found,) = told.signatures
    assert (found.signature, found.observed) == ("bad", 60)
    assert abs(found.expected - 10) < 1.5


def test_hours_that_have_not_ended_are_expected_on_neither_side(channel: SmallChannel) -> None:
    """Usage comes at the half hour, the release too: of its four hours the last is not yet in the counts."""
    half = timedelta(minutes=30)
    channel.take(
        {**row, "window_start": row["window_start"] + half}
        for nth in range(NEWEST + 1)
        for row in rows_of(nth, ratio=6.0 if nth == NEWEST else 1.0)
    )
    channel.releases = [
        release(nth, published_at=published(nth) + (half if nth == NEWEST else timedelta()))
        for nth in range(NEWEST + 1)
    ]
    report(channel, lambda nth: either(nth, {"old": 20}, {"old": 100}))
    at = published(NEWEST) + timedelta(hours=3, minutes=35)
    (found,) = channel.course("9.0", at).account.signatures
    # Three hours of each.
    assert abs(found.expected - 20) < 2


def test_reports_belong_to_the_version_that_their_build_was_published_as(channel: SmallChannel) -> None:
    newest_is(channel)
    report(channel, lambda nth: either(nth, {"old": 20}, {"old": 100}), version="nightly")
    (found,) = account(channel).signatures
    assert found.observed == 100
    assert abs(found.expected - 20) < 2
