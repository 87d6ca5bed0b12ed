"""Quiet hours: nobody is woken for what can wait, and afterwards is told in one message what still holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from conftest import Installation
from tests.support.receivers import http_receiver
from tests.support.verdict_changes import SUBJECT

from missioncontrol.alerts.quiet import checked_quiet, quiet_until
from missioncontrol.errors import BadRequest
from missioncontrol.health.model import Subject
from missioncontrol.state.alert_channels import QuietHours

NIGHT = QuietHours("22:00", "07:00", "Europe/Berlin")
WEEKEND = QuietHours("00:00", "00:00", "UTC", ("sat", "sun"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("quiet", "now", "ends"),
    [
        (NIGHT, "2026-11-26T20:59", None),
        (NIGHT, "2026-11-26T21:00", "2026-11-27T06:00"),
        (NIGHT, "2026-11-27T05:59", "2026-11-27T06:00"),
        (NIGHT, "2026-11-27T06:00", None),
        (NIGHT, "2026-07-01T20:00", "2026-07-02T05:00"),  # summer time
        (NIGHT, "2026-03-28T23:00", "2026-03-29T05:00"),  # the night in which it begins
        (NIGHT, "2026-10-24T23:00", "2026-10-25T06:00"),  # the night in which it ends
        (WEEKEND, "2026-11-27T23:59", None),
        (WEEKEND, "2026-11-28T00:00", "2026-11-30T00:00"),  # Saturday and Sunday are one
        (WEEKEND, "2026-11-29T12:00", "2026-11-30T00:00"),
        (QuietHours("12:00", "13:00", "UTC", ("mon",)), "2026-11-30T12:30", "2026-11-30T13:00"),
        (QuietHours("12:00", "13:00", "UTC", ("mon",)), "2026-12-01T12:30", None),
        (QuietHours("22:00", "06:00", "UTC", ("fri",)), "2026-11-28T05:00", "2026-11-28T06:00"),
        (QuietHours("22:00", "06:00", "UTC", ("fri",)), "2026-11-28T23:00", None),
        (None, "2026-11-28T23:00", None),
    ],
)  # fmt: skip
def test_when_it_is_quiet_and_until_when(quiet: QuietHours | None, now: str, ends: str | None) -> None:
    assert quiet_until(quiet, at(now)) == (at(ends) if ends else None)


def test_a_channel_that_is_always_quiet_is_told_in_the_end() -> None:
    always = QuietHours("08:00", "08:00")
    assert quiet_until(always, at("2026-11-26T12:00")) == at("2026-12-10T08:00")


@pytest.mark.parametrize(
    ("quiet", "code"),
    [
        (QuietHours("25:00", "07:00"), "bad_quiet_hours"),
        (QuietHours("22:00", ""), "bad_quiet_hours"),
        (QuietHours("22:00", "07:00", "UTC", ("Monday",)), "bad_quiet_hours"),
        (QuietHours("22:00", "07:00", "Europe/Atlantis"), "unknown_zone"),
        (QuietHours("22:00", "07:00", "../../etc/passwd"), "unknown_zone"),
        (QuietHours("22:00", "07:00", ""), "unknown_zone"),
    ],
)
def test_hours_that_cannot_be_kept_are_refused(quiet: QuietHours, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        checked_quiet(quiet)
    assert refused.value.code == code


def test_every_day_is_no_day_in_particular() -> None:
    every = QuietHours("22:00", "07:00", "UTC", ("sun", "sat", "fri", "thu", "wed", "tue", "mon"))
    assert checked_quiet(every).days == ()
    assert checked_quiet(QuietHours("22:00", "07:00", "UTC", ("sun", "mon"))).days == ("mon", "sun")


def version(number: int) -> Subject:
    return Subject("Firefox", "release", f"{number}.0", "main_crashes")


def test_what_can_wait_is_one_message_after_the_night_without_what_is_over(
    installation: Installation,
) -> None:
    installation.now = at("2026-11-26T22:00")
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url, quiet=NIGHT)
        installation.judge("too-early", "better", version(70))
        installation.judge("too-early", "environment", version(71))
        installation.judge("too-early", "same", version(72))
        assert installation.turn() == 0
        installation.pass_time(hours=2)
        installation.judge("too-early", "worse", SUBJECT)
        assert installation.turn() == 1, "critical is told at once"
        installation.judge("environment", "too-early", version(71))
        installation.now = at("2026-11-27T05:59")
        assert installation.turn() == 0
        installation.pass_time(minutes=1)
        assert installation.turn() == 1
    told = [[(a["version"], a["verdict"]) for a in g.content["alerts"]] for g in receiver.got]
    assert told == [[("61.0", "worse")], [("70.0", "better"), ("72.0", "same")]]


def test_a_repeat_waits_for_six_hours_from_when_it_was_told_and_not_from_when_it_happened(
    installation: Installation,
) -> None:
    installation.now = at("2026-11-26T23:30")
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url, quiet=NIGHT)
        installation.judge("too-early", "environment")
        installation.now = at("2026-11-27T06:00")
        installation.turn()
        assert len(receiver.got) == 1
        installation.pass_time(minutes=5)
        installation.judge("environment", "too-early")
        installation.pass_time(minutes=5)
        installation.judge("too-early", "environment")
        installation.turn()
        installation.now = at("2026-11-27T11:59:59")
        installation.turn()
        assert len(receiver.got) == 1
        installation.now = at("2026-11-27T12:00")
        installation.turn()
    assert [g.content["alerts"][0]["verdict"] for g in receiver.got] == ["environment", "environment"]


@pytest.mark.parametrize("critical", [False, True])
def test_what_failed_before_the_night_is_tried_again_after_it_unless_it_is_critical(
    installation: Installation, critical: bool
) -> None:
    installation.now = at("2026-11-26T20:59:50")
    with http_receiver([503, 200]) as receiver:
        installation.channel("ops", receiver.url, quiet=NIGHT)
        installation.judge("too-early", "better", version(70))
        installation.judge("too-early", "environment", version(71))
        if critical:
            installation.judge("too-early", "worse")
        installation.turn()
        first = receiver.got[0].content
        installation.now = at("2026-11-26T21:00:30")
        for _ in range(3):
            installation.turn()
        if critical:
            assert receiver.got[1].body == receiver.got[0].body and installation.statuses() == ["sent"]
            return
        assert len(receiver.got) == 1 and installation.statuses() == ["remade"]
        installation.pass_time(hours=1)
        installation.judge("environment", "too-early", version(71))
        installation.judge("too-early", "same", version(72))
        installation.now = at("2026-11-27T05:59:59")
        installation.turn()
        assert len(receiver.got) == 1
        installation.now = at("2026-11-27T06:00")
        installation.turn()
    second = receiver.got[1].content
    assert [(a["version"], a["verdict"]) for a in second["alerts"]] == [("70.0", "better"), ("72.0", "same")]
    assert second["id"] != first["id"] and sorted(installation.statuses()) == ["remade", "sent"]


def test_who_wants_to_sleep_through_everything_can(installation: Installation) -> None:
    installation.now = at("2026-11-26T22:00")
    quiet = QuietHours("22:00", "07:00", "UTC", (), "none")
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url, quiet=quiet)
        installation.judge("too-early", "worse")
        assert installation.turn() == 0
        installation.setup.change("ops", "", "", None, installation.now)
        assert installation.turn() == 1, "quiet hours that were taken away hold nothing back"
        installation.pass_time(**{"seconds": timedelta(hours=9).total_seconds()})
        assert installation.turn() == 0
