"""Frees what was consumed: records, files of bodies, expired identities and unused pages, in small steps.

Works on a connection of its own, usually in another process than the one that appends. Every step is a
transaction of a few milliseconds, and after each the trimmer pauses for as long as it held the file. Its
commits need not survive loss of power: records that come back are behind the reader's offset, and the next
trim frees them.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from missioncontrol.clock import Clock
from missioncontrol.log import bodies
from missioncontrol.log.database import PAGE_BYTES, begin, connect, failure, patiently, roll_back
from missioncontrol.log.room import is_scarce
from missioncontrol.log.seen import Sweep

_CHUNK_RECORDS = 2000
_SWEEP_STEPS = 4
_PAUSE_S = 0.001
_KEPT_FREE_PAGES = 16 * 1024 * 1024 // PAGE_BYTES
_VACUUM_PAGES = 100
_VACUUM_STEPS = 320


class Trimmer:
    """The trimming side of one log. Opens its connection at the first call."""

    def __init__(self, path: Path, dedup_days: int, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._sweep = Sweep(dedup_days)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def trim(self, through: int) -> None:
        """Free the records with offset <= `through`; raises `StorageFull` or `StorageError`."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = connect(self._path, writes=True, synchronous="NORMAL")
                self._free_records(self._connection, through)
                self._free_bodies(self._connection)
                self._free_identities(self._connection)
                self._give_back(self._connection)
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                raise failure(error, self._path) from error

    def close(self) -> None:
        """Close the connection; a trim under way ends first."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _free_records(self, connection: sqlite3.Connection, through: int) -> None:
        while (end := _chunk_end(connection, through)) is not None:
            with _brief(connection):
                connection.execute("DELETE FROM log WHERE offset <= ?", (end,))
            self._copy_if_scarce(connection)

    def _free_bodies(self, connection: sqlite3.Connection) -> None:
        with _brief(connection):
            bodies.forget(connection)
        bodies.delete_forgotten(connection, bodies.folder_of(connection, self._path))

    def _free_identities(self, connection: sqlite3.Connection) -> None:
        for _ in range(_SWEEP_STEPS):
            if not self._sweep.step(connection, self._clock() // 1_000_000_000):
                return

    def _give_back(self, connection: sqlite3.Connection) -> None:
        """Shrink the file while most of it is free, or any on a nearly full disk; the next call goes on."""
        for _ in range(_VACUUM_STEPS):
            free, pages = _pragma(connection, "freelist_count"), _pragma(connection, "page_count")
            kept = 0 if is_scarce(self._path.parent) else max(_KEPT_FREE_PAGES, pages // 2)
            if free <= kept:
                return
            # A page is freed with each step of the statement, and only executescript() takes all of them.
            patiently(
                connection, lambda: connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            )
            time.sleep(_PAUSE_S)
            self._copy_if_scarce(connection)

    def _copy_if_scarce(self, connection: sqlite3.Connection) -> None:
        """On a nearly full disk, let the write-ahead log start over after each step, in place of growing."""
        if is_scarce(self._path.parent):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


@contextmanager
def _brief(connection: sqlite3.Connection) -> Iterator[None]:
    """A short write transaction, followed by a pause in which a waiting writer gets its turn."""
    begin(connection)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    time.sleep(_PAUSE_S)


def _chunk_end(connection: sqlite3.Connection, through: int) -> int | None:
    """The last offset of the next records to free together; None when none is left."""
    found = connection.execute(
        "SELECT max(offset) FROM (SELECT offset FROM log WHERE offset <= ? ORDER BY offset LIMIT ?)",
        (through, _CHUNK_RECORDS),
    ).fetchone()[0]
    return None if found is None else int(found)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
