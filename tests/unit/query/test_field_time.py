"""Since when versions are in the field, and which windows a summary adds up: the rules one by one, without a lake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from missioncontrol.query.field_time import Period, periods_of, published_us, versions_of
from missioncontrol.query.fielded_builds import Build
from missioncontrol.query.summary_scope import Combination, platform_of
from missioncontrol.state.releases import Release

H = 3_600_000_000
"""An hour in microseconds."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LINUX = Combination("firefox", "release", "linux")


def build(name: str, first: int, last: int, recent: float = 100.0) -> Build:
    """A build of a version with data from hour `first` to hour `last`."""
    return Build("Firefox", "release", "Linux", name, name, first * H, last * H, recent, name)


def told(
    builds: list[Build], published: dict[str, int] | None = None, channel: str = "release"
) -> list[Period]:
    return periods_of(versions_of(builds, {v: h * H for v, h in (published or {}).items()}), channel)


def by_name(periods: list[Period]) -> dict[str, tuple[int, tuple[int, int], tuple[int, int]]]:
    """Hours in the field, of the whole time and of the adjusted one."""
    return {
        p.name: (
            p.field_us // H,
            (p.whole[0] // H, p.whole[1] // H),
            (p.adjusted[0] // H, p.adjusted[1] // H),
        )
        for p in periods
    }


def test_a_long_known_major_is_compared_without_anybodys_first_day() -> None:
    found = by_name(told([build("60.0", 0, 900), build("61.0", 500, 600)]))
    assert found["61"] == (100, (524, 600), (524, 600)) == found["61.0"]
    assert found["60"] == (500, (24, 500), (24, 100))


def test_an_older_major_that_was_soon_replaced_keeps_its_own_first_day() -> None:
    found = by_name(told([build("60.0", 0, 900), build("61.0", 48, 900), build("62.0", 100, 200)]))
    assert found["60"] == (48, (0, 48), (24, 100))
    assert found["61"] == (52, (72, 100), (72, 148))


@pytest.mark.parametrize(("known", "skipped"), [(24, 0), (47, 0), (48, 0), (49, 24)])
def test_all_majors_are_compared_at_the_same_ages(known: int, skipped: int) -> None:
    found = by_name(told([build("60.0", 0, 900), build("61.0", 500, 500 + known)]))
    assert found["60"][2] == (skipped, known)
    assert found["61"] == (known, (500 + skipped, 500 + known), (500 + skipped, 500 + known))
    assert found["60"][1] == (skipped, 500)


def test_point_releases_last_until_the_next_one_and_are_not_adjusted() -> None:
    builds = [
        build("61.0", 0, 900),
        build("61.0.1", 30, 900),
        build("61.0.2", 130, 950),
        build("61.0.10", 140, 160),
    ]
    found = told(builds)
    assert [p.name for p in found] == ["61.0.10", "61.0.2", "61.0.1", "61"]
    assert by_name(found)["61.0.10"] == (20, (140, 160), (140, 160))
    assert by_name(found)["61.0.2"] == (10, (130, 140), (130, 140))
    assert by_name(found)["61.0.1"] == (100, (54, 130), (54, 130))
    assert by_name(found)["61"] == (950, (24, 950), (24, 950))


def test_only_point_releases_of_the_newest_major_are_told() -> None:
    builds = [build("60.0.9", 0, 9), build("61.0", 10, 20)]
    assert [p.name for p in told(builds)] == ["61.0", "61", "60"]
    assert [p.name for p in told(builds, channel="nightly")] == ["61", "60"]


@pytest.mark.parametrize(("channel", "oldest"), [("release", 97), ("beta", 97), ("esr", 93), ("nightly", 97)])
def test_majors_go_back_by_number(channel: str, oldest: int) -> None:
    builds = [build(f"{major}.0", major, major + 1) for major in range(90, 101)]
    majors = [p.name for p in told(builds, channel=channel) if "." not in p.name]
    assert majors == [str(m) for m in range(100, oldest - 1, -1)]


def test_a_major_starts_with_the_first_of_its_versions_and_ends_with_the_last_window_of_any() -> None:
    found = by_name(told([build("61.0", 10, 300), build("61.0.1", 5, 200)]))
    assert found["61"][0] == 295
    assert "61.0" not in found, "its successor was out before"


def test_publication_is_the_start_and_the_future_is_not_out() -> None:
    builds = [build("61.0", 0, 300), build("62.0", 100, 200)]
    assert by_name(told(builds, {"62.0": 150}))["62.0"][0] == 50
    assert by_name(told(builds, {"62.0": 90}))["62.0"][0] == 110
    assert by_name(told(builds, {"62.0": 200}))["62.0"] == (0, (200, 200), (200, 200))
    assert [p.name for p in told(builds, {"62.0": 201})] == ["61.0", "61"]
    assert told(builds[:1], {"61.0": 301}) == []


def test_newer_versions_that_are_hardly_used_are_not_believed() -> None:
    used, stray, other = (
        build("61.0", 0, 300, 1e6),
        build("99.0", 290, 300, 99.0),
        build("98.0", 290, 300, 0.0),
    )
    assert [p.name for p in told([used, stray, other])] == ["61.0", "61"]
    assert told([used, build("62.0", 290, 300, 101.0)])[0].name == "62.0"
    assert told([used, stray], {"99.0": 290})[0].name == "99.0"
    assert told([build("61.0", 0, 300, 0.0), build("62.0", 1, 2, 0.0)])[0].name == "62.0"
    assert told([stray])[0].name == "99.0"
    assert told([]) == []


def test_publication_is_that_of_the_first_release_of_the_channel_by_its_window() -> None:
    def release(channel: str, minutes: int, application: str = "Firefox") -> Release:
        return Release(application, channel, "61.0", "1", EPOCH + timedelta(minutes=minutes, seconds=7))

    releases = [
        release("beta", 1),
        release("release", 3, "Editor"),
        release("Release", 8),
        release("release", 99),
    ]
    assert published_us(LINUX, releases) == {"61.0": 300_000_000}
    assert published_us(Combination("firefox", "esr", "mac"), releases) == {}


@pytest.mark.parametrize(
    ("os_name", "platform"),
    [
        ("Windows_NT", "windows"), ("Windows", "windows"), ("WINNT", "windows"), ("Darwin", "mac"), ("Mac", "mac"),
        ("Linux", "linux"), ("Android", "android"), ("iOS", "ios"), ("BeOS", "other"), ("", "other"), (None, "other"),
    ],
)  # fmt: skip
def test_platforms_are_families_of_systems(os_name: str | None, platform: str) -> None:
    assert platform_of(os_name) == platform
