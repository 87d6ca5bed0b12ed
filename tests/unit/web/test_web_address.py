"""A view and its address are the same thing."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.errors import BadRequest
from missioncontrol.registry.load import load_registry
from missioncontrol.web.address import (
    EXPERIMENT,
    MAX_SERIES,
    Filter,
    MeasureState,
    Side,
    decode_part,
    encode_part,
    filterable,
    read_state,
)

REGISTRY = load_registry()
text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
name = st.one_of(st.none(), st.sampled_from(["", ".", "..", "~", "~e", "~2", "/"]), text)
value = text.filter(bool)
minute = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)).map(  # noqa: DTZ001 - made aware below
    lambda at: at.replace(second=0, microsecond=0, tzinfo=UTC)
)


def filters(dimensions: list[str]) -> st.SearchStrategy[tuple[Filter, ...]]:
    def of(dimension: str) -> st.SearchStrategy[Filter | None]:
        values = st.lists(value, min_size=1, max_size=3, unique=True)
        return st.one_of(
            st.none(),
            st.none(),
            values.map(lambda found: Filter(dimension, tuple(found), None, _ranged(dimension, found))),
            st.booleans().map(lambda null: Filter(dimension, (), null)),
        )

    return st.tuples(*map(of, dimensions)).map(lambda found: tuple(one for one in found if one))


def _ranged(dimension: str, found: list[str]) -> bool:
    return len(found) == 2 and dimension in ("version", "build_id")


def sides() -> st.SearchStrategy[Side]:
    return st.builds(Side, filters([*filterable(REGISTRY), *EXPERIMENT]), st.one_of(st.none(), minute))


@st.composite
def states(draw: st.DrawFn) -> MeasureState:
    time = draw(st.sampled_from(["clock", "release"]))
    spans = ["24h", "48h", "7d", "14d", "30d", "newest" if time == "release" else "custom"]
    span = draw(st.sampled_from(spans))
    custom, since = span == "custom", time == "release"
    ends = sorted(draw(st.lists(minute, min_size=2, max_size=2, unique=True)))
    group = draw(st.sampled_from(["version", "build_id"]))
    split = draw(st.sampled_from(["", "country", "os_name"]))
    none = st.just(Side())
    return MeasureState(
        application=draw(name),
        channel=draw(name),
        measure="main_crashes",
        group=group,
        interval=draw(st.sampled_from(["5min", "hour", "day"])),
        range=span,
        start=ends[0] if custom else None,
        end=ends[1] if custom else None,
        show=draw(st.sampled_from(["rate", "count"])),
        time=time,
        smooth=draw(st.sampled_from(["off", "3h", "24h", "7d"])),
        skip=draw(st.sampled_from(["0", "24h"])) if since else "0",
        band=draw(st.sampled_from(["off", "on"])) if since else "off",
        split=split,
        a=draw(none if split else sides()),
        b=draw(none if split else sides()),
        series=tuple(draw(st.lists(name, max_size=MAX_SERIES, unique=True))),
        filters=draw(filters(filterable(REGISTRY))),
        zoom=draw(st.sampled_from(["", "1800000000_1800003600"])),
    )


def read(url: str) -> MeasureState:
    parts = urlsplit(url)
    _, _, application, channel, measure = parts.path.split("/")
    query = parse_qsl(parts.query, keep_blank_values=True)
    return read_state(unquote(application), unquote(channel), measure, query, REGISTRY)


@given(states())
def test_reading_the_address_of_a_view_gives_the_view(state: MeasureState) -> None:
    assert read(state.url()) == state


def test_two_values_of_what_has_an_order_are_said_to_be_a_range() -> None:
    path = "/measure/Firefox/release/main_crashes?country=DE&country=FR"
    version, country = read(f"{path}&version=100.0&version=60.0").filters
    assert (country.text, version.text) == ("DE or FR", "60.0 to 100.0")
    (three,) = read("/measure/~/~/main_crashes?version=1.0&version=2.0&version=3.0").filters
    assert three.text == "1.0 or 2.0 or 3.0"
    side = read("/measure/~/~/main_crashes?a.build_id=2&a.build_id=1").a
    assert side.text == "build_id 1 to 2"


@given(name)
def test_any_name_survives_as_one_part_of_a_path(value: str | None) -> None:
    part = encode_part(value)
    assert part not in ("", ".", "..") and "/" not in part
    assert decode_part(part) == value


def test_an_address_without_parameters_is_the_default_view_and_stays_short() -> None:
    state = read("/measure/Firefox/release/main_crashes")
    assert state == MeasureState("Firefox", "release", "main_crashes")
    assert state.url() == "/measure/Firefox/release/main_crashes"


def test_dates_alone_mean_a_custom_range() -> None:
    state = read("/measure/Firefox/release/main_crashes?start=2026-01-31&end=2026-02-01T12:00%2B02:00")
    assert (state.range, state.start, state.end) == (
        "custom",
        datetime(2026, 1, 31, tzinfo=UTC),
        datetime(2026, 2, 1, 10, tzinfo=UTC),
    )


def test_what_means_nothing_by_the_clock_is_dropped_with_it() -> None:
    state = read("/measure/Firefox/release/main_crashes?band=on&skip=24h")
    assert state == MeasureState("Firefox", "release", "main_crashes")


def test_a_side_of_a_comparison_is_told_in_words() -> None:
    state = read(
        "/measure/Firefox/release/main_crashes?a.version=61.0&a.country=DE&b.experiment_branch__isnull=true"
    )
    assert (state.a.text, state.b.text) == ("version 61.0, country DE", "experiment_branch unknown")
    assert state.compares and not read("/measure/Firefox/release/main_crashes").compares


def test_taking_off_a_filter_leaves_the_others() -> None:
    state = read("/measure/Firefox/release/main_crashes?os_name=Linux&os_version__isnull=true&show=count")
    assert state.url(without="os_version") == "/measure/Firefox/release/main_crashes?show=count&os_name=Linux"
    assert state.url(without="os_name").endswith("?show=count&os_version__isnull=true")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("nonsense=1", "unknown_parameter"),
        ("show=maybe", "bad_parameter"),
        ("start=soon", "bad_time"),
        ("start=2026-01-02&end=2026-01-01", "bad_time"),
        ("range=custom", "bad_time"),
        ("range=custom&start=2026-01-01&time=release", "bad_parameter"),
        ("os_name=Linux&os_name__isnull=true", "bad_parameter"),
        ("os_name__isnull=1", "bad_parameter"),
        ("zoom=5", "bad_parameter"),
        ("show=rate&show=count", "repeated_parameter"),
        ("a.start=2026-01-01&a.start=2026-01-02", "repeated_parameter"),
        ("start=0001-01-01", "bad_time"),
        ("a.start=9999-01-01", "bad_time"),
        ("split=moon", "bad_parameter"),
        ("split=version", "bad_parameter"),
        ("split=country&a.os_name=Linux", "bad_parameter"),
        ("range=newest", "bad_parameter"),
        ("c.os_name=Linux", "unknown_parameter"),
        ("a.moon=full", "unknown_parameter"),
        ("a.os_name__isnull=2", "bad_parameter"),
        ("&".join(f"series={n}" for n in range(MAX_SERIES + 1)), "too_many_series"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_code(query: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(f"/measure/Firefox/release/main_crashes?{query}")
    assert refused.value.code == code
