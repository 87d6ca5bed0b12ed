import shutil
from datetime import timedelta
from typing import Any

import pytest
from query_lake import DAY, SmallLake, measure, row, small_registry

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest, TooSlow
from missioncontrol.query.aggregates import Edition, parse_aggregate_query, parse_values_query
from missioncontrol.query.engine import Engine

Pairs = list[tuple[str, str]]
START = "2018-03-28T00:00:00Z"


def ask(engine: Engine, *pairs: tuple[str, str], edition: Edition = "predecessor") -> list[dict[str, Any]]:
    query = parse_aggregate_query(pairs, engine.registry(), Query(), edition)
    with engine.aggregate(query) as rows:
        names = [c.name for c in rows.columns]
        return [dict(zip(names, values, strict=True)) for batch in rows.batches() for values in batch]


M = ("measurements", "main_crashes")
BY_DAY = ("dimensions", "submission_date")


def total(engine: Engine, *filters: tuple[str, str]) -> Any:
    return sum(r["main_crashes"] or 0 for r in ask(engine, M, *filters))


def test_an_empty_product_answers_with_no_rows(engine: Engine) -> None:
    assert ask(engine, M) == []


def test_an_empty_product_has_no_values(engine: Engine) -> None:
    assert engine.values(parse_values_query([("dimension", "version")], engine.registry())).values == []


def test_an_empty_product_answers_a_range_of_versions(engine: Engine) -> None:
    assert (
        ask(
            engine,
            M,
            ("version", "1.0"),
            ("version", "99.0"),
            ("order", "version"),
            ("dimensions", "version"),
        )
        == []
    )


def test_partial_rows_of_a_key_are_added(filled: SmallLake, engine: Engine) -> None:
    rows = ask(engine, M, ("measurements", "usage_hours"), ("os_name", "Linux"), ("window_start", START))
    assert rows == [{"window_start": START, "main_crashes": 3, "usage_hours": 2.5}]


def test_a_measure_that_nobody_reported_is_null(filled: SmallLake, engine: Engine) -> None:
    rows = ask(engine, M, ("measurements", "content_crashes"), ("version", "60.0"))
    assert rows == [{"window_start": "2018-03-28T00:05:00Z", "main_crashes": None, "content_crashes": None}]


def test_times_are_iso_with_z_and_days_are_dates(filled: SmallLake, engine: Engine) -> None:
    rows = ask(engine, M, BY_DAY, ("dimensions", "window_end"), ("channel", "beta"))
    assert rows == [
        {"submission_date": "2018-03-29", "window_end": "2018-03-29T00:05:00Z", "main_crashes": 7}
    ]


def test_one_value_is_equality(filled: SmallLake, engine: Engine) -> None:
    assert total(engine, ("os_name", "Windows")) == 5


def test_two_values_of_a_plain_column_are_a_set(filled: SmallLake, engine: Engine) -> None:
    assert total(engine, ("channel", "release"), ("channel", "beta")) == 15
    assert (
        total(engine, ("channel", "beta"), ("channel", "release"), ("os_name", "Linux"), ("os_name", "Aix"))
        == 10
    )


def test_three_values_are_a_set_and_never_ignored(filled: SmallLake, engine: Engine) -> None:
    assert total(engine, ("channel", "beta"), ("channel", "esr"), ("channel", "nightly")) == 7


def test_a_range_of_windows_includes_both_ends(filled: SmallLake, engine: Engine) -> None:
    both = [("window_start", "2018-03-29T00:00:00Z"), ("window_start", "2018-03-28T00:05:00Z")]
    assert [r["window_start"] for r in ask(engine, M, *both)] == [
        "2018-03-28T00:05:00Z",
        "2018-03-29T00:00:00Z",
    ]


def test_a_filter_on_window_end_means_the_end(filled: SmallLake, engine: Engine) -> None:
    assert [r["window_start"] for r in ask(engine, M, ("window_end", "2018-03-28T00:05:00Z"))] == [START]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["2018-03-28"], 8),
        (["20180329"], 7),
        (["20180328", "20180329"], 15),
        (["20180301", "20180302", "20180329"], 7),
    ],
)
def test_a_submission_date_filters_whole_days(
    filled: SmallLake, engine: Engine, days: list[str], expected: int
) -> None:
    assert total(engine, *(("submission_date", d) for d in days)) == expected


