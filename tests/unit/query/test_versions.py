import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.query.versions import between, is_version, newest_first, version_key

ASCENDING = ["9.0", "52.0.1", "61.0a1", "61.0b2", "61.0b10", "61.0", "61.0.1", "61.0esr", "61.1", "100.0"]


def test_versions_are_ordered_by_number_and_stage() -> None:
    backwards = ASCENDING[::-1]
    assert sorted(backwards, key=version_key) == ASCENDING


def test_newest_first_puts_100_above_61() -> None:
    assert newest_first(["61.0", "100.0", "9.0"]) == ["100.0", "61.0", "9.0"]


def test_a_range_holds_both_bounds_and_counts_by_number() -> None:
    assert between([*ASCENDING, "junk"], "61.0b2", "100.0") == ASCENDING[3:]


def test_a_range_treats_trailing_zeros_as_the_same_version() -> None:
    assert between(["61.0.0", "61.0", "61.0.1"], "61", "61.0") == ["61.0", "61.0.0"]


@pytest.mark.parametrize("junk", ["", "abc", "…", "-1", "9" * 5000, "1." + "9" * 5000, "\x00", "１.０"])
def test_text_that_is_no_version_sorts_below_all_versions_and_never_raises(junk: str) -> None:
    assert version_key(junk) < version_key("0.1") or is_version(junk)


@given(st.lists(st.text(max_size=12)))
def test_any_texts_can_be_sorted(texts: list[str]) -> None:
    assert sorted(newest_first(texts)) == sorted(texts)


@given(st.integers(0, 300), st.integers(0, 30), st.integers(0, 300), st.integers(0, 30))
def test_two_numbers_compare_as_numbers(a: int, b: int, c: int, d: int) -> None:
    assert (version_key(f"{a}.{b}") < version_key(f"{c}.{d}")) == ((a, b) < (c, d))
