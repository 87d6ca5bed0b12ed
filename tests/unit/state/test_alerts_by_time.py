"""Changes of verdicts and what was told of them, by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from missioncontrol.state.alert_log import AlertLog, Delivery, Event
from missioncontrol.state.database import Database

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(version: str, hours_ago: float, severity: str = "critical", channel: str = "release") -> Event:
    at = NOW - timedelta(hours=hours_ago)
    return Event(0, "Firefox", channel, version, "main_crashes", at, "worse", "", severity, at, "{}")  # type: ignore[arg-type]


def test_changes_and_messages_of_a_span_are_given_newest_first(state_url: str) -> None:
    log = AlertLog(Database(state_url))
    for one in (event("1.0", 5), event("2.0", 3), event("3.0", 1), event("4.0", 2, "")):
        assert log.take(one, None, {7: NOW} if one.severity else {})
    found = log.events_between(NOW - 4 * HOUR, NOW, 10)
    assert [e.version for e in found] == ["3.0", "2.0"], "neither those before nor those that nobody is told"
    assert [e.version for e in log.events_between(NOW - 9 * HOUR, NOW, 2)] == ["3.0", "2.0"]

    message = Delivery("a", 7, "ops", "alerts", "", "two", "waiting", 0, NOW, NOW, None, "")
    log.add(message, [e.id for e in found])
    assert log.told_between(NOW - HOUR, NOW + HOUR, 10) == [], "nobody tried to send it yet"
    log.tried(message, "sent", "200", NOW, NOW)
    told = log.told_between(NOW - HOUR, NOW + HOUR, 10)
    assert [(d.id, d.status, e.version) for d, e in told] == [("a", "sent", "2.0"), ("a", "sent", "3.0")]
    assert log.told_between(NOW - 3 * HOUR, NOW - 2 * HOUR, 10) == []


def test_the_newest_of_a_channel_are_given_however_many_there_are_of_others(state_url: str) -> None:
    log = AlertLog(Database(state_url))
    own = event("1.0", 5, channel="beta")
    for one in (own, *(event(f"{n}.0", 1) for n in range(2, 6))):
        assert log.take(one, None, {7: NOW})
    span = (NOW - 9 * HOUR, NOW + HOUR, 2)
    assert [e.version for e in log.events_between(*span, "Firefox", "beta")] == ["1.0"]
    assert log.events_between(*span, "Fenix") == []
    message = Delivery("a", 7, "ops", "alerts", "", "all", "waiting", 0, NOW, NOW, None, "")
    log.add(message, [e.id for e in log.events_between(*span[:2], 9)])
    log.tried(message, "sent", "200", NOW, NOW)
    assert [e.version for _, e in log.told_between(*span, "Firefox", "beta")] == ["1.0"]
    assert log.told_between(*span, channel="nightly") == [] and len(log.told_between(*span)) == 2
