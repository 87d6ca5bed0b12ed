"""How much room the disk has for the log. Appending stops a little before the disk is full.

SQLite needs room to free room: a trim is written to the write-ahead log first, and a full write-ahead log can
start over only when the file itself has room to grow. A log that filled the disk to the last byte could be
neither trimmed nor, after a restart, read.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from missioncontrol.errors import NO_ROOM, StorageFull

RESERVE_BYTES = 16 * 1024 * 1024
"""Left free by appends, or a sixteenth of a small disk."""
SCARCE_BYTES = 128 * 1024 * 1024
"""Below this much free, what is written is copied from the write-ahead log into the file at once."""


def require_room(folder: Path, size_bytes: int) -> int:
    """The bytes that are free; raises `StorageFull` unless so much fits twice beside a reserve.

    Twice: what goes through SQLite lies in the write-ahead log first, then in the file too.
    """
    disk = os.statvfs(folder)
    reserve_bytes = min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // 16)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < 2 * size_bytes + reserve_bytes:
        raise StorageFull(
            "log_full",
            f"The disk of the log ({folder}) has {free_bytes / 1e6:.1f} MB left.",
            f"Free disk space; {reserve_bytes / 1e6:.1f} MB are kept for reading and trimming.",
        )
    return free_bytes


def is_scarce(folder: Path) -> bool:
    """Whether the disk is nearly full."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < SCARCE_BYTES


def is_exhausted(folder: Path) -> bool:
    """Whether a small file cannot be written for lack of room (of bytes, files, or quota)."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(65536))
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in NO_ROOM
    return False
