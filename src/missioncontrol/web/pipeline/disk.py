"""How much room there is, what takes it, how fast that grows, and how long the rest lasts.

Tables say themselves how large they are. Crash files are counted one by one, in a thread of its own and at most every
ten minutes: there may be millions.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec

from missioncontrol.config import Config
from missioncontrol.lake.plan import day, kept_days
from missioncontrol.lake.snapshot import Snapshot
from missioncontrol.web.pipeline.facts import Disk, DiskUse

ARCHIVE = "pings"
GROWTH_DAYS = 7
"""Whole days, at most, whose mean is the growth."""
_AGAIN_S = 600.0
_DAY_S = 86400.0
_BREATHE_EVERY = 500
_PATIENCE_S = 0.02


class FolderSize(msgspec.Struct, frozen=True):
    """What a folder holds, and what of it was written in the last 24 hours."""

    size_bytes: int
    written_bytes_day: int


class FolderCount:
    """The size of a folder, counted in the background. Thread-safe; hardly blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: FolderSize | None = None
        self._begun_at: float | None = None

    def size(self) -> FolderSize | None:
        """As it was counted last; None while it never was."""
        with self._lock:
            due = self._begun_at is None or time.monotonic() - self._begun_at > _AGAIN_S
            if due:
                self._begun_at = time.monotonic()
                counting = threading.Thread(target=self._count, name="folder size", daemon=True)
                counting.start()
        if due:
            counting.join(_PATIENCE_S)  # most folders are small
        with self._lock:
            return self._known

    def _count(self) -> None:
        found = count_folder(self._folder)
        with self._lock:
            self._known = found


def count_folder(folder: Path) -> FolderSize:
    """The files below a folder, links not followed; what goes away meanwhile is left out."""
    size = written = seen = 0
    since, waiting = time.time() - _DAY_S, [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen % _BREATHE_EVERY == 0:
                        time.sleep(0.001)  # whoever asks for pages meanwhile comes first
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                            continue
                        stat = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    size += stat.st_size
                    written += stat.st_size if stat.st_mtime >= since else 0
        except OSError:
            continue
    return FolderSize(size, written)


def read_disk(
    config: Config,
    log_bytes: int | None,
    tables: Sequence[Snapshot],
    blobs: FolderSize | None,
    today: date,
    at_hand: FolderSize | None = None,
) -> Disk:
    """The disk of the data folder as it is now. `at_hand`: files of a lake on S3 that are here. Raises `OSError`."""
    folder = next(f for f in (config.data, *config.data.parents) if f.exists())
    usage = shutil.disk_usage(folder)
    growth = None if blobs is None else float(blobs.written_bytes_day)
    files = DiskUse("Crash files", "dumps, reports, symbols", blobs.size_bytes if blobs else None, growth)
    crash_files = () if config.blobs.url else (files,)  # those in a bucket are not on this disk
    uses = (
        *(
            []
            if log_bytes is None
            else [DiskUse("Log", "accepted, and kept to recognise copies", log_bytes, 0.0)]
        ),
        *_of_lake(config, tables, today, at_hand),
        *crash_files,
    )
    # A part whose growth is not known yet leaves the sum unknown, unless it is empty.
    known = [u.growth_bytes_day for u in uses if u.size_bytes != 0]
    total = None if None in known else sum(g for g in known if g is not None)
    lasts = usage.free / total if total else None
    return Disk(usage.total, usage.free, uses, total, lasts)


def _of_lake(
    config: Config, tables: Sequence[Snapshot], today: date, at_hand: FolderSize | None
) -> list[DiskUse]:
    if config.lake.url:  # its tables are not on this disk, and what is at hand of them is bounded
        return [
            DiskUse(
                "Lake at hand", "files that were read lately", at_hand.size_bytes if at_hand else None, 0.0
            )
        ]
    archive = [t for t in tables if t.table == ARCHIVE]
    others = [t for t in tables if t.table != ARCHIVE]
    return [
        _of_tables("Archive", "pings as they were sent", archive, config, today),
        _of_tables("Lake", "all other tables", others, config, today),
    ]


def _of_tables(name: str, what: str, tables: Sequence[Snapshot], config: Config, today: date) -> DiskUse:
    size = sum(file.size_bytes for table in tables for file in table.files)
    growths = [
        (daily_growth(t, today), is_full(t, kept_days(config.retention, t.table), today)) for t in tables
    ]
    if growths and all(full for _, full in growths):
        return DiskUse(name, what, size, 0.0, full=True)
    open_ = [growth for growth, full in growths if not full]
    known = [growth for growth in open_ if growth is not None]
    return DiskUse(name, what, size, sum(known) if known else None)


def daily_growth(table: Snapshot, today: date) -> float | None:
    """Mean size in bytes of its last whole days, as they are kept now; None: there was no whole day."""
    sizes = dict[date, int]()
    for file in table.files:
        at = day(file.partition)
        sizes[at] = sizes.get(at, 0) + file.size_bytes
    whole = _whole_days(sizes, today)
    return sum(sizes.get(at, 0) for at in whole) / len(whole) if whole else None


def _whole_days(known: Iterable[date], today: date) -> list[date]:
    """The last days before today, from the first that there are rows of on; the first is seldom whole."""
    first = min(known, default=today)
    days = [today - timedelta(days=n) for n in range(1, GROWTH_DAYS + 1)]
    return [at for at in days if at > first] or [at for at in days if at == first]


def is_full(table: Snapshot, days_kept: int, today: date) -> bool:
    """Whether retention takes out of the table as much as comes in."""
    oldest = min((day(file.partition) for file in table.files), default=None)
    return bool(days_kept) and oldest is not None and oldest <= today - timedelta(days=days_kept - 1)
