"""Addresses of the pages of crashes: the whole state, and refusals that name the parameter."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.errors import BadRequest
from missioncontrol.query.crash_selection import Condition
from missioncontrol.web.crashes.address import (
    TEXT_FIELDS,
    CrashState,
    process_title,
    read_crash_state,
    signature_href,
    system_version,
)

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
_texts = st.text(st.characters(exclude_categories=("C", "Z")), max_size=20)
_versions = st.lists(_texts.filter(lambda v: v and "," not in v), max_size=3, unique=True).map(tuple)


def read(url: str) -> CrashState:
    parts = urlsplit(url)
    return read_crash_state(parts.path, parse_qsl(parts.query, keep_blank_values=True))


@given(
    st.builds(
        CrashState, st.just("/search"), _texts, _versions, _texts, _texts, _texts, st.integers(1, 366), st.none(),
        st.none(), st.sampled_from(["report", "build"]), st.booleans(), st.none() | _texts, _texts,
        st.booleans(), st.sampled_from(list(TEXT_FIELDS)), _texts.filter(bool), st.sampled_from(["contains", "is"]), _texts,
        st.integers(1, 99),
    )
)  # fmt: skip
def test_a_state_comes_back_out_of_its_address(state: CrashState) -> None:
    assert read(state.url(page=state.page)) == state


def test_what_is_usual_is_not_in_the_address() -> None:
    assert CrashState("/topcrashers", product="Otter").url() == "/topcrashers?product=Otter"
    assert CrashState("/topcrashers", page=4).url(product="Otter") == "/topcrashers?product=Otter"


def test_signatures_of_any_kind_have_an_address() -> None:
    for signature in (None, "~", "a & b = c?", "x/y", "../..", "EMPTY: no", "ünï"):
        assert read(signature_href(signature, "Otter")).signature == signature


@pytest.mark.parametrize(
    "query",
    ["days=0", "days=x", "days=1e9", "page=-1", "by=week", "weighted=2", "empty=2", "field=user_comments", "operator=like",
     "start=yesterday", "start=2026-02-30", "start=2026-02-02&end=2026-02-01", "start=2020-01-01&end=2026-01-01"],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_name(query: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(f"/search?{query}")
    assert refused.value.code in ("bad_parameter", "bad_time")


@pytest.mark.parametrize(
    "query",
    [
        "product=SS&url=~zebra1",
        "_facets=url",
        "platform=Linux",
        "path=/x",
        "versions=1",
        "date=%3E2026-01-01",
        "url=",
    ],
)
def test_what_is_unknown_is_refused_and_not_left_out(query: str) -> None:
    for path in ("/search", "/topcrashers", "/signature"):
        with pytest.raises(BadRequest) as refused:
            read(f"{path}?{query}")
        assert refused.value.code == "unknown_parameter"


def test_one_value_but_for_versions() -> None:
    with pytest.raises(BadRequest, match="product"):
        read("/search?product=Otter&product=Beaver")
    assert read("/search?product=Otter&product=Otter").product == "Otter"
    assert read("/search?version=1&version=2&format=csv").versions == ("1", "2")


def test_the_last_days_end_now_and_builds_are_of_whole_days() -> None:
    report = read("/topcrashers?days=3").selection(NOW)
    assert (report.start, report.end) == (NOW - timedelta(days=3), NOW)
    build = read("/topcrashers?days=3&by=build").selection(NOW)
    assert (build.start, build.end) == (
        datetime(2026, 11, 24, tzinfo=UTC),
        datetime(2026, 11, 27, tzinfo=UTC),
    )


def test_days_by_name_are_inclusive_and_one_alone_is_a_week() -> None:
    both = read("/search?start=2026-11-01&end=2026-11-02").selection(NOW)
    assert (both.start.day, both.end.day) == (1, 3)
    assert read("/search?start=2026-11-01").end == date(2026, 11, 7)


def test_crashes_that_say_that_they_have_no_name_are_found_by_how_their_signature_begins() -> None:
    state = read("/search?empty=1")
    assert state.selection(NOW).conditions == (Condition("signature", ("EMPTY",), "begins"),)


def test_filters_become_conditions() -> None:
    state = read(
        "/search?product=Otter&version=4.0b,%203.9&process=gpu&signature=~&field=reason&text=SEG&operator=is"
    )
    assert state.versions == ("4.0b", "3.9")
    assert state.selection(NOW).conditions == (
        Condition("product", ("Otter",)),
        Condition("process_type", ("gpu",)),
        Condition("signature", (), "null"),
        Condition("reason", ("SEG",), "is"),
    )


def test_a_process_may_be_called_as_chromium_does() -> None:
    for name, meant in (
        ("renderer", "content"),
        ("browser", "parent"),
        ("gpu", "gpu"),
        ("utility", "utility"),
    ):
        state = read_crash_state("/search", [("process", name)])
        assert (state.process, state.url()) == (meant, f"/search?process={meant}")
        assert Condition("process_type", (meant,)) in state.selection(NOW).conditions
    assert process_title("content") == "content (renderer)"
    assert process_title("gpu") == "gpu"


def test_the_version_of_a_linux_is_its_kernel_without_the_build() -> None:
    assert system_version("6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC") == "6.1.0-18-amd64"
    assert system_version(None) == ""
