"""The SQLite file of the log: its schema, its connections, its lock, and what its errors mean.

Knows nothing of entries or duplicates. Every connection is in WAL mode: readers never wait for a writer, and
one writer at a time holds the file, in this process or another.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from missioncontrol.errors import MissionControlError, StorageError, StorageFull
from missioncontrol.log.room import FULL, is_exhausted

PAGE_BYTES = 8192
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 30.0
WAL_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this size whenever it starts over."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    offset INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, meta BLOB NOT NULL, body BLOB NOT NULL);
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
    path: Path, *, synchronous: Literal["FULL", "NORMAL"] = "FULL", max_bytes: int = 0
) -> sqlite3.Connection:
    """Open the file, made if missing, in autocommit mode, usable from any thread (one at a time).

    `max_bytes` bounds file and write-ahead log together, as far as this connection writes them; 0: no bound.
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
            pages = (max_bytes - min(max_bytes // 4, WAL_BYTES)) // PAGE_BYTES
            connection.execute(f"PRAGMA max_page_count={max(1, pages)}")
        _make_schema(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def begin(connection: sqlite3.Connection) -> None:
    """Start a write transaction, waiting for other writers up to `BUSY_TIMEOUT_S`."""
    patiently(connection, lambda: connection.execute("BEGIN IMMEDIATE"))


def patiently(connection: sqlite3.Connection, action: Callable[[], object]) -> None:
    """Run the action until it no longer finds the file held by another writer, for up to `BUSY_TIMEOUT_S`.

    Polls at short random intervals. SQLite's own busy handler, good enough for the rest, soon sleeps 100 ms
    between attempts, and a writer that commits without pause then locks out every other process.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                action()
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.0002, 0.001))
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")


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
        return error.errno in FULL
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return True
    # SQLite reports some writes that found no room as a plain I/O error, without the system's reason.
    return primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and is_exhausted(folder)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    parent = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(
            parent
        )  # SQLite makes its files' names durable in this folder; the folder's own name is ours
    finally:
        os.close(parent)


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
    return version
