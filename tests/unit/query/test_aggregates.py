import pytest
from query_lake import small_registry

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest
from missioncontrol.query.aggregates import (
    AggregateQuery,
    Edition,
    parse_aggregate_query,
    parse_format,
    parse_values_query,
)

REGISTRY = small_registry()


def parse(*pairs: tuple[str, str], edition: Edition = "v1") -> AggregateQuery:
    return parse_aggregate_query([("measurements", "main_crashes"), *pairs], REGISTRY, Query(), edition)


def refusal(*pairs: tuple[str, str], edition: Edition = "v1") -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse_aggregate_query(pairs, REGISTRY, Query(max_rows=500), edition)
    return caught.value


M = ("measurements", "main_crashes")


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([], "no_measurement"),
        ([("measurements", "")], "no_measurement"),
        ([("measurements", "main_crash")], "unknown_measure"),
        ([M, ("dimensions", "chanel")], "unknown_dimension"),
        ([M, ("dimensions", "")], "unknown_dimension"),
        ([M, ("dimensions", "main_crashes")], "unknown_dimension"),
        ([M, ("chanel", "beta")], "unknown_parameter"),
        ([M, ("chanel__isnull", "true")], "unknown_parameter"),
        ([M, ("window_start__isnull", "true")], "unknown_parameter"),
        ([M, ("__isnull", "true")], "unknown_parameter"),
        ([M, ("channel", "")], "empty_filter"),
        ([M, ("channel__isnull", "")], "bad_filter"),
        ([M, ("window_start", "soon")], "bad_time"),
        ([M, ("order", "country")], "bad_order"),
        ([M, ("limit", "0")], "bad_limit"),
        ([M, ("limit", "501")], "bad_limit"),
        ([M, ("limit", "-1")], "bad_limit"),
        ([M, ("limit", "9" * 99)], "bad_limit"),
        ([M, ("limit", "²")], "bad_limit"),
        ([M, ("interval", "7")], "bad_interval"),
        ([M, ("per", "hours")], "unknown_measure"),
        ([M, ("experiment_id", "x"), ("dimensions", "build_id")], "not_kept_for_experiments"),
        ([M, ("dimensions", "experiment_branch"), ("os_version", "10")], "not_kept_for_experiments"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(pairs: list[tuple[str, str]], code: str) -> None:
    assert refusal(*pairs).code == code


def test_a_refusal_suggests_the_nearest_name() -> None:
    assert refusal(("measurements", "main_crash")).hint == "Did you mean `main_crashes`?"
    assert refusal(M, ("chanel", "x")).hint == "Did you mean `channel`?"


def test_per_and_interval_are_unknown_to_the_predecessors_address() -> None:
    assert refusal(M, ("per", "count"), edition="predecessor").code == "unknown_parameter"
    assert refusal(M, ("interval", "day"), edition="predecessor").code == "unknown_parameter"


def test_window_start_is_added_when_no_time_column_is_named() -> None:
    assert parse(("dimensions", "channel")).dimensions == ("window_start", "channel")


@pytest.mark.parametrize("time", ["window_start", "window_end", "submission_date"])
def test_a_named_time_column_stays_alone(time: str) -> None:
    assert parse(("dimensions", "channel"), ("dimensions", time)).dimensions == ("channel", time)


def test_repeated_names_count_once() -> None:
    query = parse(("measurements", "main_crashes"), ("dimensions", "channel"), ("dimensions", "channel"))
    assert query.measures == ("main_crashes",)
    assert query.dimensions == ("window_start", "channel")


def test_per_is_usage_hours_unless_said_otherwise() -> None:
    assert parse().per == "usage_hours"
    assert parse(("per", "")).ratios == ()
    assert parse(("per", "count")).ratios == (("main_crashes_per_1000_count", "main_crashes"),)
    assert parse(edition="predecessor").per == ""


@pytest.mark.parametrize(("text", "seconds"), [("300", 300), ("5min", 300), ("hour", 3600), ("86400", 86400)])
def test_an_interval_is_named_or_counted(text: str, seconds: int) -> None:
    assert parse(("interval", text)).interval_s == seconds


def test_a_filter_for_the_population_allows_every_dimension() -> None:
    query = parse(("experiment_id__isnull", "true"), ("dimensions", "build_id"))
    assert "build_id" in query.dimensions


def test_without_a_limit_the_configured_one_holds() -> None:
    assert parse().limit == Query().default_limit >= 10_000


def test_the_format_comes_from_the_parameter_then_from_accept() -> None:
    assert parse_format([], "") == "json"
    assert parse_format([], "text/html,*/*") == "json"
    assert parse_format([], "text/csv;q=0.9, */*") == "csv"
    assert parse_format(["arrow"], "text/csv") == "arrow"
    with pytest.raises(BadRequest) as caught:
        parse_format(["cvs"])
    assert (caught.value.code, caught.value.hint) == ("unknown_format", "Did you mean `csv`?")


@pytest.mark.parametrize(
    "pairs", [[], [("dimension", "channel"), ("dimension", "version")], [("dimension", "")]]
)
def test_values_need_exactly_one_known_dimension(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(BadRequest):
        parse_values_query(pairs, REGISTRY)
