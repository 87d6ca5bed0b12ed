"""Where the bodies of the log lie: in append-only files beside the SQLite file, which knows the place of each.

A body is as large as all else of a record is small. In SQLite it would be written twice (write-ahead log, then file),
cut into pages, and freed page by page; here it is written once, synced once, and freed with its whole file.

SQLite stays the only authority on what is stored. A file is written only while its writer holds SQLite's write lock,
and only behind its end: what a killed process left there may belong to a commit that SQLite has yet to bring back, and
is never touched. Bodies are on the disk before the commit that knows them. So no file needs a format or a lock of its
own.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

SEGMENT_BYTES = 16 * 1024 * 1024
"""A file that has reached this size gets no more bodies."""
_MOST_BUFFERS = 512  # of one write; systems take 1024 at least

if sys.platform == "darwin":
    from fcntl import F_FULLFSYNC, fcntl

    def _sync(file: int) -> None:
        fcntl(file, F_FULLFSYNC)  # past the disk's cache too

else:
    _sync = os.fdatasync


class Place(msgspec.Struct, frozen=True):
    """Where a body lies. A place without bytes is in no file."""

    segment: int
    position: int
    size_bytes: int


NOWHERE = Place(0, 0, 0)


def folder_of(connection: sqlite3.Connection, log_path: Path) -> Path:
    """The folder of the log's bodies. Named after the log: one made anew in its place has another."""
    return log_path.parent / f"bodies-{connection.execute('SELECT name FROM identity').fetchone()[0]}"


def files_beside(log_path: Path) -> list[Path]:
    """All files of bodies there are."""
    return list(log_path.parent.glob("bodies-*/*.bodies"))


