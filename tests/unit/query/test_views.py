"""error_aggregates_v2: the predecessor's table, to the name."""

import io
import json
from typing import Any

from query_lake import SmallLake, measure, row, small_registry

from missioncontrol.config import Query
from missioncontrol.query.sql import SqlRunner
from missioncontrol.query.views import V2_DIMENSIONS, V2_MEASURES


def ask(lake: SmallLake, query: str) -> Any:
    sink = io.BytesIO()
    settings = Query(threads=1, memory_limit_mb=256)
    SqlRunner(lake.reader, lambda: lake.registry, settings, lake.folder / "spill").run(query, sink)
    return json.loads(sink.getvalue())


def test_columns_have_the_predecessors_names_and_order(filled: SmallLake) -> None:
    found = ask(filled, "SELECT * FROM error_aggregates_v2 LIMIT 1")
    assert tuple(found[0]) == (
        "window_start",
        "window_end",
        "submission_date_s3",
        *V2_DIMENSIONS,
        *V2_MEASURES,
    )


def test_there_is_one_row_a_key_whatever_partial_rows_the_lake_holds(filled: SmallLake) -> None:
    keys = ", ".join(("window_start", *V2_DIMENSIONS))
    assert ask(filled, f"SELECT {keys} FROM error_aggregates_v2 GROUP BY ALL HAVING count(*) > 1") == []
    found = ask(filled, "SELECT * FROM error_aggregates_v2 WHERE os_name = 'Linux' AND version = '59.0'")
    assert [(r["main_crashes"], r["usage_hours"], r["content_crashes"]) for r in found] == [(3, 2.5, None)]


def test_times_are_utc_and_the_day_is_compact(filled: SmallLake) -> None:
    found = ask(filled, "SELECT * FROM error_aggregates_v2 WHERE submission_date_s3 = '20180329'")
    assert [(r["window_start"], r["window_end"]) for r in found] == [
        ("2018-03-29T00:00:00Z", "2018-03-29T00:05:00Z")
    ]


def test_only_firefox_and_fennec_are_in_it(lake: SmallLake) -> None:
    lake.add([row(0, application=a, main_crashes=1) for a in ("Firefox", "Fennec", "Thunderbird", None)])
    lake.add([row(0, application="Thunderbird", experiment_id="e", main_crashes=1)], "experiment_aggregates")
    found = ask(lake, "SELECT application FROM error_aggregates_v2 ORDER BY 1")
    assert [r["application"] for r in found] == ["Fennec", "Firefox"]


def test_rows_of_experiments_carry_every_measure_and_few_dimensions(lake: SmallLake) -> None:
    lake.registry = small_registry(measure("gpu_crashes"))
    lake.add([row(0, main_crashes=1)])
    experiment = row(
        0, experiment_id="e", experiment_branch="b", main_crashes=2, gpu_crashes=3, usage_hours=0.5
    )
    lake.add([experiment, experiment], "experiment_aggregates")
    found = ask(lake, "SELECT * FROM error_aggregates_v2 WHERE experiment_id IS NOT NULL")
    kept = {k: v for k, v in found[0].items() if v is not None}
    assert len(found) == 1
    assert kept == {
        "window_start": "2018-03-28T00:00:00Z",
        "window_end": "2018-03-28T00:05:00Z",
        "submission_date_s3": "20180328",
        "channel": "release",
        "version": "59.0",
        "os_name": "Linux",
        "country": "DE",
        "experiment_id": "e",
        "experiment_branch": "b",
        "main_crashes": 4,
        "gpu_crashes": 6,
        "usage_hours": 1.0,
    }
    assert ask(
        lake, "SELECT sum(main_crashes) AS n FROM error_aggregates_v2 WHERE experiment_id IS NULL"
    ) == [{"n": 1}]


def test_a_measure_that_is_no_longer_declared_stays_readable(lake: SmallLake) -> None:
    lake.registry = small_registry(measure("gpu_crashes"))
    lake.add([row(0, gpu_crashes=3)])
    lake.registry = small_registry()
    assert ask(lake, "SELECT gpu_crashes FROM error_aggregates") == [{"gpu_crashes": 3}]
    assert ask(lake, "SELECT sum(gpu_crashes) AS n FROM error_aggregates_v2") == [{"n": 3}]
