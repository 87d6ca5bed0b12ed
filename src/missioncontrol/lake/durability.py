"""What was committed but may still be in the page cache only, and how it gets onto the disk.

A commit survives the death of its process at once, but a loss of power only after `sync()`: one for many
commits is far cheaper than one for each. What S3 has said yes to is durable there. Never decides when.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from missioncontrol.config import LakePlace
from missioncontrol.lake.actions import StagedFile
from missioncontrol.lake.delta import delta_failures
from missioncontrol.lake.place import place_of


class Unsynced:
    """The files of one writer's commits since the last `sync()`. Thread-safe."""

    def __init__(self, lake: LakePlace | Path) -> None:
        self._place = place_of(lake)
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._data: dict[str, set[Path]] = {}
        self._logged: dict[str, set[str]] = {}

    def add(self, table: str, files: Sequence[StagedFile]) -> None:
        """Remember a commit."""
        if self._place.url:
            return
        with self._lock:
            self._data.setdefault(table, set()).update(self._place.folder / table / f.path for f in files)

    def sync(self) -> None:
        """Write all that is remembered, and the log that names it, through to the disk."""
        with self._syncing:
            with self._lock:
                waiting, self._data = self._data, {}
            try:
                while waiting:
                    table, files = next(iter(waiting.items()))
                    self._sync_table(table, files)
                    del waiting[table]
            finally:
                with self._lock:
                    for table, files in waiting.items():
                        self._data.setdefault(table, set()).update(files)

    def _sync_table(self, table: str, files: set[Path]) -> None:
        path = self._place.folder / table
        with delta_failures(path):
            # The data before the log: a log on the disk never names what is not there.
            _flush(files)
            self._flush_log(table, path / "_delta_log")
            _flush_one(path)

    def _flush_log(self, table: str, log: Path) -> None:
        entries = {entry.name for entry in os.scandir(log)}
        for name in (entries - self._logged.get(table, set())) | (entries & {"_last_checkpoint"}):
            _flush_one(log / name)
        _flush_one(log)
        self._logged[table] = entries


def flush(place: LakePlace, staged: Sequence[StagedFile]) -> None:
    """Write staged files and the folders that hold them through to the disk; raises `StorageFull`, `StorageError`."""
    if place.url or not staged:
        return
    with delta_failures(place.folder / staged[0].table):
        _flush([place.folder / file.table / file.path for file in staged])


def _flush(files: Collection[Path]) -> None:
    folders = {file.parent for file in files}
    for path in (*files, *folders, *{folder.parent for folder in folders}):
        _flush_one(path)


def _flush_one(path: Path) -> None:
    """Flush a file or a folder; one that compaction or the log's cleaning has deleted needs no flushing."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
