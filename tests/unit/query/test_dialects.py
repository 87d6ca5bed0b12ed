"""Queries written for Presto and PostgreSQL, translated and run in the real worker process."""

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from query_lake import SmallLake

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.lake.tables import CRASH_STATS
from missioncontrol.query.sql import SqlRunner


def crash_row(day: int, dimensions: dict[str, str], **stats: float) -> dict[str, Any]:
    when = date(2016, 3, day)
    return {
        "submission_date": when,
        "activity_date": when,
        "dimensions": list(dimensions.items()),
        "stats": list({**dict.fromkeys(CRASH_STATS, 0.0), **stats}.items()),
    }


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> SmallLake:
    lake = SmallLake(tmp_path_factory.mktemp("crashes"))
    nightly = {"channel": "nightly", "build_id": "20160314030201", "e10s_cohort": "test"}
    lake.add(
        [
            crash_row(14, nightly, usage_hours=200.0, main_crashes=3.0, plugin_crashes=5.0),
            crash_row(14, {"channel": "release", "build_id": "2016"}, usage_hours=1000.0, main_crashes=1.0),
        ],
        "crash_aggregates",
    )
    lake.add([crash_row(15, nightly, usage_hours=300.0, main_crashes=2.0)], "crash_aggregates")
    return lake


def run(lake: SmallLake, query: str, dialect: str) -> Any:
    sink = io.BytesIO()
    settings = Query(threads=1, memory_limit_mb=256, timeout_s=20)
    SqlRunner(lake.reader, lambda: lake.registry, settings, lake.folder / "spill").run(query, sink, dialect=dialect)
    return json.loads(sink.getvalue())


def values(lake: SmallLake, query: str, dialect: str) -> list[list[Any]]:
    return [list(row.values()) for row in run(lake, query, dialect)]


def refusal(lake: SmallLake, query: str, dialect: str) -> MissionControlError:
    with pytest.raises(MissionControlError) as raised:
        run(lake, query, dialect)
    return raised.value
