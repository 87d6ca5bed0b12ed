"""The page of a channel: addresses, columns, order, sums at equal age, changes, notes, and values of any kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.query.hour_sums import HourSum
from missioncontrol.query.last_day_users import UserCount
from missioncontrol.query.version_slices import SliceSum
from missioncontrol.registry.load import load_registry
from missioncontrol.registry.model import Registry
from missioncontrol.state.release_model import Release, group
from missioncontrol.web.channel.address import ChannelState, channel_href, read_channel_state
from missioncontrol.web.channel.breakdown import Against, Breakdown, build_breakdown
from missioncontrol.web.channel.columns import Out, columns_of, shipped, unpublished, usual_columns
from missioncontrol.web.channel.source import Read, users_of
from missioncontrol.web.channel.sums import Days, sheets_of, split, version_sums
from missioncontrol.web.channel.table import Facts, Shown, before_of, change_text
from missioncontrol.web.channel.view import (
    ChannelView,
    breakdown_csv,
    build_channel,
    measure_href,
    span_text,
    table_csv,
    value_title,
    where_of,
)

NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
LONG = "9" * 189 + "<b>bold</b>"
BETAS = ("84.0b1", "84.0b2", "84.0b10", "84.0rc1")
DAY = 494_000 // 24 * 24


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def state(registry: Registry, **given: str) -> ChannelState:
    return read_channel_state("Firefox", "release", list(given.items()), registry)


def out(*versions: str) -> list[Out]:
    found = [Out(name, 1000 + 24 * n, NOW) for n, name in enumerate(versions)]
    return sorted(found, key=lambda one: one.start_hour)


def test_an_address_says_what_was_chosen_and_no_more(registry: Registry) -> None:
    view = state(registry, platform="WINDOWS", age="all", columns="majors", q=" gpu ", show="rate")
    assert view.platform == "windows" and view.q == "gpu"
    assert view.url() == "/channel/Firefox/release?platform=Windows&columns=majors&age=all&q=gpu"
    assert view.url(age="equal", columns="", q="", platform="", anchor="x") == "/channel/Firefox/release#x"
    assert state(registry) == ChannelState("Firefox", "release")
    assert channel_href(None, "") == "/channel/~/~e" and channel_href("a/b", "c", "mac").endswith(
        "?platform=Mac"
    )
    assert read_channel_state("~", "~e", [], registry) == ChannelState(None, "")


@pytest.mark.parametrize(
    ("given", "code", "hint"),
    [
        ([("platfrom", "Mac")], "unknown_parameter", "`platform`"),
        ([("q", "a"), ("q", "b")], "repeated_parameter", "once"),
        ([("platform", "Windoze")], "bad_parameter", "`Windows`"),
        ([("columns", "x")], "bad_parameter", "releases"),
        ([("by", "version"), ("measure", "main_crashes")], "bad_parameter", "`os_version`"),
        ([("by", "country")], "bad_parameter", "measure="),
        ([("measure", "usage_hours"), ("by", "country")], "bad_parameter", "Choose one of"),
        ([("q", "x" * 301)], "bad_parameter", "shorter"),
    ],
)  # fmt: skip
def test_odd_parameters_are_refused(
    registry: Registry, given: list[tuple[str, str]], code: str, hint: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read_channel_state("Firefox", "release", given, registry)
    assert refused.value.code == code and hint in refused.value.hint


def names(versions: list[Out], which: Any, channel: str | None = "release") -> list[str]:
    return [one.name for one in columns_of(versions, which, channel)]


def test_columns_are_points_of_the_newest_major_then_majors() -> None:
    versions = out("81.0", "82.0", "82.0.1", "83.0", "83.0.1", "83.0.2", "83.0.3")
    assert names(versions, "releases") == ["83.0.3", "83.0.2", "83.0.1", "83.x", "82.x", "81.0"]
    assert names(versions, "majors") == ["83.x", "82.x", "81.0"]
    assert names(versions, "points")[:3] == ["83.0.3", "83.0.2", "83.0.1"]
    assert columns_of(versions, "majors", "release")[0].start_hour == versions[3].start_hour
    assert names(out("81.0"), "releases") == ["81.0"] and names([], "releases") == []


def test_betas_stand_side_by_side_by_their_number() -> None:
    published = group(
        [
            Release("Firefox", "beta", name, f"b{n}", NOW - timedelta(days=9 - n))
            for n, name in enumerate(("83.0", *BETAS))
        ]
    )
    versions = shipped(published, NOW)
    assert usual_columns(versions) == "betas" and usual_columns(out("83.0")) == "releases"
    assert names(versions, "betas") == list(reversed(BETAS))
    assert shipped(published, NOW - timedelta(days=8)) == versions[:2]
    assert names(unpublished({"84.0b2": 5, "nightly": 1, "84.0b1": 3}), "betas") == ["84.0b2", "84.0b1"]


def test_hours_are_needed_of_the_days_that_a_span_begins_or_ends_in() -> None:
    assert split((DAY, DAY + 48), DAY + 100) == ([DAY, DAY + 24], [])
    assert split((DAY + 5, DAY + 50), DAY + 100) == ([DAY + 24], [DAY, DAY + 48])
    assert split((DAY + 5, DAY + 50), DAY + 50) == ([DAY + 24, DAY + 48], [DAY])
    assert split((DAY, DAY), DAY) == ([], [])


def rows(version: str, system: str | None, *values: float | None, first: int = DAY) -> list[HourSum]:
    """Hours of a day with the same values."""
    key = ("Firefox", "release", system, version)
    return [HourSum(key, hour, (hour + 1) * 3600, values) for hour in range(first, first + 24)]


def test_sums_at_an_age_are_of_hours_and_days_and_of_a_family_of_systems() -> None:
    hourly = [*rows("1.0", "Windows_NT", 1.0, None), *rows("1.0", "Linux", 10.0, 2.0)]
    later = [HourSum(row.key, DAY + 24, row.last_s, (24.0, None)) for row in hourly[:1]]
    days = Days({DAY + 24: [sheets_of(later)]}, {DAY: [sheets_of(hourly)]}, DAY + 48)
    sums = version_sums(days, ["1.0"], "", (DAY + 20, DAY + 48))
    assert sums is not None and sums.tolist() == [4 + 40 + 24, 8]
    windows = version_sums(days, ["1.0"], "windows", (DAY + 20, DAY + 48))
    assert windows is not None and windows[0] == 28 and np.isnan(windows[1])
    assert version_sums(days, ["2.0"], "", (DAY, DAY + 48)) is None
    assert version_sums(days, ["1.0"], "mac", (DAY, DAY + 48)) is None


def shown(registry: Registry, name: str, hours: int = 10, published: datetime = NOW, **sums: float) -> Shown:
    """A column with these sums."""
    values = np.full(len(registry.measures), np.nan)
    for measure, value in sums.items():
        values[list(registry.measures).index(measure)] = value
    (column,) = columns_of([Out(name, int(published.timestamp()) // 3600, published)], "points", None)
    return Shown(column, hours, values)


def view_of(
    registry: Registry, *columns: Shown, breakdown: Breakdown | None = None, users: Any = None, **given: str
) -> ChannelView:
    chosen = state(registry, **given)
    facts = Facts(tuple(registry.measures), list(columns), [], users or {}, NOW)
    read = Read(facts, (), ["windows"], "releases", ["releases"], True, int(NOW.timestamp()))
    return build_channel(registry, read, chosen, breakdown, NOW)


def two(registry: Registry) -> tuple[Shown, Shown]:
    """A version, and the one before it, which crashed a third as often and had no plugin crashes."""
    newest = shown(registry, LONG, usage_hours=2000, main_crashes=60, gpu_crashes=8, plugin_crashes=3)
    before = shown(
        registry, "82.0", published=NOW - timedelta(days=30), usage_hours=1000, main_crashes=10, gpu_crashes=9
    )
    return newest, before


def test_rows_are_in_the_order_of_the_predecessor_with_changes_that_enough_events_bear(
    registry: Registry,
) -> None:
    table = view_of(registry, *two(registry)).table
    crashes = table.groups[0]
    assert [row.measure for row in crashes.rows] == [
        "main_crashes", "content_crashes", "startup_crashes", "gpu_crashes", "content_shutdown_crashes", "plugin_crashes",
    ]  # fmt: skip
    main, _, startup, gpu, _, plugin = (row.cells for row in crashes.rows)
    assert main[0].rate == 30 and main[0].ratio_before == 3 and main[0].before == "82.0"
    assert main[1].ratio_before is None and main[1].before is None
    assert startup[0].count == 0 and startup[0].ratio_before is None
    assert (
        gpu[0].ratio_before == pytest.approx(4 / 9)
        and plugin[1].count is None
        and plugin[0].ratio_before is None
    )
    assert table.groups[-1].heading == "Usage" and table.unreported > 10
    said = [change_text(ratio) for ratio in (3.0, 4 / 9, 1.001, 1.25, 20.0, None)]
    assert said == [
        "↑ 3.0 times as much",
        "↓ 56 % less",
        "→ as much",
        "↑ 25 % more",
        "↑ 20 times as much",
        "",
    ]


def test_rows_are_sorted_within_their_heading_and_filtered(registry: Registry) -> None:
    def order(**given: str) -> list[str]:
        return [row.measure for row in view_of(registry, *two(registry), **given).table.groups[0].rows]

    none = ["content_crashes", "startup_crashes", "content_shutdown_crashes"]
    assert order(sort="82.0") == ["main_crashes", "gpu_crashes", *none, "plugin_crashes"]
    assert order(sort="-82.0") == [*none, "gpu_crashes", "main_crashes", "plugin_crashes"]
    assert order(q="GPU cr") == ["gpu_crashes"] and order(q="plugin_crashes") == ["plugin_crashes"]
    assert view_of(registry, *two(registry), q="zzz").table.groups == []


def test_measures_that_are_nought_everywhere_are_folded_unless_they_are_crashes(registry: Registry) -> None:
    column = shown(registry, "82.0", usage_hours=5, main_crashes=0, slow_script_notice_count=0, count=0)
    table = view_of(registry, column).table
    assert table.folded == 2 and [len(one.listed(False)) for one in table.groups] == [4, 0, 1]
    assert sum(len(one.listed(True)) for one in table.groups) == 7


def test_a_young_version_is_said_to_be_young_and_csv_has_a_row_a_cell(registry: Registry) -> None:
    users = users_of(
        [
            UserCount(LONG, "Linux", "main_crashes", 5, 4, 6, 50),
            UserCount(LONG, "Windows_NT", "main_crashes", 1, 1, 1, 50),
        ]
    )
    view = view_of(registry, *two(registry), users=users)
    assert any("went out" in note and "2,000 usage hours" in note for note in view.notes)
    assert not view_of(registry, two(registry)[1]).notes
    head, *lines = table_csv(view)
    assert all(len(line) == len(head) for line in lines)
    first = dict(zip(head, lines[0], strict=True))
    assert (first["version"], first["rate"], first["users_last_day"], first["all_users_last_day"]) == (
        LONG,
        30,
        6,
        100,
    )
    assert first["published_at"] == "2026-11-20T14:30:00Z"


def test_the_version_to_compare_with_shares_nothing(registry: Registry) -> None:
    versions = out("82.0", "83.0", "83.0.1")
    every = [Shown(one, 5, None) for one in columns_of(versions, "releases", "release")]
    assert [one.column.name for one in every] == ["83.0.1", "83.0", "83.x", "82.0"]
    own, before = before_of(every, "83.x")
    assert own.column.name == "83.x" and before is not None and before.column.name == "82.0"
    assert before_of(every, "82.0")[1] is None
    with pytest.raises(KeyError):
        before_of(every, "84.0")


def slices(era: int, per: float, **counts: float | None) -> list[SliceSum]:
    return [
        SliceSum(
            era, (None if name == "null" else name,), stretch, None if count is None else count / 4, per / 4
        )
        for name, count in counts.items()
        for stretch in range(4)
    ]


def broken_down(sums: list[SliceSum], before: str | None = "82.0") -> Breakdown:
    return build_breakdown(sums, ("country",), ("main_crashes", "usage_hours"), (LONG, before), 10, True)


def test_values_that_moved_come_first_and_the_small_ones_are_the_others(registry: Registry) -> None:
    big = {"DE": 2000.0, "FR": 2000.0, "null": 1900.0, "US": 2100.0}
    sums = [*slices(0, 1e5, **{**big, "FR": 5000.0}), *slices(1, 1e5, **big)]
    sums += [SliceSum(0, (name,), 0, None, 1.0) for name in ("A", "B", "C")]
    found = broken_down(sums)
    assert next(value_title(found.dimensions, one) for one in found.differing) == "FR"
    first, last = found.values[0], found.values[-1]
    assert (
        first.since.differs
        and first.since.ratio == pytest.approx(2.5, rel=0.05)
        and first.ratio_before == 2.5
    )
    assert (
        last.pooled == 3
        and value_title(("country",), last) == "3 others"
        and where_of(("country",), last) == []
    )
    assert {value_title(("country",), one) for one in found.values[1:-1]} == {"DE", "US", "unknown"}
    assert found.whole.count == 11000 and found.looked_at >= 8
    head, *lines = breakdown_csv(found)
    assert len(lines) == 5 and all(len(line) == len(head) for line in lines)
    assert dict(zip(head, lines[0], strict=True))["country"] == "FR"


def test_a_breakdown_of_nothing_and_without_a_version_before() -> None:
    assert broken_down([]).values == [] and broken_down([]).whole.rate is None
    alone = broken_down(slices(0, 1e5, DE=100.0, FR=200.0), None)
    assert alone.before is None and alone.values[0].since.ratio is None and alone.values[0].rest.ratio


def test_intervals_without_an_end() -> None:
    assert span_text(Against(1, 0.8, 1.31, 0, False)) == "0.80× to 1.31×"
    assert span_text(Against(1, 0.0, 1.31, 0, False)) == "up to 1.31×"
    assert span_text(Against(9, 2.0, None, 0, False)) == "2.00× or more"
    assert (
        span_text(Against(9, 0.0, None, 0, False)) == "" == span_text(Against(None, None, None, None, False))
    )


def test_an_empty_value_leads_nowhere_for_no_address_can_say_it() -> None:
    found = broken_down(slices(0, 1e5, **{"": 100.0, "DE": 200.0}))
    wheres = {value_title(("country",), one): where_of(("country",), one) for one in found.values}
    assert wheres["(empty)"] == [] and wheres["DE"] == [("country", "DE")]


def test_a_value_leads_to_the_measure_with_these_users_only(registry: Registry) -> None:
    view = view_of(registry, *two(registry))
    href = measure_href(view, "main_crashes", [("country", "DE"), ("os_name", None)], ["83.0", "83.x"], 30)
    assert href.startswith("/measure/Firefox/release/main_crashes?")
    assert "DE" in href and "83.0" in href and "83.x" not in href and "os_name" in href
