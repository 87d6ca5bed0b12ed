"""`/api/experiment/`: one measure of an experiment, branch by branch, in the predecessor's shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from query_lake import DAY, SmallLake, row

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.query.engine import Engine
from missioncontrol.query.experiments import branches, parse_experiment_query

NOW = DAY.replace(hour=3)
START = int(DAY.timestamp())
ASKED = {"experiment": "flip", "measure": "main_crashes", "interval": "7200", "start": str(START)}


def ask(engine: Engine, **given: str) -> dict[str, Any]:
    return branches(engine, parse_experiment_query({**ASKED, **given}, engine.registry(), NOW))


def member(minute: int, branch: str | None, **values: Any) -> dict[str, Any]:
    return row(minute, experiment_id="flip", experiment_branch=branch, **values)


@pytest.fixture
def flip(lake: SmallLake) -> SmallLake:
    lake.add(
        [
            member(0, "control", main_crashes=1, usage_hours=100.0),
            member(0, "control", usage_hours=44.5, os_name="Darwin", channel="beta"),
            member(120, "control", main_crashes=2, usage_hours=10.0),
            member(125, "control", main_crashes=50, usage_hours=1.0),
            member(5, "treatment", usage_hours=151.25),
            member(10, None, main_crashes=4),
            row(0, experiment_id="other", experiment_branch="control", main_crashes=1000),
        ],
        "experiment_aggregates",
    )
    return lake


def test_windows_of_each_branch_are_summed_over_everything_else(flip: SmallLake, engine: Engine) -> None:
    assert ask(engine) == {
        "": [("2018-03-28T00:10:00Z", 4.0, 0.0)],
        "control": [("2018-03-28T00:00:00Z", 1.0, 144.5), ("2018-03-28T02:00:00Z", 2.0, 10.0)],
        "treatment": [("2018-03-28T00:05:00Z", 0.0, 151.25)],
    }


def test_without_a_start_it_is_the_time_up_to_now(flip: SmallLake, engine: Engine) -> None:
    given = {k: v for k, v in ASKED.items() if k != "start"} | {"interval": "3600"}
    query = parse_experiment_query(given, engine.registry(), NOW)
    assert [w for w, *_ in branches(engine, query)["control"]] == [
        "2018-03-28T02:00:00Z",
        "2018-03-28T02:05:00Z",
    ]


def test_no_data_in_the_time_is_empty_and_no_data_ever_is_not_found(flip: SmallLake, engine: Engine) -> None:
    assert ask(engine, start="0") == {}
    with pytest.raises(NotFound) as refused:
        ask(engine, experiment="flop'; DROP TABLE x --")
    assert refused.value.code == "unknown_experiment"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"experiment": ""}, "missing_parameter"),
        ({"measure": ""}, "missing_parameter"),
        ({"interval": ""}, "missing_parameter"),
        ({"measure": "nope"}, "unknown_measure"),
        ({"interval": "1h"}, "bad_interval"),
        ({"interval": "-5"}, "bad_interval"),
        ({"interval": "٣٦٠٠"}, "bad_interval"),
        ({"interval": "9" * 400}, "bad_interval"),
        ({"start": "1.5"}, "bad_start"),
        ({"start": "99999999999"}, "bad_start"),
    ],
)
def test_odd_parameters_are_refused_with_a_reason(engine: Engine, given: dict[str, str], code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(engine, **given)
    assert refused.value.code == code


def test_a_measure_that_the_table_does_not_have_yet_is_0(flip: SmallLake, engine: Engine) -> None:
    from query_lake import measure, small_registry

    flip.registry = small_registry(measure("hangs"))
    newer = Engine(flip.reader, lambda: flip.registry, engine.settings)
    assert ask(newer, measure="hangs")["control"][0] == ("2018-03-28T00:00:00Z", 0.0, 144.5)


def test_an_empty_product_knows_no_experiment(engine: Engine) -> None:
    with pytest.raises(NotFound):
        ask(engine)
    far = parse_experiment_query({**ASKED, "interval": "7000000000"}, engine.registry(), datetime.now(UTC))
    assert far.last.year == 2200
