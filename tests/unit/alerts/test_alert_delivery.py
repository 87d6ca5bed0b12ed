"""A change is told once, by whatever the other side and the network do; and the log says how."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest
from conftest import NOW, Installation
from tests.support.receivers import Answer, http_receiver, refused_url, smtp_receiver
from tests.support.verdict_changes import SENTENCE, SUBJECT

from missioncontrol.alerts import webhook
from missioncontrol.alerts.delivery import GIVE_UP_AFTER, MOST_AT_ONCE, _delivery, pause_after
from missioncontrol.config import Alerts as AlertSettings
from missioncontrol.health.model import Subject


def other(number: int) -> Subject:
    return Subject("Firefox", "release", f"{number}.0", "main_crashes")


def test_a_webhook_gets_the_sentence_the_numbers_and_the_link_signed(installation: Installation) -> None:
    with http_receiver() as receiver:
        secret = installation.channel("ops", receiver.url).secret
        assert installation.judge("too-early", "worse") == 1
        assert installation.turn() == 1
    (got,) = receiver.got
    assert got.signed_by(secret) and not got.signed_by("another")
    told = got.content
    (alert,) = told["alerts"]
    assert (told["kind"], told["channel"], told["id"]) == (
        "alerts",
        "ops",
        got.headers["x-missioncontrol-delivery"],
    )
    assert told["text"] == "Worse: Firefox 61.0 on release, Main crashes"
    assert (alert["measure"], alert["measure_title"]) == ("main_crashes", "Main crashes")
    assert alert["sentence"] == SENTENCE and alert["severity"] == "critical"
    assert (alert["before"], alert["verdict"], alert["slice"]) == ("too-early", "worse", {"os_name": "Linux"})
    assert (alert["ratio"], alert["low"], alert["high"], alert["observed"]) == (1.8, 1.4, 2.3, 1234)
    assert alert["as_of"] == "2026-11-26T12:00:00Z"
    assert alert["url"] == "https://mc.example.com/verdict/Firefox/release/61.0/main_crashes"
    assert [s["signature"] for s in alert["signatures"]] == ["mozalloc_abort"]
    (delivery,) = installation.log.deliveries(10)
    assert (delivery.status, delivery.attempts, delivery.answer) == ("sent", 1, "200 OK")


def test_a_measure_that_is_in_no_registry_is_told_by_its_name(installation: Installation) -> None:
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse", Subject("Firefox", "release", "61.0", "gone"))
        installation.turn()
    (got,) = receiver.got
    assert got.content["text"] == "Worse: Firefox 61.0 on release, gone"
    assert got.content["alerts"][0]["measure_title"] == ""


@pytest.mark.parametrize("trouble", [500, 503, 408, 425, 429, "close"])
def test_a_passing_trouble_is_tried_again_under_the_same_id_and_body(
    installation: Installation, trouble: Answer
) -> None:
    with http_receiver([trouble, 200]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.turn()
        assert installation.statuses() == ["waiting"] and installation.states() == ["on"]
        assert installation.turn() == 0, "not before the pause is over"
        installation.restart()
        installation.pass_time(seconds=30)
        assert installation.turn() == 1
        assert installation.turn() == 0
    first, second = receiver.got
    assert first.body == second.body
    (delivery,) = installation.log.deliveries(10)
    assert (delivery.status, delivery.attempts) == ("sent", 2)


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_receiver_that_does_not_finish_is_left(
    installation: Installation, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook.post, "__defaults__", (0.5,))
    with http_receiver([answer, 200]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.turn()
        (delivery,) = installation.log.deliveries(10)
        assert (delivery.status, delivery.answer) == ("waiting", "No answer within 0.5 s.")
        installation.pass_time(minutes=1)
        installation.turn()
        assert installation.statuses() == ["sent"]


def test_nobody_listens(installation: Installation) -> None:
    installation.channel("ops", refused_url())
    installation.judge("too-early", "worse")
    installation.turn()
    (delivery,) = installation.log.deliveries(10)
    assert delivery.status == "waiting" and delivery.answer.startswith("The connection failed")


def test_pauses_grow_to_an_hour_and_after_a_day_it_is_given_up(installation: Installation) -> None:
    with http_receiver([500]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        tried = []
        while installation.statuses() in ([], ["waiting"]):
            if installation.turn():
                tried.append(installation.now)
            installation.pass_time(seconds=30)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses[:8] == [timedelta(seconds=s) for s in (30, 60, 120, 240, 480, 960, 1920, 3600)]
    assert max(pauses) == timedelta(hours=1) and tried[-1] == NOW + GIVE_UP_AFTER
    assert installation.statuses() == ["given_up"] and installation.states() == ["on"]
    assert pause_after(10_000) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("1800", 1800),
        ("Thu, 26 Nov 2026 13:00:00 GMT", None),
        ("soon", 30),
        ("-5", 30),
        ("99999999999", 86_400),
    ],
)
def test_a_receiver_says_when_to_come_back(
    installation: Installation, value: str, wait_s: float | None
) -> None:
    with http_receiver([(429, {"Retry-After": value}), 200]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.turn()
    (delivery,) = installation.log.deliveries(10)
    if wait_s is not None:
        assert delivery.due_at == NOW + timedelta(seconds=wait_s)
    else:
        assert delivery.due_at >= NOW + timedelta(seconds=30), "a date is measured by the machine's clock"


@pytest.mark.parametrize("answer", [404, 410, 401, 400, (302, {"Location": "https://elsewhere.example/x"})])
def test_a_refusal_for_good_switches_the_channel_off_and_its_owner_is_told(
    installation: Installation, answer: Answer
) -> None:
    with http_receiver([answer]) as receiver, http_receiver() as second, smtp_receiver() as mail:
        installation.settings = AlertSettings("127.0.0.1", mail.port, "none", mail_from="mc@example.com")
        installation.channel("broken", receiver.url, owner_email="ada@example.com")
        installation.channel("other", second.url, severity="critical")
        installation.judge("too-early", "better")
        installation.turn()
        assert len(receiver.got) == 1
        broken, _ = installation.channels.list()
        assert broken.state == "broken" and str(answer if isinstance(answer, int) else 302) in broken.reason
        if not isinstance(answer, int):
            assert "elsewhere.example" in broken.reason and "not followed" in broken.reason
        installation.turn()
        (text,) = mail.mails
        assert b"To: ada@example.com" in text and b"https://mc.example.com/alerts" in text
        installation.judge("better", "same")
        installation.turn()
        assert len(receiver.got) == 1 and second.got == [], "who is broken is left in peace"
        assert sorted(installation.statuses()) == ["refused", "sent"]


def test_without_mail_another_channel_of_the_owner_is_told(installation: Installation) -> None:
    with http_receiver([404]) as receiver, http_receiver() as second, http_receiver() as foreign:
        installation.channel("a-foreign", foreign.url, severity="critical", owner="grace")
        installation.channel("broken", receiver.url)
        installation.channel("second", second.url, severity="critical")
        installation.judge("too-early", "better")
        installation.turn()
        installation.turn()
    (got,) = second.got
    assert got.content["kind"] == "notice" and "broken was switched off" in got.content["text"]
    assert foreign.got == []


@pytest.mark.parametrize("trouble", [404, 500])
def test_when_that_one_fails_too_the_next_one_is_told(installation: Installation, trouble: int) -> None:
    with http_receiver([404]) as receiver, http_receiver([trouble]) as first, http_receiver() as last:
        installation.channel("a-broken", receiver.url)
        installation.channel("b-first", first.url, severity="critical")
        installation.channel("c-last", last.url, severity="critical")
        installation.judge("too-early", "better")
        for _ in range(4):
            installation.turn()
    told = [got.content["text"] for got in last.got]
    assert sum("a-broken was switched off" in text for text in told) == 1
    assert sum("b-first was switched off" in text for text in told) == (trouble == 404)
    assert len(first.got) == 1


def test_when_the_mail_does_not_arrive_a_channel_of_the_owner_is_told(installation: Installation) -> None:
    with (
        http_receiver([404]) as receiver,
        http_receiver() as other,
        smtp_receiver({"RCPT": "550 No"}) as mail,
    ):
        installation.settings = AlertSettings("127.0.0.1", mail.port, "none", mail_from="mc@example.com")
        installation.channel("broken", receiver.url, owner_email="gone@example.com")
        installation.channel("other", other.url, severity="critical")
        installation.judge("too-early", "better")
        for _ in range(3):
            installation.turn()
    (got,) = other.got
    assert got.content["kind"] == "notice" and "broken was switched off" in got.content["text"]


@pytest.mark.parametrize(
    "location",
    ["http://[::1/x", "http://exa mple/\x01", "http://[bad]:x/", "http://xn--\xe9/", "", "//", "x" * 5000],
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_refusal_wherever_it_leads(
    installation: Installation, status: int, location: str
) -> None:
    with http_receiver([(status, {"Location": location})]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.turn()
    (channel,) = installation.channels.list()
    assert channel.state == "broken"
    assert channel.reason.startswith(f"{status}: it redirects") and "not followed" in channel.reason


def test_an_answer_that_quotes_the_address_does_not_give_it_away(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "T0B0s3cr3tT0ken"
    with http_receiver([404]) as receiver, http_receiver() as other:
        url = receiver.url.replace("/hook?key=hush", f"/services/{secret}?key=h%20ush")
        receiver.text = f"Cannot POST /services/{secret}?key=h%20ush ({secret}, key h ush)"
        installation.channel("ops", url)
        installation.channel("other", other.url, severity="critical")
        installation.judge("too-early", "better")
        installation.turn()
        installation.turn()
    seen = repr(installation.log.deliveries(10)) + repr([c.reason for c in installation.channels.list()])
    seen += repr([got.content for got in other.got]) + "".join(capsys.readouterr())
    assert "404 Not Found: Cannot POST …" in seen
    assert secret not in seen and "h ush" not in seen and "h%20ush" not in seen


def test_what_a_broken_channel_missed_and_still_holds_is_told_when_it_is_on_again(
    installation: Installation,
) -> None:
    with http_receiver([404, 200]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.judge("too-early", "better", other(70))
        installation.turn()
        installation.pass_time(days=2)
        installation.judge("too-early", "data-problem", other(71))
        installation.judge("better", "same", other(70))
        installation.turn()
        assert len(receiver.got) == 1
        installation.setup.switch("ops", True, "ada", installation.now)
        installation.turn()
    told = [(a["version"], a["verdict"]) for a in receiver.got[1].content["alerts"]]
    assert told == [("61.0", "worse"), ("71.0", "data-problem"), ("70.0", "same")]
    assert len(receiver.got) == 2 and installation.states() == ["on"]


def test_a_channel_that_somebody_switched_off_is_told_nothing_of_that_time(
    installation: Installation,
) -> None:
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "better")
        installation.setup.switch("ops", False, "ada", installation.now)
        installation.judge("too-early", "worse", other(70))
        installation.turn()
        installation.setup.switch("ops", True, "ada", installation.now)
        assert installation.turn() == 0
        installation.judge("too-early", "worse", other(71))
        installation.turn()
    assert [g.content["alerts"][0]["version"] for g in receiver.got] == ["71.0"]


def test_what_happens_at_once_is_one_message_the_worst_first(installation: Installation) -> None:
    with http_receiver() as receiver, http_receiver() as chat:
        installation.channel("ops", receiver.url)
        installation.channel("chat", chat.url, "slack")
        for number in range(45):
            installation.judge("too-early", "worse" if number == 44 else "same", other(number))
        installation.turn()
    assert sorted(len(g.content["alerts"]) for g in receiver.got) == [5, 20, 20]
    first = next(g.content for g in receiver.got if g.content["alerts"][0]["verdict"] == "worse")
    assert first["text"] == "20 verdicts changed, worse: Firefox 44.0 on release, Main crashes among them"
    for got in chat.got:
        assert len(got.content["text"]) <= 4000 and len(got.content["blocks"]) <= 50


def test_a_message_that_no_longer_holds_is_not_tried_again(installation: Installation) -> None:
    with http_receiver([500, 200]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "environment")
        installation.turn()
        installation.pass_time(minutes=5)
        installation.judge("environment", "same")
        installation.turn()
    assert sorted(installation.statuses()) == ["outdated", "sent"]
    assert receiver.got[-1].content["alerts"][0]["verdict"] == "same"


def test_of_a_message_that_is_sent_again_only_what_holds_is_told_and_under_another_id(
    installation: Installation,
) -> None:
    with http_receiver([503, 200]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "environment", other(70))
        installation.judge("too-early", "better", other(71))
        installation.turn()
        installation.pass_time(seconds=30)
        installation.judge("environment", "too-early", other(70))
        while installation.turn():
            pass
        first, second = (got.content for got in receiver.got)
        assert [a["version"] for a in first["alerts"]] == ["70.0", "71.0"]
        assert [(a["version"], a["verdict"]) for a in second["alerts"]] == [("71.0", "better")]
        assert second["text"] == "Better: Firefox 71.0 on release, Main crashes"
        assert second["id"] != first["id"] and second["alerts"][0]["id"] == first["alerts"][1]["id"]
        assert {d.id: d.status for d in installation.log.deliveries(9)} == {
            first["id"]: "remade",
            second["id"]: "sent",
        }
        installation.pass_time(days=2)
        assert installation.turn() == 0


def test_what_was_removed_before_it_was_made_anew_stays_so(installation: Installation) -> None:
    with http_receiver([503]) as receiver:
        ops = installation.channel("ops", receiver.url)
        installation.judge("too-early", "better")
        installation.turn()
    (delivery,) = installation.log.deliveries(9)
    installation.channels.switch(ops.id, "off", "", installation.now)
    installation.log.remake(delivery, "A part of it no longer holds.")
    assert installation.statuses() == ["left"] and installation.log.waiting(installation.now) == []


def test_one_that_hangs_does_not_hold_up_others_beyond_a_bound(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for a busy machine to read the request before it is given up.
    monkeypatch.setattr(webhook.post, "__defaults__", (3.0,))
    with http_receiver(["hang"]) as slow, http_receiver() as fast:
        for number in range(24):
            installation.channel(f"slow{number}", slow.url)
        installation.channel("fast", fast.url)
        installation.judge("too-early", "worse")
        assert installation.turn() == 25
    assert len(fast.got) == 1 and len(slow.got) == 24
    # One that was just given up may still count for a moment when the next is there.
    assert 1 < slow.most_busy < 2 * MOST_AT_ONCE


def test_a_removed_channel_is_told_nothing_and_its_log_stays(installation: Installation) -> None:
    with http_receiver([500]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.turn()
        installation.setup.remove("ops")
        installation.pass_time(hours=1)
        installation.channel("ops", receiver.url)
        assert installation.turn() == 0
    assert installation.statuses() == ["left"] and len(receiver.got) == 1


def test_slack_gets_text_and_blocks_in_which_names_mean_nothing(installation: Installation) -> None:
    with http_receiver() as receiver:
        installation.channel("chat", receiver.url, "slack")
        installation.judge("same", "worse", Subject("<!channel>", "@all", "1|2", "a&b[](x)"))
        installation.turn()
    (got,) = receiver.got
    assert "x-missioncontrol-signature" not in got.headers
    text = json.dumps(got.content, ensure_ascii=False)
    assert (
        "<!channel>" not in text
        and "@all" not in text
        and "&lt;!channel&gt;" in text
        and "a&amp;b" in text
        and "](x)" not in text
    )
    (block,) = got.content["blocks"]
    assert block["type"] == "section" and "1¦2" in block["text"]["text"] and SENTENCE in block["text"]["text"]
    assert "https://mc.example.com/verdict/%3C%21channel%3E/%40all/1%7C2/a%26b%5B%5D%28x%29" in got.content[
        "text"
    ].replace("\u200b", "")


def test_a_test_message_is_sent_at_once_whatever_the_state_and_is_in_the_log(
    installation: Installation,
) -> None:
    with http_receiver([200, 404, 503]) as receiver:
        ops = installation.channel("ops", receiver.url)
        installation.setup.switch("ops", False, "ada", NOW)
        assert installation.apart(installation.deliverer.test, ops, NOW).result == "sent"
        failed = installation.apart(installation.deliverer.test, ops, NOW)
        passing = installation.apart(installation.deliverer.test, ops, NOW)
    assert (failed.result, failed.answer) == ("never", "404 Not Found: no_such_hook")
    assert receiver.got[0].content["kind"] == "test" and receiver.got[0].signed_by(ops.secret)
    assert passing.result == "later"
    assert {d.answer[:3]: d.status for d in installation.log.deliveries(9)} == {
        "200": "sent",
        "404": "refused",
        "503": "given_up",
    }
    assert installation.states() == ["off"]


def test_a_message_that_cannot_be_made_stops_no_other(installation: Installation) -> None:
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        ops = installation.channels.get("ops")
        installation.deliverer._bundle(installation.log.waiting(NOW), NOW)
        with installation.channels._database.engine().begin() as connection:
            connection.exec_driver_sql("UPDATE alert_events SET alert = 'rubbish'")
        installation.judge("worse", "same")
        installation.log.add(_delivery(ops, "notice", "still here", NOW))
        installation.pass_time(minutes=1)
        installation.turn()
    assert "still here" in [g.content["text"] for g in receiver.got]


def test_without_a_channel_nothing_is_done(installation: Installation) -> None:
    assert installation.judge("too-early", "worse") == 1
    assert installation.turn() == 0
    assert SUBJECT.version in [e.version for e in installation.log.events(10)]


@pytest.mark.parametrize("gone", ["switched off", "removed"])
@pytest.mark.parametrize(("answer", "status"), [(503, "left"), (200, "sent")])
def test_what_was_dropped_while_it_was_on_its_way_comes_back_only_if_it_arrived(
    installation: Installation, gone: str, answer: int, status: str
) -> None:
    with http_receiver([answer]) as receiver:
        channel = installation.channel("ops", receiver.url)

        def drop() -> None:
            if gone == "removed":
                installation.channels.remove(channel)
            else:
                installation.channels.switch(channel.id, "off", "", installation.now)

        receiver.meanwhile = drop
        installation.judge("too-early", "worse")
        installation.turn()
    assert installation.statuses() == [status]


def test_what_a_broken_channel_waits_for_keeps_no_other_waiting(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("missioncontrol.state.alert_log._MOST_WAITING", 2)
    with http_receiver() as receiver:
        broken = installation.channel("broken", receiver.url.replace("hook", "other"))
        installation.channels.switch(broken.id, "broken", "404", installation.now)
        for number in range(2):
            installation.judge("too-early", "worse", other(70 + number))
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.turn()
    assert [g.content["alerts"][0]["version"] for g in receiver.got] == ["61.0"]


def test_a_clock_that_was_put_back_keeps_nothing_waiting(installation: Installation) -> None:
    with http_receiver([503, 200]) as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "worse")
        installation.turn()
        installation.pass_time(days=-400)
        installation.turn()
        assert installation.statuses() == ["sent"]
        installation.pass_time(days=400)
        installation.judge("too-early", "worse", other(70))
        installation.pass_time(days=-400)
        installation.turn()
    assert installation.statuses() == ["sent", "sent"]
