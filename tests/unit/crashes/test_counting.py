"""Counts of crash reports are always those of the table `crashes`, whatever happened to a crash."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from missioncontrol.config import load_config
from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.index import CrashIndex, crash_row
from missioncontrol.crashes.report_sums import weight
from missioncontrol.errors import StorageError
from missioncontrol.lake.compaction import compact
from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.tables import lake_tables
from missioncontrol.services import Services

DAY = date(2026, 11, 20)
TARGET = 64 * 1024 * 1024


class Counted:
    """A lake of crashes with the counts of them."""

    def __init__(self, folder: Path, registry: str = "") -> None:
        folder.mkdir(exist_ok=True)
        if registry:
            (folder / "registry.toml").write_text(registry)
        self.services = Services(load_config(folder, environ={}))
        self.index = CrashIndex(
            self.services.writer, self.services.registry(), uuid.uuid4().hex, self.services.crash_recounts
        )
        self._numbers: dict[str, int] = {}

    def add(self, crash: str, hour: int = 10, minute: int = 0, revision: int = 0, **other: Any) -> str:
        """Index a crash as a worker does; `crash` names it."""
        number = self._numbers.setdefault(crash, len(self._numbers))
        moment = datetime(DAY.year, DAY.month, DAY.day, hour, minute, tzinfo=UTC)
        document = {
            "uuid": f"{number:08x}-0000-4000-8000-000000{DAY:%y%m%d}",
            "date_processed": moment.isoformat(),
            "product": "Otter", "version": "4.0", "release_channel": "beta", "build": "7",
            "os_name": "Windows NT", "os_version": "10.0.19045", "cpu_arch": "amd64",
            "process_type": "parent", "signature": "otter::swim",
            "throttle_rate": 1.0, "processing_revision": revision, **other,
        }  # fmt: skip
        row = crash_row(document, load_fields([]), self.index.columns)
        self.index.add([row], moment)
        return str(document["uuid"])

    def count(self) -> None:
        self.services.crash_counts().run()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.services.engine.over("error_aggregates", sql)]

    def total(self, measure: str = "crash_reports") -> float:
        [(found,)] = self.rows(f"SELECT coalesce(sum({measure}), 0) FROM {{relation}}")
        return float(found)

    def signatures(self) -> dict[str, tuple[int, float]]:
        sql = "SELECT signature, sum(reports), sum(crashes) FROM {relation} GROUP BY 1"
        found = self.services.engine.over("crash_signature_counts", sql)
        return {signature: (int(reports), float(crashes)) for signature, reports, crashes in found}

    def files(self, table: str = "error_aggregates") -> list[str]:
        snapshot = self.services.reader.snapshot(table)
        return [f.path for f in snapshot.files] if snapshot else []

    def merge(self) -> None:
        """Compact every day, as `lake compact` does."""
        config = self.services.config
        for table in lake_tables(self.services.registry()).values():
            compact(config.lake_path, config.cache_path, table, TARGET, full=True)


@pytest.fixture
def lake(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "data")


def test_a_report_is_a_row_with_the_dimensions_of_pings(lake: Counted) -> None:
    lake.add("a", 10, 7, product="Firefox", release_channel="nightly-cck-x", startup_crash=True)
    lake.count()
    sql = (
        "SELECT epoch(window_start)::BIGINT, application, channel, version, build_id, os_name, os_version, "
        "architecture, country, crash_reports, main_crash_reports, startup_crash_reports, gpu_crash_reports, "
        "count, submission_date FROM {relation}"
    )
    window = int(datetime(2026, 11, 20, 10, 5, tzinfo=UTC).timestamp())
    assert lake.rows(sql) == [
        (window, "Firefox", "nightly", "4.0", "7", "Windows_NT", "10.0.19045", "x86-64", None,
         1.0, 1.0, 1.0, None, None, DAY)
    ]  # fmt: skip


def test_a_product_that_nobody_declared_is_counted_by_the_general_rules(lake: Counted) -> None:
    lake.add("a", product="Notes", release_channel="stable", process_type="renderer")
    lake.count()
    sql = "SELECT application, channel, os_name, crash_reports, content_crash_reports FROM {relation}"
    assert lake.rows(sql) == [("Notes", "Other", "Windows", 1.0, 1.0)]


def test_a_throttled_report_stands_for_many(lake: Counted) -> None:
    for number in range(3):
        lake.add(f"a{number}", throttle_rate=0.1)
    lake.add("b", throttle_rate=1.0, process_type="gpu", signature="otter::dive")
    lake.add("c", throttle_rate=None, signature=None)
    lake.count()
    assert (lake.total(), lake.total("gpu_crash_reports")) == (32.0, 1.0)
    assert lake.signatures() == {"otter::swim": (3, 30.0), "otter::dive": (1, 1.0), None: (1, 1.0)}


@pytest.mark.parametrize(
    ("rate", "crashes"),
    [(1.0, 1.0), (0.1, 10.0), (0.01, 100.0), (0.5, 2.0), (0.07, 14.285714149475098),
     (None, 1.0), (0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)],
)  # fmt: skip
def test_the_weight_of_a_report(rate: float | None, crashes: float) -> None:
    assert weight(rate) == crashes


def test_sums_of_weights_do_not_depend_on_their_order() -> None:
    weights = [weight(percent / 100) for percent in range(1, 101)] * 50
    assert sum(weights) == sum(reversed(weights)) == sum(sorted(weights))


def test_a_crash_processed_again_counts_once_under_its_new_signature(lake: Counted) -> None:
    lake.add("a", signature="old")
    lake.add("b", signature="old")
    lake.count()
    lake.add("a", revision=1, signature="new")
    assert lake.signatures() == {"old": (2, 2.0)}  # not counted yet, and not counted twice
    lake.count()
    assert lake.total() == 2
    assert lake.signatures() == {"old": (1, 1.0), "new": (1, 1.0)}


def test_a_crash_that_two_workers_handed_in_counts_once(lake: Counted) -> None:
    lake.add("a")
    lake.add("a", revision=1)
    lake.add("a", revision=1)
    lake.count()
    # Two rows of one revision are what a worker leaves that dies after its commit: `crashes` shows both.
    crashes = lake.services.engine.over_crashes("SELECT count(*) FROM {crashes}")
    assert lake.total() == crashes[0][0]


def test_a_deleted_crash_is_counted_no_more(lake: Counted) -> None:
    gone = lake.add("a", throttle_rate=0.1)
    lake.add("b")
    lake.count()
    assert lake.total() == 11
    lake.index.delete([gone], datetime.now(UTC))
    lake.count()
    assert lake.total() == 1
    lake.index.delete([lake.add("b", revision=1)], datetime.now(UTC))
    lake.count()
    assert (lake.total(), lake.signatures()) == (0, {})


def test_counting_twice_changes_nothing(lake: Counted) -> None:
    lake.add("a")
    lake.add("b", hour=23, minute=59)
    lake.count()
    before = sorted(lake.files())
    lake.count()
    assert sorted(lake.files()) == before  # nothing was marked
    lake.services.crash_counts().count_again([DAY])
    assert lake.total() == 2
    assert {kind_of(path) for path in lake.files()} == {"reports"}


def test_a_file_that_holds_several_hours_is_replaced_as_a_whole(lake: Counted) -> None:
    for hour in (1, 2, 9):
        lake.add(f"a{hour}", hour=hour)
    lake.count()
    assert len(lake.files()) == 3
    lake.merge()
    assert len(lake.files()) == 1 and kind_of(lake.files()[0]) == "reports"
    lake.add("b", hour=5)
    lake.count()
    assert (lake.total(), len(lake.files())) == (4, 4)


def test_files_of_an_unfinished_day_are_not_merged(lake: Counted) -> None:
    for hour in range(12):
        lake.add(f"a{hour}", hour=hour)
    lake.count()
    config = lake.services.config
    during = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp() * 1e9
    table = lake_tables(lake.services.registry())["error_aggregates"]
    assert compact(config.lake_path, config.cache_path, table, TARGET, clock=lambda: int(during)) == []


def test_a_mark_that_is_set_while_it_is_counted_stays(lake: Counted) -> None:
    recounts = lake.services.crash_recounts
    recounts.mark([(DAY, 3)])
    seen = recounts.marked()
    recounts.mark([(DAY, 3)])
    recounts.counted(seen)
    assert [(m.day, m.hour) for m in recounts.marked()] == [(DAY, 3)]
    recounts.counted(recounts.marked())
    assert not recounts.any_marked()


def test_a_day_that_is_being_rewritten_waits(lake: Counted) -> None:
    lake.add("a")
    with rewriting(lake.services.config.lake_path, "error_aggregates", DAY.isoformat()) as alone:
        assert alone
        lake.count()
        assert lake.total() == 0 and lake.services.crash_recounts.any_marked()
    lake.count()
    assert lake.total() == 1 and not lake.services.crash_recounts.any_marked()


def test_days_whose_crashes_have_left_keep_their_counts(tmp_path: Path) -> None:
    lake = Counted(tmp_path / "data")
    lake.add("a", throttle_rate=0.1)
    lake.count()
    services = Services(load_config(tmp_path / "data", environ={"MC_RETENTION__CRASHES": "3"}))
    services.expire(as_of=DAY + timedelta(days=10))
    assert lake.services.engine.over_crashes("SELECT count(*) FROM {crashes}") == [(0,)]
    lake.add("a", revision=1)  # processed again: its raw crash was kept longer
    lake.count()
    lake.services.crash_counts().count_again([DAY])
    assert lake.total() == 10
    assert lake.services.crash_counts().days(DAY, DAY) == []
    assert not lake.services.crash_recounts.any_marked()


def test_a_day_that_cannot_be_counted_stops_no_other_and_no_deletion(lake: Counted) -> None:
    newer = DAY + timedelta(days=1)
    lake.add("one")
    lake.add(
        "two", uuid=f"00000000-0000-4000-8000-000001{newer:%y%m%d}", date_processed=f"{newer}T10:00:00+00:00"
    )
    [broken] = (lake.services.config.lake_path / "crashes").glob(f"*={newer}/*.parquet")
    content = broken.read_bytes()
    broken.write_bytes(b"no Parquet")
    with pytest.raises(StorageError, match=str(newer)):
        lake.count()
    assert lake.total() == 1

    lake.services.crash_deletion().delete([lake.add("one")], "somebody")
    assert lake.total() == 0
    broken.write_bytes(content)
    lake.count()
    assert lake.total() == 1
    assert not lake.services.crash_recounts.any_marked()


def test_a_failed_second_commit_is_made_good(lake: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    from missioncontrol.crashes import counts
    from missioncontrol.errors import StorageError

    lake.add("a")
    real = counts.swap

    def fails(lake_path: Path, table: str, *rest: Any, **named: Any) -> bool:
        return table != "crash_signature_counts" and real(lake_path, table, *rest, **named)

    monkeypatch.setattr(counts, "swap", fails)
    with pytest.raises(StorageError) as refused:
        lake.count()
    assert refused.value.code == "lake_conflict"
    monkeypatch.undo()
    assert (lake.total(), lake.signatures()) == (1, {})
    lake.count()
    assert (lake.total(), lake.signatures()) == (1, {"otter::swim": (1, 1.0)})


DECLARED = """
[measure.plugin_crash_reports]
from = "crash_report"
where = [{ path = "process_type", equals = "plugin" }, { path = "fields.tier", equals = "paid" }]