def test_versions_are_compared_by_number(lake: SmallLake, engine: Engine) -> None:
    lake.add(
        [
            row(0, version=v, main_crashes=10**i)
            for i, v in enumerate(["9.0", "61.0b2", "61.0b10", "61.0", "100.0"])
        ]
    )
    assert total(engine, ("version", "61.0b3"), ("version", "100.0")) == 11100
    assert total(engine, ("version", "100.0"), ("version", "9.0")) == 11111
    assert total(engine, ("version", "70.0"), ("version", "80.0")) == 0


def test_build_ids_are_a_range(lake: SmallLake, engine: Engine) -> None:
    lake.add([row(0, build_id=f"2018030{i}000000", main_crashes=10**i) for i in range(1, 5)])
    assert total(engine, ("build_id", "20180302"), ("build_id", "20180303999999")) == 1100


def test_null_is_asked_for_explicitly(lake: SmallLake, engine: Engine) -> None:
    lake.add([row(0, country=None, main_crashes=1), row(0, main_crashes=10)])
    assert total(engine, ("country__isnull", "true")) == 1
    assert total(engine, ("country__isnull", "false")) == 10
    assert total(engine) == 11


def test_null_is_a_group_of_its_own(lake: SmallLake, engine: Engine) -> None:
    lake.add([row(0, country=None, main_crashes=1), row(0, main_crashes=10)])
    rows = ask(engine, M, ("dimensions", "country"))
    assert [(r["country"], r["main_crashes"]) for r in rows] == [("DE", 10), (None, 1)]


@pytest.fixture
def experiments(filled: SmallLake) -> SmallLake:
    # Rows of experiments are also in the population: adding both would count them twice.
    filled.add(
        [
            row(0, experiment_id="pref-x", experiment_branch="control", main_crashes=1),
            row(0, experiment_id="pref-x", experiment_branch="treatment", main_crashes=2),
            row(0, experiment_id="other", experiment_branch=None, main_crashes=4),
        ],
        "experiment_aggregates",
    )
    return filled


def test_without_a_word_about_experiments_totals_count_once(experiments: SmallLake, engine: Engine) -> None:
    assert total(engine) == 15


def test_a_filter_on_an_experiment_reads_its_rows_only(experiments: SmallLake, engine: Engine) -> None:
    assert total(engine, ("experiment_id", "pref-x")) == 3
    assert total(engine, ("experiment_branch", "treatment")) == 2
    assert total(engine, ("experiment_id__isnull", "false")) == 7


def test_a_filter_for_no_experiment_is_the_population(experiments: SmallLake, engine: Engine) -> None:
    assert total(engine, ("experiment_id__isnull", "true")) == 15


def test_an_experiment_as_dimension_shows_the_population_as_null(
    experiments: SmallLake, engine: Engine
) -> None:
    rows = ask(engine, M, ("dimensions", "experiment_id"), BY_DAY, ("submission_date", "20180328"))
    assert [(r["experiment_id"], r["main_crashes"]) for r in rows] == [("other", 4), ("pref-x", 3), (None, 8)]


def test_a_branch_without_name_keeps_its_experiment(experiments: SmallLake, engine: Engine) -> None:
    rows = ask(engine, M, ("experiment_id", "other"), ("dimensions", "experiment_branch"))
    assert [(r["experiment_branch"], r["main_crashes"]) for r in rows] == [(None, 4)]


def test_rates_are_per_thousand_and_null_without_a_denominator(filled: SmallLake, engine: Engine) -> None:
    rows = ask(engine, M, ("dimensions", "os_name"), BY_DAY, edition="v1")
    assert [(r["os_name"], r["main_crashes_per_1000_usage_hours"]) for r in rows] == [
        ("Linux", 3 / 3.5 * 1000),
        ("Windows", 500.0),
        ("Linux", None),
    ]


@pytest.mark.parametrize(("interval", "expected"), [("hour", 1), ("day", 1), ("5min", 2)])
def test_an_interval_cuts_window_start(
    filled: SmallLake, engine: Engine, interval: str, expected: int
) -> None:
    filled.add([row(50, main_crashes=100)])
    rows = ask(
        engine, M, ("interval", interval), ("submission_date", "20180328"), ("version", "59.0"), edition="v1"
    )
    assert len(rows) == expected
    assert rows[0]["window_start"] == START
    assert sum(r["main_crashes"] for r in rows) == 108


def test_the_end_of_an_hourly_interval_is_an_hour_later(filled: SmallLake, engine: Engine) -> None:
    rows = ask(
        engine, M, ("interval", "hour"), ("dimensions", "window_end"), ("channel", "beta"), edition="v1"
    )
    assert rows[0]["window_end"] == "2018-03-29T01:00:00Z"


