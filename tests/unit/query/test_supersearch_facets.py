"""SuperSearch's counts: facets, aggregations, histograms, cardinalities, lists, weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.crash_lake import CrashLake

from missioncontrol.errors import BadRequest


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashLake]:
    lake = CrashLake(tmp_path_factory.mktemp("facets") / "data")
    lake.add(
        {"signature": "A", "product": "Notes", "version": "1", "hours_ago": 1, "uptime": 5, "addons": ["x", "y", "x"],
         "throttle_rate": 0.1, "install_time": 1, "startup_crash": True},
        {"signature": "A", "product": "Notes", "version": "2", "hours_ago": 2, "uptime": 9, "addons": ["y"],
         "throttle_rate": 0.1, "install_time": 1, "startup_crash": False},
        {"signature": "B", "product": "Notes", "version": "2", "hours_ago": 30, "uptime": 12, "throttle_rate": 1.0,
         "install_time": 2},
    )  # fmt: skip
    lake.add(
        {
            "signature": "A",
            "product": "Mail",
            "version": "1",
            "hours_ago": 31,
            "uptime": -3,
            "install_time": 3,
        }
    )
    yield lake
    lake.close()


def terms(facet: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return [(item["term"], item["count"]) for item in facet]


def test_signatures_are_counted_unless_asked_otherwise(lake: CrashLake) -> None:
    found = lake.search()
    assert found.facets == {"signature": [{"term": "A", "count": 3}, {"term": "B", "count": 1}]}
    assert (found.total, found.errors) == (4, [])
    assert lake.search("_facets_size=0").facets == {}
    assert lake.search("_facets=product").facets.keys() == {"product"}
    assert lake.search("product=Nothing").facets == {"signature": []}


def test_terms_are_cut_and_keep_their_kind(lake: CrashLake) -> None:
    found = lake.search(
        "_facets=signature", "_facets=uptime", "_facets=startup_crash", "_facets_size=1"
    ).facets
    assert found == {
        "signature": [{"term": "A", "count": 3}],
        "uptime": [{"term": -3, "count": 1}],
        "startup_crash": [{"term": "false", "count": 1}],
    }


def test_lists_are_counted_by_item_once_a_crash(lake: CrashLake) -> None:
    found = lake.search("_facets=addons", "_aggs.addons=version", "_aggs.version=addons").facets
    assert terms(found["addons"]) == [("y", 2), ("x", 1)]
    assert found["addons"][0]["facets"] == {"version": [{"term": "1", "count": 1}, {"term": "2", "count": 1}]}
    assert found["version"][0]["facets"]["addons"] == [{"term": "x", "count": 1}, {"term": "y", "count": 1}]
    assert lake.search("_cardinality.addons=1").facets["cardinality_addons"] == {"value": 2}


def test_aggregations_within_one_another(lake: CrashLake) -> None:
    found = lake.search("_aggs.product.version=signature", "_aggs.product=_cardinality.install_time").facets
    assert found["product"] == [
        {"term": "Notes", "count": 3, "facets": {
            "version": [
                {"term": "2", "count": 2, "facets": {"signature": [
                    {"term": "A", "count": 1}, {"term": "B", "count": 1}]}},
                {"term": "1", "count": 1, "facets": {"signature": [{"term": "A", "count": 1}]}},
            ],
            "cardinality_install_time": {"value": 2},
        }},
        {"term": "Mail", "count": 1, "facets": {
            "version": [{"term": "1", "count": 1, "facets": {"signature": [{"term": "A", "count": 1}]}}],
            "cardinality_install_time": {"value": 1},
        }},
    ]  # fmt: skip
    cut = lake.search("_aggs.product.version=signature", "_facets_size=1").facets["product"]
    assert cut == [
        {"term": "Notes", "count": 3, "facets": {"version": [
            {"term": "2", "count": 2, "facets": {"signature": [{"term": "A", "count": 1}]}}]}}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "bars"),
    [
        ("", [("2026-11-25T00:00:00+00:00", 2), ("2026-11-26T00:00:00+00:00", 2)]),
        ("1", [("2026-11-25T00:00:00+00:00", 2), ("2026-11-26T00:00:00+00:00", 2)]),
        ("1.0", [("2026-11-25T00:00:00+00:00", 2), ("2026-11-26T00:00:00+00:00", 2)]),
        ("day", [("2026-11-25T00:00:00+00:00", 2), ("2026-11-26T00:00:00+00:00", 2)]),
        ("12h", [("2026-11-25T00:00:00+00:00", 2), ("2026-11-26T00:00:00+00:00", 2)]),
        ("hour", [(f"2026-11-{d}:00:00+00:00", 1) for d in ("25T05", "25T06", "26T10", "26T11")]),
        ("week", [("2026-11-23T00:00:00+00:00", 4)]),
        ("month", [("2026-11-01T00:00:00+00:00", 4)]),
        ("quarter", [("2026-10-01T00:00:00+00:00", 4)]),
        ("year", [("2026-01-01T00:00:00+00:00", 4)]),
    ],
)
def test_histograms_of_dates(lake: CrashLake, interval: str, bars: list[tuple[str, int]]) -> None:
    found = lake.search("_histogram.date=product", f"_histogram_interval.date={interval}").facets
    assert terms(found["histogram_date"]) == bars
    products = [item["facets"]["product"] for item in found["histogram_date"]]
    assert sum(item["count"] for product in products for item in product) == 4


def test_histograms_of_numbers(lake: CrashLake) -> None:
    found = lake.search("_histogram.uptime=_cardinality.version", "_histogram_interval.uptime=10").facets
    assert found["histogram_uptime"] == [
        {"term": -10, "count": 1, "facets": {"cardinality_version": {"value": 1}}},
        {"term": 0, "count": 2, "facets": {"cardinality_version": {"value": 2}}},
        {"term": 10, "count": 1, "facets": {"cardinality_version": {"value": 1}}},
    ]
    halves = lake.search("_histogram.uptime=version", "_histogram_interval.uptime=2.5").facets
    assert terms(halves["histogram_uptime"]) == [(-5, 1), (5, 1), (7.5, 1), (10, 1)]
    nested = lake.search("_aggs.product=_histogram.date").facets["product"][0]
    assert terms(nested["facets"]["histogram_date"])[0] == ("2026-11-25T00:00:00+00:00", 1)


def test_cardinalities(lake: CrashLake) -> None:
    found = lake.search("_facets=_cardinality.version", "_facets=_cardinality.uuid").facets
    assert found == {"cardinality_version": {"value": 2}, "cardinality_uuid": {"value": 4}}


def test_weighted_counts_stand_for_all_crashes(lake: CrashLake) -> None:
    found = lake.search("_weighted=1", "_aggs.product=version")
    assert found.total == 22
    assert terms(found.facets["signature"]) == [("A", 21), ("B", 1)]
    assert found.facets["product"][0] == {
        "term": "Notes", "count": 21,
        "facets": {"version": [{"term": "2", "count": 11}, {"term": "1", "count": 10}]},
    }  # fmt: skip
    assert lake.search("_weighted=0").total == 4
    assert len(found.hits) == 4


def test_a_histogram_with_too_many_bars_is_refused(lake: CrashLake, tmp_path: Path) -> None:
    wide = CrashLake(tmp_path / "data")
    wide.add(*({"signature": "A", "uptime": n * 3} for n in range(10_001)))
    with pytest.raises(BadRequest) as refused:
        wide.search("_histogram.uptime=version")
    assert refused.value.code == "too_many"
    assert wide.search("_histogram.uptime=version", "_histogram_interval.uptime=10").total == 10_001
    offset = wide.search("_results_number=1000", "_results_offset=10000", "_sort=uptime", "_columns=uptime")
    assert [hit["uptime"] for hit in offset.hits] == [30_000]
    wide.close()
