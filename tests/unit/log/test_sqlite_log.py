"""What the SQLite log promises beyond the contract: grouping, bounded files, short locks, honest errors."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.log import commits, database, seen
from missioncontrol.log.bodies import BodyWriter
from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.log.sqlite import SqliteLog

NOW_NS = 1_763_800_000 * 10**9
DAY_NS = 86_400 * 10**9


def ping(document_id: str = "", body: bytes = b"{}") -> Entry:
    return Entry(Kind.PING, NOW_NS, document_id=document_id, body=body)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(tmp_path / "new" / "log.sqlite")
    yield log
    log.close()


def test_making_a_log_touches_nothing_until_it_is_used(tmp_path: Path, log: SqliteLog) -> None:
    before = threading.active_count()
    assert not (tmp_path / "new").exists()
    log.read(0, 1, 1)
    assert threading.active_count() == before
    log.check()
    assert threading.active_count() == before + 1
    log.close()
    assert threading.active_count() == before


def test_commits_reach_the_disk_before_they_are_answered_and_readers_never_lock(tmp_path: Path) -> None:
    connection = database.connect(tmp_path / "log.sqlite")
    settings = ("synchronous", "journal_mode", "auto_vacuum", "secure_delete", "wal_autocheckpoint")
    found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings}
    connection.close()
    assert found == {
        "synchronous": 2,  # FULL
        "journal_mode": "wal",
        "auto_vacuum": 2,  # INCREMENTAL
        "secure_delete": 0,
        "wal_autocheckpoint": 0,
    }


def test_a_log_whose_folder_is_removed_under_it_starts_a_new_one(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("a")])
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(StorageError):
        log.append_many([ping("b")])
    assert not log.append_many([ping("b")])[0].duplicate
    log.check()


def test_all_that_arrive_while_the_file_is_held_share_one_commit(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping()])
    holder = sqlite3.connect(tmp_path / "new" / "log.sqlite", isolation_level=None)

    async def scenario() -> None:
        holder.execute("BEGIN IMMEDIATE")
        tasks = [asyncio.create_task(log.append(ping(f"id-{number}"))) for number in range(200)]
        await asyncio.sleep(0.05)
        holder.execute("COMMIT")
        await asyncio.gather(*tasks)

    before = log.commits
    asyncio.run(scenario())
    holder.close()
    assert log.commits - before <= 2  # one that was waiting for the file already, one for all the others
    assert log.count_after(1) == 200


def test_a_group_that_fails_halfway_stores_nothing(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("a")])

    def half(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO log (kind, meta, segment, position, size_bytes) VALUES (1, x'', 0, 0, 0)"
        )
        connection.execute("INSERT INTO seen VALUES (x'00', 0, 0)")
        raise ValueError("and then it fails")

    bodies = BodyWriter(tmp_path / "new" / "log.sqlite")
    writer = commits.GroupCommit(tmp_path / "new" / "log.sqlite", 0, bodies, lambda connection, rows: [])
    with pytest.raises(StorageError):
        writer.run(task=half)
    writer.run(task=lambda connection: None)
    writer.close()
    assert (log.count_after(0), log.last_offset()) == (1, 1)


def test_a_group_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commits, "_GROUP_BYTES", 10_000)
    log = SqliteLog(tmp_path / "log.sqlite")

    async def scenario() -> None:
        await asyncio.gather(*(log.append(ping(body=bytes(5000))) for _ in range(40)))

    asyncio.run(scenario())
    log.close()
    assert log.commits >= 20


def test_a_file_held_by_another_for_too_long_is_an_error_and_then_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: SqliteLog
) -> None:
    log.append_many([ping("a")])
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    holder = sqlite3.connect(tmp_path / "new" / "log.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for use in (lambda: log.append_many([ping("b")]), log.check, lambda: log.trim(1)):
        with pytest.raises(StorageError) as refusal:
            use()
        assert (refusal.value.code, refusal.value.hint) == ("log_unwritable", "Another process holds it.")
    assert len(log.read(0, 10, 1000)) == 1
    holder.execute("ROLLBACK")
    assert not log.append_many([ping("b")])[0].duplicate
    holder.close()


def test_errors_of_the_system_are_told_and_the_log_goes_on(tmp_path: Path) -> None:
    """A limit on the size of files is a real I/O error that is neither a full disk nor a full log."""
    script = f"""
import os, resource
from pathlib import Path
from missioncontrol.errors import MissionControlError
from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.log.sqlite import SqliteLog
log = SqliteLog(Path({str(tmp_path)!r}) / "log.sqlite")
log.append_many([Entry(Kind.PING, 1, document_id="first")])
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
try:
    log.append_many([Entry(Kind.PING, 1, document_id="large", body=bytes(1_000_000))])