def test_rows_come_by_time_then_dimensions(filled: SmallLake, engine: Engine) -> None:
    rows = ask(
        engine, M, ("dimensions", "version"), ("dimensions", "os_name"), ("dimensions", "window_start")
    )
    assert [(r["window_start"][11:16], r["os_name"]) for r in rows][:3] == [
        ("00:00", "Linux"),
        ("00:00", "Windows"),
        ("00:05", "Linux"),
    ]


def test_an_order_is_followed_with_versions_by_number(lake: SmallLake, engine: Engine) -> None:
    lake.add(
        [row(0, version=v, main_crashes=1) for v in ("9.0", "61.0", "100.0")]
        + [row(0, version=None, main_crashes=1)]
    )
    rows = ask(engine, M, ("dimensions", "version"), ("order", "-version"))
    assert [r["version"] for r in rows] == ["100.0", "61.0", "9.0", None]


def test_an_order_by_a_measure_or_a_rate_is_followed(filled: SmallLake, engine: Engine) -> None:
    question = (M, ("dimensions", "os_name"), BY_DAY)
    assert [r["main_crashes"] for r in ask(engine, *question, ("order", "-main_crashes"))] == [7, 5, 3]
    by_rate = ask(engine, *question, ("order", "main_crashes_per_1000_usage_hours"), edition="v1")
    assert [r["main_crashes"] for r in by_rate] == [5, 3, 7]


def test_a_cut_answer_says_so(filled: SmallLake, engine: Engine) -> None:
    for limit, complete in ((1, False), (2, False), (3, True), (4, True)):
        query = parse_aggregate_query([M, ("limit", str(limit))], engine.registry(), Query(), "v1")
        with engine.aggregate(query) as rows:
            assert sum(len(b) for b in rows.batches()) == min(limit, 3)
            assert rows.complete is complete


def test_new_rows_are_seen_by_the_next_query(filled: SmallLake, engine: Engine) -> None:
    before = total(engine)
    filled.add([row(0, main_crashes=100)])
    assert total(engine) == before + 100


def test_a_measure_declared_later_is_null_for_older_rows(filled: SmallLake, engine: Engine) -> None:
    filled.registry = small_registry(measure("gpu_crashes"))
    question = (("measurements", "gpu_crashes"), M, BY_DAY, ("submission_date", "20180328"))
    assert ask(engine, *question) == [
        {"submission_date": "2018-03-28", "gpu_crashes": None, "main_crashes": 8}
    ]
    filled.add([row(0, gpu_crashes=3)])
    assert ask(engine, *question) == [{"submission_date": "2018-03-28", "gpu_crashes": 3, "main_crashes": 8}]


def test_values_are_distinct_and_versions_come_newest_first(filled: SmallLake, engine: Engine) -> None:
    filled.add([row(0, version="100.0"), row(0, version=None)])
    found = engine.values(parse_values_query([("dimension", "version")], engine.registry()))
    assert (found.values, found.has_null, found.complete) == (["100.0", "61.0b2", "60.0", "59.0"], True, True)


def test_values_follow_filters(filled: SmallLake, engine: Engine) -> None:
    query = parse_values_query([("dimension", "channel"), ("os_name", "Windows")], engine.registry())
    assert engine.values(query).values == ["release"]


