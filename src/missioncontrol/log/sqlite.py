"""The embedded log: one SQLite file with files of bodies beside it, shared by every process of an installation.

Appends go through the group commit's thread, reads through connections of their own, trims through the
trimmer's; here the three meet. Constructing a `SqliteLog` touches nothing: files, connections and thread come
with first use.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from missioncontrol.clock import Clock, system_clock
from missioncontrol.errors import LimitReached, StorageError
from missioncontrol.log import bodies, seen
from missioncontrol.log.bodies import BodyWriter, Place
from missioncontrol.log.commits import GroupCommit, Job
from missioncontrol.log.database import PAGE_BYTES, connect, failure, insert, share_bytes
from missioncontrol.log.protocol import NO_CLAIMANT, Appended, Entry, Kind, Record
from missioncontrol.log.room import require_room
from missioncontrol.log.rows import Row, identity, pack, unpack
from missioncontrol.log.trim import Trimmer

_READ_ATTEMPTS = 3
_CLAIM_IDS = 2000
_PROBE_BYTES = 64 * 1024
_CHECK_BYTES = 1024 * 1024


class SqliteLog:
    """A `Log` (see `log.protocol`) in the SQLite file `path`; `max_bytes` 0: as large as the disk."""

    def __init__(
        self, path: Path, dedup_days: int = 7, max_bytes: int = 0, clock: Clock = system_clock
    ) -> None:
        self._path = path
        self._dedup_days = dedup_days
        self._clock = clock
        self._max_bytes = max_bytes
        segment_bytes = min(bodies.SEGMENT_BYTES, max_bytes // 8 or bodies.SEGMENT_BYTES)
        self._bodies = BodyWriter(path, segment_bytes)
        self._writer = GroupCommit(path, max_bytes, self._bodies, self._store)
        self._trimmer = Trimmer(path, dedup_days, clock)
        self._idle_readers: deque[sqlite3.Connection] = deque()
        self._arriving: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        self._closed = False

    @property
    def commits(self) -> int:
        """Durable commits that this object has made."""
        return self._writer.commits

    async def append(self, entry: Entry) -> Appended:
        """Store the entry durably; raises `StorageFull`, `StorageError` or `BadRequest`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Appended]] = loop.create_future()
        row = pack(entry)
        job = Job(future, loop, (row,), row.size_bytes)
        waiting = self._arriving.setdefault(loop, [])
        waiting.append(job)
        if len(waiting) == 1:
            # Handed over once the loop has been through all that is ready: one wake-up of the writer, one commit.
            loop.call_soon(self._hand_over, loop)
        return (await future)[0]

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs = self._arriving.pop(loop, None)
        if not jobs:
            return  # closing has handed them over already
        try:
            self._writer.submit(jobs)
        except StorageError as error:
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)

    def append_many(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store several entries in one durable commit, all or none."""
        rows = [pack(entry) for entry in entries]
        return cast("list[Appended]", self._writer.run(rows=rows)) if rows else []

    def claim(self, document_ids: Sequence[str], claimant: int) -> list[bool]:
        """Note identities for another way into the lake; true where somebody else noted the id before."""
        if claimant <= seen.APPENDED:
            raise ValueError(NO_CLAIMANT)
        ids = [identity(id_) if id_ else b"" for id_ in document_ids]
        duplicates: list[bool] = []
        for start in range(0, len(ids), _CLAIM_IDS):
            chunk = ids[start : start + _CLAIM_IDS]
            task = partial(seen.claim, ids=chunk, claimant=claimant, window=self._window())
            duplicates += self._writer.run(task=task, task_bytes=PAGE_BYTES * len(chunk))
        return duplicates

    def release(self, claimants: Sequence[int]) -> None:
        """Forget what claimants noted whose pings never reached the lake."""
        if any(one <= seen.APPENDED for one in claimants):
            raise ValueError(NO_CLAIMANT)
        if claimants:
            self._writer.run(task=partial(seen.release, claimants=claimants))

    def read(self, after: int, max_records: int, max_bytes: int) -> list[Record]:
        """Records with offset > `after`, at least one if there is any, until a limit is reached."""
        with self._reader() as connection:
            for _ in range(_READ_ATTEMPTS - 1):
                try:
                    return _records(connection, self._path, after, max_records, max_bytes)
                except (FileNotFoundError, EOFError):
                    pass  # trimmed in between: the records are gone from the books too
            return _records(connection, self._path, after, max_records, max_bytes)

    def identity(self) -> str:
        """Name of this log, made at random with it."""
        with self._reader() as connection:
            return str(connection.execute("SELECT name FROM identity").fetchone()[0])

    def last_offset(self) -> int:
        """Offset of the newest visible record ever appended; 0 for a log that never had one."""
        with self._reader() as connection:
            return _last_offset(connection)

    def count_after(self, offset: int) -> int:
        """How many records with a greater offset there are. Takes the same short time for any number."""
        with self._reader() as connection:
            # Offsets of what is stored have no gaps: a commit that fails gives its numbers back, trims cut
            # the head.
            first, last = connection.execute(
                "SELECT min(offset), (SELECT max(offset) FROM log) FROM log"
            ).fetchone()
        return 0 if last is None else max(0, last - max(offset, first - 1))

    def size_bytes(self) -> int:
        """Size of the files on disk."""
        wal = self._path.with_name(self._path.name + "-wal")
        return sum(map(_file_bytes, (self._path, wal, *bodies.files_beside(self._path))))

    def trim(self, through: int) -> None:
        """Free the records with offset <= `through`, and what expired."""
        self._trimmer.trim(through)

    def check(self) -> str:
        """Prove that the log can be written now; raises `StorageFull` or `StorageError`."""
        self._writer.run(task=self._probe)
        require_room(self._path.parent, _CHECK_BYTES)
        return ""

    def close(self) -> None:
        """Finish what is under way and release files and threads."""
        self._closed = True
        for loop in list(self._arriving):
            self._hand_over(loop)
        self._writer.close()
        self._trimmer.close()
        while self._idle_readers:
            self._idle_readers.pop().close()

    def _window(self) -> seen.Window:
        return seen.Window(self._clock() // 1_000_000_000, self._dedup_days)

    def _store(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> list[Appended]:
        """Insert the rows in the writer's transaction, copies of known documents without their bodies."""
        self._require_share(connection, sum(row.size_bytes for row in rows))
        duplicates = seen.mark_duplicates(connection, [row.identity for row in rows], self._window())
        first = _last_offset(connection) + 1
        kept = [b"" if duplicate else row.body for row, duplicate in zip(rows, duplicates, strict=True)]
        places = self._bodies.write(connection, kept, first + len(rows) - 1)
        stored = [
            (
                offset,
                int(Kind.DUPLICATE) if duplicate else row.kind,
                row.meta,
                place.segment,
                place.position,
                place.size_bytes,
            )
            for offset, (row, duplicate, place) in enumerate(
                zip(rows, duplicates, places, strict=True), first
            )
        ]
        insert(connection, f"INSERT INTO log ({_COLUMNS})", stored)
        return [Appended(offset, duplicate) for offset, duplicate in enumerate(duplicates, first)]

    def _require_share(self, connection: sqlite3.Connection, size_bytes: int) -> None:
        """Raise `LimitReached` when bodies, SQLite's file and so much more are over `max_bytes`."""
        if not self._max_bytes:
            return
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        pages -= connection.execute("PRAGMA freelist_count").fetchone()[0]
        if pages * PAGE_BYTES + bodies.stored_bytes(connection) + size_bytes > share_bytes(self._max_bytes):
            raise LimitReached(
                "log_full",
                f"The log {self._path} has reached its limit of {self._max_bytes / 1e6:.1f} MB.",
                "Let the stream catch up, or raise log.max_bytes.",
            )

    def _probe(self, connection: sqlite3.Connection) -> None:
        """Write as an append does: a body, and some of the write-ahead log."""
        self._require_share(connection, _PROBE_BYTES)
        self._bodies.probe(connection, _PROBE_BYTES)
        connection.execute("UPDATE probe SET filler = zeroblob(?)", (_PROBE_BYTES,))

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """An idle connection, or a new one; it goes back to the idle ones unless it failed."""
        if self._closed:
            raise StorageError("log_closed", f"The log {self._path} is closed.")
        connection = None
        try:
            connection = self._idle_reader() or connect(self._path)
            yield connection
        except (sqlite3.Error, OSError, EOFError, msgspec.DecodeError) as error:
            if connection is not None:
                connection.close()
            raise failure(error, self._path, "log_unreadable") from error
        if self._closed:
            connection.close()
        else:
            self._idle_readers.append(connection)

    def _idle_reader(self) -> sqlite3.Connection | None:
        try:
            return self._idle_readers.pop()
        except IndexError:
            return None


_COLUMNS = "offset, kind, meta, segment, position, size_bytes"
_Found = tuple[int, int, bytes, Place]


def _records(
    connection: sqlite3.Connection, path: Path, after: int, max_records: int, max_bytes: int
) -> list[Record]:
    """What one read returns; raises `FileNotFoundError` or `EOFError` where a trim took the bodies meanwhile."""
    rows = _rows_after(connection, after, max_records, max_bytes)
    found = bodies.read_bodies(bodies.folder_of(connection, path), [place for _, _, _, place in rows])
    return [
        Record(offset, unpack(kind, meta, body))
        for (offset, kind, meta, _), body in zip(rows, found, strict=True)
    ]


def _rows_after(connection: sqlite3.Connection, after: int, max_records: int, max_bytes: int) -> list[_Found]:
    """Offset, kind, metadata and the body's place of the records that one read returns."""
    found: list[_Found] = []
    total_bytes = 0
    query = f"SELECT {_COLUMNS} FROM log WHERE offset > ? ORDER BY offset LIMIT ?"
    with closing(connection.execute(query, (after, max(1, max_records)))) as rows:
        for offset, kind, meta, segment, position, size_bytes in rows:
            total_bytes += len(meta) + size_bytes
            if found and total_bytes > max_bytes:
                break
            found.append((offset, kind, meta, Place(segment, position, size_bytes)))
    return found


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _last_offset(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()[0])
