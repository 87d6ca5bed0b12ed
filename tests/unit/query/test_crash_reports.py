"""Questions about crashes: which rows count, how signatures are ranked, how counts are weighted and cut up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from tests.support.crash_rows import crash_id, document, write

from missioncontrol.config import Query
from missioncontrol.crashes.index import CrashIndex
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.query.crash_reports import BREAKDOWNS, CrashReports, Part
from missioncontrol.query.crash_selection import Condition, Intervals, Selection
from missioncontrol.query.engine import Engine
from missioncontrol.registry.load import load_registry
from missioncontrol.web.crashes.address import CrashState, read_crash_state
from missioncontrol.web.crashes.signature import ON_A_PAGE, build_search, build_signature

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
WEEK = Selection(NOW - timedelta(days=7), NOW)
DAYS = Intervals((NOW - timedelta(days=7)).replace(hour=0), timedelta(days=1), 8)
EMPTY = "EMPTY: no crashing thread identified; EmptyMinidump"


class Lake:
    """A data folder and questions about it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._chance = random.Random(1)
        reader = LakeReader(data / "lake", data / "cache")
        registry = load_registry()
        self.engine = Engine(reader, lambda: registry, Query(threads=1, memory_limit_mb=256))
        self.reports = CrashReports(self.engine)

    def crash(self, signature: str | None, days_ago: float = 1.0, **other: Any) -> dict[str, Any]:
        """A crash as it would be processed, not written yet."""
        plain = {
            "version": "4.0b1",
            "startup_crash": False,
            "is_garbage_collecting": False,
            "user_comments": None,
        }
        return document(NOW - timedelta(days=days_ago), signature, self._chance, **{**plain, **other})

    def add(self, *crashes: dict[str, Any]) -> None:
        write(self.data, crashes)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(tmp_path)
    yield lake
    lake.engine.close()


def counts(parts: list[Part]) -> dict[str | None, float]:
    return {part.value: part.count for part in parts}


def test_a_lake_without_crashes_answers_with_nothing(lake: Lake) -> None:
    reports = lake.reports
    assert reports.ranking(WEEK, 10).rows == []
    assert reports.totals(WEEK).count == 0
    assert not reports.any()
    assert reports.reports(WEEK, 10) == reports.comments(WEEK, 10) == []
    assert reports.over_time(WEEK, "version", DAYS) == []
    assert reports.first_seen(["a"], None) == {}
    assert reports.products(WEEK.start, WEEK.end) == []
    assert reports.breakdowns(WEEK, list(BREAKDOWNS), 5) == {name: [] for name in BREAKDOWNS}


def test_crashes_without_a_name_are_counted_wherever_they_rank(lake: Lake) -> None:
    lake.add(*(lake.crash("std::vector::empty") for _ in range(3)), lake.crash(None), lake.crash(None, 10))
    lake.add(lake.crash(EMPTY, throttle_rate=0.1), lake.crash("EMPTY: no frame data available"))
    ranking, totals = lake.reports.ranking(WEEK, 1), lake.reports.totals(WEEK)
    assert len(ranking.rows) == 1
    assert (ranking.empty, ranking.null) == (totals.empty, totals.null) == (2, 1)
    weighted = msgspec.structs.replace(WEEK, weighted=True)
    assert lake.reports.ranking(weighted, 1, 9).empty == lake.reports.totals(weighted).empty == 11
    named = msgspec.structs.replace(WEEK, conditions=(Condition("signature", ("EMPTY",), "begins"),))
    assert {r.signature for r in lake.reports.reports(named, 9)} == {EMPTY, "EMPTY: no frame data available"}
    assert lake.reports.totals(named).count == 2


def test_signatures_are_ranked_against_the_span_before(lake: Lake) -> None:
    lake.add(*(lake.crash("a") for _ in range(3)), *(lake.crash("b") for _ in range(2)), lake.crash(None))
    lake.add(
        *(lake.crash("b", 10) for _ in range(4)),
        lake.crash("a", 9),
        lake.crash("gone", 8),
        lake.crash("a", 15),
    )
    ranking = lake.reports.ranking(WEEK, 10)
    assert [(r.signature, r.rank, r.rank_before, r.count, r.count_before) for r in ranking.rows] == [
        ("a", 1, 2, 3, 1),
        ("b", 2, 1, 2, 4),
        (None, 3, None, 1, 0),
    ]
    assert (ranking.signatures, ranking.count, ranking.count_before, ranking.reports) == (3, 6, 6, 6)
    assert [r.signature for r in lake.reports.ranking(WEEK, 1, 1).rows] == ["b"]


def test_marks_and_installations_are_counted(lake: Lake) -> None:
    lake.add(
        lake.crash("a", startup_crash=True, install_time=1),
        lake.crash("a", startup_crash=True, is_garbage_collecting=True, install_time=1),
        lake.crash("a", install_time=2),
        lake.crash("a", startup_crash=None, install_time=None),
        lake.crash("a", 10, startup_crash=True, install_time=3),
    )
    [row] = lake.reports.ranking(WEEK, 10).rows
    assert (row.installs, row.startup, row.garbage) == (2, 2, 1)


