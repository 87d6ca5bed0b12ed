"""The page of a measure with data and addresses that nobody expects: a million series, one point, nulls, odd names."""

from __future__ import annotations

import csv
import http.client
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import numpy as np
import pyarrow as pa
import pytest
from tests.support.build_days import write_rows
from tests.support.form import config_of, installed
from tests.support.server import RunningServer

from missioncontrol.services import Services

VERSIONS, BUILDS, COUNTRIES = 2500, 20, 20
MARKUP = "<script>alert(1)</script>&\"'</title>"
LONG = MARKUP + "9" * (200 - len(MARKUP))
PAGE = "/measure/Firefox/{}/main_crashes"
THIS_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def at(hours_ago: int) -> datetime:
    return THIS_HOUR - timedelta(hours=hours_ago)


def row(channel: str, hours_ago: int, version: str = "70.0", **more: Any) -> dict[str, Any]:
    start = at(hours_ago)
    return {
        "window_start": start, "submission_date": f"{start:%Y-%m-%d}", "application": "Firefox",
        "channel": channel, "version": version, "build_id": "20260101000000", "os_name": "Linux", "country": "DE",
        "usage_hours": 10.0, "count": 1, "main_crashes": 2, **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("odd")
    fill(folder / "data")
    running = RunningServer(folder, {})
    running.only = "web"
    running.start()
    rows = [
        row("one", 5),
        *(row("nulls", age, main_crashes=None, usage_hours=None) for age in range(3, 9)),
        *(row("uncounted", age, main_crashes=None) for age in range(3, 9)),
        *(row("gaps", age) for age in (20, 19, 15, 9, 8, 3)),
        *(
            row("names", age, version, country=MARKUP)
            for age in (3, 4)
            for version in (LONG, "70.0", "", "~")
        ),
    ]
    try:
        running.run("import", "aggregates", str(write_rows(folder / "rows.ndjson", rows)))
        yield running
    finally:
        running.stop()


def fill(data: Path) -> None:
    """A million populations on the channel `many`, in one window: each with an hour of use and a crash."""
    services = Services(config_of(installed(data)))
    services.writer.ensure(services.registry())
    n = np.arange(VERSIONS * BUILDS * COUNTRIES)

    def named(codes: np.ndarray, words: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words)).cast(
            pa.string()
        )

    same = np.zeros(len(n))
    window = at(2)
    table = pa.table(
        {
            "window_start": pa.array(
                np.full(len(n), int(window.timestamp()) * 1_000_000), pa.timestamp("us", "UTC")
            ),
            "submission_date": pa.array(np.full(len(n), np.datetime64(window.date())), pa.date32()),
            "application": named(same, ["Firefox"]),
            "channel": named(same, ["many"]),
            "version": named(n % VERSIONS, [f"{v}.0" for v in range(VERSIONS)]),
            "build_id": named(n // VERSIONS % BUILDS, [f"202601{b + 1:02d}000000" for b in range(BUILDS)]),
            "country": named(n // VERSIONS // BUILDS, [f"{chr(65 + c)}X" for c in range(COUNTRIES)]),
            "count": pa.array(np.ones(len(n), np.int64)),
            "usage_hours": pa.array(np.ones(len(n))),
            "main_crashes": pa.array(np.ones(len(n), np.int64)),
        }
    )
    staged = services.writer.stage("error_aggregates", table)
    services.writer.commit("error_aggregates", staged, "test", 1)
    services.close()


def shown(server: RunningServer, channel: str, query: str = "") -> httpx.Response:
    path = PAGE.format(quote(channel, safe="")) + (f"?{query}" if query else "")
    return httpx.get(server.url + path, headers={"accept": "text/html"}, timeout=60)


def numbers(server: RunningServer, channel: str, query: str = "") -> dict[str, Any]:
    answer = shown(server, channel, "&".join(filter(None, [query, "format=json"])))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_of_a_million_series_a_page_shows_a_few_and_says_that_there_are_more(server: RunningServer) -> None:
    answer = shown(server, "many")
    assert answer.status_code == 200 and "2,460 older ones are not listed" in answer.text
    assert len(answer.content) < 200_000
    view = numbers(server, "many")
    # Each has less than a fiftieth of the usage: the newest alone is drawn unless others are asked for.
    assert [line["label"] for line in view["lines"] if line["drawn"]] == ["2499.0"]
    assert view["lines"][0]["per"] == BUILDS * COUNTRIES


@pytest.mark.parametrize("time", ["clock", "release"])
def test_small_charts_of_thousands_of_values_pool_the_rest_without_losing_any(
    server: RunningServer, time: str
) -> None:
    # A million populations, as a chart for each version of each build.
    small = numbers(server, "many", f"split=version&group=build_id&time={time}&range=7d")["small"]
    assert len(small["charts"]) == 12 and small["charts"][-1]["href"] == ""
    by_country = numbers(server, "many", f"split=country&time={time}&series=2499.0&series=7.0")["small"]
    assert sum(chart["per"] for chart in by_country["charts"]) == 2 * BUILDS * COUNTRIES


def test_thousands_of_lines_are_refused_however_they_are_asked_for(server: RunningServer) -> None:
    series = [("series", f"{v}.0") for v in range(VERSIONS)]
    for pairs, refusal in (
        (series[:500], (400, "too_many_series")),
        (series[:250] * 2, (400, "too_many_series")),
        (series, (414, "path_too_long")),
        ([("split", "version"), ("split", "country")], (400, "repeated_parameter")),
        ([("time", "release"), ("time", "clock")], (400, "repeated_parameter")),
        ([("a.start", "2026-01-01"), ("a.start", "2026-01-02")], (400, "repeated_parameter")),
    ):
        refused = server.get(f"{PAGE.format('many')}?{urlencode(pairs)}")
        assert (refused.status_code, refused.json()["code"]) == refusal
    # The same line said again is one line.
    again = numbers(server, "many", urlencode([("series", "7.0")] * 400))
    assert [line["label"] for line in again["lines"] if line["drawn"]] == ["7.0"]


def test_thousands_of_values_of_a_filter_are_answered_and_a_value_said_twice_counts_once(
    server: RunningServer,
) -> None:
    pairs = [("version", f"{v}.0") for v in range(0, VERSIONS, 5)] + [("country", "AX"), ("country", "AX")]
    view = numbers(server, "many", urlencode(pairs))
    assert len(view["lines"]) == VERSIONS // 5
    assert {line["per"] for line in view["lines"]} == {float(BUILDS)}


def test_an_address_without_end_is_refused_and_the_server_goes_on(server: RunningServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        query = urlencode([("version", "x" * 50)] * 20_000)
        connection.request("GET", f"{PAGE.format('many')}?{query}")
        status = connection.getresponse().status
    except OSError:
        status = 0  # it hangs up before the last byte is sent
    finally:
        connection.close()
    assert status in (0, 400, 414, 431)
    assert shown(server, "one").status_code == 200


def test_one_point_is_one_point(server: RunningServer) -> None:
    view = numbers(server, "one")
    held = [value for value in view["chart"]["series"][0]["value"] if value is not None]
    assert held == [2.0] and view["chart"]["count"] >= 48
    aged = numbers(server, "one", "time=release")
    assert aged["chart"]["count"] == 1 and aged["chart"]["series"][0]["value"] == [2.0]
    split = numbers(server, "one", "split=country&time=release")["small"]
    # A path that is a dot: it has no length.
    assert split["charts"][0]["paths"] == [[0, "M0.0 0.0h0"]]
    compared = numbers(server, "one", "time=release&a.version=70.0&b.version=70.0&b.country=DE")
    assert compared["ratio"]["ratio"] == 1 and compared["ratio"]["low"] is None


def test_only_nulls_are_no_zeros(server: RunningServer) -> None:
    answer = shown(server, "nulls")
    assert answer.status_code == 200 and 'class="nothing"' in answer.text
    # With usage no crash means 0; of a probe that nobody sent nothing is known.
    values = numbers(server, "uncounted", "show=count")["chart"]["series"][0]["value"]
    assert (values.count(0.0), values.count(None)) == (6, len(values) - 6)
    probe = PAGE.format("uncounted").replace("main_crashes", "gpu_crashes")
    (series,) = server.get(probe, format="json").json()["chart"]["series"]
    assert set(series["value"]) == {None} and series["per"].count(10.0) == 6
    for query in (
        "time=release",
        "split=country",
        "split=country&time=release",
        "a.version=70.0&time=release",
    ):
        assert shown(server, "nulls", query).status_code == 200, query
        assert shown(server, "uncounted", query).status_code == 200, query


def test_gaps_are_gaps_by_the_clock_by_age_in_small_charts_and_in_the_file(server: RunningServer) -> None:
    def places(series: dict[str, Any]) -> list[int]:
        return [i for i, value in enumerate(series["value"]) if value is not None]

    aged = numbers(server, "gaps", "time=release&split=country")
    assert places(aged["chart"]["series"][0]) == [0, 1, 5, 11, 12, 17]
    assert aged["small"]["charts"][0]["paths"][0][1].count("M") == 4  # the pen is lifted three times
    text = shown(server, "gaps", "time=release&split=country&format=csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["age_s"]) // 3600 for row in rows] == [0, 1, 5, 11, 12, 17]
    compared = numbers(server, "gaps", "time=release&a.version=70.0&b.country=DE&b.version=70.0")
    assert places(compared["chart"]["series"][1]) == [0, 1, 5, 11, 12, 17]


@pytest.mark.parametrize(
    "query",
    ["", "time=release", "split=country", "split=country&time=release", "group=build_id&split=version"],
)
def test_names_of_200_characters_with_markup_stay_text(server: RunningServer, query: str) -> None:
    answer = shown(server, "names", query)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text and "alert(1)" in answer.text
    assert answer.text.count("</title>") == 1
    block = answer.text.split('id="chart-data">')[1].split("</script>")[0]
    if "group" not in query:
        assert LONG in [series["label"] for series in json.loads(block)["series"]]


def test_names_with_markup_are_compared_and_filtered(server: RunningServer) -> None:
    sides = urlencode({"a.version": LONG, "b.version": "~", "time": "release", "country": MARKUP})
    answer = shown(server, "names", sides)
    assert answer.status_code == 200 and "<script>alert" not in answer.text
    view = numbers(server, "names", sides)
    assert [line["per"] for line in view["lines"]] == [20.0, 20.0] and view["ratio"]["ratio"] == 1
    rows = list(csv.DictReader(io.StringIO(shown(server, "names", "split=country&format=csv").text)))
    assert {row["country"] for row in rows} == {MARKUP}
    assert LONG in {row["line"] for row in rows}
