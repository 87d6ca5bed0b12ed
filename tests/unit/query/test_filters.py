from datetime import UTC, date, datetime

import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.query.filters import (
    DateFilter,
    TextFilter,
    WindowFilter,
    null_filter,
    parse_date,
    parse_instant,
    text_filter,
    time_filter,
)

NOON = datetime(2018, 3, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2018-03-28T12:00:00Z",
        "2018-03-28T12:00",
        "2018-03-28 12:00:00",
        "2018-03-28T14:00:00+02:00",
        "20180328T120000Z",
    ],
)
def test_an_instant_is_utc_unless_it_says_otherwise(text: str) -> None:
    assert parse_instant("window_start", text) == NOON


def test_a_day_alone_is_its_midnight() -> None:
    assert parse_instant("window_start", "2018-03-28") == NOON.replace(hour=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2018-13-01",
        "2018-03-28T25:00",
        "1",
        "2018",
        "2018-W01-1",
        "0001-01-01T00:00:00+05:00",
        "'; --",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_instant("window_start", text)
    assert refusal.value.code == "bad_time"


@pytest.mark.parametrize("text", ["2018-03-28", "20180328"])
def test_a_submission_date_has_two_spellings(text: str) -> None:
    assert parse_date("submission_date", text) == date(2018, 3, 28)


@pytest.mark.parametrize(
    "text", ["2018-3-28", "2018-02-30", "201803", "2018-03-28T00:00", "2018W131", "٢٠١٨٠٣٢٨"]
)
def test_other_spellings_of_a_day_are_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_date("submission_date", text)
    assert refusal.value.code == "bad_time"


def test_two_times_are_a_range_in_any_order() -> None:
    later = "2018-03-28T13:00:00Z"
    expected = WindowFilter("range", (NOON, NOON.replace(hour=13)))
    assert time_filter("window_start", [later, "2018-03-28T12:00:00Z"]) == expected


def test_a_window_end_is_five_minutes_after_its_start() -> None:
    assert time_filter("window_end", ["2018-03-28T12:05:00Z"]) == WindowFilter("in", (NOON,))


def test_a_window_cannot_end_before_time_begins() -> None:
    with pytest.raises(BadRequest):
        time_filter("window_end", ["0001-01-01"])


def test_three_days_are_a_set() -> None:
    days = ["20180301", "20180303", "20180302"]
    assert time_filter("submission_date", days) == DateFilter(
        "in", tuple(date(2018, 3, d) for d in (1, 2, 3))
    )


def test_two_values_are_a_range_only_for_columns_with_an_order() -> None:
    assert text_filter("build_id", ["2", "1"]) == TextFilter("build_id", "range", ("1", "2"))
    assert text_filter("version", ["61.0", "100.0"]).how == "range"
    assert text_filter("channel", ["beta", "esr"]) == TextFilter("channel", "in", ("beta", "esr"))


def test_three_values_are_a_set_even_for_versions() -> None:
    assert text_filter("version", ["1", "2", "3"]).how == "in"


@pytest.mark.parametrize("values", [[""], ["beta", ""], []])
def test_an_empty_value_is_refused(values: list[str]) -> None:
    with pytest.raises(BadRequest) as refusal:
        text_filter("channel", values)
    assert refusal.value.code == "empty_filter"


def test_a_range_of_what_is_no_version_is_refused() -> None:
    with pytest.raises(BadRequest) as refusal:
        text_filter("version", ["61.0", "newest"])
    assert refusal.value.code == "bad_filter"


def test_isnull_is_true_or_false() -> None:
    assert null_filter("country", ["TRUE"]).how == "null"
    assert null_filter("country", ["false"]).how == "not_null"
    for bad in ("", "1", "maybe"):
        with pytest.raises(BadRequest):
            null_filter("country", [bad])
