"""Care of the lake: rollups are true, vacuum deletes only what nobody can need, one table's trouble is only its own."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.lake import in_a_folder

from missioncontrol.config import Lake as LakeSettings
from missioncontrol.errors import StorageError
from missioncontrol.lake.care import LakeCare, compact_now, table_facts, vacuum_now
from missioncontrol.lake.locks import caring
from missioncontrol.lake.rollup import refresh_rollups
from missioncontrol.lake.vacuum import vacuum

TABLE = "error_aggregates"


def in_s(seconds: float):
    return lambda: time.time_ns() + int(seconds * 1e9)


def append(lake, rows_of, times=8):
    first = lake.writer.committed(TABLE, "stream")
    for n in range(first + 1, first + times + 1):
        countries = pa.array([str(n % 4)] * 2)
        rows = rows_of(("release", n, 0.5), (None, 1, None)).append_column("country", countries)
        lake.writer.append(TABLE, rows, "stream", n)


def totals(rows: pa.Table) -> list[tuple]:
    grouped = rows.group_by(["channel"]).aggregate([("count", "sum"), ("usage_hours", "sum")])
    return sorted((tuple(r.values()) for r in grouped.to_pylist()), key=str)


def test_a_rollup_holds_the_sums_of_its_base_file_without_the_other_dimensions(lake, rows_of):
    append(lake, rows_of)
    compact_now(lake.place, lake.cache, lake.registry, LakeSettings())
    (file,) = lake.reader.snapshot(TABLE).files
    assert file.rows == 8
    assert refresh_rollups(lake.place, lake.cache, lake.tables[TABLE], min_rows=1).made == 1
    path = lake.reader.rollup(file)
    assert Path(path).name == Path(file.path).name
    rows = pq.ParquetFile(path).read()
    assert set(rows.column_names) == {"window_start", "channel", "os_name", "count", "usage_hours"}
    assert rows.num_rows == 2
    assert totals(rows) == totals(pq.ParquetFile(file.path).read())
    assert rows["channel"].to_pylist() == ["release", None]


def test_a_rollup_of_many_row_groups_is_the_rollup_of_all(lake, rows_of, monkeypatch):
    monkeypatch.setattr("missioncontrol.lake.parquet._GROUP_ROWS", 3)
    rows = rows_of(*[("release", n, n / 8) for n in range(10)])
    lake.writer.append(TABLE, rows, "stream", 1)
    refresh_rollups(lake.place, lake.cache, lake.tables[TABLE], min_rows=1)
    (file,) = lake.reader.snapshot(TABLE).files
    assert pq.read_metadata(file.path).num_row_groups == 4
    rolled = pq.ParquetFile(lake.reader.rollup(file)).read()
    assert (rolled["count"].to_pylist(), rolled["usage_hours"].to_pylist()) == ([45], [45 / 8])


def test_small_files_get_no_rollup_and_no_rollup_is_made_twice(lake, rows_of):
    append(lake, rows_of, times=1)
    assert refresh_rollups(lake.place, lake.cache, lake.tables[TABLE]).made == 0
    (file,) = lake.reader.snapshot(TABLE).files
    assert lake.reader.rollup(file) is None
    assert refresh_rollups(lake.place, lake.cache, lake.tables[TABLE], min_rows=1).made == 1
    assert refresh_rollups(lake.place, lake.cache, lake.tables[TABLE], min_rows=1).made == 0


def test_a_deleted_rollup_is_made_again(lake, rows_of):
    append(lake, rows_of, times=1)
    refresh_rollups(lake.place, lake.cache, lake.tables[TABLE], min_rows=1)
    (file,) = lake.reader.snapshot(TABLE).files
    path = Path(lake.reader.rollup(file))
    path.unlink()
    assert lake.reader.rollup(file) is None
    refresh_rollups(lake.place, lake.cache, lake.tables[TABLE], min_rows=1)
    assert lake.reader.rollup(file) == str(path)


@in_a_folder
def test_a_rollup_goes_when_its_base_file_is_gone_from_the_disk_and_not_before(lake, rows_of):
    append(lake, rows_of)
    table = lake.tables[TABLE]
    refresh_rollups(lake.place, lake.cache, table, min_rows=1)
    held = lake.reader.snapshot(TABLE).files
    compact_now(lake.place, lake.cache, lake.registry, LakeSettings())
    assert refresh_rollups(lake.place, lake.cache, table, min_rows=1).removed == 0
    assert all(lake.reader.rollup(f) for f in held)
    vacuum(lake.place, lake.cache, TABLE, 60, in_s(120))
    assert refresh_rollups(lake.place, lake.cache, table, min_rows=1).removed == 8
    assert not any(lake.reader.rollup(f) for f in held)


@in_a_folder
def test_removed_files_stay_for_the_configured_seconds_after_their_removal(lake, rows_of):
    append(lake, rows_of)
    old = time.time() - 86400
    for path in lake.on_disk():
        os.utime(path, (old, old))
    compact_now(lake.place, lake.cache, lake.registry, LakeSettings())
    assert vacuum(lake.place, lake.cache, TABLE, 60, in_s(55)).files == 0
    done = vacuum(lake.place, lake.cache, TABLE, 60, in_s(65))
    assert done.files == 8
    assert done.size_bytes > 0
    assert lake.on_disk() == lake.named()


@in_a_folder
def test_files_that_are_staged_stay_and_orphans_go(lake, rows_of):
    staged = lake.writer.stage(TABLE, rows_of(("release", 1, 1.0)))
    assert vacuum(lake.place, lake.cache, TABLE, 60, in_s(50)).files == 0
    assert vacuum(lake.place, lake.cache, TABLE, 0).files == 0, "a commit may be under way"
    assert lake.writer.commit(TABLE, staged, "stream", 1)
    lake.writer.stage(TABLE, rows_of(("release", 1, 1.0)))
    assert vacuum(lake.place, lake.cache, TABLE, 60, in_s(70)).files == 1
    assert lake.on_disk() == lake.named()
    assert lake.rows()["count"].to_pylist() == [1]


def test_what_is_named_is_never_deleted_however_old(lake, rows_of):
    append(lake, rows_of)
    assert vacuum(lake.place, lake.cache, TABLE, 0, in_s(10 * 365 * 86400)).files == 0


def test_vacuum_touches_nothing_where_there_is_no_readable_table(lake, rows_of, tmp_path):
    append(lake, rows_of, times=2)
    log = lake.root / TABLE / "_delta_log"
    log.rename(tmp_path / "elsewhere")
    before = lake.on_disk()
    assert vacuum(lake.place, lake.cache, TABLE, 0, in_s(86400)).files == 0
    assert len(before) == 2
    assert lake.on_disk() == before


@in_a_folder
def test_one_turn_compacts_makes_rollups_and_vacuums(lake, rows_of):
    append(lake, rows_of)
    care = LakeCare(lake.place, lake.cache, lambda: lake.registry, LakeSettings(vacuum_after_s=60), in_s(0))
    first = care.run_once()
    assert [(c.table, c.files) for c in first.compacted] == [(TABLE, 8)]
    assert (first.vacuumed, first.troubles) == ((), ())
    later = LakeCare(lake.place, lake.cache, lambda: lake.registry, LakeSettings(vacuum_after_s=60), in_s(90))
    second = later.run_once()
    assert second.compacted == ()
    assert [(v.table, v.files) for v in second.vacuumed] == [(TABLE, 8)]


def test_a_turn_reports_a_broken_table_and_cares_for_the_others(lake, rows_of):
    append(lake, rows_of)
    (lake.root / "discards" / "_delta_log" / f"{0:020}.json").write_text("broken")
    report = LakeCare(lake.place, lake.cache, lambda: lake.registry, LakeSettings()).run_once()
    assert {(t.table, t.code) for t in report.troubles} == {("discards", "lake_corrupt")}
    assert [c.table for c in report.compacted] == [TABLE]


def test_one_process_at_a_time_cares_for_a_lake(lake, rows_of):
    append(lake, rows_of)

    def care_until(done) -> None:
        care = LakeCare(lake.place, lake.cache, lambda: lake.registry, LakeSettings(compact_interval_s=0.01))
        stop = threading.Event()
        thread = threading.Thread(target=care.run, args=(stop,))
        thread.start()
        deadline = time.monotonic() + 20
        while not done() and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        thread.join(20)

    looked = iter(range(50))
    with caring(lake.place) as alone:
        assert alone
        care_until(lambda: next(looked, None) is None)
        assert len(lake.named()) == 8
    care_until(lambda: len(lake.named()) == 1)
    assert len(lake.named()) == 1


def test_the_loop_takes_turns_until_it_is_stopped(lake, rows_of):
    append(lake, rows_of)
    care = LakeCare(lake.place, lake.cache, lambda: lake.registry, LakeSettings(compact_interval_s=0.01))
    stop = threading.Event()
    thread = threading.Thread(target=care.run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while len(lake.named()) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join(20)
    assert len(lake.named()) == 1
    assert not thread.is_alive()


def test_a_broken_file_stops_only_the_merges_that_need_it(lake, rows_of):
    append(lake, rows_of)
    broken = min(lake.on_disk())
    Path(broken).write_bytes(b"PAR1 no parquet PAR1")
    for n in range(8):
        lake.writer.append(TABLE, rows_of(("beta", 1, 0.5), day=2), "other", n + 1)
        lake.writer.append(TABLE, rows_of(("beta", 1, 0.5), day=3), "third", n + 1)
    with pytest.raises(StorageError) as refused:
        compact_now(lake.place, lake.cache, lake.registry, LakeSettings())
    assert (refused.value.code, broken in refused.value.message) == ("lake_file", True)
    days = Counter(dict(f.partition)["submission_date"] for f in lake.reader.snapshot(TABLE).files)
    assert days == {"2026-01-01": 8, "2026-01-02": 1, "2026-01-03": 1}


def test_half_written_rollups_of_killed_processes_go_after_an_hour(lake, rows_of):
    folder = lake.cache / "rollup" / TABLE
    folder.mkdir(parents=True)
    for name, age_s in (("part-a.1.tmp", 4000), ("part-b.1.tmp", 100)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age_s,) * 2)
    refresh_rollups(lake.place, lake.cache, lake.tables[TABLE])
    assert [p.name for p in folder.iterdir()] == ["part-b.1.tmp"]


def test_a_turn_that_is_stopped_begins_no_further_merge(lake, rows_of):
    append(lake, rows_of)
    stop = threading.Event()
    stop.set()
    care = LakeCare(lake.place, lake.cache, lambda: lake.registry, LakeSettings())
    assert care.run_once(stop).compacted == ()
    assert len(lake.named()) == 8


def test_facts_of_the_tables(lake, rows_of):
    append(lake, rows_of, times=3)
    facts = {f.name: f for f in table_facts(lake.place, lake.cache)}
    assert set(facts) == set(lake.tables)
    aggregates = facts[TABLE]
    assert (aggregates.rows, aggregates.files, aggregates.version) == (6, 3, 3)
    assert aggregates.size_bytes == sum(os.stat(p).st_size for p in lake.on_disk())  # noqa: PTH116
    assert aggregates.first_window.hour == 10
    assert facts["discards"].first_window is None
    assert table_facts(lake.path / "nowhere", lake.cache) == []


def test_vacuum_now_covers_every_table(lake):
    assert {v.table for v in vacuum_now(lake.place, lake.cache, LakeSettings())} == set(lake.tables)


@in_a_folder
@pytest.mark.parametrize("name", ["_commit_abc.json.tmp", "00000000000000000007.json#1"])
def test_temporary_files_of_killed_writers_go_from_the_log(lake, name):
    leftover = lake.path / TABLE / "_delta_log" / name
    leftover.write_text("{}")
    assert vacuum(lake.place, lake.cache, TABLE, 60, in_s(1800)).files == 0
    assert vacuum(lake.place, lake.cache, TABLE, 60, in_s(7200)).files == 1
    assert not leftover.exists()
