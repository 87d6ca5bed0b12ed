"""What is committed is in the lake exactly once, whole, and readable by anything that reads Delta or Parquet."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, date, datetime
from multiprocessing import get_context

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.support.lake import in_a_folder

from missioncontrol.errors import ConfigError, StorageError
from missioncontrol.lake.place import uri
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.writer import LakeWriter

TABLE = "error_aggregates"


def test_a_committed_version_is_never_committed_again(lake, rows_of):
    assert lake.writer.append(TABLE, rows_of(("release", 1, 0.5)), "stream", 7)
    assert not lake.writer.append(TABLE, rows_of(("release", 1, 0.5)), "stream", 7)
    assert not lake.writer.append(TABLE, rows_of(("release", 1, 0.5)), "stream", 6)
    assert lake.writer.committed(TABLE, "stream") == 7
    assert lake.rows()["count"].to_pylist() == [1]


def test_a_skipped_commit_leaves_no_staged_file(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, 0.5)), "stream", 7)
    staged = lake.writer.stage(TABLE, rows_of(("beta", 2, 0.5)))
    assert not lake.writer.commit(TABLE, staged, "stream", 7)
    assert lake.on_disk() == lake.named()


def test_applications_are_independent(lake, rows_of):
    assert lake.writer.append(TABLE, rows_of(("release", 1, None)), "a", 5)
    assert lake.writer.append(TABLE, rows_of(("release", 2, None)), "b", 3)
    assert (lake.writer.committed(TABLE, "a"), lake.writer.committed(TABLE, "b")) == (5, 3)
    assert lake.writer.committed(TABLE, "c") == 0


def test_a_commit_without_files_still_records_the_transaction(lake):
    assert lake.writer.commit(TABLE, [], "stream", 9)
    assert LakeWriter(lake.place).committed(TABLE, "stream") == 9


def test_rows_are_split_by_partition_and_partition_columns_are_not_in_the_files(lake, rows_of):
    both = pa.concat_tables([rows_of(("release", 1, 1.0), day=1), rows_of(("release", 2, 1.0), day=2)])
    staged = lake.writer.stage(TABLE, both)
    assert sorted(f.partition for f in staged) == [
        (("submission_date", "2026-01-01"),),
        (("submission_date", "2026-01-02"),),
    ]
    for file in staged:
        assert file.path.startswith(f"submission_date={file.partition[0][1]}/part-")
        assert "submission_date" not in pq.read_schema(lake.path / TABLE / file.path).names


def test_a_file_is_sorted_and_has_statistics_of_its_windows(lake, rows_of):
    rows = pa.concat_tables(
        [rows_of((c, 1, 1.0), minute=m) for c, m in (("b", 5), (None, 0), ("a", 10), ("b", 0))]
    )
    lake.writer.append(TABLE, rows, "stream", 1)
    (file,) = lake.reader.snapshot(TABLE).files
    written = pq.read_table(file.path, partitioning=None)
    assert written["channel"].to_pylist() == ["a", "b", "b", None]
    assert [t.minute for t in written["window_start"].to_pylist()] == [10, 0, 5, 0]
    assert (file.rows, file.first_window.minute, file.last_window.minute) == (4, 0, 10)
    assert pq.read_metadata(file.path).row_group(0).column(0).statistics.has_min_max


def test_pings_keep_their_body_byte_for_byte_and_their_document_type_whatever_it_holds(lake):
    bodies = [os.urandom(50), b"", b"\x1f\x8b" + os.urandom(10)]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    pings = pa.table(
        {
            "submission_date": [date(2026, 1, 1)] * 3,
            "doc_type": ["main", "a b/../%41=", "main"],
            "received": pa.array([at] * 3, pa.timestamp("us", tz="UTC")),
            "received_ns": [3, 2, 1],
            "body": bodies,
        }
    )
    lake.writer.append("pings", pings, "stream", 1)
    rows = lake.opened("pings").to_pyarrow_table().sort_by("received_ns")
    assert rows["body"].to_pylist() == bodies[::-1]
    assert rows["doc_type"].to_pylist() == ["main", "a b/../%41=", "main"]
    assert {dict(f.partition)["doc_type"] for f in lake.reader.snapshot("pings").files} == {
        "main",
        "a b/../%41=",
    }
    assert lake.on_disk("pings") == lake.named("pings")


def test_deltalake_duckdb_and_plain_parquet_read_the_same_rows(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, 0.25), (None, None, None)), "stream", 1)
    lake.writer.append(TABLE, rows_of(("beta", 2, 0.5), day=2), "stream", 2)
    by_delta = lake.opened().to_pyarrow_table()
    assert by_delta.schema.field("submission_date").type == pa.date32()
    paths = sorted(lake.named())
    by_duckdb = duckdb.sql(
        f"select submission_date, channel, count, usage_hours from read_parquet({paths}, hive_partitioning = true)"
    ).fetchall()
    names = ["submission_date", "channel", "count", "usage_hours"]
    by_delta_rows = [tuple(r[n] for n in names) for r in by_delta.to_pylist()]
    by_parquet = [(r["channel"], r["count"]) for p in paths for r in pq.ParquetFile(p).read().to_pylist()]
    assert sorted(by_duckdb, key=str) == sorted(by_delta_rows, key=str)
    assert sorted(by_parquet, key=str) == sorted([(r[1], r[2]) for r in by_delta_rows], key=str)
    assert len(by_duckdb) == 3


def test_a_new_measure_becomes_a_column_and_a_forgotten_one_stays(lake, registry_of, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", 1)
    lake.writer.ensure(registry_of("2", gc_pauses="int64"))
    rows = rows_of(("release", 2, 1.0)).append_column("gc_pauses", pa.array([4], pa.int64()))
    lake.writer.append(TABLE, rows, "stream", 2)
    lake.writer.ensure(registry_of("3"))
    assert "gc_pauses" in {c.name for c in lake.reader.snapshot(TABLE).columns}
    read = lake.opened().to_pyarrow_table().sort_by("count")
    assert read["gc_pauses"].to_pylist() == [None, 4]


def test_a_writer_in_another_process_learns_of_a_new_column(lake, registry_of, rows_of):
    other = LakeWriter(lake.place)
    other.append(TABLE, rows_of(("release", 1, 1.0)), "other", 1)
    lake.writer.ensure(registry_of("2", gc_pauses="int64"))
    rows = rows_of(("release", 2, 1.0)).append_column("gc_pauses", pa.array([4], pa.int64()))
    assert other.append(TABLE, rows, "other", 2)


def test_ensure_commits_nothing_when_nothing_is_missing(lake, registry_of):
    versions = {name: lake.opened(name).version() for name in lake.tables}
    lake.writer.ensure(registry_of("1"))
    lake.writer.ensure(registry_of("2"))
    LakeWriter(lake.place).ensure(registry_of("1"))
    assert {name: lake.opened(name).version() for name in lake.tables} == versions


def test_writers_that_ensure_at_once_make_each_table_and_column_once(tmp_path, registry_of):
    registry = registry_of("1", extra="int64")
    barrier = threading.Barrier(4)

    def ensure(_):
        barrier.wait()
        LakeWriter(tmp_path / "lake").ensure(registry)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ensure, range(4)))
    names = [f.name for f in DeltaTable(tmp_path / "lake" / TABLE).schema().fields]
    assert names.count("extra") == 1


def test_a_column_that_changes_its_type_is_refused(lake, registry_of):
    with pytest.raises(ConfigError) as refused:
        lake.writer.ensure(registry_of("2", count="float64"))
    assert refused.value.code == "lake_column_type"
    assert "count" in refused.value.message


@pytest.mark.parametrize("column", [pa.array(["x"]), pa.array([1.5])])
def test_rows_that_do_not_fit_are_refused_and_leave_no_file(lake, rows_of, column):
    rows = rows_of(("release", 1, 1.0)).drop_columns(["count"]).append_column("count", column)
    with pytest.raises(StorageError) as refused:
        lake.writer.stage(TABLE, rows)
    assert refused.value.code == "lake_schema"
    assert lake.on_disk() == set()


def test_an_undeclared_column_is_refused(lake, rows_of):
    with pytest.raises(StorageError, match="no column nonsense"):
        lake.writer.stage(TABLE, rows_of(("release", 1, 1.0)).append_column("nonsense", pa.array([1])))


def _stage(path, rows):
    return pickle.dumps(LakeWriter(path).stage(TABLE, rows))


def test_worker_processes_stage_and_the_parent_commits(lake, rows_of):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        staged = pickle.loads(pool.submit(_stage, lake.place, rows_of(("release", 3, 1.5))).result())
    assert lake.reader.snapshot(TABLE).files == ()
    assert lake.writer.commit(TABLE, staged, "stream", 1)
    assert lake.rows()["count"].to_pylist() == [3]


def test_of_two_streams_that_commit_the_same_version_one_wins(lake, rows_of):
    writers = [LakeWriter(lake.place) for _ in range(4)]
    for version in range(1, 9):
        barrier = threading.Barrier(4)

        def append(writer, barrier=barrier, version=version):
            staged = writer.stage(TABLE, rows_of(("release", 1, None)))
            writer.committed(TABLE, "stream")
            barrier.wait()
            return writer.commit(TABLE, staged, "stream", version)

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(append, writers)) == [False, False, False, True]
    assert sum(lake.rows()["count"].to_pylist()) == 8
    assert lake.on_disk() == lake.named()


def test_a_second_stream_whose_batch_overlaps_is_refused(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", 5)
    staged = lake.writer.stage(TABLE, rows_of(("release", 1, None)))
    with pytest.raises(StorageError) as refused:
        lake.writer.commit(TABLE, staged, "stream", 8, after=3)
    assert refused.value.code == "lake_conflict"
    assert lake.writer.committed(TABLE, "stream") == 5
    assert lake.writer.commit(TABLE, staged, "stream", 8, after=5)
    assert not lake.writer.commit(
        TABLE, lake.writer.stage(TABLE, rows_of(("release", 1, None))), "stream", 8, after=5
    )


def test_a_commit_goes_through_while_another_process_adds_columns(lake, registry_of, rows_of):
    other = LakeWriter(lake.place)
    other.committed(TABLE, "stream")
    for n in range(3):
        lake.writer.ensure(registry_of(f"x{n}", **{f"m{n}": "int64"}))
        assert other.append(TABLE, rows_of(("release", 1, None)), "stream", n + 1)
    assert lake.rows()["count"].to_pylist() == [1, 1, 1]


def test_files_can_be_replaced_in_the_commit_that_adds_their_successors(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", 1)
    old = lake.reader.snapshot(TABLE).files
    staged = lake.writer.stage(TABLE, rows_of(("release", 5, None)))
    assert lake.writer.commit(TABLE, staged, "backfill", 1, removed=old)
    assert lake.rows()["count"].to_pylist() == [5]
    again = lake.writer.stage(TABLE, rows_of(("release", 6, None)))
    with pytest.raises(StorageError) as refused:
        lake.writer.commit(TABLE, again, "backfill", 2, removed=old)
    assert refused.value.code == "lake_conflict"
    assert lake.rows()["count"].to_pylist() == [5]


@in_a_folder
def test_a_staged_file_that_is_gone_is_never_committed(lake, rows_of):
    staged = lake.writer.stage(TABLE, rows_of(("release", 1, None)))
    (lake.path / TABLE / staged[0].path).unlink()
    with pytest.raises(StorageError) as refused:
        lake.writer.commit(TABLE, staged, "stream", 1)
    assert refused.value.code == "lake_staged_gone"
    assert lake.writer.committed(TABLE, "stream") == 0


def test_a_corrupt_table_is_an_error_that_names_its_path(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", 1)
    (lake.root / TABLE / "_delta_log" / f"{1:020}.json").write_text("{ no json")
    with pytest.raises(StorageError) as refused:
        LakeReader(lake.place, lake.cache).snapshot(TABLE)
    assert refused.value.code == "lake_corrupt"
    assert uri(lake.place, TABLE) in refused.value.message
    assert refused.value.hint
    with pytest.raises(StorageError):
        LakeWriter(lake.place).append(TABLE, rows_of(("release", 1, None)), "stream", 2)


def test_the_log_stays_short_and_transactions_survive_its_cleaning(lake, rows_of):
    log = lake.root / TABLE / "_delta_log"
    staged_once = lake.writer.append(TABLE, rows_of(("release", 1, None)), "batch", 42)
    assert staged_once
    for version in range(1, 301):
        lake.writer.commit(TABLE, [], "stream", version)
        if version % 60 == 0:
            old = time.time() - 600
            for file in log.iterdir():
                os.utime(file, (old, old))
    assert len(list(log.iterdir())) < 130
    fresh = LakeWriter(lake.place)
    assert (fresh.committed(TABLE, "stream"), fresh.committed(TABLE, "batch")) == (300, 42)
    assert lake.rows()["count"].to_pylist() == [1]


def test_a_commit_whose_checkpoint_fails_counts_as_made(lake, rows_of):
    # A folder where the pointer to the checkpoint goes: the commit succeeds, what follows it raises.
    (lake.root / TABLE / "_delta_log" / "_last_checkpoint" / "in the way").mkdir(parents=True)
    for version in range(1, 53):
        assert lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", version)
    assert lake.reader.snapshot(TABLE).version == 52
    assert lake.on_disk() == lake.named()
    assert sum(lake.rows()["count"].to_pylist()) == 52


@in_a_folder
def test_sync_flushes_the_data_of_every_commit_before_the_log_that_names_it(lake, rows_of, monkeypatch):
    flushed, fsync = [], os.fsync

    def record(descriptor):
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    for version in (1, 2):
        lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", version)
    assert flushed == []
    lake.writer.sync()
    log = lake.path / TABLE / "_delta_log"
    commits = {str(log / f"{version:020}.json") for version in (1, 2)}
    assert lake.named() | commits | {str(log), str(lake.path / TABLE / "submission_date=2026-01-01")} <= set(
        flushed
    )
    assert max(map(flushed.index, lake.named())) < min(map(flushed.index, commits))
    flushed.clear()
    lake.writer.sync()
    assert flushed == []


def test_descriptions_of_the_registry_are_in_the_table(lake):
    columns = {c.name: c.description for c in lake.reader.snapshot(TABLE).columns}
    assert columns["channel"] == "What channel is."
    assert columns["window_start"]


def _namespace_works() -> bool:
    unshare = shutil.which("unshare")
    return (
        bool(unshare)
        and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode == 0
    )


FULL = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    import pyarrow as pa
    from conftest import aggregate_rows, small_registry
    from missioncontrol.errors import StorageFull
    from missioncontrol.lake.snapshot import LakeReader
    from missioncontrol.lake.writer import LakeWriter

    root = Path(sys.argv[1])
    lake = root / "lake"
    writer = LakeWriter(lake)
    writer.ensure(small_registry())
    table = lake / "pings"

    def pings(n, size):
        day = aggregate_rows(("release", 1, None))["submission_date"][0].as_py()
        body = pa.array([os.urandom(size) for _ in range(n)], pa.binary())
        return pa.table({"submission_date": [day] * n, "doc_type": ["main"] * n, "body": body})

    def state():
        files = {str(p) for p in table.rglob("part-*")}
        snapshot = LakeReader(lake, root / "cache").snapshot("pings")
        assert files == {f.path for f in snapshot.files}, "a file is left that no commit names"
        return LakeWriter(lake).committed("pings", "stream"), sum(f.rows for f in snapshot.files)

    done = 0
    for version in range(1, 50):
        try:
            assert writer.append("pings", pings(1, 100_000), "stream", version)
            done = version
        except StorageFull as error:
            assert error.code == "lake_full"
            break
    else:
        raise SystemExit("the disk never filled up")
    assert state() == (done, done)

    # No room even for a commit that names no file: fill what is left by single bytes.
    staged = []
    with open(root / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            pass
    for version in range(done + 1, done + 200):
        try:
            writer.commit("pings", [], "stream", version)
            done = version
        except StorageFull as error:
            assert error.code == "lake_full"
            break
    else:
        raise SystemExit("commits never met the full disk")
    assert state()[0] == done
    assert not [p for p in (table / "_delta_log").iterdir() if "tmp" in p.name or "#" in p.name]

    (root / "ballast").unlink()
    assert writer.append("pings", pings(1, 1000), "stream", done + 1)
    assert state()[0] == done + 1
    print("ok")
""")


@pytest.mark.skipif(not _namespace_works(), reason="needs a mount namespace for a disk that is full")
def test_a_full_disk_leaves_no_partial_commit_and_no_files_and_goes_on_when_there_is_room(tmp_path):
    here = os.path.dirname(__file__)  # noqa: PTH120
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, FULL, here],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "ok\n", ran.stderr
