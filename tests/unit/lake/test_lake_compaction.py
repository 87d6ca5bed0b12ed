"""Compaction never changes what a query returns, whatever happens to it or beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Lake, aggregate_rows, small_registry
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.lake import in_a_folder

from missioncontrol.config import LakePlace
from missioncontrol.lake import compaction, merge
from missioncontrol.lake.compaction import compact
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.plan import FANOUT, plan
from missioncontrol.lake.snapshot import FileRef, LakeReader, Snapshot
from missioncontrol.lake.writer import LakeWriter

TABLE = "error_aggregates"
MB = 1024 * 1024
NOON = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()) * 10**9
"""On the day that the rows of the tests are of."""


def now() -> int:
    return NOON


def much_later() -> int:
    return NOON + 3 * 365 * 86400 * 10**9


def compact_all(lake, clock=now, full=True, table=TABLE, target=128 * MB):
    return compact(lake.place, lake.cache, lake.tables[table], target, clock, full)


def sums(rows: pa.Table) -> dict[tuple, tuple]:
    """(count, usage_hours) of each key; None where nothing but nulls was added."""
    added: dict[tuple, list] = defaultdict(lambda: [None, None])
    measures = ("count", "usage_hours")
    for row in rows.to_pylist():
        entry = added[tuple((k, v) for k, v in sorted(row.items()) if k not in measures and v is not None)]
        for i, measure in enumerate(measures):
            if row.get(measure) is not None:
                entry[i] = row[measure] + (entry[i] or 0)
    return {key: tuple(value) for key, value in added.items()}


GRID = st.integers(-(2**50), 2**50).map(lambda n: n / 2**40)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["release", "beta", "", None]),
        st.one_of(st.none(), st.integers(-(2**40), 2**40)),
        st.one_of(st.none(), GRID),
    ),
    min_size=1,
    max_size=4,
    # As the stream stages them: a batch has one row a key.
    unique_by=lambda row: row[0],
)
STEPS = st.lists(
    st.one_of(
        st.tuples(ROWS, st.integers(1, 2), st.sampled_from([0, 5])),
        st.sampled_from(["compact", "tiers", "column"]),
    ),
    max_size=12,
)


@settings(max_examples=20, deadline=None)
@given(STEPS)
def test_any_sequence_of_appends_and_compactions_gives_the_same_sums_and_merged_rows(steps):
    with tempfile.TemporaryDirectory() as folder:
        path, cache = Path(folder) / "lake", Path(folder) / "cache"
        registry, writer = small_registry(), LakeWriter(path)
        writer.ensure(registry)
        lake = Lake(LakePlace(path), path, cache, registry, writer, LakeReader(path, cache))
        appended = []
        for n, step in enumerate(steps, 1):
            if step == "column":
                lake.registry = small_registry(str(n), **{f"m{n}": "int64"})
                writer.ensure(lake.registry)
            elif isinstance(step, str):
                before = sums(lake.rows())
                compact_all(lake, full=step == "compact")
                assert sums(lake.rows()) == before
            else:
                rows, day, minute = step
                data = aggregate_rows(*rows, day=day, minute=minute)
                appended.append(data)
                writer.append(TABLE, data, "stream", n)
        compact_all(lake)
        expected = sums(_as_text(pa.concat_tables(appended))) if appended else {}
        assert sums(lake.rows()) == expected
        assert lake.rows().num_rows == len(expected)


def _as_text(rows: pa.Table) -> pa.Table:
    i = rows.column_names.index("submission_date")
    return rows.set_column(i, "submission_date", rows["submission_date"].cast(pa.string()))


def test_null_and_null_is_null_and_null_and_one_is_one(lake, rows_of):
    lake.writer.append(TABLE, rows_of(("release", None, None), (None, None, 1.0)), "stream", 1)
    lake.writer.append(TABLE, rows_of(("release", 1, None), (None, None, 2.0)), "stream", 2)
    compact_all(lake)
    rows = lake.rows().sort_by("channel")
    assert rows.select(["channel", "count", "usage_hours"]).to_pylist() == [
        {"channel": "release", "count": 1, "usage_hours": None},
        {"channel": None, "count": None, "usage_hours": 3.0},
    ]


def test_columns_that_the_registry_has_forgotten_are_carried_along(lake, registry_of, rows_of):
    dimensions = ("channel", "os_name", "gpu")
    lake.writer.ensure(registry_of("2", dimensions, gc_pauses="int64"))
    for n, gpu in enumerate(("a", "b", "a"), 1):
        rows = rows_of(("release", 1, None)).append_column("gpu", pa.array([gpu]))
        lake.writer.append(TABLE, rows.append_column("gc_pauses", pa.array([n])), "stream", n)
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", 4)
    compact_all(lake)
    rows = lake.rows().select(["gpu", "count", "gc_pauses"]).sort_by("gpu").to_pylist()
    assert rows == [
        {"gpu": "a", "count": 2, "gc_pauses": 4},
        {"gpu": "b", "count": 1, "gc_pauses": 2},
        {"gpu": None, "count": 1, "gc_pauses": None},
    ]


def test_fewer_than_eight_small_files_of_today_are_left_and_eight_become_one(lake, rows_of):
    for n in range(1, FANOUT):
        lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", n)
    assert compact_all(lake, full=False) == []
    lake.writer.append(TABLE, rows_of(("release", 1, None)), "stream", FANOUT)
    (done,) = compact_all(lake, full=False)
    assert (done.files, done.rows_before, done.rows_after, done.committed) == (FANOUT, FANOUT, 1, True)
    assert len(lake.named()) == 1


@in_a_folder
def test_a_past_day_becomes_one_sorted_file_once_it_is_quiet(lake, rows_of):
    for n, channel in enumerate(("b", None, "a"), 1):
        lake.writer.append(TABLE, rows_of((channel, 1, None)), "stream", n)
    next_day = (datetime(2026, 1, 2, 0, 1, tzinfo=UTC)).timestamp()
    for path in lake.named():
        os.utime(path, (next_day - 30, next_day - 30))
    assert compact_all(lake, full=False, clock=lambda: int(next_day * 1e9)) == []
    assert len(compact_all(lake, full=False, clock=lambda: int((next_day + 900) * 1e9))) == 1
    (file,) = lake.reader.snapshot(TABLE).files
    assert pq.ParquetFile(file.path).read()["channel"].to_pylist() == ["a", "b", None]
    assert compact_all(lake, full=False, clock=much_later) == []


def test_a_large_merge_in_slices_gives_the_same_sorted_file_as_one_at_once(lake, rows_of, monkeypatch):
    for n in range(1, 6):
        rows = [(c, n, n / 4) for c in ("nightly", None, "beta", "release")]
        lake.writer.append(TABLE, rows_of(*rows, minute=5 * (n % 2)), "stream", n)
    before = sums(lake.rows())
    monkeypatch.setattr(compaction, "_AT_ONCE_ROWS", 3)
    compact_all(lake)
    (file,) = lake.reader.snapshot(TABLE).files
    rows = pq.ParquetFile(file.path).read()
    assert pq.read_metadata(file.path).num_row_groups == 4
    assert sums(lake.rows()) == before
    assert rows["channel"].to_pylist() == [c for c in ("beta", "nightly", "release", None) for _ in range(2)]
    assert (file.rows, file.first_window.minute, file.last_window.minute) == (8, 0, 5)


def test_too_many_slices_mean_one_piece(lake, rows_of, monkeypatch):
    for n in range(1, 4):
        lake.writer.append(TABLE, rows_of(*[(str(c), n, None) for c in range(5)]), "stream", n)
    before = sums(lake.rows())
    monkeypatch.setattr(compaction, "_AT_ONCE_ROWS", 3)
    monkeypatch.setattr(merge, "_MOST_VALUES", 4)
    compact_all(lake)
    assert sums(lake.rows()) == before
    assert lake.rows().num_rows == 5


def ping_rows(n: int, size: int, first: int) -> pa.Table:
    return pa.table(
        {
            "submission_date": [date(2026, 1, 1)] * n,
            "doc_type": ["main"] * n,
            "received_ns": list(range(first + n, first, -1)),
            "document_id": ["same"] * n,
            "body": pa.array([b"x" * size] * n, pa.binary()),
        }
    )


def test_pings_are_sorted_together_but_never_merged(lake):
    for n in range(1, 4):
        lake.writer.append("pings", ping_rows(2, 10, n * 10), "stream", n)
    compact_all(lake, table="pings")
    assert lake.rows("pings")["received_ns"].to_pylist() == [11, 12, 21, 22, 31, 32]


def test_pings_are_merged_only_as_far_as_their_inflated_bodies_fit(lake):
    for n in range(1, 7):
        lake.writer.append("pings", ping_rows(4, 100_000, n * 10), "stream", n)
    sizes = [f.size_bytes for f in lake.reader.snapshot("pings").files]
    assert max(sizes) < 20_000, "the bodies must compress for this test to say anything"
    compact_all(lake, table="pings", target=MB)
    files = lake.reader.snapshot("pings").files
    assert sum(f.rows for f in files) == 24
    assert max(f.rows for f in files) == 8


def refs(*sizes: int, day: str = "2026-01-01", rows: int = 1) -> list[FileRef]:
    return [
        FileRef(f"/{day}/{i}-{s}", (("submission_date", day),), s, rows, None, None)
        for i, s in enumerate(sizes)
    ]


def planned(files, target=128 * MB, settled=()):
    return [
        [f.size_bytes for f in m.files] for m in plan(Snapshot(TABLE, 1, (), tuple(files)), target, settled)
    ]


def test_tiers_merge_files_of_like_size_only():
    assert planned(refs(*[100] * 8, *[MB] * 7)) == [[100] * 8]
    assert planned(refs(*[100] * 7, *[MB] * 8)) == [[MB] * 8]
    assert planned(refs(*[100] * 7, *[MB] * 7)) == []


def test_files_near_the_target_size_are_left_alone():
    day = ("submission_date", "2026-01-01")
    assert planned(refs(100 * MB, 100 * MB, 10, 20), settled={(day,)}) == [[10, 20]]
    assert planned(refs(100 * MB, 100 * MB, 10), settled={(day,)}) == []
    assert planned(refs(10, 20, rows=1_900_000), settled={(day,)}) == []


def test_a_merged_file_stays_below_the_target_size():
    day = ("submission_date", "2026-01-01")
    merges = planned(refs(*[30 * MB] * 8), settled={(day,)})
    assert merges == [[30 * MB] * 4] * 2


def test_the_newest_day_is_merged_first_and_days_are_never_mixed():
    files = refs(*[10] * 8) + refs(*[20] * 9, day="2026-01-02")
    assert planned(files) == [[20] * 9, [10] * 8]


def test_two_rewriters_that_started_from_the_same_version_never_double_rows(lake, rows_of, monkeypatch):
    for n in range(1, 5):
        lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", n)
    swap, barrier = compaction.swap, threading.Barrier(3, timeout=60)
    # As if they ran on machines that know nothing of each other's locks.
    monkeypatch.setattr(compaction, "rewriting", lambda *_: contextlib.nullcontext(True))

    def together(*args):
        barrier.wait()
        return swap(*args)

    monkeypatch.setattr(compaction, "swap", together)
    results = []
    threads = [threading.Thread(target=lambda: results.append(compact_all(lake))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(r[0].committed for r in results) == {True: 1, False: 2}
    assert lake.rows()["count"].to_pylist() == [4]
    assert len(lake.on_disk()) == 5, "the losers' files are deleted"


def test_delta_itself_refuses_the_second_of_two_rewrites_of_the_same_version(lake, rows_of):
    """Without the rewrite transaction both would be accepted, and both copies would count."""
    from deltalake.exceptions import CommitFailedError

    from missioncontrol.lake.actions import joining, leaving, rewrite, write_actions

    lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", 1)
    (file,) = lake.reader.snapshot(TABLE).files
    tables = [lake.opened(), lake.opened()]

    def replace(table):
        (staged,) = lake.writer.stage(TABLE, rows_of(("release", 1, 1.0)))
        actions = [joining(lake.place, staged, False), leaving(lake.place, TABLE, file, False)]
        write_actions(lake.place, TABLE, table, actions, [rewrite(table)])

    replace(tables[0])
    with pytest.raises(CommitFailedError):
        replace(tables[1])
    assert lake.rows().num_rows == 1


APPENDER = textwrap.dedent("""
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from conftest import aggregate_rows
    from missioncontrol.config import LakePlace
    from missioncontrol.lake.writer import LakeWriter

    writer = LakeWriter(LakePlace(Path(sys.argv[1]), sys.argv[3], 1 << 30))
    print("started", flush=True)
    for n in range(1, 151):
        assert writer.append("error_aggregates", aggregate_rows(("release", 1, 0.5), (str(n % 3), n, None)), "s", n)
