"""Days that are older than a table keeps leave it, nothing else does, and a wrong clock takes nothing away."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support import disk
from tests.support.lake import in_a_folder

from missioncontrol.config import Retention
from missioncontrol.crashes.retention import PARTS
from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.lake.calendar_guard import doubt
from missioncontrol.lake.compaction import compact
from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.retention import Expired, clock_doubt, expire
from missioncontrol.lake.rollup import refresh_rollups
from missioncontrol.lake.seal import seal
from missioncontrol.lake.tables import SHAPES
from missioncontrol.lake.vacuum import vacuum

TABLE = "error_aggregates"
MB = 1024 * 1024
TODAY = date(2026, 3, 1)


def clock(day: date = TODAY):
    return lambda: int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 10**9


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def aggregates(lake, *days: date, rows: int = 2) -> None:
    for day in days:
        window = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
        data = pa.table(
            {
                "window_start": pa.array([window] * rows, pa.timestamp("us", tz="UTC")),
                "submission_date": [day] * rows,
                "channel": [str(n) for n in range(rows)],
                "count": [1] * rows,
            }
        )
        lake.writer.append(TABLE, data, "stream", lake.writer.committed(TABLE, "stream") + 1)


def pings(lake, day: date, *discarded: str | None) -> None:
    number = lake.writer.committed("pings", "stream") + 1
    data = pa.table(
        {
            "submission_date": [day] * len(discarded),
            "doc_type": ["main"] * len(discarded),
            "document_id": [f"{number}-{n}" for n in range(len(discarded))],
            "body": pa.array([b"{}"] * len(discarded), pa.binary()),
            "discarded": pa.array(discarded, pa.string()),
        }
    )
    lake.writer.append("pings", data, "stream", number)


def days_of(lake, table: str = TABLE) -> Counter[str]:
    rows = lake.rows(table)
    return Counter(rows["submission_date"].to_pylist()) if rows.num_rows else Counter()


def run(lake, clock_=None, **settings: int) -> list[Expired]:
    return expire(lake.place, lake.cache, Retention(**settings), clock_ or clock())


def test_days_that_are_older_leave_and_the_others_stay(lake):
    aggregates(lake, ago(31), ago(30), ago(29), TODAY, TODAY + timedelta(days=1))
    gone = run(lake, error_aggregates=30)
    assert gone == [Expired(TABLE, 30, ago(30), 1, 2, gone[0].size_bytes)]
    assert gone[0].size_bytes > 0
    assert set(days_of(lake)) == {str(d) for d in (ago(30), ago(29), TODAY, TODAY + timedelta(days=1))}
    assert run(lake, error_aggregates=30) == []


def test_by_default_only_discarded_pings_go(lake):
    aggregates(lake, ago(2000), TODAY)
    pings(lake, ago(2000), None, "build_age", None)
    (gone,) = run(lake)
    assert (gone.table, gone.days, gone.rows) == ("pings_discarded", 30, 1)
    assert days_of(lake) == {str(ago(2000)): 2, str(TODAY): 2}
    assert lake.rows("pings")["discarded"].to_pylist() == [None, None]


def test_a_dry_run_says_the_same_and_changes_nothing(lake):
    aggregates(lake, ago(31), TODAY)
    before = lake.named()
    settings = Retention(error_aggregates=30)
    planned = expire(lake.place, lake.cache, settings, clock(), dry_run=True)
    assert lake.named() == before
    assert expire(lake.place, lake.cache, settings, clock()) == planned


@in_a_folder
def test_readers_keep_their_files_until_vacuum_and_rollups_go_with_them(lake):
    aggregates(lake, ago(31), TODAY)
    table = lake.tables[TABLE]
    refresh_rollups(lake.place, lake.cache, table, min_rows=1)
    held = lake.reader.snapshot(TABLE)
    run(lake, error_aggregates=30)
    assert sum(pq.read_metadata(f.path).num_rows for f in held.files) == 4
    later = lambda: time.time_ns() + 120 * 10**9  # noqa: E731
    assert vacuum(lake.place, lake.cache, TABLE, 60, later).files == 1
    assert refresh_rollups(lake.place, lake.cache, table, min_rows=1).removed == 1
    assert lake.on_disk() == lake.named()


def test_discarded_pings_leave_files_of_their_own_and_mixed_ones(lake):
    pings(lake, ago(40), None, "build_age", None)
    pings(lake, ago(41), "build_age", "not_json")
    pings(lake, ago(3), None, "build_age")
    pings(lake, ago(50), None, "not_json")
    pings(lake, ago(60), None)
    seal(lake.place, lake.cache, 128 * MB, full=True)
    pings(lake, ago(40), None, "build_age")
    pings(lake, ago(42), "build_age")
    pings(lake, TODAY, None)
    untouched = {p for p in lake.named("pings") if kind_of(p) == "sealed"}
    (gone,) = run(lake, pings_discarded=30)
    assert (gone.table, gone.rows, gone.files) == ("pings_discarded", 6, 5)
    left = Counter((r["submission_date"], r["discarded"] is not None) for r in lake.rows("pings").to_pylist())
    expected = {str(ago(40)): 3, str(ago(50)): 1, str(ago(60)): 1, str(TODAY): 1}
    assert left == {
        **{(d, False): n for d, n in expected.items()},
        (str(ago(3)), False): 1,
        (str(ago(3)), True): 1,
    }
    assert untouched <= lake.named("pings"), "sealed files of counted pings are not rewritten"
    assert run(lake, pings_discarded=30) == []


def test_pings_go_as_a_whole_when_they_are_kept_for_less_time_than_discarded_ones(lake):
    pings(lake, ago(20), None, "build_age")
    pings(lake, TODAY, None)
    gone = run(lake, pings=10, pings_discarded=30)
    assert [(g.table, g.rows) for g in gone] == [("pings", 2)]


def test_one_table_s_days_do_not_touch_another_s(lake):
    aggregates(lake, ago(40), TODAY)
    pings(lake, ago(40), None)
    assert [g.table for g in run(lake, pings=30)] == ["pings"]
    assert len(days_of(lake)) == 2


def test_a_file_of_several_rows_groups_loses_only_its_discarded_rows(lake, monkeypatch):
    monkeypatch.setattr("missioncontrol.lake.parquet.group_rows", lambda rows: 3)
    pings(lake, ago(40), *(["build_age", "x", "y"] + [None, "z"] * 6))
    pings(lake, TODAY, None)
    run(lake, pings_discarded=30)
    assert days_of(lake, "pings")[str(ago(40))] == 6


# The clock.


def test_a_clock_far_ahead_of_the_newest_rows_takes_nothing_away(lake):
    aggregates(lake, ago(40), TODAY)
    for ahead in (8, 400, 40_000):
        with pytest.raises(StorageError) as refused:
            run(lake, clock(TODAY + timedelta(days=ahead)), error_aggregates=30)
        assert refused.value.code == "retention_clock"
        assert str(TODAY) in refused.value.message
    assert len(days_of(lake)) == 2
    assert clock_doubt(lake.place, lake.cache, clock(TODAY + timedelta(days=8)))
    assert clock_doubt(lake.place, lake.cache, clock()) == ""
    assert len(run(lake, clock(TODAY + timedelta(days=7)), error_aggregates=30)) == 1


def test_a_clock_that_jumps_while_pings_go_on_is_believed_only_after_days(lake):
    aggregates(lake, ago(1), TODAY)
    assert run(lake, error_aggregates=30) == []
    for day in (0, 1):
        jumped = TODAY + timedelta(days=365 + day)
        aggregates(lake, jumped)
        for _ in range(3):
            with pytest.raises(StorageError):
                run(lake, clock(jumped), error_aggregates=30)
    assert len(days_of(lake)) == 4
    aggregates(lake, TODAY + timedelta(days=367))
    assert len(run(lake, clock(TODAY + timedelta(days=367)), error_aggregates=30)) == 1


def test_a_clock_that_jumped_and_came_back_is_believed_again(tmp_path):
    assert doubt(tmp_path, TODAY, TODAY) == ""
    far = TODAY + timedelta(days=100)
    assert doubt(tmp_path, far, far)
    assert doubt(tmp_path, TODAY, TODAY + timedelta(days=1)) == ""
    assert doubt(tmp_path, TODAY, ago(300)) == "", "a clock that is behind takes nothing away"
    assert doubt(tmp_path, None, far), "though the lake be empty"


def test_nothing_to_remove_is_no_trouble_whatever_the_clock_says(lake):
    aggregates(lake, TODAY)
    assert run(lake, clock(TODAY + timedelta(days=4000))) == []


def test_a_day_that_is_named_is_taken_as_it_is(lake):
    aggregates(lake, ago(40), TODAY)
    far = TODAY + timedelta(days=300)
    gone = expire(lake.place, lake.cache, Retention(error_aggregates=30), clock(), as_of=far)
    assert gone[0].rows == 4


def test_a_broken_memory_of_days_is_as_good_as_none(lake):
    lake.cache.mkdir(exist_ok=True)
    (lake.cache / "retention-day.json").write_bytes(b"{broken")
    aggregates(lake, ago(40), TODAY)
    assert len(run(lake, error_aggregates=30)) == 1


# Others at the same time.


def test_beside_compaction_no_row_comes_back_and_none_is_lost(lake):
    for n in range(24):
        aggregates(lake, ago(40 + n % 2), ago(n % 3))
    expected = {str(ago(n)) for n in range(3)}
    stop = threading.Event()

    def merge() -> None:
        while not stop.is_set():
            compact(lake.place, lake.cache, lake.tables[TABLE], 128 * MB, clock(), full=True)
            aggregates(lake, ago(0))

    merging = threading.Thread(target=merge)
    merging.start()
    try:
        gone = run(lake, error_aggregates=30)
    finally:
        stop.set()
        merging.join()
    assert [g.table for g in gone] == [TABLE]
    compact(lake.place, lake.cache, lake.tables[TABLE], 128 * MB, clock(), full=True)
    assert set(days_of(lake)) == expected
    counts = Counter()
    for row in lake.rows().to_pylist():
        counts[row["submission_date"]] += row["count"]
    assert counts[str(ago(1))] == counts[str(ago(2))] == 16


def test_the_loser_against_a_merge_of_the_same_files_looks_again(lake, monkeypatch):
    aggregates(lake, ago(40), ago(40), TODAY)
    from missioncontrol.lake import retention

    swap, merged = retention.swap, []

    def after_a_merge(*args, **more):
        if not merged:
            merged.extend(compact(lake.place, lake.cache, lake.tables[TABLE], 128 * MB, clock(), full=True))
        return swap(*args, **more)

    monkeypatch.setattr(retention, "swap", after_a_merge)
    (gone,) = run(lake, error_aggregates=30)
    assert (len(merged), gone.files) == (1, 1)
    assert set(days_of(lake)) == {str(TODAY)}


def test_one_table_s_trouble_is_only_its_own(lake):
    aggregates(lake, ago(40), TODAY)
    (lake.root / "discards" / "_delta_log" / f"{0:020}.json").write_text("broken")
    with pytest.raises(StorageError):
        expire(lake.place, lake.cache, Retention(error_aggregates=30), as_of=TODAY)
    assert set(days_of(lake)) == {str(TODAY)}


def test_every_table_has_a_setting():
    settings = {f.name for f in msgspec.structs.fields(Retention)}
    assert settings == {*SHAPES, "pings_discarded", *PARTS} - {"crash_revisions"}, (
        "those stay with their rows"
    )


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB; needs the right to mount."""
    with disk.small_disk(tmp_path / "disk", 4) as folder:
        yield folder


