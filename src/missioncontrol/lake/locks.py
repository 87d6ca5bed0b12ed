"""Who may change what at the same time, across processes of one machine: locks that end with the process.

Whoever commits one batch to several tables holds the commit gate (shared); whoever needs snapshots of several tables
that hold the same batches takes it alone for that moment. Whoever rewrites a day of a table (compaction, backfill)
holds that day's lock. Files in `_locks` of the lake's folder, locked with flock; never deleted.

Processes on other machines, which write to the same lake on S3, do not see these locks. Commits need none: those that
exclude each other conflict. What rewrites days runs on one machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.file_lock import try_lock
from missioncontrol.lake.delta import storage_error
from missioncontrol.lake.place import place_of

_POLL_S = 0.02


@contextmanager
def commit_gate(lake: LakePlace | Path, alone: bool = False, timeout_s: float = 120.0) -> Iterator[None]:
    """Commit to several tables what belongs together; `alone`: while nobody does.

    Raises `StorageError` (`lake_busy`) when it could not be had in time.
    """
    with _locked(lake, "commits", not alone, timeout_s) as held:
        if not held:
            raise _busy("Batches are being committed without a pause", timeout_s)
        yield


@contextmanager
def rewriting(lake: LakePlace | Path, table: str, day: str, timeout_s: float = 0.0) -> Iterator[bool]:
    """Rewrite a day of a table; False, and nothing may be rewritten, while another process does."""
    with _locked(lake, f"{table}-{day}", False, timeout_s) as held:
        yield held


@contextmanager
def caring(lake: LakePlace | Path) -> Iterator[bool]:
    """Care for the whole lake, as long as the block lasts; False while another process does."""
    with _locked(lake, "care", False, 0.0) as held:
        yield held


@contextmanager
def _locked(lake: LakePlace | Path, name: str, shared: bool, timeout_s: float) -> Iterator[bool]:
    file = _open(place_of(lake).folder / "_locks" / f"{name}.lock")
    try:
        yield _acquire(file, shared, time.monotonic() + timeout_s)
    finally:
        os.close(file)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise storage_error(error, path.parent) from error


def _acquire(file: int, shared: bool, deadline: float) -> bool:
    while not try_lock(file, shared):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _busy(what: str, timeout_s: float) -> StorageError:
    return StorageError("lake_busy", f"{what}, for {timeout_s:.0f} s.", "Try again when an import has ended.")
