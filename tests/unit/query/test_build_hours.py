"""Hours of builds from a lake: which rows are read, what is kept, and null names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.small_channel import SmallChannel

from missioncontrol.query.build_hours import BuildHour, BuildHours, Wanted

NIGHTLY = Wanted("Firefox", "nightly", "main_crashes", "usage_hours")
NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[SmallChannel]:
    made = SmallChannel(tmp_path)
    yield made
    made.services.close()


def row(hours_ago: int = 0, build_id: str | None = "20260120090000", **more: Any) -> dict[str, Any]:
    fixed = {
        "application": "Firefox", "channel": "nightly", "version": "150.0a1", "build_id": build_id,
        "os_name": "Linux", "window_start": NOON - timedelta(hours=hours_ago), "usage_hours": 2.0,
    }  # fmt: skip
    return {**fixed, **more}


def read(hours: BuildHours, wanted: Wanted = NIGHTLY, days: int = 3) -> list[BuildHour]:
    return hours.read(wanted, [NOON.date() - timedelta(days=n) for n in range(days)])


def test_hours_of_builds_are_sums_and_what_nobody_reported_is_none(channel: SmallChannel) -> None:
    channel.take([row(main_crashes=3), row(), row(os_name="Darwin"), row(25, build_id="20260119090000")])
    found = read(BuildHours(channel.services.engine))
    at = int(NOON.timestamp()) // 3600
    assert sorted((one.build_id, one.os_name, one.hour - at, one.events, one.per) for one in found) == [
        ("20260119090000", "Linux", -25, None, 2.0),
        ("20260120090000", "Darwin", 0, None, 2.0),
        ("20260120090000", "Linux", 0, 3.0, 4.0),
    ]
    assert {one.version for one in found} == {"150.0a1"}


def test_other_channels_and_builds_of_other_weeks_are_left_out(channel: SmallChannel) -> None:
    others = [
        row(channel="beta"), row(application="Fenix"), row(build_id="20251201000000"), row(build_id=None),
        row(build_id="zzz"), row(channel=None),
    ]  # fmt: skip
    channel.take([row(), *others])
    hours = BuildHours(channel.services.engine)
    assert len(read(hours)) == 1
    unknown = Wanted("Firefox", None, "main_crashes", "usage_hours")
    assert len(read(hours, unknown)) == 1
    for odd in ("Fire'fox", "Firefox\0", "Firefox' OR 'a' = 'a"):
        assert read(hours, Wanted(odd, "nightly", "main_crashes", "usage_hours")) == []


def test_only_days_whose_files_changed_are_read_again(channel: SmallChannel) -> None:
    channel.take([row(), row(24, build_id="20260119090000")])
    hours = BuildHours(channel.services.engine)
    first = read(hours)
    channel.take([row(main_crashes=5)])
    again = read(hours)
    assert [id(one) for one in again[:2]] == [id(one) for one in first] and len(again) == 3
    assert sum(one.per or 0 for one in again) == sum(one.per or 0 for one in first) + 2
    assert read(hours) == again


def test_an_empty_lake_has_no_builds(channel: SmallChannel) -> None:
    hours = BuildHours(channel.services.engine)
    assert hours.newest() is None and read(hours) == []