""")
HERE = str(Path(__file__).parent)


def test_a_stream_in_another_process_appends_while_compaction_goes_on(lake):
    arguments = [sys.executable, "-c", APPENDER, str(lake.path), HERE, lake.place.url]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as stream:
        stream.stdout.readline()
        merges = 0
        while stream.poll() is None:
            merges += sum(c.committed for c in compact_all(lake, full=False))
            counts = sums(lake.rows())
            assert all(
                hours == count / 2 for key, (count, hours) in counts.items() if ("channel", "release") in key
            )
    assert stream.returncode == 0
    assert merges > 3
    compact_all(lake)
    counts = {dict(key)["channel"]: value for key, value in sums(lake.rows()).items()}
    assert counts["release"] == (150, 75.0)
    assert sum(counts[c][0] for c in "012") == 150 * 151 // 2
    assert lake.writer.committed(TABLE, "s") == 150


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from conftest import small_registry
    from missioncontrol.config import LakePlace
    from missioncontrol.lake import compaction, swap
    from missioncontrol.lake.tables import lake_tables

    # The moment between writing the merged file and committing it, touched inputs included.
    swap.write_actions = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    root = Path(sys.argv[1])
    table = lake_tables(small_registry())["error_aggregates"]
    compaction.compact(LakePlace(root / "lake", sys.argv[3], 1 << 30), root / "cache", table, 10**8, full=True)
""")