def test_a_full_disk_is_freed_when_a_commit_still_fits_and_told_when_not(small_disk, lake):
    from missioncontrol.lake.writer import LakeWriter

    path, cache = small_disk / "lake", small_disk / "cache"
    writer = LakeWriter(path)
    writer.ensure(lake.registry)
    import os
    import random

    random.seed(1)
    for version, day in enumerate((ago(40), TODAY), 1):
        body = random.randbytes(1_000_000)
        rows = pa.table(
            {"submission_date": [day], "doc_type": ["main"], "body": pa.array([body], pa.binary())}
        )
        writer.append("pings", rows, "stream", version)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    with pytest.raises(StorageFull):
        expire(path, cache, Retention(pings=30), clock())
    os.truncate(filler, filler.stat().st_size - 64 * 1024)
    (gone,) = expire(path, cache, Retention(pings=30), clock())
    assert gone.rows == 1
    later = lambda: time.time_ns() + 3600 * 10**9  # noqa: E731
    assert vacuum(path, cache, "pings", 60, later).size_bytes > 1_000_000


def test_a_removal_that_lost_to_a_merge_of_other_files_is_not_taken_for_made(lake, monkeypatch):
    aggregates(lake, ago(40), TODAY, TODAY)
    from missioncontrol.lake import swap

    write, merged = swap.write_actions, []

    def after_another(*args):
        if not merged:
            merged.append(None)
            merged.extend(compact(lake.place, lake.cache, lake.tables[TABLE], 128 * MB, clock(), full=True))
        write(*args)

    monkeypatch.setattr(swap, "write_actions", after_another)
    (gone,) = run(lake, error_aggregates=30)
    assert (gone.rows, merged[1].committed) == (2, True)
    assert set(days_of(lake)) == {str(TODAY)}