[dimension.crash_reason]
title = "Reason"
from.crash_report = "reason"
"""


def test_own_measures_and_dimensions_are_counted_for_the_past_too(tmp_path: Path) -> None:
    Counted(tmp_path / "data").add("a", process_type="plugin", reason="SIGSEGV")
    lake = Counted(tmp_path / "data", DECLARED)
    fields = load_fields([])
    row = crash_row(
        {"uuid": f"000000ff-0000-4000-8000-000000{DAY:%y%m%d}", "process_type": "plugin", "reason": "SIGBUS"},
        fields,
        lake.index.columns,
    )
    row["fields"].append(("tier", "paid"))
    lake.index.add([row], datetime.now(UTC))
    lake.count()
    sql = "SELECT crash_reason, crash_reports, plugin_crash_reports FROM {relation} ORDER BY 1"
    assert lake.rows(sql) == [("SIGBUS", 1.0, 1.0), ("SIGSEGV", 1.0, None)]


CRASH = st.sampled_from("abcde")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("process"), CRASH, st.sampled_from(("s", "t", "u"))),
        st.tuples(st.sampled_from(("delete", "count", "merge")), CRASH, st.just("")),
    ),
    max_size=14,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_the_sums_are_those_of_the_crashes(
    steps: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Counted(tmp_path_factory.mktemp("steps") / "data")
    revisions: dict[str, int] = {}
    ids: dict[str, str] = {}
    for step, crash, signature in steps:
        if step == "process":
            rate = 0.1 if crash in "ab" else 1.0
            revision = revisions.get(crash, -1) + 1
            hour = "abcde".index(crash) * 3
            ids[crash] = lake.add(crash, hour, revision=revision, signature=signature, throttle_rate=rate)
            revisions[crash] = revision
        elif step == "delete" and crash in ids:
            lake.index.delete([ids[crash]], datetime.now(UTC))
        elif step == "merge":
            lake.merge()
        elif step == "count":
            lake.count()
    lake.count()
    sql = "SELECT signature, count(*), sum(1 / throttle_rate) FROM {crashes} GROUP BY 1"
    truth = {s: (n, c) for s, n, c in lake.services.engine.over_crashes(sql)}
    assert lake.signatures() == truth
    assert lake.total() == sum(c for _, c in truth.values())
