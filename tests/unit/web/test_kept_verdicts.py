"""What an installation keeps of verdicts, as its pages want it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from fastapi.testclient import TestClient
from tests.support.form import config_of, installed
from tests.support.kept_verdicts import keep_courses, moved

from missioncontrol.errors import NotFound
from missioncontrol.health.model import Course, Crossing
from missioncontrol.services import Services
from missioncontrol.web.app import create_app, kept_verdicts
from missioncontrol.web.verdicts.kept import looks_due, merged
from missioncontrol.web.verdicts.source import VerdictSource

END = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)


@pytest.fixture(scope="module")
def courses(fine: Course, bad: Course) -> list[Course]:
    """Two that are in use, one of the same channel that ended yesterday, one of a channel that fell silent."""
    silent = moved(bad, END - timedelta(days=2), "4.0")
    beta = msgspec.structs.replace(silent.account.subject, channel="beta")
    return [
        moved(bad, END, "3.0"),
        moved(fine, END - timedelta(hours=1), "2.0"),
        moved(fine, END - timedelta(days=1), "1.0"),
        Course(msgspec.structs.replace(silent.account, subject=beta), silent.looks),
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, courses: list[Course]) -> Iterator[VerdictSource]:
    data = tmp_path_factory.mktemp("kept")
    keep_courses(data, courses)
    services = Services(config_of(installed(data)))
    yield kept_verdicts(services)
    services.close()


def test_current_are_those_that_are_still_looked_at(source: VerdictSource, courses: list[Course]) -> None:
    found = {(one.subject.channel, one.subject.version): one for one in source.current()}
    assert set(found) == {("release", "3.0"), ("release", "2.0"), ("beta", "4.0")}
    assert found["release", "3.0"].look == courses[0].looks[-1]


def test_a_course_is_what_was_said(source: VerdictSource, courses: list[Course]) -> None:
    for course in courses:
        found = source.course(course.account.subject, None)
        assert found.worked_out == 0 and found.course.looks == course.looks
        assert found.course.account.predecessors == course.account.predecessors


def test_at_an_earlier_time_nothing_later_is_in_it(source: VerdictSource, courses: list[Course]) -> None:
    course = courses[0]
    since = course.account.look.since
    assert since is not None
    before = source.course(course.account.subject, since - timedelta(minutes=1)).course
    assert before.account.look == before.looks[-1] and before.account.look.verdict != "worse"
    assert before.looks == [look for look in course.looks if look.as_of < since]
    assert ": worse" not in before.account.sentence
    at = source.course(course.account.subject, since).course
    assert at.account.look.verdict == "worse" and ": worse" in at.account.sentence


def test_what_was_seen_when_it_was_first_worse_is_looked_up(tmp_path: Path, bad: Course) -> None:
    course = moved(bad, END, "3.0")
    since = course.account.look.since
    calmer = msgspec.structs.replace(course.looks[-1], ratio=1.1, low=0.9, high=1.3, slice=None)
    looks = [*course.looks[:-1], calmer]
    everyone = msgspec.structs.replace(course.account, look=calmer, explanations=[])
    (first,) = (look for look in looks if look.as_of == since)
    keep_courses(tmp_path / "all", [Course(everyone, looks)])
    keep_courses(tmp_path / "later", [Course(everyone, [look for look in looks if look.as_of != since])])
    for folder in ("all", "later"):
        services = Services(config_of(installed(tmp_path / folder)))
        source = kept_verdicts(services)
        (account,) = source.current()
        assert account == source.current()[0], "looked up once, and held"
        if folder == "all":
            assert account.crossed == Crossing(first.ratio, first.low, first.high)  # type: ignore[arg-type]
            assert "(then " in account.sentence and "; now 1.10 times" in account.sentence
            assert source.course(account.subject, None).course.account.crossed == account.crossed
            client = TestClient(create_app(services), base_url="http://localhost")
            for page in ("/", "/verdicts", "/verdict/Firefox/release/3.0/main_crashes"):
                text = client.get(page).text
                assert f"then {first.ratio:.2f}×" in text or f"with <b>{first.ratio:.2f}×" in text, page
        else:
            assert (
                account.crossed is msgspec.UNSET and "stays until a person withdraws it" in account.sentence
            )
        services.close()


def test_what_nobody_published_is_not_known(source: VerdictSource, courses: list[Course]) -> None:
    subject = msgspec.structs.replace(courses[0].account.subject, version="99.0")
    with pytest.raises(NotFound, match=r"99\.0"):
        source.course(subject, None)


def test_a_version_that_is_no_release_any_more_is_not_current_but_can_still_be_read(
    tmp_path: Path, courses: list[Course]
) -> None:
    keep_courses(tmp_path, courses)
    services = Services(config_of(installed(tmp_path)))
    source = kept_verdicts(services)
    client = TestClient(create_app(services), base_url="http://localhost")
    of = {"application": "Firefox", "channel": "release", "measure": "main_crashes"}

    def listed() -> set[str]:
        return {each["version"] for each in client.get("/api/v1/verdicts", params=of).json()["verdicts"]}

    def shown() -> set[str]:
        return {one.subject.version for one in source.current() if one.subject.channel == "release"}

    assert (listed(), shown()) == ({"1.0", "2.0", "3.0"}, {"2.0", "3.0"})
    services.releases.remove("Firefox", "release", "3.0")
    assert (listed(), shown()) == ({"1.0", "2.0"}, {"2.0"}), "at once"
    assert source.course(courses[0].account.subject, None).course.looks == courses[0].looks
    history = client.get("/api/v1/verdicts/history", params={**of, "version": "3.0"}).json()
    assert len(history["looks"]) == len(courses[0].looks)
    explained = client.get("/api/v1/verdicts/explanation", params={**of, "version": "3.0"}).json()
    assert explained["verdict"]["look"]["verdict"] == courses[0].looks[-1].verdict
    services.close()


def test_an_empty_installation_has_none(tmp_path: Path) -> None:
    services = Services(config_of(installed(tmp_path)))
    empty = kept_verdicts(services)
    assert empty.current() == [] and empty.calibrations() == []
    services.close()


def test_of_two_looks_of_one_time_the_one_that_was_made_stands(fine: Course) -> None:
    made = [msgspec.structs.replace(look, observed=-1.0) for look in fine.looks[10:12]]
    looks = merged(made, fine.looks[:20])
    assert looks == [*fine.looks[:10], *made, *fine.looks[12:20]]


def test_looks_are_due_every_five_minutes_and_later_every_hour() -> None:
    assert [looks_due(age) for age in (1 / 12, 48, 49, 336)] == [1, 576, 577, 864]
