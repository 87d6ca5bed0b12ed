"""Which changes are told, to whom, and that none is told twice."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import NOW, Installation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.receivers import http_receiver, refused_url
from tests.support.verdict_changes import change

from missioncontrol.alerts.intake import REPEAT_AFTER
from missioncontrol.alerts.severity import SEVERITIES, channels_for, reaches, severity_of
from missioncontrol.health.model import Subject
from missioncontrol.state.alert_channels import AlertRule, Severity

VERDICTS = ("worse", "better", "same", "too-early", "environment", "data-problem")


@pytest.mark.parametrize(
    ("before", "verdict", "severity"),
    [
        ("too-early", "worse", "critical"),
        ("", "worse", "critical"),
        ("worse", "same", "warning"),
        ("worse", "too-early", "warning"),
        ("same", "better", "warning"),
        ("too-early", "environment", "warning"),
        ("too-early", "data-problem", "warning"),
        ("too-early", "same", "info"),
        ("", "too-early", ""),
        ("environment", "too-early", ""),
        *((verdict, verdict, "") for verdict in VERDICTS),
    ],
)
def test_how_much_a_change_matters(before: str, verdict: str, severity: str) -> None:
    assert severity_of(before, verdict) == severity


def test_severities_reach_those_who_ask_for_less() -> None:
    assert [[reaches(s, least) for least in SEVERITIES] for s in SEVERITIES] == [
        [True, True, True],
        [False, True, True],
        [False, False, True],
    ]
    assert not any(reaches(s, "none") for s in SEVERITIES) and not reaches("", "info")


def rule(channel_id: int, application: str, channel: str, measure: str, severity: Severity) -> AlertRule:
    return AlertRule(0, channel_id, application, channel, measure, severity)


def test_rules_choose_by_application_channel_measure_and_severity() -> None:
    rules = [
        rule(1, "", "", "", "critical"),
        rule(2, "Firefox", "", "", "info"),
        rule(3, "Firefox", "beta", "", "info"),
        rule(4, "Firefox", "release", "main_crashes", "warning"),
        rule(4, "Fenix", "", "", "info"),
    ]
    assert channels_for("Firefox", "release", "main_crashes", "critical", rules) == {1, 2, 4}
    assert channels_for("Firefox", "release", "main_crashes", "info", rules) == {2}
    assert channels_for("Firefox", "beta", "shutdown_hangs", "warning", rules) == {2, 3}
    assert channels_for("Fenix", "nightly", "x", "info", rules) == {4}
    assert channels_for("Firefox", "release", "main_crashes", "", rules) == set()


def test_the_same_change_again_changes_nothing_also_after_a_restart(installation: Installation) -> None:
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url)
        assert installation.judge("too-early", "worse") == 1
        assert installation.judge("too-early", "worse") == 0
        installation.restart()
        installation.pass_time(minutes=5)
        assert installation.judge("too-early", "worse") == 0, "one who was killed judges again, later"
        assert installation.judge(None, "worse") == 0
        installation.turn()
        installation.restart()
        installation.turn()
    assert len(receiver.got) == 1


def test_an_old_change_that_comes_again_is_known(installation: Installation) -> None:
    installation.channel("ops", refused_url())
    first = change("too-early", "environment", NOW)
    second = change("environment", "same", NOW + timedelta(minutes=5))
    alerts = installation.alerts
    assert alerts.take([first, second], NOW) == 2
    assert alerts.take([first], NOW) == 0
    assert alerts.take([second], NOW) == 0


def test_a_change_that_was_lost_is_made_up_for(installation: Installation) -> None:
    installation.channel("ops", refused_url())
    installation.judge(None, "too-early")
    installation.pass_time(minutes=5)
    assert installation.judge("worse", "worse") == 1, "that it became worse never came here"
    (event,) = installation.log.events(10)
    assert (event.before, event.verdict, event.severity) == ("too-early", "worse", "critical")


def test_a_first_verdict_that_is_too_early_is_told_to_nobody(installation: Installation) -> None:
    installation.channel("ops", refused_url())
    installation.judge(None, "too-early")
    assert installation.turn() == 0


def test_a_verdict_that_comes_back_soon_waits_and_is_told_if_it_holds(installation: Installation) -> None:
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url)
        before = "too-early"
        for _ in range(12):
            for verdict in ("environment", "too-early"):
                installation.judge(before, verdict)
                installation.turn()
                installation.pass_time(minutes=5)
                before = verdict
        assert len(receiver.got) == 1, "twelve times in two hours"
        installation.judge("too-early", "environment")
        installation.turn()
        assert len(receiver.got) == 1
        installation.now = NOW + REPEAT_AFTER
        installation.turn()
        assert len(receiver.got) == 2
        installation.judge("environment", "worse")
        installation.pass_time(minutes=5)
        installation.judge("worse", "too-early")
        installation.pass_time(minutes=5)
        installation.judge("too-early", "worse")
        installation.turn()
    assert [g.content["alerts"][0]["verdict"] for g in receiver.got] == [
        "environment",
        "environment",
        "worse",
    ]


STEP = st.sampled_from(["take", "again", "restart", "turn", "broken"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    looks=st.lists(
        st.tuples(st.sampled_from(VERDICTS), st.integers(1, 200), st.lists(STEP, max_size=3)), max_size=25
    )
)
def test_any_looks_give_at_most_one_alert_for_each_transition_and_channel(
    tmp_path_factory: pytest.TempPathFactory, looks: list[tuple[str, int, list[str]]]
) -> None:
    """Looks come with what went before, sometimes again, across restarts and troubles of the receiver."""
    installation = Installation(tmp_path_factory.mktemp("any"))
    subject = Subject("App", "release", "1.0", "main_crashes")
    with http_receiver() as one, http_receiver() as two:
        installation.channel("one", one.url)
        installation.channel("two", two.url, severity="warning")
        before: str | None = None
        transitions: list[tuple[str | None, str]] = []
        for verdict, minutes, steps in looks:
            installation.pass_time(minutes=minutes)
            now = change(before, verdict, installation.now, subject)
            if verdict != before:
                transitions.append((before, verdict))
                installation.alerts.take([now], installation.now)
            for step in steps:
                if step == "again":
                    installation.alerts.take([now], installation.now)
                elif step == "restart":
                    installation.restart()
                elif step == "broken":
                    one.answers = [500, 200]
                else:
                    installation.turn()
            before = verdict
        for _ in range(3):
            installation.pass_time(hours=7)
            installation.turn()
    for receiver, least in ((one, "info"), (two, "warning")):
        accepted = {
            g.headers["x-missioncontrol-delivery"]: g.content for g in receiver.got if g.answer == 200
        }
        told = [a["id"] for content in accepted.values() for a in content["alerts"]]
        assert len(told) == len(set(told)), "no change is in two messages that arrived"
        bodies = {(g.headers["x-missioncontrol-delivery"], g.body) for g in receiver.got}
        assert len(bodies) == len({delivery for delivery, _ in bodies}), "an id stands for one text"
        changed = [(a["before"], a["verdict"]) for c in accepted.values() for a in c["alerts"]]
        expected = [t for t in transitions if reaches(severity_of(t[0] or "", t[1]), least)]
        for pair, group in itertools.groupby(sorted(changed, key=str)):
            assert len(list(group)) <= expected.count(pair)
        if transitions and reaches(severity_of(transitions[-1][0] or "", transitions[-1][1]), least):
            assert changed and changed[-1] == transitions[-1], "how it stands in the end was told"


def test_old_entries_leave_and_the_newest_of_a_subject_stays(
    installation: Installation, tmp_path: Path
) -> None:
    with http_receiver() as receiver:
        installation.channel("ops", receiver.url)
        installation.judge("too-early", "better")
        installation.turn()
        installation.pass_time(days=1)
        installation.judge("better", "same")
        installation.turn()
        installation.log.forget(installation.now + timedelta(days=1))
        assert [e.verdict for e in installation.log.events(10)] == ["same"]
        assert installation.log.deliveries(10) == []
        installation.pass_time(minutes=5)
        assert installation.judge("better", "same") == 0
