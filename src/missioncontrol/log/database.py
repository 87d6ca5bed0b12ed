"""The SQLite file of the log: its schema, its connections, its lock, and what its errors mean.

Knows nothing of entries or duplicates. Every connection is in WAL mode: readers never wait for a writer, and
one writer at a time holds the file, in this process or another.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

from missioncontrol.errors import NO_ROOM, MissionControlError, StorageError, StorageFull
from missioncontrol.log.bodies import sync_folder
from missioncontrol.log.room import is_exhausted

Item = TypeVar("Item")

PAGE_BYTES = 4096
SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 30.0
WAL_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this size whenever it starts over."""
_MOST_MARKS = 256

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    offset INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, meta BLOB NOT NULL,
    segment INTEGER NOT NULL, position INTEGER NOT NULL, size_bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, size_bytes INTEGER NOT NULL, last_offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS seen (
    id BLOB PRIMARY KEY, claimant INTEGER NOT NULL, noted_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS probe (one INTEGER PRIMARY KEY CHECK (one = 1), filler BLOB NOT NULL);
INSERT OR IGNORE INTO sqlite_sequence (name, seq) SELECT 'log', 0
    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'log');
INSERT OR IGNORE INTO probe VALUES (1, x'');
CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL);
INSERT OR IGNORE INTO identity VALUES (1, lower(hex(randomblob(8))))
"""


def connect(
    path: Path, *, writes: bool = False, synchronous: Literal["FULL", "NORMAL"] = "FULL", max_bytes: int = 0
) -> sqlite3.Connection:
    """Open the file, made if missing, in autocommit mode, usable from any thread (one at a time).

    One that `writes` does not wait for others by itself: use `begin()` and `patiently()`.
    `max_bytes` bounds the file so that the write-ahead log has room beside it; 0: no bound.
    Raises `sqlite3.Error`, `OSError`, or `StorageError` for a file of a newer schema.
    """
    _make_folder(path.parent)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection)
        connection.execute(f"PRAGMA synchronous={synchronous}")
        if synchronous == "FULL":  # the group commit copies the write-ahead log itself, after its answers
            connection.execute("PRAGMA wal_autocheckpoint=0")
        if max_bytes:
            connection.execute(f"PRAGMA max_page_count={max(1, share_bytes(max_bytes) // PAGE_BYTES)}")
        _make_schema(connection, path)
        if writes:
            connection.execute("PRAGMA busy_timeout=0")
    except BaseException:
        connection.close()
        raise
    return connection


def share_bytes(max_bytes: int) -> int:
    """What a log of `max_bytes` may hold besides its write-ahead log."""
    return max_bytes - min(max_bytes // 4, WAL_BYTES)


def begin(connection: sqlite3.Connection) -> None:
    """Start a write transaction, waiting for other writers up to `BUSY_TIMEOUT_S`."""
    patiently(connection, lambda: connection.execute("BEGIN IMMEDIATE"))


def patiently(connection: sqlite3.Connection, action: Callable[[], object]) -> None:
    """Run the action until it no longer finds the file held by another writer, for up to `BUSY_TIMEOUT_S`.

    Polls at short random intervals. SQLite's own busy handler, which connections that only read keep, soon sleeps
    100 ms between attempts, and a writer that commits without pause then locks out every other process.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.0002, 0.001))


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """`INSERT`, with all rows in a statement or few; `into` is what stands before the values: verb, table, columns."""
    for chunk in few_forms(rows):
        marks = ",".join(["({})".format(",".join("?" * len(chunk[0])))] * len(chunk))
        count = min(len(chunk), len(rows))
        query = f"{into} SELECT * FROM (VALUES {marks}) LIMIT ?"
        connection.execute(query, [*chain.from_iterable(chunk), count])
        rows = rows[count:]


def few_forms(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in chunks for statements with a mark for each; the last one is repeated up to a power of two.

    So SQLite is asked seldom, and in few forms, each of which is prepared once.
    """
    for start in range(0, len(items), _MOST_MARKS):
        chunk = items[start : start + _MOST_MARKS]
        missing = (1 << (len(chunk) - 1).bit_length()) - len(chunk)
        yield [*chunk, *[chunk[-1]] * missing]


def roll_back(connection: sqlite3.Connection) -> None:
    """End the transaction that failed, if SQLite has not ended it already."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection held what this one needed."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def failure(error: Exception, path: Path, code: str = "log_unwritable") -> MissionControlError:
    """What a failure of SQLite or the system means: `StorageFull`, or `StorageError` with `code`."""
    if isinstance(error, MissionControlError):
        return type(error)(error.code, error.message, error.hint)
    if _is_full(error, path.parent):
        return StorageFull(
            "log_full", f"The log {path} is full: {error}.", "Free disk space, or raise log.max_bytes."
        )
    doing = "read" if code == "log_unreadable" else "written"
    hint = "Another process holds it." if isinstance(error, sqlite3.Error) and is_busy(error) else ""
    return StorageError(
        code,
        f"The log {path} cannot be {doing}: {error}.",
        hint or "Check the folder, its permissions and the disk.",
    )


def _is_full(error: Exception, folder: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in NO_ROOM
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return True
    # SQLite reports some writes that found no room as a plain I/O error, without the system's reason.
    return primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and is_exhausted(folder)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    # SQLite makes its files' names durable in this folder; the folder's own name is ours.
    sync_folder(folder.parent)


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
    # Debian's SQLite overwrites what is deleted with zeros: trims would write as much as appends, 25 times
    # slower.
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("PRAGMA fullfsync=ON")  # macOS: past the disk's cache too
    connection.execute("PRAGMA checkpoint_fullfsync=ON")


def _make_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file. Opening one that has them takes no lock, so that reading never waits."""
    if _schema_version(connection, path) == SCHEMA_VERSION:
        return
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    patiently(connection, lambda: connection.execute("PRAGMA journal_mode=WAL"))
    begin(connection)
    try:
        if _schema_version(connection, path) < SCHEMA_VERSION:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _schema_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StorageError(
            "log_newer",
            f"The log {path} was made by a newer version (schema {version}).",
            "Upgrade this one.",
        )
    if 0 < version < SCHEMA_VERSION:
        raise StorageError(
            "log_older",
            f"The log {path} was made by an older version (schema {version}), which kept bodies elsewhere.",
            "Let that version's stream take all of it into the lake, then delete the folder of the log.",
        )
    return version
