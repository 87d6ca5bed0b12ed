"""Sealing makes the archive smaller and never changes a byte of what it gives back, whatever happens to it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from isal import isal_zlib
from tests.support.lake import in_a_folder

from missioncontrol.config import Lake as LakeSettings
from missioncontrol.lake.care import LakeCare, compact_now
from missioncontrol.lake.compaction import compact
from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.packing import as_sent
from missioncontrol.lake.seal import seal, sealings
from missioncontrol.lake.snapshot import LakeReader

TABLE = "pings"
MB = 1024 * 1024
DAY = date(2026, 1, 1)
NEXT_DAY_NS = int(datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()) * 10**9


def much_later() -> int:
    return time.time_ns() + 86400 * 10**9


def ping(number: int, size: int = 300) -> bytes:
    random.seed(number)
    measures = {f"HISTOGRAM_{n}": random.randrange(1000) for n in range(size)}
    return json.dumps({"id": number, "payload": measures, "environment": {"os": "Linux"}}).encode()


def sent(number: int) -> tuple[bytes, str]:
    """Body and encoding of every kind."""
    body = ping(number)
    kinds = (
        (zlib.compress(body, 6, wbits=31), "gzip"),
        (zlib.compress(body, 9, wbits=31), "gzip"),
        (zlib.compress(body, 6), "deflate"),
        (body, ""),
        (isal_zlib.compress(body, 1, wbits=31), "gzip"),
        (zlib.compress(body, 6, wbits=31)[:-9], "gzip"),
        (b"", ""),
    )
    return kinds[number % len(kinds)]


def append(lake, first: int, count: int, day: date = DAY, doc_type: str = "main", discard: int = 0) -> dict:
    """Pings of every kind; every `discard`-th was not counted. Body by document id."""
    numbers = range(first, first + count)
    bodies = [sent(n) for n in numbers]
    table = pa.table(
        {
            "submission_date": [day] * count,
            "doc_type": [doc_type] * count,
            "received_ns": list(numbers),
            "document_id": [str(n) for n in numbers],
            "encoding": [encoding for _, encoding in bodies],
            "body": pa.array([body for body, _ in bodies], pa.binary()),
            "discarded": pa.array(
                ["build_age" if discard and n % discard == 0 else None for n in numbers], pa.string()
            ),
        }
    )
    lake.writer.append(TABLE, table, "stream", lake.writer.committed(TABLE, "stream") + 1)
    return {str(n): body for n, (body, _) in zip(numbers, bodies, strict=True)}


def bodies(lake) -> dict[str, bytes]:
    """What the archive gives back, by document id; fails when an id comes twice."""
    rows = lake.rows(TABLE).to_pylist()
    found = {
        r["document_id"]: as_sent(r["body"], r.get("packing"), r.get("sent_crc32"))
        for r in rows
        if r["body"] is not None
    }
    assert len(found) == len(rows)
    return found


def seal_all(lake, **more):
    return seal(lake.place, lake.cache, 128 * MB, full=True, **more)


def size(lake) -> int:
    return sum(f.size_bytes for f in lake.reader.snapshot(TABLE).files)


def test_every_body_comes_back_as_it_was_sent(lake):
    expected = append(lake, 0, 100) | append(lake, 100, 33)
    seal_all(lake)
    assert bodies(lake) == expected
    packed = Counter((row["packing"] or "").split(" ")[0] for row in lake.rows(TABLE).to_pylist())
    assert packed["gzip"] == len([n for n in range(133) if n % 7 in (0, 1)])
    assert packed["zlib"] == len([n for n in range(133) if n % 7 == 2])
    rows = {row["document_id"]: row for row in lake.rows(TABLE).to_pylist()}
    assert rows["0"]["body"] == ping(0)
    assert rows["0"]["sent_bytes"] == len(expected["0"])
    assert rows["4"]["packing"] is rows["4"]["sent_bytes"] is rows["4"]["sent_crc32"] is None


def test_pings_as_clients_send_them_take_less_than_half_the_room(lake):
    random.seed(3)
    names = [f"{random.random():.12f}" for _ in range(400)]
    raw = [json.dumps({n: random.randrange(50) for n in names}).encode() for _ in range(400)]
    sent_bodies = [zlib.compress(body, 6, wbits=31) for body in raw]
    table = pa.table(
        {
            "submission_date": [DAY] * 400,
            "doc_type": ["main"] * 400,
            "document_id": [str(n) for n in range(400)],
            "encoding": ["gzip"] * 400,
            "body": pa.array(sent_bodies, pa.binary()),
        }
    )
    lake.writer.append(TABLE, table, "stream", 1)
    seal_all(lake)
    assert size(lake) < 0.5 * sum(map(len, sent_bodies))
    assert sorted(bodies(lake).values()) == sorted(sent_bodies)


def test_discarded_pings_get_files_of_their_own(lake):
    expected = append(lake, 0, 60, discard=5)
    (done,) = seal_all(lake)
    assert (done.rows_before, done.rows_after, done.files, done.committed) == (60, 60, 1, True)
    files = lake.reader.snapshot(TABLE).files
    assert {kind_of(f.path): f.rows for f in files} == {"sealed": 48, "discarded": 12}
    assert bodies(lake) == expected


@in_a_folder
def test_only_days_that_are_over_and_quiet_are_sealed_and_only_once(lake):
    today = datetime.now(UTC).date()
    expected = append(lake, 0, 20) | append(lake, 100, 20, day=today)
    assert seal(lake.place, lake.cache, 128 * MB) == []
    old = time.time() - 3600
    for path in lake.named(TABLE):
        os.utime(path, (old, old))
    (done,) = seal(lake.place, lake.cache, 128 * MB)
    assert dict(done.partition)["submission_date"] == "2026-01-01"
    assert seal(lake.place, lake.cache, 128 * MB, much_later) != [], "today is over tomorrow"
    assert seal(lake.place, lake.cache, 128 * MB, much_later) == []
    assert bodies(lake) == expected


def test_late_pings_are_sealed_alone_and_small_sealed_files_are_merged_by_eights(lake):
    expected = {}
    for n in range(8):
        expected |= append(lake, n * 10, 10)
        done = seal(lake.place, lake.cache, 128 * MB, much_later)
        assert [d.rows_before for d in done] == [10]
    assert len(lake.named(TABLE)) == 8
    (done,) = seal(lake.place, lake.cache, 128 * MB, much_later)
    assert (done.files, done.rows_after) == (8, 80)
    assert len(lake.named(TABLE)) == 1
    assert bodies(lake) == expected


def test_a_large_day_is_sealed_in_pieces_of_the_target_size(lake):
    expected = {}
    for n in range(6):
        expected |= append(lake, n * 40, 40)
    largest = max(f.size_bytes for f in lake.reader.snapshot(TABLE).files)
    done = seal(lake.place, lake.cache, int(largest * 2.5), full=True)
    assert [d.files for d in done] == [2, 2, 2]
    assert bodies(lake) == expected


def test_row_groups_are_bounded_by_what_the_bodies_hold(lake, monkeypatch):
    monkeypatch.setattr("missioncontrol.lake.seal.SEALED_GROUP_BYTES", 64 * 1024)
    expected = append(lake, 0, 200)
    seal_all(lake)
    (path,) = lake.named(TABLE)
    footer = pq.read_metadata(path)
    assert footer.num_row_groups > 5
    assert max(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups)) < 200 * 1024
    assert bodies(lake) == expected


def test_bodies_that_hold_more_than_allowed_stay_as_they_were_sent(lake):
    body = zlib.compress(b"[" + b"0," * MB + b"0]", 6, wbits=31)
    rows = pa.table(
        {
            "submission_date": [DAY],
            "doc_type": ["other"],
            "document_id": ["bomb"],
            "encoding": ["gzip"],
            "body": pa.array([body], pa.binary()),
            "discarded": ["too_large_inflated"],
        }
    )
    lake.writer.append(TABLE, rows, "stream", 1)
    seal_all(lake, most_bytes=MB)
    assert lake.rows(TABLE)["packing"].to_pylist() == [None]
    assert bodies(lake) == {"bomb": body}


def test_compaction_never_touches_what_is_sealed_nor_days_that_are_to_be(lake):
    expected = append(lake, 0, 10)
    seal_all(lake)
    for n in range(1, 4):
        expected |= append(lake, n * 10, 10)
    before = lake.named(TABLE)
    table = lake.tables[TABLE]
    assert compact(lake.place, lake.cache, table, 128 * MB, much_later, leave_settled=True) == []
    assert lake.named(TABLE) == before
    (done,) = compact(lake.place, lake.cache, table, 128 * MB, much_later)
    assert (done.files, done.rows_after) == (3, 30)
    assert bodies(lake) == expected


def test_a_lake_from_before_there_was_sealing_waits_for_its_columns(lake, monkeypatch):
    append(lake, 0, 10)
    snapshot = lake.reader.snapshot(TABLE)
    import msgspec

    old = msgspec.structs.replace(
        snapshot, columns=tuple(c for c in snapshot.columns if not c.name.startswith("sent_"))
    )
    assert sealings(old, 128 * MB, full=True) == []
    assert len(sealings(snapshot, 128 * MB, full=True)) == 1
    assert sealings(None, 128 * MB, full=True) == []


def test_appends_and_merges_beside_it_do_not_cost_the_work(lake, monkeypatch):
    expected = append(lake, 0, 40)
    from missioncontrol.lake import seal as sealing

    write = sealing._write

    def beside(*args):
        staged = write(*args)
        expected.update(append(lake, 100, 10, day=date(2026, 1, 5)))
        for n in range(2):
            expected.update(append(lake, 200 + n * 10, 10, day=date(2026, 1, 5)))
        compact(lake.place, lake.cache, lake.tables[TABLE], 128 * MB, full=True)
        return staged

    monkeypatch.setattr(sealing, "_write", beside)
    (done,) = seal(lake.place, lake.cache, 128 * MB, lambda: NEXT_DAY_NS + 10 * 365 * 86400 * 10**9)
    assert bodies(lake) == expected
    assert done.committed


def test_two_at_once_seal_once(lake):
    expected = append(lake, 0, 50) | append(lake, 50, 50)
    results = []
    threads = [threading.Thread(target=lambda: results.extend(seal_all(lake))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(r.committed for r in results) >= 1
    assert bodies(lake) == expected


def test_it_stops_within_a_row_group_and_leaves_nothing_behind(lake):
    expected = append(lake, 0, 50)
    stop = threading.Event()
    stop.set()
    assert seal_all(lake, stop=stop) == []
    assert lake.on_disk(TABLE) == lake.named(TABLE)
    assert bodies(lake) == expected


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from missioncontrol.config import LakePlace
    from missioncontrol.lake import parquet, seal, swap

    root, moment = Path(sys.argv[1]), sys.argv[2]
    die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    if moment == "writing":
        write = parquet.PartFile.write
        def half(self, rows):
            write(self, rows)
            die()
        parquet.PartFile.write = half
    elif moment == "written":
        seal.swap = die
    elif moment == "committing":
        swap.write_actions = die
    else:
        commit = swap.write_actions
        def then(*args):
            commit(*args)
            die()
        swap.write_actions = then
    seal.seal(LakePlace(root / "lake", sys.argv[3], 1 << 30), root / "cache", 10**8, full=True)
""")