def test_a_crash_counts_once_by_its_newest_row_and_not_at_all_once_deleted(lake: Lake) -> None:
    again, deleted = lake.crash("old name"), lake.crash("old name")
    lake.add(again, deleted)
    lake.add({**again, "signature": "new name", "processing_revision": 1})
    index = CrashIndex(LakeWriter(lake.data / "lake"), load_registry(), "deleter")
    index.delete([deleted["uuid"]], NOW)
    assert [(r.signature, r.count) for r in lake.reports.ranking(WEEK, 10).rows] == [("new name", 1)]
    assert [r.crash_id for r in lake.reports.reports(WEEK, 10)] == [again["uuid"]]


def test_counts_can_be_weighted_by_the_share_that_the_collector_keeps(lake: Lake) -> None:
    lake.add(
        lake.crash("rare", throttle_rate=0.1), lake.crash("common"), lake.crash("common", throttle_rate=0.0)
    )
    assert [r.signature for r in lake.reports.ranking(WEEK, 10).rows] == ["common", "rare"]
    weighted = lake.reports.ranking(msgspec.structs.replace(WEEK, weighted=True), 10)
    assert [(r.signature, r.count) for r in weighted.rows] == [("rare", pytest.approx(10)), ("common", 2)]
    assert (weighted.reports, weighted.sampled, weighted.count) == (3, 1, pytest.approx(12))


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        (("4.0b",), {"4.0b1", "4.0b12"}),
        (("4.0",), {"4.0"}),
        (("4.0b1",), {"4.0b1"}),
        (("4.0", "4.0b12"), {"4.0", "4.0b12"}),
    ],
)
def test_a_version_that_ends_with_b_means_all_its_betas(
    lake: Lake, versions: tuple[str, ...], found: set[str]
) -> None:
    lake.add(*(lake.crash("a", version=v) for v in ("4.0b1", "4.0b12", "4.0", "14.0b1")))
    selection = msgspec.structs.replace(WEEK, versions=versions)
    assert set(counts(lake.reports.breakdowns(selection, ["version"], 9)["version"])) == found


def test_by_build_the_day_in_the_build_id_counts_whenever_the_report_came(lake: Lake) -> None:
    build = f"{NOW - timedelta(days=3):%Y%m%d}120000"
    lake.add(lake.crash("old build", build="20250101000000"), lake.crash("new build", build=build))
    lake.add(lake.crash("no build", build=None), lake.crash("odd build", build="beta"))
    selection = Selection(NOW - timedelta(days=5), NOW, by="build")
    assert [r.signature for r in lake.reports.ranking(selection, 10).rows] == ["new build"]
    assert [b.number for b in lake.reports.over_time(selection, "signature", DAYS)] == [4]


def test_values_of_a_reader_are_bound_and_never_sql(lake: Lake) -> None:
    odd = "a'); DROP TABLE x; -- {crashes} {relation} $1 ?"
    lake.add(lake.crash(odd), lake.crash("b"))
    selection = msgspec.structs.replace(WEEK, conditions=(Condition("signature", (odd,)),))
    assert [r.signature for r in lake.reports.reports(selection, 10)] == [odd]
    part = msgspec.structs.replace(WEEK, conditions=(Condition("signature", ("DROP TABLE",), "contains"),))
    assert lake.reports.totals(part).reports == 1
    with pytest.raises(AssertionError):
        lake.reports.totals(msgspec.structs.replace(WEEK, conditions=(Condition("user_comments", ("x",)),)))


def test_crashes_over_time_fall_into_days_and_only_those_of_the_span_count(lake: Lake) -> None:
    lake.add(lake.crash("a", 6.9), lake.crash("a", 0.1), lake.crash("a", 0.2), lake.crash("b", 3.6))
    lake.add(lake.crash("a", 7.1))  # the same day as the first, before the span
    found = lake.reports.over_time(WEEK, "signature", DAYS)
    assert {(b.group, b.number): b.count for b in found} == {("a", 0): 1, ("a", 7): 2, ("b", 3): 1}


def test_of_many_groups_over_time_the_small_ones_are_pooled(lake: Lake) -> None:
    lake.add(*(lake.crash(name, 0.1) for name in ("a", "a", "b", "b", "b", None, "d")), lake.crash("d", 3.6))
    lake.add(lake.crash("c", 0.1))
    found = lake.reports.over_time(WEEK, "signature", DAYS, most=2)
    assert {(b.group, b.number, b.pooled): b.count for b in found} == {
        ("a", 7, 0): 2, ("b", 7, 0): 3, (None, 3, 3): 1, (None, 7, 3): 3,
    }  # fmt: skip


