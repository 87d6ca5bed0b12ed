"""A snapshot is the newest committed state, whatever went on since the one before."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pyarrow as pa

from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.writer import LakeWriter

TABLE = "error_aggregates"


def test_there_is_no_snapshot_of_a_table_that_does_not_exist_yet(tmp_path, registry_of):
    reader = LakeReader(tmp_path / "lake", tmp_path / "cache")
    assert reader.snapshot(TABLE) is None
    (tmp_path / "lake" / TABLE / "_delta_log").mkdir(parents=True)
    assert reader.snapshot(TABLE) is None
    LakeWriter(tmp_path / "lake").ensure(registry_of())
    assert reader.snapshot(TABLE).files == ()


def test_every_commit_is_in_the_next_snapshot(lake, rows_of):
    for n in range(1, 6):
        lake.writer.append(TABLE, rows_of(("release", n, None)), "stream", n)
        snapshot = lake.reader.snapshot(TABLE)
        assert sum(f.rows for f in snapshot.files) == n
        assert lake.reader.snapshot(TABLE) is snapshot


def test_a_file_reference_says_where_how_large_and_from_when_to_when(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, None), minute=5), "stream", 1)
    (file,) = lake.reader.snapshot(TABLE).files
    assert file.partition == (("submission_date", "2026-01-01"),)
    assert file.size_bytes == os.stat(file.path).st_size  # noqa: PTH116
    assert file.first_window == file.last_window == datetime(2026, 1, 1, 10, 5, tzinfo=UTC)


def test_files_without_a_window_are_known_by_their_arrival(lake):
    arrivals = [datetime(2026, 1, 1, 3, 0, 0, 7, tzinfo=UTC), datetime(2026, 1, 1, 4, tzinfo=UTC)]
    usage = pa.table(
        {
            "arrival": pa.array(arrivals, pa.timestamp("us", tz="UTC")),
            "submission_date": [date(2026, 1, 1)] * 2,
            "activity_length_s": [1800, 1800],
            "usage_hours": [1.0, 2.0],
        }
    )
    lake.writer.append("usage_by_activity", usage, "stream", 1)
    (file,) = lake.reader.snapshot("usage_by_activity").files
    assert [file.first_window, file.last_window] == arrivals


def test_new_columns_are_in_the_next_snapshot(lake, registry_of):
    lake.reader.snapshot(TABLE)
    lake.writer.ensure(registry_of("2", gc_pauses="int64"))
    assert ("gc_pauses", "int64") in [(c.name, c.type) for c in lake.reader.snapshot(TABLE).columns]


def test_a_reader_that_slept_through_a_cleaning_of_the_log_catches_up(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", 1)
    assert len(lake.reader.snapshot(TABLE).files) == 1
    log = lake.root / TABLE / "_delta_log"
    for version in range(2, 121):
        lake.writer.commit(TABLE, [], "stream", version)
        if version == 60:
            for file in log.iterdir():
                os.utime(file, (time.time() - 600,) * 2)
    assert not (log / f"{2:020}.json").exists()
    lake.writer.append(TABLE, rows_of(("beta", 1, None)), "stream", 121)
    assert sorted(lake.rows()["channel"].to_pylist()) == ["beta", "release"]
    assert lake.writer.committed(TABLE, "stream") == 121


def test_a_table_that_is_made_anew_is_noticed(lake, registry_of, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", 1)
    assert len(lake.reader.snapshot(TABLE).files) == 1
    shutil.rmtree(lake.root / TABLE)
    assert lake.reader.snapshot(TABLE) is None
    LakeWriter(lake.place).ensure(registry_of())
    assert lake.reader.snapshot(TABLE).files == ()


def test_threads_that_share_a_reader_never_see_an_older_state_than_before(lake, rows_of):
    def watch(_):
        seen = []
        while not seen or seen[-1] < 15:
            seen.append(sum(f.rows for f in lake.reader.snapshot(TABLE).files))
        return seen

    with ThreadPoolExecutor(4) as pool:
        watching = pool.map(watch, range(3))
        for n in range(1, 16):
            lake.writer.append(TABLE, rows_of(("release", n, None)), "stream", n)
        for seen in watching:
            assert seen == sorted(seen)


def test_the_last_transaction_of_each_application_is_that_of_the_table_now(lake, rows_of):
    assert lake.reader.committed(TABLE, ["a", "b"]) == [0, 0]
    lake.writer.commit(TABLE, [], "a", 7)
    assert lake.reader.committed(TABLE, ["a", "b"]) == [7, 0]
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "b", 3)
    lake.writer.commit(TABLE, [], "a", 9)
    assert lake.reader.committed(TABLE, ["b", "a"]) == [3, 9]
    assert lake.reader.committed("unheard_of", ["a"]) == [0]
