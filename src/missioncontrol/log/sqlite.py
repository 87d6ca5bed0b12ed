"""The embedded log: one SQLite file, shared by every process of an installation.

Appends go through the group commit's thread, reads through connections of their own, trims through the
trimmer's; here the three meet. Constructing a `SqliteLog` touches nothing: file, connections and thread come
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
from missioncontrol.errors import StorageError
from missioncontrol.log import seen
from missioncontrol.log.commits import GroupCommit, Job
from missioncontrol.log.database import connect, failure
from missioncontrol.log.protocol import Appended, Entry, Kind, Record
from missioncontrol.log.room import require_room
from missioncontrol.log.rows import Row, identity, pack, unpack
from missioncontrol.log.trim import Trimmer

_INSERT_ROWS = 16
_INSERT_BYTES = 1024 * 1024
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
        self._writer = GroupCommit(path, max_bytes, self._store)
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
        job = Job(future, loop, rows=(pack(entry),))
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
        if claimant == seen.APPENDED:
            raise ValueError("claimant 0 is append() itself")
        ids = [identity(id_) if id_ else b"" for id_ in document_ids]
        duplicates: list[bool] = []
        for start in range(0, len(ids), _CLAIM_IDS):
            task = partial(
                seen.claim, ids=ids[start : start + _CLAIM_IDS], claimant=claimant, window=self._window()
            )
            duplicates += self._writer.run(task=task)
        return duplicates

    def release(self, claimants: Sequence[int]) -> None:
        """Forget what claimants noted whose pings never reached the lake."""
        if seen.APPENDED in claimants:
            raise ValueError("claimant 0 is append() itself")
        if claimants:
            self._writer.run(task=partial(seen.release, claimants=claimants))

    def read(self, after: int, max_records: int, max_bytes: int) -> list[Record]:
        """Records with offset > `after`, at least one if there is any, until a limit is reached."""
        records: list[Record] = []
        size_bytes = 0
        query = "SELECT offset, kind, meta, body FROM log WHERE offset > ? ORDER BY offset LIMIT ?"
        with (
            self._reader() as connection,
            closing(connection.execute(query, (after, max(1, max_records)))) as rows,
        ):
            for offset, kind, meta, body in rows:
                size_bytes += len(meta) + len(body)
                if records and size_bytes > max_bytes:
                    break
                records.append(Record(offset, unpack(kind, meta, body)))
        return records

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
        return sum(
            file.stat().st_size
            for file in (self._path, self._path.with_name(self._path.name + "-wal"))
            if file.exists()
        )

    def trim(self, through: int) -> None:
        """Free the records with offset <= `through`, and what expired."""
        self._trimmer.trim(through)

    def check(self) -> None:
        """Prove that the log can be written now; raises `StorageFull` or `StorageError`."""
        self._writer.run(task=_probe)
        require_room(self._path.parent, _CHECK_BYTES)

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
        duplicates = seen.mark_duplicates(connection, [row.identity for row in rows], self._window())
        first = _last_offset(connection) + 1
        stored = [
            (offset, int(Kind.DUPLICATE) if duplicate else row.kind, row.meta, b"" if duplicate else row.body)
            for offset, (row, duplicate) in enumerate(zip(rows, duplicates, strict=True), first)
        ]
        for chunk in _chunks(stored):
            marks = ",".join(("(?,?,?,?)",) * len(chunk))
            values = [value for row in chunk for value in row]
            connection.execute(f"INSERT INTO log (offset, kind, meta, body) VALUES {marks}", values)
        return [Appended(offset, duplicate) for offset, duplicate in enumerate(duplicates, first)]

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """An idle connection, or a new one; it goes back to the idle ones unless it failed."""
        if self._closed:
            raise StorageError("log_closed", f"The log {self._path} is closed.")
        connection = None
        try:
            connection = self._idle_reader() or connect(self._path)
            yield connection
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
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


_Stored = tuple[int, int, bytes, bytes]


def _chunks(rows: Sequence[_Stored]) -> Iterator[Sequence[_Stored]]:
    """Sixteen rows a statement where they are small, else one: SQLite keeps a copy of what is bound."""
    for start in range(0, len(rows), _INSERT_ROWS):
        chunk = rows[start : start + _INSERT_ROWS]
        if len(chunk) == _INSERT_ROWS and sum(len(row[3]) for row in chunk) <= _INSERT_BYTES:
            yield chunk
        else:
            yield from ([row] for row in chunk)


def _last_offset(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()[0])


def _probe(connection: sqlite3.Connection) -> None:
    """Write as an append does: take new pages (given back at once), and fill some of the write-ahead log."""
    connection.execute("SAVEPOINT room")
    connection.execute("INSERT INTO log (kind, meta, body) VALUES (0, x'', zeroblob(?))", (_PROBE_BYTES,))
    connection.execute("ROLLBACK TO room")
    connection.execute("RELEASE room")
    connection.execute("UPDATE probe SET filler = zeroblob(?)", (_PROBE_BYTES,))
