"""Courses asked of processes of their own: kept while they hold, joined when they are equal, refused when too many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.errors import NotFound, TooSlow
from missioncontrol.health.asking import courses
from missioncontrol.health.model import Course, Subject
from missioncontrol.state.release_model import Change, Release

SUBJECT = Subject("Firefox", "release", "9.0", "main_crashes")
UNTIL = published(8) + timedelta(hours=40)


@pytest.fixture
def asked(channel: SmallChannel) -> Callable[[], Course]:
    """Eight versions and a ninth, with its course at one time."""
    channel.history()
    channel.take(rows_of(8))
    channel.releases.append(release(8))
    channel.services.releases.put(channel.releases)
    return lambda: channel.services.courses.course(SUBJECT, UNTIL)


def test_a_course_is_kept_until_rows_of_its_time_come(
    channel: SmallChannel, asked: Callable[[], Course]
) -> None:
    first = asked()
    assert first.account.look.as_of == UNTIL
    assert asked() is first
    later = [row for row in rows_of(8, hours=80, seed=1) if row["window_start"] >= UNTIL]
    channel.take(later)
    assert asked() is first, "later rows change nothing"
    channel.take([row for row in rows_of(8, seed=2) if row["window_start"] < UNTIL])
    second = asked()
    assert second.account.look.observed > 1.5 * first.account.look.observed


def test_a_course_does_not_outlive_what_was_said_of_releases(
    channel: SmallChannel, asked: Callable[[], Course]
) -> None:
    first = asked()
    releases, now = channel.services.releases, datetime.now(UTC)
    before = published(8) - timedelta(days=1)
    releases.change("Firefox", "release", "5.0", Change(status="excluded"), "ada", before)
    second = asked()
    assert {e.version: e.why for e in second.account.predecessors if not e.used} == {"5.0": "it was excluded"}
    releases.remove("Firefox", "release", "5.0")
    third = asked()
    assert "5.0" not in {each.version for each in third.account.predecessors}
    later = published(8) + timedelta(hours=2)
    releases.change("Firefox", "release", "9.0", Change(published_at=later), "ada", now)
    assert asked().account.published_at == later
    assert first.account.published_at == published(8)
    releases.remove("Firefox", "release", "9.0")
    with pytest.raises(NotFound):
        asked()


def test_of_versions_that_are_only_planned_none_is_the_newest(channel: SmallChannel) -> None:
    channel.history()
    planned = release(8, version="9.0", published_at=datetime(2099, 1, 2, 3, 4, tzinfo=UTC))

    def newest(known: list[Release], as_of: datetime | None = None) -> str:
        (course,) = courses(channel.services.engine, known, "Firefox", "release", None, None, as_of)
        return course.account.subject.version

    assert newest([*channel.releases, planned]) == "8.0"
    assert newest([*channel.releases, planned], datetime(2100, 1, 1, tzinfo=UTC)) == "8.0"
    with pytest.raises(NotFound, match="known to have been published") as caught:
        newest([planned])
    assert caught.value.hint == "9.0 is to be published on 2099-01-02 at 03:04 UTC."


def test_equal_questions_that_come_together_are_answered_once(asked: Callable[[], Course]) -> None:
    start = threading.Barrier(6)

    def ask() -> Course:
        start.wait()
        return asked()

    with ThreadPoolExecutor(6) as pool:
        found = [future.result() for future in [pool.submit(ask) for _ in range(6)]]
    assert all(course is found[0] for course in found)


def test_what_fails_fails_for_all_who_asked(channel: SmallChannel, asked: Callable[[], Course]) -> None:
    unknown = Subject("Firefox", "release", "77.0", "main_crashes")
    for _ in range(2):
        with pytest.raises(NotFound):
            channel.services.courses.course(unknown, UNTIL)
    assert asked().looks


def test_of_many_questions_most_are_refused_at_once(
    channel: SmallChannel, asked: Callable[[], Course]
) -> None:
    kept = channel.services.courses

    def ask(number: int) -> tuple[str, float, int]:
        began = time.monotonic()
        try:
            kept.course(SUBJECT, UNTIL - timedelta(minutes=5 * number))
            return "", time.monotonic() - began, 0
        except TooSlow as error:
            return error.code, time.monotonic() - began, error.retry_after_s

    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(ask, range(40)))
    refused = [one for one in found if one[0] == "busy"]
    assert len(refused) >= 32
    assert all(retry > 0 for _, _, retry in refused)
    assert sum(took < 5 for _, took, _ in refused) >= 32, "those for whom there is no room do not wait"
    assert len(refused) < 40
