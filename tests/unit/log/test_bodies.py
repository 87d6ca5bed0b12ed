"""Bodies lie in files of their own, written and freed with the records that know them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.log import bodies
from missioncontrol.log.bodies import NOWHERE, BodyWriter, Place, read_bodies
from missioncontrol.log.database import begin, connect
from missioncontrol.log.protocol import Appended, Entry, Kind
from missioncontrol.log.rows import Row
from missioncontrol.log.sqlite import SqliteLog


def ping(document_id: str, body: bytes = b"") -> Entry:
    return Entry(Kind.PING, 1, document_id=document_id, body=body)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(tmp_path / "log.sqlite")
    yield log
    log.close()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "log.sqlite", writes=True)
    yield connection
    connection.close()


def stored(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("bodies-*/*"))


def bodies_in(log: SqliteLog, after: int = 0) -> list[bytes]:
    return [record.entry.body for record in log.read(after, 1000, 1 << 40)]


class Files:
    """The body files of a log, written to as its writer does."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, segment_bytes: int = bodies.SEGMENT_BYTES
    ) -> None:
        self.writer = BodyWriter(path, segment_bytes)
        self.connection = connection
        self.folder = bodies.folder_of(connection, path)

    def write(self, *found: bytes, end: str = "COMMIT") -> list[Place]:
        self.writer.prepare()
        begin(self.connection)
        places = self.writer.write(self.connection, found, last_offset=1)
        if end == "cut":
            self.writer.cut()
        self.connection.execute("COMMIT" if end == "COMMIT" else "ROLLBACK")
        return places

    def read(self, places: Sequence[Place]) -> list[bytes]:
        return read_bodies(self.folder, places)


@pytest.fixture
def files(tmp_path: Path, connection: sqlite3.Connection) -> Files:
    return Files(tmp_path / "log.sqlite", connection)


def test_bodies_of_any_size_come_back_in_any_order(tmp_path: Path, connection: sqlite3.Connection) -> None:
    files = Files(tmp_path / "log.sqlite", connection, segment_bytes=5000)
    found = [os.urandom(size) for size in (1, 0, 4000, 3000, 0, 0, 70_000, 5)]
    places = [*files.write(*found[:4]), *files.write(*found[4:])]
    files.writer.close()
    assert {place.segment for place in places} == {0, 1, 2}
    assert files.read(places) == found
    assert files.read(places[::-1]) == found[::-1]
    assert files.read(places[::2]) == found[::2]


def test_more_bodies_than_one_write_takes_are_all_written(files: Files) -> None:
    found = [b"%06d" % number for number in range(3000)]
    assert files.read(files.write(*found)) == found


def test_empty_bodies_make_no_file(tmp_path: Path, files: Files) -> None:
    assert files.write(b"", b"") == [NOWHERE] * 2
    assert files.read([NOWHERE] * 2) == [b"", b""]
    assert stored(tmp_path) == []


def test_what_an_unknown_end_left_is_never_written_over(files: Files) -> None:
    """A commit may come back whose end nobody saw: its bodies must still be there."""
    unsure = files.write(b"may come back", end="ROLLBACK")
    kept = files.write(b"kept")
    assert files.read([*unsure, *kept]) == [b"may come back", b"kept"]


def test_what_was_cut_takes_no_room(files: Files) -> None:
    first = files.write(b"first")
    files.write(b"not to be kept" * 1000, end="cut")
    assert files.read([*first, *files.write(b"second")]) == [b"first", b"second"]
    assert sum(file.stat().st_size for file in files.folder.iterdir()) == len(b"firstsecond")


def test_checks_leave_nothing_behind(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("a", b"a")])
    for _ in range(3):
        log.check()
    assert sum(file.stat().st_size for file in tmp_path.glob("bodies-*/*")) == 1


def test_a_failed_commit_gives_its_room_back(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("first", b"1234")])

    store = log._writer._store

    def fail(connection: sqlite3.Connection, rows: Sequence[Row]) -> list[Appended]:
        store(connection, rows)
        raise ValueError("after the bodies were written")

    log._writer._store = fail
    with pytest.raises(StorageError):
        log.append_many([ping("second", bytes(1_000_000))])
    log._writer._store = store
    assert sum(file.stat().st_size for file in tmp_path.glob("bodies-*/*")) == 4
    assert not log.append_many([ping("second", b"5678")])[0].duplicate
    assert bodies_in(log) == [b"1234", b"5678"]


def test_a_file_goes_when_its_last_record_is_trimmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SEGMENT_BYTES", 10_000)
    log = SqliteLog(tmp_path / "log.sqlite")
    for number in range(6):  # two records a file
        log.append_many([ping(f"id-{number}", b"%d" % number * 6000)])
    assert len(stored(tmp_path)) == 3
    log.trim(3)
    assert len(stored(tmp_path)) == 2
    assert [body[:1] for body in bodies_in(log)] == [b"3", b"4", b"5"]
    log.trim(6)
    assert stored(tmp_path) == []
    log.append_many([ping("after", b"after")])
    assert bodies_in(log) == [b"after"]
    log.close()