@pytest.mark.parametrize("moment", ["writing", "written", "committing", "committed"])
def test_killed_at_any_moment_the_archive_holds_the_same(lake, moment):
    expected = append(lake, 0, 60, discard=4) | append(lake, 60, 60, doc_type="crash")
    before = lake.named(TABLE)
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(lake.path.parent), moment, lake.place.url], check=False
    )
    assert ran.returncode == -signal.SIGKILL
    assert bodies(lake) == expected
    assert (lake.named(TABLE) == before) == (moment != "committed")
    seal_all(lake)
    assert bodies(lake) == expected
    assert all(kind_of(path) for path in lake.named(TABLE))


def test_killed_again_and_again_at_random_moments(lake):
    expected = {}
    for n in range(12):
        expected |= append(lake, n * 200, 200, doc_type="main" if n % 3 else "crash", discard=9)
    random.seed(5)
    program = (
        "import sys; from pathlib import Path; from missioncontrol.config import LakePlace;"
        "from missioncontrol.lake.seal import seal; root = Path(sys.argv[1]);"
        "place = LakePlace(root / 'lake', sys.argv[2], 1 << 30);"
        "print('started', flush=True); seal(place, root / 'cache', 200_000, full=True)"
    )
    for _ in range(8):
        command = [sys.executable, "-c", program, str(lake.path.parent), lake.place.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(random.random() * 0.6)
            child.kill()
        assert bodies(lake) == expected
    seal_all(lake)
    assert bodies(lake) == expected
    assert all(kind_of(path) for path in lake.named(TABLE))


def test_lake_compact_seals_today_too_unless_told_not_to(lake):
    expected = append(lake, 0, 20, day=datetime.now(UTC).date()) | append(lake, 20, 20)
    compact_now(lake.place, lake.cache, lake.registry, LakeSettings(seal_archive=False))
    assert not any(kind_of(path) for path in lake.named(TABLE))
    compact_now(lake.place, lake.cache, lake.registry, LakeSettings())
    assert all(kind_of(path) for path in lake.named(TABLE))
    assert bodies(lake) == expected


@in_a_folder
def test_the_care_of_the_lake_seals_in_a_child_of_its_own(lake):
    expected = append(lake, 0, 50, discard=5)
    old = time.time() - 3600
    for path in lake.named(TABLE):
        os.utime(path, (old, old))
    care = LakeCare(lake.place, lake.cache, lambda: lake.registry, LakeSettings())
    report = care.run_once()
    deadline = time.monotonic() + 60
    while not report.compacted and time.monotonic() < deadline:
        time.sleep(0.1)
        report = care.run_once()
    assert report.troubles == ()
    assert [(c.table, c.rows_after, c.committed) for c in report.compacted] == [(TABLE, 50, True)]
    assert {kind_of(path) for path in lake.named(TABLE)} == {"sealed", "discarded"}
    assert bodies(lake) == expected


def test_a_broken_file_is_reported_and_the_others_are_sealed(lake):
    append(lake, 0, 10)
    (broken,) = lake.named(TABLE)
    append(lake, 10, 10, day=date(2026, 1, 3))
    Path(broken).write_bytes(b"PAR1 no parquet PAR1")
    from missioncontrol.errors import StorageError

    with pytest.raises(StorageError) as refused:
        seal_all(lake)
    assert refused.value.code == "lake_file"
    kinds = Counter(kind_of(f.path) for f in LakeReader(lake.place, lake.cache).snapshot(TABLE).files)
    assert kinds == {"": 1, "sealed": 1}