class BodyWriter:
    """Writes bodies in the transactions of one connection at a time. `segment_bytes`: see `SEGMENT_BYTES`."""

    def __init__(self, log_path: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._log_path = log_path
        self._segment_bytes = segment_bytes
        self._file = -1
        self._segment = 0
        self._began: int | None = None  # where this transaction's bodies begin

    def prepare(self) -> None:
        """Call before each transaction. A file that a trim has deleted is let go of: the disk gets its room back."""
        self._began = None
        if self._file >= 0 and not os.fstat(self._file).st_nlink:
            self.close()

    def write(self, connection: sqlite3.Connection, bodies: Sequence[bytes], last_offset: int) -> list[Place]:
        """Write and sync the bodies of records up to `last_offset`, in a transaction that holds the write lock.

        Raises `OSError`; the transaction must be rolled back then. Empty bodies take no room.
        """
        size_bytes = sum(map(len, bodies))
        if not size_bytes:
            return [NOWHERE] * len(bodies)
        segment, start = self._open_segment(connection)
        _write(self._file, [body for body in bodies if body], start)
        _sync(self._file)
        connection.execute(
            "UPDATE segments SET size_bytes = ?, last_offset = ? WHERE id = ?",
            (start + size_bytes, last_offset, segment),
        )
        return _places(bodies, segment, start)

    def cut(self) -> None:
        """Give back what a transaction wrote that fails: before its COMMIT, and while it holds the write lock."""
        if self._began is not None:
            os.ftruncate(self._file, self._began)

    def probe(self, connection: sqlite3.Connection, size_bytes: int) -> None:
        """Write at the end as an append does, and cut it off again; raises `OSError`."""
        _, start = self._open_segment(connection)
        _write(self._file, [bytes(size_bytes)], start)
        self.cut()

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file, self._segment = -1, 0

    def _open_segment(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """The file to write to, open now, and its end."""
        newest = _newest(connection)
        if newest is None or newest[1] >= self._segment_bytes or not self._opened(connection, *newest):
            connection.execute("INSERT INTO segments (size_bytes, last_offset) VALUES (0, 0)")
            newest = (int(connection.execute("SELECT last_insert_rowid()").fetchone()[0]), 0)
            self._opened(connection, *newest)
        segment, size_bytes = newest
        self._began = max(size_bytes, os.fstat(self._file).st_size)
        return segment, self._began

    def _opened(self, connection: sqlite3.Connection, segment: int, size_bytes: int) -> bool:
        """Whether the segment's file is open now. False for one with bodies that is gone: a trim that deleted it was
        undone by a loss of power.
        """
        if segment == self._segment:
            return True
        self.close()
        folder = folder_of(connection, self._log_path)
        folder.mkdir(exist_ok=True)
        try:
            flags = os.O_WRONLY | os.O_CLOEXEC | (0 if size_bytes else os.O_CREAT)
            self._file = os.open(_path(folder, segment), flags, 0o644)
        except FileNotFoundError:
            return False
        try:
            sync_folder(folder)
            sync_folder(folder.parent)
        except OSError:
            self.close()
            raise
        self._segment = segment
        return True


def read_bodies(folder: Path, places: Sequence[Place]) -> list[bytes]:
    """The bodies at the places of committed records, in order; what lies side by side is read at once.

    Raises `FileNotFoundError` where a trim was faster, `EOFError` where a file is shorter than it must be.
    """
    bodies: list[bytes] = []
    # Opened anew each time: an open file would keep its room on the disk after it was trimmed.
    with ExitStack() as stack:
        files: dict[int, int] = {}
        for run in _runs(places):
            first, last = run[0], run[-1]
            if not last.size_bytes:
                bodies += [b""] * len(run)
                continue
            if first.segment not in files:
                files[first.segment] = _open_to_read(folder, first.segment, stack)
            size_bytes = last.position + last.size_bytes - first.position
            content = os.pread(files[first.segment], size_bytes, first.position)
            if len(content) != size_bytes:
                raise EOFError(f"{_path(folder, first.segment)} ends early")
            at = [place.position - first.position for place in run]
            bodies += [content[a : a + place.size_bytes] for a, place in zip(at, run, strict=True)]
    return bodies


def _open_to_read(folder: Path, segment: int, stack: ExitStack) -> int:
    file = os.open(_path(folder, segment), os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, file)
    return file


def stored_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of all bodies that are stored."""
    return int(connection.execute("SELECT coalesce(sum(size_bytes), 0) FROM segments").fetchone()[0])


def forget(connection: sqlite3.Connection) -> None:
    """Take the files out of the books that no record is in any more, in a transaction."""
    connection.execute(
        """DELETE FROM segments WHERE last_offset < coalesce(
               (SELECT min(offset) FROM log), (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'log'))"""
    )


def delete_forgotten(connection: sqlite3.Connection, folder: Path) -> None:
    """Delete the files that are no longer in the books; not in a transaction: they must be out for good."""
    # In this order: a file made in between has a higher number than `newest`.
    newest = (
        connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'segments'").fetchone()[0] or 0
    )
    known = {int(row[0]) for row in connection.execute("SELECT id FROM segments").fetchall()}
    for path in folder.glob("*.bodies"):
        if path.stem.isdigit() and int(path.stem) <= newest and int(path.stem) not in known:
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _newest(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """Number and size of the newest file in the books."""
    found: tuple[int, int] | None = connection.execute(
        "SELECT id, size_bytes FROM segments ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return found


def _path(folder: Path, segment: int) -> Path:
    return folder / f"{segment:012d}.bodies"


def _places(bodies: Sequence[bytes], segment: int, position: int) -> list[Place]:
    """Where bodies lie that were written one behind the other from `position` on."""
    places = []
    for body in bodies:
        places.append(Place(segment, position, len(body)) if body else NOWHERE)
        position += len(body)
    return places


def _write(file: int, bodies: Sequence[bytes], position: int) -> None:
    """All of the bodies, one behind the other from `position` on."""
    for start in range(0, len(bodies), _MOST_BUFFERS):
        buffers: list[bytes | memoryview] = list(bodies[start : start + _MOST_BUFFERS])
        while buffers:
            written = os.pwritev(file, buffers, position)
            position += written
            buffers = _rest(buffers, written)


def _rest(buffers: list[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    for number, buffer in enumerate(buffers):
        if written < len(buffer):
            return [memoryview(buffer)[written:], *buffers[number + 1 :]]
        written -= len(buffer)
    return []


def _runs(places: Sequence[Place]) -> Iterator[list[Place]]:
    """The places, cut where one does not begin where the one before ends."""
    run: list[Place] = []
    for place in places:
        if run and not (
            place.segment == run[-1].segment and place.position == run[-1].position + run[-1].size_bytes
        ):
            yield run
            run = []
        run.append(place)
    if run:
        yield run