except MissionControlError as error:
    print(error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(log.append_many([Entry(Kind.PING, 1, document_id="large", body=bytes(1_000_000))])[0].duplicate)
print([len(record.entry.body) for record in log.read(0, 10, 1 << 30)])
log.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["log_unwritable", "False", "[0, 1000000]"]


def test_a_disk_that_fills_up_within_a_commit_leaves_no_half_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    monkeypatch.setattr(commits, "require_room", lambda folder, size_bytes: 0)  # go on to the last byte
    log = SqliteLog(tmp_path / "log.sqlite")
    try:
        log.append_many([ping("first")])
        for _ in range(3):
            with pytest.raises(StorageFull) as refusal:
                log.append_many([ping(f"id-{number}", os.urandom(100_000)) for number in range(100)])
            assert refusal.value.code == "log_full"
        assert [record.entry.document_id for record in log.read(0, 10, 1 << 30)] == ["first"]
        appended = log.append_many([ping(f"id-{number}") for number in range(100)])
        assert [a.offset for a in appended] == list(range(2, 102))
        assert not any(a.duplicate for a in appended)
    finally:
        log.close()
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_file_that_is_no_log_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "log.sqlite").write_bytes(b"something else entirely" * 1000)
    log = SqliteLog(tmp_path / "log.sqlite")
    with pytest.raises(StorageError) as unreadable:
        log.read(0, 1, 1)
    with pytest.raises(StorageError) as unwritable:
        log.append_many([ping()])
    log.close()
    assert (unreadable.value.code, unwritable.value.code) == ("log_unreadable", "log_unwritable")
    assert str(tmp_path) in unwritable.value.message and unwritable.value.hint


def test_a_log_of_a_newer_version_is_left_alone(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("a")])
    log.close()
    path = tmp_path / "new" / "log.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={database.SCHEMA_VERSION + 1}")
    connection.close()
    newer = SqliteLog(path)
    for use in (lambda: newer.append_many([ping("b")]), lambda: newer.trim(1), lambda: newer.read(0, 1, 1)):
        with pytest.raises(StorageError) as refusal:
            use()
        assert refusal.value.code == "log_newer"
    newer.close()


def test_a_log_of_an_older_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "log.sqlite") as connection:
        connection.execute("CREATE TABLE log (offset INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB)")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    older = SqliteLog(tmp_path / "log.sqlite")
    for use in (lambda: older.append_many([ping("b")]), lambda: older.trim(1), lambda: older.read(0, 1, 1)):
        with pytest.raises(StorageError) as refusal:
            use()
        assert refusal.value.code == "log_older" and refusal.value.hint
    older.close()


def test_the_file_shrinks_after_a_backlog_was_trimmed(tmp_path: Path, log: SqliteLog) -> None:
    for _ in range(6):
        log.append_many([ping(body=bytes(1_000_000)) for _ in range(10)])
    largest = log.size_bytes()
    log.trim(log.last_offset())
    log.close()
    assert largest > 60_000_000
    assert (tmp_path / "new" / "log.sqlite").stat().st_size < 30_000_000


def test_the_write_ahead_log_starts_over_under_steady_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commits, "_CHECKPOINT_BYTES", 1_000_000)
    path = tmp_path / "log.sqlite"
    log, reader = SqliteLog(path), SqliteLog(path)
    for number in range(80):
        log.append_many([ping(body=bytes(50_000)) for _ in range(10)])
        assert len(reader.read(number * 10, 100, 1 << 30)) == 10
        reader.trim(number * 10)
        assert (tmp_path / "log.sqlite-wal").stat().st_size < 12_000_000  # of 40 MB
    log.close()
    reader.close()


def test_the_write_ahead_log_starts_over_while_an_import_claims(tmp_path: Path, log: SqliteLog) -> None:
    for block in range(1, 41):
        log.claim([f"id-{block}-{number}" for number in range(1000)], block)
    assert (tmp_path / "new" / "log.sqlite-wal").stat().st_size < 16_000_000


def test_two_writers_do_not_let_the_write_ahead_log_grow_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commits, "_CHECKPOINT_BYTES", 500_000)
    monkeypatch.setattr(commits, "WAL_BYTES", 2_000_000)
    path = tmp_path / "log.sqlite"
    logs = [SqliteLog(path), SqliteLog(path)]

    def append(log: SqliteLog) -> None:
        for _ in range(100):
            log.append_many([ping(body=bytes(50_000)) for _ in range(10)])

    threads = [threading.Thread(target=append, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    size_bytes = (tmp_path / "log.sqlite-wal").stat().st_size
    for log in logs:
        log.close()
    assert size_bytes < 20_000_000  # of 100 MB


def test_expired_identities_are_freed_stretch_by_stretch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(seen, "_SWEEP_IDS", 10)
    now = [NOW_NS]
    log = SqliteLog(tmp_path / "log.sqlite", clock=lambda: now[0])
    log.append_many([ping(f"old-{number}") for number in range(100)])
    now[0] += 5 * DAY_NS
    log.append_many([ping(f"new-{number}") for number in range(100)])
    now[0] += 3 * DAY_NS
    for _ in range(10):
        log.trim(0)
    log.close()
    connection = sqlite3.connect(tmp_path / "log.sqlite")
    times = connection.execute("SELECT noted_s, count(*) FROM seen GROUP BY noted_s").fetchall()
    connection.close()
    assert times == [((NOW_NS + 5 * DAY_NS) // 10**9, 100)]


def test_a_large_body_is_not_held_on_to_after_its_commit(log: SqliteLog) -> None:
    log.append_many([ping(body=b"x")])
    before = _resident_bytes()
    for _ in range(8):
        log.append_many([ping(body=bytes(8_000_000)) for _ in range(4)])
    assert _resident_bytes() - before < 60_000_000  # of 256 MB appended


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
