"""Vacuum: deletes data files that no version in use can name any more.

A file goes when the newest version of its table does not name it and nobody needed it for a while: its
modification time is set when it is staged, when it joins the table and when it leaves. Never touches a
folder that is not a readable Delta table, a file that is not Parquet, or the log (Delta cleans that itself
at each checkpoint, but for temporary files of killed writers).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from missioncontrol.clock import Clock, system_clock
from missioncontrol.lake.delta import delta_failures
from missioncontrol.lake.snapshot import LakeReader

LEAST_AGE_S = 10.0
"""However short the setting: a writer has this long between touching a file and naming it in a commit."""
_STALE_TMP_S = 3600.0


class Vacuumed(msgspec.Struct, frozen=True):
    """What was deleted from one table."""

    table: str
    files: int
    size_bytes: int


def vacuum(
    lake_path: Path, cache_path: Path, table: str, after_s: float, clock: Clock = system_clock
) -> Vacuumed:
    """Delete the table's unreferenced files that were not needed for `after_s` seconds.

    Files that queries may still read, and files staged for a commit to come, must be younger than that.
    """
    path = lake_path.absolute() / table
    now_s = clock() / 1e9
    with delta_failures(path):
        # Listed before the snapshot is taken: what is committed in between is then known to it.
        old = list(_older(path, "part-*.parquet", now_s - max(after_s, LEAST_AGE_S)))
        snapshot = LakeReader(lake_path, cache_path).snapshot(table)
        if snapshot is None:
            return Vacuumed(table, 0, 0)
        named = {file.path for file in snapshot.files}
        doomed = [(file, size_bytes) for file, size_bytes in old if str(file) not in named]
        doomed += [
            found for found in _older(path / "_delta_log", "*", now_s - _STALE_TMP_S) if _temporary(found[0])
        ]
        for file, _ in doomed:
            file.unlink(missing_ok=True)
        return Vacuumed(table, len(doomed), sum(size_bytes for _, size_bytes in doomed))


def _older(path: Path, pattern: str, than_s: float) -> Iterator[tuple[Path, int]]:
    for file in path.rglob(pattern):
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        if status.st_mtime < than_s:
            yield file, status.st_size


def _temporary(file: Path) -> bool:
    return file.name.endswith(".tmp") or "#" in file.name
