"""`/api/measure/`: one measure over time, build by build, in the predecessor's shape."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_lake import DAY, SmallLake, measure, row, small_registry

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest, MissionControlError, NotFound
from missioncontrol.query import measure_series
from missioncontrol.query.engine import Engine
from missioncontrol.query.fielded_builds import FieldedBuilds
from missioncontrol.query.measure_series import MeasureSeries, parse_series_query, series

NOW = DAY + timedelta(hours=3)
START = int(DAY.timestamp())
ASKED = {"channel": "release", "platform": "linux", "measure": "main_crashes", "interval": "7200"}
H = 60


class Asked:
    """A lake and its series."""

    def __init__(self, folder: Path) -> None:
        self.lake = SmallLake(folder, small_registry(measure("gpu_crashes", per="usage_hours")))
        self.engine = Engine(
            self.lake.reader, lambda: self.lake.registry, Query(threads=1, memory_limit_mb=256)
        )
        self.builds = FieldedBuilds(self.engine)

    def whole(self, *more: tuple[str, str], **given: str) -> MeasureSeries:
        pairs = [*{**ASKED, **given}.items(), *more]
        return series(self.engine, self.builds, [], parse_series_query(pairs, self.engine.registry()), NOW)

    def data(self, *more: tuple[str, str], **given: str) -> dict[str, Any]:
        answer = self.whole(*more, **given)
        assert answer.complete
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer.measure_data))
        return found


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path)
    yield asked
    asked.engine.close()


def built(
    minute: int, version: str, build_id: str | None, crashes: int | None, hours: float = 1.5, **more: Any
) -> Any:
    return row(minute, version=version, build_id=build_id, main_crashes=crashes, usage_hours=hours, **more)


@pytest.fixture
def two(asked: Asked) -> Asked:
    asked.lake.add(
        [
            built(0, "61.0", "20180201", 7),
            built(60, "61.0", "20180201", 1),
            built(60, "61.0", "20180201", 2, country="FR"),
            built(125, "61.0", "20180201", None),
            built(65, "62.0", "20180301", 4),
            built(70, "62.0", "20180301", 5, channel="beta"),
            built(70, "62.0", "20180301", 6, os_name="Darwin"),
            built(70, "62.0", "20180301", 8, application="Editor"),
        ]
    )
    asked.lake.add([built(60, "61.0", "20180201", 99, experiment_id="flip")], "experiment_aggregates")
    return asked


def test_by_the_clock_both_ends_are_included(two: Asked) -> None:
    assert two.data(start=str(START + 3600), interval="300") == {
        "20180301": {"version": "62.0", "data": [["2018-03-28T01:05:00Z", 4.0, 1.5]]},
        "20180201": {"version": "61.0", "data": [["2018-03-28T01:00:00Z", 3.0, 3.0]]},
    }
    assert list(two.data(start=str(START + 3600), interval="300")) == ["20180301", "20180201"]


def test_without_a_start_it_is_the_time_up_to_now(two: Asked) -> None:
    assert two.data(interval=str(115 * 60))["20180201"]["data"] == [["2018-03-28T02:05:00Z", 0.0, 1.5]]
    assert two.data(interval="0") == {}
    assert len(two.data(interval="7000000000")["20180201"]["data"]) == 3


def test_by_age_items_count_from_the_first_window_of_each_build(two: Asked) -> None:
    assert two.data(relative="1") == {
        "20180301": {"version": "62.0", "data": [[0, 4.0, 1.5]]},
        "20180201": {"version": "61.0", "data": [[0, 7.0, 1.5], [3600, 3.0, 3.0]]},
    }
    later = two.data(relative="true", start="3600", interval="3900")
    assert later == {"20180201": {"version": "61.0", "data": [[3600, 3.0, 3.0], [7500, 0.0, 1.5]]}}


def test_an_interval_of_0_is_as_long_as_the_newest_build_is_known(two: Asked) -> None:
    two.lake.add([built(75, "62.0", "20180301", 1)])
    assert two.data(relative="1", interval="0")["20180301"]["data"] == [[0, 4.0, 1.5], [600, 1.0, 1.5]]
    assert two.data(relative="1", interval="0")["20180201"]["data"] == [[0, 7.0, 1.5]]
    assert len(two.data(relative="1", interval="0", version="61.0")["20180201"]["data"]) == 3


def test_an_interval_of_0_works_when_nothing_came_in_the_last_day(two: Asked) -> None:
    two.lake.add([built(9 * 24 * H, "61.0", "20180201", 1, os_name="Darwin")])
    assert two.data(relative="1", interval="0")["20180301"]["data"] == [[0, 4.0, 1.5]]


def test_an_interval_of_0_is_that_of_a_build_that_is_still_used(asked: Asked) -> None:
    asked.lake.add([built(0, "62.0", "20180301", 1), built(5, "62.0", "20180301", 1)])
    asked.lake.add([built(n * H, "61.0", "20180201", 1) for n in (0, 10, 200)])
    found = asked.data(relative="1", interval="0", version="61.0") | asked.data(relative="1", interval="0")
    assert [age for age, *_ in found["20180201"]["data"]] == [0, 36_000, 720_000]


def test_the_widest_times_are_no_failure(two: Asked) -> None:
    most = str(7_258_118_400)
    for relative in ("0", "1"):
        assert two.data(relative=relative, start=most, interval=most) == {}
        assert len(two.data(relative=relative, start="0", interval=most)["20180201"]["data"]) == 3
    assert two.data(interval=most) == two.data(start="0", interval=most)


def test_by_age_the_newest_four_versions_by_number_are_told(asked: Asked) -> None:
    asked.lake.add(
        [built(n, f"{major}.0", f"2018030{n}", 1) for n, major in enumerate((9, 98, 99, 100, 101))]
    )
    asked.lake.add([built(0, "999.0", "20180399", 1, 1e-9), built(0, "what", "1", 1)])
    assert [b["version"] for b in asked.data(relative="1").values()] == ["101.0", "100.0", "99.0", "98.0"]
    assert "9.0" in {b["version"] for b in asked.data(start=str(START)).values()}
    assert list(asked.data(("version", "9.0"), ("version", "99.0"), relative="1")) == ["20180302", "20180300"]
    assert asked.data(("version", "1.0"), relative="1") == {}


def test_builds_without_an_id_are_told_too(asked: Asked) -> None:
    asked.lake.add([built(0, "61.0", None, 1), built(0, "61.0", None, 2, os_name="Linux")])
    assert asked.data(relative="1") == {"": {"version": "61.0", "data": [[0, 3.0, 3.0]]}}


def test_another_application_is_asked_for_by_name(two: Asked) -> None:
    found = two.data(("application", "editor"), start=str(START))
    assert found == {"20180301": {"version": "62.0", "data": [["2018-03-28T01:10:00Z", 8.0, 1.5]]}}


@pytest.mark.parametrize("text", ["0", "false", "No", "off"])
def test_relative_can_be_said_not_to_be(two: Asked, text: str) -> None:
    assert two.data(relative=text, start=str(START)) == two.data(start=str(START))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"channel": ""}, "missing_parameter"),
        ({"platform": ""}, "missing_parameter"),
        ({"measure": ""}, "missing_parameter"),
        ({"interval": ""}, "missing_parameter"),
        ({"interval": "1h"}, "bad_interval"),
        ({"interval": "-5"}, "bad_interval"),
        ({"interval": "٣٦٠٠"}, "bad_interval"),
        ({"interval": "9" * 4000}, "bad_interval"),
        ({"start": ""}, "bad_start"),
        ({"start": "1.5"}, "bad_start"),
        ({"start": "99999999999"}, "bad_start"),
        ({"relative": "abc"}, "bad_relative"),
        ({"relative": ""}, "bad_relative"),
        ({"chanel": "release"}, "unknown_parameter"),
        ({"measure": "nope"}, "unknown_measure"),
        ({"measure": "main_crashes) FROM x --"}, "unknown_measure"),
        ({"measure": "gpu_crashes"}, "unknown_measure"),
        ({"channel": "nope"}, "unknown_combination"),
        ({"channel": "\x00"}, "unknown_combination"),
        ({"platform": "beos"}, "unknown_combination"),
        ({"platform": "x" * 9000}, "unknown_combination"),
        ({"application": "nope"}, "unknown_combination"),
    ],
)
def test_odd_parameters_are_refused_with_a_reason(two: Asked, given: dict[str, str], code: str) -> None:
    with pytest.raises(MissionControlError) as refused:
        two.data(**given)
    assert refused.value.code == code
    assert isinstance(
        refused.value, NotFound if code in ("unknown_measure", "unknown_combination") else BadRequest
    )
    assert refused.value.hint and len(refused.value.message) < 400


def test_a_parameter_that_contradicts_itself_is_refused(two: Asked) -> None:
    with pytest.raises(BadRequest) as refused:
        two.data(("channel", "beta"))
    assert refused.value.code == "repeated_parameter"
    assert two.data(("channel", "release"), start=str(START)) == two.data(start=str(START))
    many = [("version", f"v{n}") for n in range(1000)]
    assert list(two.data(*many, ("version", "61.0"), start=str(START))) == ["20180201"]


def test_a_time_in_which_nobody_reported_the_measure_has_its_hours(two: Asked) -> None:
    asked = {"start": str(START + 7500), "interval": "0"}
    wanted = {"20180201": {"version": "61.0", "data": [["2018-03-28T02:05:00Z", 0.0, 1.5]]}}
    assert two.data(**asked) == wanted == two.data(measure="content_crashes", **asked)
    two.lake.add([built(130, "61.0", "20180201", None, gpu_crashes=1)])
    assert two.data(measure="gpu_crashes", **asked) == wanted


def test_a_build_has_the_version_that_is_used(asked: Asked) -> None:
    asked.lake.add([built(0, "61.0", "20180201", 1, 50.0), built(5, "999.0", "20180201", 2, 0.25)])
    assert asked.data(start=str(START)) == {
        "20180201": {
            "version": "61.0",
            "data": [["2018-03-28T00:00:00Z", 1.0, 50.0], ["2018-03-28T00:05:00Z", 2.0, 0.25]],
        }
    }


def test_a_known_channel_without_data_is_empty(asked: Asked) -> None:
    assert asked.data(channel="esr") == {} == asked.data(relative="1", interval="0")


def test_a_long_answer_is_cut_and_says_so(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_series, "MOST_ITEMS", 5)
    asked.lake.add([built(5 * n, v, v, 1) for n in range(3) for v in ("60.0", "61.0")])
    answer = asked.whole(relative="1")
    assert not answer.complete
    assert {b: len(s.data) for b, s in answer.measure_data.items()} == {"61.0": 3, "60.0": 2}


ROWS = st.builds(
    lambda n, version, build, crashes, hours, os_name: built(
        5 * n, version, build, crashes, hours / 64, os_name=os_name
    ),
    st.integers(0, 60),
    st.sampled_from(["60.0", "100.0"]),
    st.sampled_from(["1", "2"]),
    st.integers(0, 10**6),
    st.integers(0, 2**12),
    st.sampled_from(["Linux", "Darwin"]),
)


def of_plain_python(
    rows: Sequence[dict[str, Any]], start: int, length: int, relative: bool
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for build in {r["build_id"] for r in rows}:
        own = [r for r in rows if r["build_id"] == build]
        first = min(r["window_start"] for r in own)
        items: dict[Any, list[float]] = {}
        for r in own:
            age = int((r["window_start"] - (first if relative else DAY)).total_seconds())
            if start <= age <= start + length:
                sums = items.setdefault(age, [0.0, 0.0])
                sums[0] += r["main_crashes"]
                sums[1] += r["usage_hours"]
        if items:
            made[build] = [[age, *sums] for age, sums in sorted(items.items())]
    return made


@settings(max_examples=25, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=25), st.integers(0, 20), st.integers(1, 60), st.booleans())
def test_items_are_those_of_plain_python(
    rows: list[dict[str, Any]], start: int, length: int, relative: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(Path(folder))
        for at in range(0, len(rows), 9):
            asked.lake.add(rows[at : at + 9])
        begin = 300 * start + (0 if relative else START)
        # Versions are named, since a version that is hardly used is not among the newest four.
        named = [("version", v) for v in ("60.0", "100.0")]
        found = asked.data(*named, start=str(begin), interval=str(300 * length), relative=str(int(relative)))
        wanted = of_plain_python(
            [r for r in rows if r["os_name"] == "Linux"], 300 * start, 300 * length, relative
        )
        shown = {
            build: [
                [age if relative else f"{DAY + timedelta(seconds=age):%Y-%m-%dT%H:%M:%SZ}", *sums]
                for age, *sums in items
            ]
            for build, items in wanted.items()
        }
        assert {build: one["data"] for build, one in found.items()} == shown
        asked.engine.close()