def test_another_process_may_trim_the_file_that_is_written_to(tmp_path: Path, log: SqliteLog) -> None:
    other = SqliteLog(tmp_path / "log.sqlite")
    for number in range(4):
        log.append_many([ping(f"id-{number}", b"%d" % number)])
        assert bodies_in(other, number) == [b"%d" % number]
        other.trim(number + 1)
        assert stored(tmp_path) == []
    other.close()


def test_a_file_left_by_a_killed_trim_is_deleted_by_the_next(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("a", b"a")])
    (left,) = tmp_path.glob("bodies-*/*")
    log.trim(1)
    left.write_bytes(b"a")
    under_way = left.with_name("000000000099.bodies")
    under_way.write_bytes(b"of a commit under way")
    log.append_many([ping("b", b"b")])
    log.trim(0)
    assert not left.exists() and under_way.exists()
    assert bodies_in(log) == [b"b"]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: os.truncate(path, 1)], ids=["gone", "cut"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, log: SqliteLog, harm: object) -> None:
    log.append_many([ping("a", b"abc")])
    (file,) = tmp_path.glob("bodies-*/*")
    assert callable(harm)
    harm(file)
    with pytest.raises(StorageError) as refusal:
        log.read(0, 10, 100)
    assert refusal.value.code == "log_unreadable" and file.name in refusal.value.message


def test_a_trim_while_a_read_is_under_way_is_no_error(
    tmp_path: Path, log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append_many([ping("a", b"a")])
    real = bodies.read_bodies

    def slow(folder: Path, places: list[Place]) -> list[bytes]:
        log.trim(1)
        return real(folder, places)

    monkeypatch.setattr(bodies, "read_bodies", slow)
    assert log.read(0, 10, 100) == []


def test_a_commit_between_the_looks_of_a_trim_keeps_its_file(
    tmp_path: Path, log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SEGMENT_BYTES", 1)
    log.append_many([ping("a", b"a")])
    connection = connect(tmp_path / "log.sqlite", writes=True)
    folder = bodies.folder_of(connection, tmp_path / "log.sqlite")

    class Between:
        """Appends to a new file after each statement of the trim."""

        def execute(self, query: str) -> sqlite3.Cursor:
            found = connection.execute(query)
            other = SqliteLog(tmp_path / "log.sqlite")
            other.append_many([ping("", b"b")])
            other.close()
            return found

    bodies.delete_forgotten(cast("sqlite3.Connection", Between()), folder)
    connection.close()
    assert bodies_in(log) == [b"a", b"b", b"b"]


def test_a_log_made_anew_has_a_folder_of_its_own(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("old", b"old")])
    log.trim(0)
    for file in tmp_path.glob("log.sqlite*"):
        file.unlink()
    new = SqliteLog(tmp_path / "log.sqlite")
    new.append_many([ping("new", b"new")])
    log.trim(10)  # by a process that still has the old one open
    assert bodies_in(new) == [b"new"]
    new.close()


def test_a_file_lost_with_an_undone_trim_is_not_made_again(tmp_path: Path, log: SqliteLog) -> None:
    log.append_many([ping("a", b"a")])
    log.close()
    (lost,) = tmp_path.glob("bodies-*/*")
    lost.unlink()
    again = SqliteLog(tmp_path / "log.sqlite")
    again.append_many([ping("b", b"b")])
    assert bodies_in(again, 1) == [b"b"] and not lost.exists()
    again.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_refused_appends_leave_no_file_open(
    tmp_path: Path, log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise OSError("cannot sync")

    log.append_many([ping("a")])
    monkeypatch.setattr(bodies, "sync_folder", fail)
    before = open_files()
    for number in range(20):
        with pytest.raises(StorageError):
            log.append_many([ping(f"id-{number}", b"body")])
    assert open_files() < before + 10


def test_a_small_log_that_was_trimmed_takes_as_much_again(tmp_path: Path) -> None:
    """Pages that a trim freed count as room."""
    log = SqliteLog(tmp_path / "log.sqlite", max_bytes=8 * 1024 * 1024)

    def fill(prefix: str) -> int:
        for number in range(10_000):
            try:
                log.append_many([ping(f"{prefix}-{number}-{at}", b"x") for at in range(200)])
            except StorageFull:
                return number
        raise AssertionError("never full")

    first = fill("first")
    log.trim(log.last_offset())
    assert not log.append_many([ping("large", bytes(100_000))])[0].duplicate
    assert first > 10
    log.close()