def test_breakdowns_put_numbers_into_ranges_and_name_what_is_not_known(lake: Lake) -> None:
    lake.add(
        lake.crash("a", uptime=59, install_age=100),
        lake.crash("a", uptime=60, install_age=86_400),
        lake.crash("a", uptime=None, install_age=-5),
    )
    found = lake.reports.breakdowns(WEEK, ["uptime", "install age"], 9)
    assert counts(found["uptime"]) == {"under 1 min": 1, "1 to 5 min": 1, None: 1}
    assert counts(found["install age"]) == {"under 1 h": 1, "1 to 7 days": 1, None: 1}


def test_the_links_of_a_breakdown_by_system_find_what_it_counts(lake: Lake) -> None:
    lake.add(
        lake.crash("a", os_name="Linux", os_pretty_version=None),
        lake.crash("a", os_name="Windows NT", os_pretty_version="Windows 11"),
        lake.crash("a", os_name="Windows NT", os_pretty_version="Windows 10"),
    )
    state = CrashState("/signature", signature="a")
    view = build_signature(state, lake.reports, NOW, protected=False)
    (systems,) = [one for one in view.breakdowns if one.name == "os"]
    assert {value.value for value in systems.values} == {"Linux", "Windows 11", "Windows 10"}
    for value in systems.values:
        parts = urlsplit(value.href)
        found = build_search(read_crash_state(parts.path, parse_qsl(parts.query)), lake.reports, NOW)
        assert found.totals.count == value.count == 1, value


def test_the_newest_report_is_known_on_every_page(lake: Lake) -> None:
    lake.add(*(lake.crash("a", 0.1 + n / 100, version=f"{n}.0") for n in range(ON_A_PAGE + 1)))
    for page in (1, 2, 3):
        view = build_signature(CrashState("/signature", signature="a", page=page), lake.reports, NOW, False)
        assert view.newest and view.newest.version == "0.0", page
    assert len(view.reports) == 0


def test_systems_and_first_sight_are_of_each_signature(lake: Lake) -> None:
    lake.add(
        lake.crash("a", os_name="Linux"),
        lake.crash("a", os_name="Linux"),
        lake.crash("a", os_name="Windows NT"),
    )
    lake.add(lake.crash(None, os_name=None), lake.crash("a", 20), lake.crash("a", 25, product="Badger"))
    assert counts(lake.reports.systems(WEEK, ["a", None])["a"]) == {"Linux": 2, "Windows NT": 1}
    assert lake.reports.first_seen(["a", None], "Otter")["a"] == NOW - timedelta(days=20)
    assert lake.reports.first_seen(["a", None], None) == {
        "a": NOW - timedelta(days=25),
        None: NOW - timedelta(days=1),
    }


def test_products_say_what_could_not_be_named(lake: Lake) -> None:
    lake.add(
        *(lake.crash("a", version="1.0") for _ in range(2)),
        lake.crash(EMPTY, 3, version="2.0"),
        lake.crash(None, 3),
    )
    lake.add(lake.crash("a", product=None))
    otter, nameless = lake.reports.products(WEEK.start, WEEK.end)
    assert (otter.product, otter.reports, otter.signatures, otter.empty, otter.null) == ("Otter", 4, 2, 1, 1)
    assert otter.versions[0] == "1.0"
    assert (nameless.product, nameless.reports) == (None, 1)
    assert otter.newest == NOW - timedelta(days=1)


def test_comments_are_those_that_somebody_wrote(lake: Lake) -> None:
    lake.add(lake.crash("a", user_comments="why"), lake.crash("a", user_comments=""), lake.crash("a"))
    assert [c.text for c in lake.reports.comments(WEEK, 10)] == ["why"]


def test_made_up_crash_ids_are_of_their_day() -> None:
    assert crash_id(NOW, random.Random(1)).endswith("0261126")


def test_a_crash_of_long_ago_is_a_crash(lake: Lake) -> None:
    lake.add(lake.crash("a", 500))
    assert lake.reports.any()
    assert lake.reports.totals(WEEK).reports == 0


def test_installations_are_told_apart_by_client_id_else_by_install_time(lake: Lake) -> None:
    clients = ("a", "a", "b", None, None, None)
    times = (1, 2, 3, 3, 3, None)
    lake.add(*(lake.crash("s", client_guid=c, install_time=t) for c, t in zip(clients, times, strict=True)))
    assert lake.reports.totals(WEEK).installs == lake.reports.ranking(WEEK, 1).rows[0].installs == 3


def test_the_betas_of_a_version_are_found_however_they_are_written(lake: Lake) -> None:
    for version in ("4.0b1", "4.0-beta.2", "4.0-rc.1", "4.0", "3.9"):
        lake.add(lake.crash("s", version=version))

    def found(*versions: str) -> set[str | None]:
        selection = msgspec.structs.replace(WEEK, versions=versions)
        return set(counts(lake.reports.breakdowns(selection, ["version"], 9)["version"]))

    assert found("4.0b") == {"4.0b1", "4.0-beta.2"}
    assert found("4.0b", "3.9") == {"4.0b1", "4.0-beta.2", "3.9"}
    assert found("4.0-rc.1") == {"4.0-rc.1"}
