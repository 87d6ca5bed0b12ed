"""`/api/channel-platform-summary/`: rates by version, at equal age, in the predecessor's shape."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_lake import DAY, SmallLake, measure, row, small_registry
from summary_reference import lines

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest
from missioncontrol.lake.rollup import refresh_rollups
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query.engine import Engine
from missioncontrol.query.fielded_builds import FieldedBuilds
from missioncontrol.query.summary import parse_summary_query, summarise
from missioncontrol.state.releases import Release

H = 60
CRASHES = ("main_crashes", "content_crashes")
LINUX = [("application", "firefox"), ("channel", "release"), ("platform", "linux")]


def crash_registry() -> Any:
    return small_registry(*(measure(n, per="usage_hours", worse="up", group="crash") for n in CRASHES))


def release(version: str, published_at: datetime, build_id: str = "1", channel: str = "release") -> Release:
    return Release("Firefox", channel, version, build_id, published_at)


class Asked:
    """A lake and its summaries."""

    def __init__(self, folder: Path) -> None:
        self.lake = SmallLake(folder, crash_registry())
        self.engine = Engine(
            self.lake.reader, lambda: self.lake.registry, Query(threads=1, memory_limit_mb=256)
        )
        self.builds = FieldedBuilds(self.engine)

    def all(
        self, pairs: Sequence[tuple[str, str]] = (), releases: Sequence[Release] = ()
    ) -> list[dict[str, Any]]:
        answer = summarise(self.engine, self.builds, releases, parse_summary_query(pairs))
        assert answer.complete
        found: list[dict[str, Any]] = msgspec.to_builtins(answer.summaries)
        return found

    def one(
        self, pairs: Sequence[tuple[str, str]] = LINUX, releases: Sequence[Release] = ()
    ) -> dict[str, Any]:
        [found] = self.all(pairs, releases)
        return found

    def main(
        self, pairs: Sequence[tuple[str, str]] = LINUX, releases: Sequence[Release] = ()
    ) -> list[dict[str, Any]]:
        measures = {m["name"]: m["versions"] for m in self.one(pairs, releases)["measures"]}
        versions: list[dict[str, Any]] = measures["main_crashes"]
        return versions


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path)
    yield asked
    asked.engine.close()


def used(
    minute: int, version: str, crashes: int | None, hours: float = 1000.0, **more: Any
) -> dict[str, Any]:
    return row(minute, version=version, main_crashes=crashes, usage_hours=hours, **more)


def names(versions: list[dict[str, Any]]) -> list[str]:
    return [v["version"] for v in versions]


def test_the_shape_is_the_predecessors(asked: Asked) -> None:
    asked.lake.add(
        [used(0, "61.0", 2), used(H, "61.0", 4), used(H, "62.0", 3, 500.0), used(2 * H, "62.0", None, 500.0)]
    )
    assert asked.one() == {
        "application": "firefox",
        "channel": "release",
        "platform": "linux",
        "expectedMeasures": ["main_crashes", "content_crashes"],
        "latestVersionSeen": "62.0",
        "latestVersionFieldDuration": 3600,
        "measures": [
            {
                "name": "main_crashes",
                "lastUpdated": "2018-03-28T02:00:00Z",
                "versions": [
                    {"version": "62.0", "fieldDuration": 3600, "count": 3, "rate": 3.0, "adjustedCount": 3, "adjustedRate": 3.0},
                    {"version": "62", "fieldDuration": 3600, "count": 3, "rate": 3.0, "adjustedCount": 3, "adjustedRate": 3.0},
                    {"version": "61", "fieldDuration": 3600, "count": 6, "rate": 3.0, "adjustedCount": 6, "adjustedRate": 3.0},
                ],
            },
            {
                "name": "content_crashes",
                "lastUpdated": "2018-03-28T02:00:00Z",
                "versions": [
                    {"version": v, "fieldDuration": 3600, "count": 0, "rate": 0.0, "adjustedCount": 0, "adjustedRate": 0.0}
                    for v in ("62.0", "62", "61")
                ],
            },
        ],
    }  # fmt: skip


def test_without_data_what_the_predecessor_listed_is_listed_and_empty(asked: Asked) -> None:
    found = asked.all()
    assert [(s["application"], s["channel"], s["platform"]) for s in found] == [
        *(
            ("firefox", c, p)
            for c in ("release", "beta", "nightly", "esr")
            for p in ("windows", "mac", "linux")
        ),
        *(("fennec", c, "android") for c in ("release", "beta", "nightly")),
    ]
    assert {(s["latestVersionSeen"], s["latestVersionFieldDuration"], len(s["measures"])) for s in found} == {
        (None, None, 0)
    }
    assert found[-1]["expectedMeasures"] == ["main_crashes"]


def test_versions_are_ordered_by_number_at_one_hundred(asked: Asked) -> None:
    asked.lake.add(
        [used(n * H, v, 1) for n, v in enumerate(("9.0", "97.0", "98.0", "99.0", "100.0", "100.0.1"))]
    )
    assert names(asked.main()) == ["100.0.1", "100.0", "100", "99", "98", "97"]


def test_a_version_is_its_own_builds_only(asked: Asked) -> None:
    asked.lake.add([used(0, "55.0", 1), used(H, "55.0.1", 50), used(2 * H, "55.0.10", 700)])
    assert [(v["version"], v["count"]) for v in asked.main()] == [
        ("55.0.10", 700), ("55.0.1", 50), ("55.0", 1), ("55", 751),
    ]  # fmt: skip


def test_older_majors_are_compared_at_the_age_of_the_newest(asked: Asked) -> None:
    days = 24 * H
    asked.lake.add(
        [
            used(0, "60.0", 1000), used(days, "60.0", 20), used(3 * days, "60.0", 30), used(9 * days, "60.0", 1),
            used(10 * days, "61.0", 500), used(11 * days, "61.0", 10), used(13 * days, "61.0", 20),
        ]
    )  # fmt: skip
    newest, major, older = asked.main()
    assert (newest["version"], newest["fieldDuration"], newest["count"], newest["rate"]) == (
        "61.0",
        259_200,
        30,
        15.0,
    )
    assert (major["adjustedCount"], major["adjustedRate"]) == (30, 15.0)
    assert (older["fieldDuration"], older["count"], older["rate"]) == (864_000, 51, 17.0)
    assert (older["adjustedCount"], older["adjustedRate"]) == (50, 25.0)


def test_within_the_newest_ones_first_two_days_every_first_day_counts(asked: Asked) -> None:
    days = 24 * H
    asked.lake.add(
        [
            used(0, "60.0", 8),
            used(5 * days, "60.0", 4),
            used(10 * days, "61.0", 6),
            used(11 * days + H, "61.0", 2),
        ]
    )
    assert [(v["version"], v["adjustedCount"]) for v in asked.main()] == [("61.0", 8), ("61", 8), ("60", 8)]


def test_one_window_is_enough_and_no_hours_are_no_rate(asked: Asked) -> None:
    asked.lake.add([used(0, "60.0", 3, 0.0)])
    assert asked.main()[0] == {
        "version": "60.0", "fieldDuration": 0, "count": 3, "rate": None, "adjustedCount": 3, "adjustedRate": None,
    }  # fmt: skip


def test_a_published_version_starts_when_it_was_published(asked: Asked) -> None:
    asked.lake.add(
        [used(0, "60.0", 1), used(0, "61.0", 70), used(10 * H, "61.0", 2), used(12 * H, "61.0", 3)]
    )
    releases = [release("61.0", DAY + timedelta(hours=10, minutes=3))]
    assert [(v["version"], v["fieldDuration"], v["count"]) for v in asked.main(releases=releases)] == [
        ("61.0", 7200, 5), ("61", 7200, 5), ("60", 36_000, 1),
    ]  # fmt: skip


def test_a_version_that_is_to_be_published_is_not_out(asked: Asked) -> None:
    asked.lake.add([used(0, "60.0", 1), used(5, "61.0", 7)])
    assert names(asked.main(releases=[release("61.0", DAY + timedelta(days=9))])) == ["60.0", "60"]


def test_a_stray_newer_version_is_not_believed_unless_it_was_published(asked: Asked) -> None:
    asked.lake.add([used(0, "60.0", 1, 1e6), used(5, "60.0", 1, 1e6), used(5, "999.0", 1, 0.5)])
    assert names(asked.main()) == ["60.0", "60"]
    assert names(asked.main(releases=[release("999.0", DAY)])) == ["999.0", "999"]


def test_betas_have_their_numbers_from_releases_or_from_what_they_show(asked: Asked) -> None:
    def beta(minute: int, build_id: str, crashes: int, display: str | None) -> dict[str, Any]:
        return used(minute, "62.0", crashes, channel="beta", build_id=build_id, display_version=display)

    asked.lake.add(
        [
            beta(0, "20180801", 1, "62.0b2"),
            beta(H, "20180805", 2, "62.0b10"),
            beta(2 * H, "20180809", 3, None),
            beta(2 * H, "20180809", 0, "9.9b1"),
        ]
    )
    pairs = [("channel", "beta"), ("platform", "linux")]
    releases = [release("62.0b11", DAY + timedelta(hours=2), "20180809", "beta")]
    assert [(v["version"], v["count"]) for v in asked.main(pairs, releases)] == [
        ("62.0b11", 3), ("62.0b10", 2), ("62.0b2", 1), ("62", 6),
    ]  # fmt: skip
    assert names(asked.main(pairs)) == ["62.0", "62.0b10", "62.0b2", "62"]


def test_nightly_has_majors_only_and_esr_looks_further_back(asked: Asked) -> None:
    asked.lake.add([used(0, "63.0a1", 1, channel="nightly")])
    asked.lake.add(
        [used(n * H, v, 1, channel="esr") for n, v in enumerate(("44.7.0", "45.0.0", "52.0.0", "52.1.0"))]
    )
    assert names(asked.main([("channel", "nightly"), ("platform", "linux")])) == ["63"]
    assert names(asked.main([("channel", "esr"), ("platform", "linux")])) == ["52.1.0", "52.0.0", "52", "45"]


def test_systems_of_a_platform_are_one(asked: Asked) -> None:
    asked.lake.add(
        [
            used(0, "60.0", 1, os_name="Windows_NT"),
            used(0, "60.0", 2, os_name="Windows"),
            used(0, "60.0", 4, os_name="Darwin"),
        ]
    )
    assert [v["count"] for v in asked.main([("channel", "release"), ("platform", "Windows")])] == [3, 3]
    assert [v["count"] for v in asked.main([("channel", "release"), ("platform", "MAC")])] == [4, 4]


def test_other_applications_are_told_by_their_data(asked: Asked) -> None:
    asked.lake.add(
        [
            used(0, "2.1", 5, application="Editor", channel="stable", os_name="Windows"),
            used(0, "2.1", None, application="Editor", channel="stable", os_name=None),
            used(0, "what", 5, application="Editor", channel="odd", os_name="Linux"),
            used(0, "1.0", 5, application="Editor", channel=None),
            used(0, "1.0", 5, application=None),
        ]
    )
    found = asked.all([("application", "EDITOR")])
    assert [(s["channel"], s["platform"], s["expectedMeasures"], s["latestVersionSeen"]) for s in found] == [
        ("stable", "windows", ["main_crashes"], "2.1"),
        ("stable", "other", [], "2.1"),
    ]


def test_a_system_that_is_not_known_is_another_platform(asked: Asked) -> None:
    asked.lake.add([used(0, "60.0", 1), used(0, "60.0", 2, os_name=None), used(0, "60.0", 4, os_name="BeOS")])
    assert [v["count"] for v in asked.main([("channel", "release"), ("platform", "other")])] == [6, 6]


def test_what_is_older_than_200_days_before_the_newest_window_is_not_looked_at(asked: Asked) -> None:
    asked.lake.add([used(n * 24 * H, v, 1) for n, v in ((-201, "58.0"), (-199, "59.0"), (0, "60.0"))])
    assert names(asked.main()) == ["60.0", "60", "59"]


def test_only_crash_measures_is_a_switch(asked: Asked) -> None:
    extra = measure("hangs", per="usage_hours", worse="up", group="crash")
    asked.lake.registry = small_registry(*crash_registry().measures.values(), extra)
    asked.lake.add([{**used(0, "60.0", 1), "hangs": 3}])
    for text, kept in (
        ("1", True),
        ("TRUE", True),
        ("yes", True),
        ("0", False),
        ("false", False),
        ("", False),
    ):
        found = asked.one([*LINUX, ("only_crash_measures", text)])
        assert ("hangs" in found["expectedMeasures"]) is not kept, text
        assert [m["name"] for m in found["measures"]] == found["expectedMeasures"]


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("chanel", "release")], "unknown_parameter"),
        ([("", "release")], "unknown_parameter"),
        ([("only_crash_measures", "1"), ("only_crash_measures", "0")], "repeated_parameter"),
        ([("only_crash_measures", "maybe")], "bad_filter"),
    ],
)
def test_odd_parameters_of_a_summary_are_refused(pairs: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_summary_query(pairs)
    assert refused.value.code == code and refused.value.hint


@pytest.mark.parametrize("column", ["application", "channel", "platform"])
@pytest.mark.parametrize("value", ["nope", "", "'; DROP TABLE x --", "\x00", "ж" * 5000, "\N{KELVIN SIGN}"])
def test_unknown_filters_give_nothing(asked: Asked, column: str, value: str) -> None:
    asked.lake.add([used(0, "60.0", 1)])
    assert asked.all([(column, value)]) == []
    assert len(asked.all([(column, value)] * 500 + [(column, f"x{n}") for n in range(1000)])) == 0
    real = {"application": "Firefox", "channel": "release", "platform": "linux"}[column]
    assert asked.all([(column, value), (column, real)]) == asked.all([(column, real)])


def test_experiments_and_crashes_of_other_tables_do_not_count_twice(asked: Asked) -> None:
    asked.lake.add([used(0, "60.0", 1)])
    asked.lake.add(
        [used(0, "60.0", 100, experiment_id="flip", experiment_branch="on")], "experiment_aggregates"
    )
    assert asked.main()[0]["count"] == 1


def test_rollups_do_not_change_the_answer(asked: Asked, tmp_path: Path) -> None:
    asked.lake.add([used(m, v, m % 7, display_version=v) for m in range(0, 600, 5) for v in ("60.0", "61.0")])
    before = asked.all()
    table = lake_tables(asked.lake.registry)["error_aggregates"]
    assert refresh_rollups(tmp_path / "lake", tmp_path / "cache", table, min_rows=1).made
    assert asked.all() == before


ROWS = st.builds(
    lambda minute, version, crashes, hours, os_name, build: used(
        minute, version, crashes, hours, os_name=os_name, build_id=build
    ),
    st.one_of(st.integers(0, 40).map(lambda n: 5 * n), st.integers(0, 12 * 24).map(lambda n: n * H)),
    st.sampled_from(
        ["9.0", "97.0", "98.0", "98.0.1", "99.0", "99.0.2", "99.0.10", "100.0", "100.0.1", "101.0"]
    ),
    st.one_of(st.none(), st.integers(0, 10**6)),
    st.integers(0, 2**16).map(lambda n: n / 64),
    st.sampled_from(["Linux", "Windows_NT"]),
    st.sampled_from(["1", "2", None]),
)
PUBLISHED = st.dictionaries(
    st.sampled_from(["98.0", "99.0.10", "100.0", "101.0"]),
    st.integers(0, 12 * 24 * 12).map(lambda n: DAY + timedelta(minutes=5 * n)),
    max_size=2,
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(ROWS, min_size=1, max_size=12), min_size=1, max_size=3),
    PUBLISHED,
    st.sampled_from(["release", "esr", "nightly"]),
)
def test_the_summary_is_that_of_plain_python(
    commits: list[list[dict[str, Any]]], published: dict[str, datetime], channel: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(Path(folder))
        rows = [{**r, "channel": channel} for commit in commits for r in commit]
        # The last day is that of all data, so both platforms have a row in the newest window.
        rows += [
            used(13 * 24 * H, "99.0", 1, 1.0, os_name=o, channel=channel) for o in ("Linux", "Windows_NT")
        ]
        for at in range(0, len(rows), 5):
            asked.lake.add(rows[at : at + 5])
        releases = sorted(
            (release(v, at, "none", channel) for v, at in published.items()), key=lambda r: r.published_at
        )
        for os_name, platform in (("Linux", "linux"), ("Windows_NT", "windows")):
            found = asked.main([("channel", channel), ("platform", platform)], releases)
            assert found == lines([r for r in rows if r["os_name"] == os_name], published, channel)
        asked.engine.close()
