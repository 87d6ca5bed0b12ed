"""Bodies lie in files of their own, written and freed with the records that know them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from missioncontrol.errors import StorageError
from missioncontrol.log import bodies
from missioncontrol.log.bodies import NOWHERE, BodyWriter, Place, read_bodies
from missioncontrol.log.database import begin, connect
from missioncontrol.log.protocol import Appended, Entry, Kind
from missioncontrol.log.rows import Row
from missioncontrol.log.sqlite import SqliteLog


def ping(document_id: str, body: bytes) -> Entry:
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
    return sorted(file.name for file in folder.glob("bodies/*"))


def bodies_in(log: SqliteLog, after: int = 0) -> list[bytes]:
    return [record.entry.body for record in log.read(after, 1000, 1 << 40)]


def written(
    writer: BodyWriter, connection: sqlite3.Connection, *found: bytes, commit: bool = True
) -> list[Place]:
    begin(connection)
    places = writer.write(connection, found, last_offset=1)
    connection.execute("COMMIT" if commit else "ROLLBACK")
    return places


def test_bodies_of_any_size_come_back_in_any_order(tmp_path: Path, connection: sqlite3.Connection) -> None:
    writer = BodyWriter(tmp_path / "bodies", segment_bytes=5000)
    found = [os.urandom(size) for size in (1, 0, 4000, 3000, 0, 0, 70_000, 5)]
    places = [*written(writer, connection, *found[:4]), *written(writer, connection, *found[4:])]
    writer.close()
    assert {place.segment for place in places} == {0, 1, 2}
    assert read_bodies(tmp_path / "bodies", places) == found
    assert read_bodies(tmp_path / "bodies", places[::-1]) == found[::-1]
    assert read_bodies(tmp_path / "bodies", places[::2]) == found[::2]


def test_more_bodies_than_one_write_takes_are_all_written(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    writer = BodyWriter(tmp_path / "bodies")
    found = [b"%06d" % number for number in range(3000)]
    assert read_bodies(tmp_path / "bodies", written(writer, connection, *found)) == found


def test_empty_bodies_make_no_file(tmp_path: Path, connection: sqlite3.Connection) -> None:
    assert written(BodyWriter(tmp_path / "bodies"), connection, b"", b"") == [NOWHERE] * 2
    assert read_bodies(tmp_path / "bodies", [NOWHERE] * 2) == [b"", b""]
    assert stored(tmp_path) == []


def test_what_was_rolled_back_is_written_over(tmp_path: Path, connection: sqlite3.Connection) -> None:
    writer = BodyWriter(tmp_path / "bodies")
    lost = written(writer, connection, b"never committed", commit=False)
    kept = written(writer, connection, b"kept")
    written(writer, connection, b"lost too", commit=False)
    more = written(writer, connection, b"more")
    assert (lost[0].segment, lost[0].position) == (kept[0].segment, kept[0].position)
    assert read_bodies(tmp_path / "bodies", [*kept, *more]) == [b"kept", b"more"]


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
    assert sum(file.stat().st_size for file in tmp_path.glob("bodies/*")) == 4
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
    (left,) = tmp_path.glob("bodies/*")
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
    (file,) = tmp_path.glob("bodies/*")
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