INJECTIONS = [
    "'; DROP TABLE x; --",
    "' OR '1'='1",
    '" OR 1=1 --',
    "\\'",
    "x\x00y",
    "?",
    "$1",
    "%s",
    "{}",
    "ü\u202e",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_a_filter_is_only_a_value(filled: SmallLake, engine: Engine, text: str) -> None:
    assert total(engine, ("channel", text)) == 0
    filled.add([row(0, channel=text, main_crashes=1000)])
    assert total(engine, ("channel", text)) == 1000
    assert total(engine, ("channel", text), ("channel", "beta")) == 1007
    rows = ask(engine, M, ("dimensions", "channel"), ("channel", text), ("order", "-channel"))
    assert [r["channel"] for r in rows] == [text]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(
    "name",
    ["measurements", "dimensions", "order", "limit", "interval", "per", "window_start", "submission_date"],
)
def test_sql_in_any_other_parameter_is_refused(engine: Engine, name: str, text: str) -> None:
    with pytest.raises(BadRequest):
        ask(engine, M, (name, text), edition="v1")


def test_a_query_past_its_time_is_stopped(lake: SmallLake) -> None:
    lake.add([row(i, version=f"{i}.0", main_crashes=1) for i in range(2000)])
    engine = Engine(lake.reader, lambda: lake.registry, Query(timeout_s=0.0))
    with pytest.raises(TooSlow) as refusal:
        ask(engine, M, ("dimensions", "version"))
    assert refusal.value.status == 503


def test_a_rollup_that_vanishes_meanwhile_is_replaced_by_its_base_file(
    filled: SmallLake, engine: Engine
) -> None:
    class Gone:
        snapshot = filled.reader.snapshot
        paths: set[str]

        def rollup(self, file: Any) -> str | None:
            return file.path + ".gone" if file.path in self.paths else None

    found = filled.reader.snapshot("error_aggregates")
    assert found
    paths = [file.path for file in found.files]
    assert len(paths) > 1
    engine.reader = reader = Gone()  # type: ignore[assignment]
    for gone in (set(paths), *({path} for path in paths)):
        reader.paths = gone  # type: ignore[attr-defined]
        assert total(engine) == 15


def test_a_rollup_answers_for_its_base_file_only_when_it_holds_what_is_asked(
    filled: SmallLake, engine: Engine
) -> None:
    # The rollups here are copies with other numbers, so that an answer tells which file it came from.
    other = SmallLake(filled.folder / "other", filled.registry)
    other.add([row(0, main_crashes=1000, usage_hours=1.0)])
    stand_in = other.reader.snapshot("error_aggregates")
    base = filled.reader.snapshot("error_aggregates")
    assert stand_in and base
    folder = filled.folder / "cache" / "rollup" / "error_aggregates"
    folder.mkdir(parents=True)
    first_day = [f for f in base.files if ("submission_date", "2018-03-28") in f.partition]
    shutil.copy(stand_in.files[0].path, folder / first_day[0].path.rpartition("/")[2])
    kept = total(engine, ("country", "DE"))
    assert kept == 15
    assert total(engine) > 1000
    by_day = {r["submission_date"]: r["main_crashes"] for r in ask(engine, M, BY_DAY)}
    assert by_day["2018-03-29"] == 7
    assert by_day["2018-03-28"] > 1000


def test_a_submission_date_that_is_not_the_windows_day_is_kept(lake: SmallLake, engine: Engine) -> None:
    day_before = (DAY - timedelta(days=1)).date()
    lake.add([{**row(0, main_crashes=1), "submission_date": day_before}, row(0, main_crashes=10)])
    rows = ask(engine, M, BY_DAY)
    assert rows == [
        {"submission_date": "2018-03-27", "main_crashes": 1},
        {"submission_date": "2018-03-28", "main_crashes": 10},
    ]


def test_sums_beyond_64_bits_are_exact(lake: SmallLake, engine: Engine) -> None:
    lake.add([row(0, main_crashes=2**63 - 1), row(0, country="FR", main_crashes=2**63 - 1)])
    assert ask(engine, M)[0]["main_crashes"] == 2**64 - 2


def test_columns_that_are_partitions_have_their_values_in_small_files(
    lake: SmallLake, engine: Engine
) -> None:
    kinds = ("main", "crash")
    lake.add(
        [{"submission_date": DAY.date(), "doc_type": kind, "window_start": DAY} for kind in kinds], "pings"
    )
    columns = ("window_start", "doc_type", "submission_date")
    sql = "SELECT doc_type, submission_date, count(*) FROM {relation} GROUP BY ALL ORDER BY 1"
    expected = [("crash", DAY.date(), 1), ("main", DAY.date(), 1)]
    assert engine.over("pings", sql, columns=columns) == engine.over("pings", sql) == expected


def test_what_is_asked_again_is_answered_by_the_files_of_now(lake: SmallLake, engine: Engine) -> None:
    def crashes() -> list[tuple[Any, ...]]:
        return engine.over(
            "error_aggregates", "SELECT version, sum(main_crashes) FROM {relation} GROUP BY ALL"
        )

    lake.add([row(0, main_crashes=1)])
    first = crashes()
    first.append(("of the caller", 0))
    assert crashes() == [("59.0", 1)]
    lake.add([row(5, main_crashes=2)])
    assert crashes() == [("59.0", 3)]
    sql = "SELECT count(*) FROM {relation} WHERE list_contains(?, version)"
    asked = [engine.over("error_aggregates", sql, [versions]) for versions in (["59.0"], ["60.0"], ["59.0"])]
    assert asked == [[(2,)], [(0,)], [(2,)]]