def test_a_kill_between_write_and_commit_leaves_only_an_orphan(lake, rows_of):
    for n in range(1, 4):
        lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", n)
    before = lake.named()
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(lake.path.parent), HERE, lake.place.url], check=False
    )
    assert ran.returncode == -signal.SIGKILL
    assert LakeReader(lake.place, lake.cache).snapshot(TABLE).files == lake.reader.snapshot(TABLE).files
    assert lake.named() == before
    assert len(lake.on_disk() - before) == 1
    compact_all(lake)
    assert lake.rows()["count"].to_pylist() == [3]


def test_a_reader_keeps_the_files_of_its_snapshot(lake, rows_of):
    for n in range(1, 4):
        lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", n)
    held = lake.reader.snapshot(TABLE)
    compact_all(lake)
    assert sum(pq.ParquetFile(f.path).read()["count"][0].as_py() for f in held.files) == 3


def test_compaction_keeps_the_transactions_of_the_stream(lake, rows_of):
    for n in range(1, 4):
        lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", n)
    compact_all(lake)
    assert not lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", 3)


def test_a_table_that_does_not_exist_needs_no_compaction(tmp_path, registry_of):
    from missioncontrol.lake.tables import lake_tables

    table = lake_tables(registry_of())[TABLE]
    assert compact(tmp_path / "lake", tmp_path / "cache", table, MB) == []


def test_progress_is_told_after_each_merge(lake, rows_of):
    for n in range(1, 5):
        lake.writer.append(TABLE, rows_of(("release", 1, 1.0), day=1 + n % 2), "stream", n)
    told = []
    compact(
        lake.place,
        lake.cache,
        lake.tables[TABLE],
        MB,
        full=True,
        progress=lambda c, n, of: told.append((dict(c.partition)["submission_date"], n, of)),
    )
    assert told == [("2026-01-02", 1, 2), ("2026-01-01", 2, 2)]


def test_a_day_that_is_being_rewritten_is_left_alone(lake, rows_of):
    for n in range(1, 5):
        lake.writer.append(TABLE, rows_of(("release", 1, 1.0)), "stream", n)
    day = dict(lake.reader.snapshot(TABLE).files[0].partition)["submission_date"]
    with rewriting(lake.place, TABLE, day) as held:
        assert held
        assert compact_all(lake) == []
    assert len(compact_all(lake)) == 1
