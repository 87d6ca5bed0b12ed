"""Vacuum: deletes data files that no version in use can name any more.

A file goes when the newest version of its table does not name it and nobody needed it for a while: its
modification time is set when it is staged, when it joins the table and when it leaves. Never touches a
folder that is not a readable Delta table, a file that is not Parquet, or the log (Delta cleans that itself
at each checkpoint, but for temporary files of killed writers).

An object on S3 has only the time of its upload. There a file goes once vacuum itself has seen for as long that it is
not named, and when it is older than any staged file that a commit may still name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from missioncontrol.clock import Clock, system_clock
from missioncontrol.config import LakePlace
from missioncontrol.lake.actions import STAGED_S
from missioncontrol.lake.delta import delta_failures
from missioncontrol.lake.place import data_objects, place_of, relative, remove
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.small_file import replace_file

LEAST_AGE_S = 10.0
"""However short the setting: a writer has this long between touching a file and naming it in a commit."""
_STALE_TMP_S = 3600.0
OBJECT_LEAST_AGE_S = STAGED_S + 3 * 900.0
"""S3 refuses requests whose clock is off by more than 15 minutes: so far may each of the three clocks be from its own,
of who stages, who commits and who vacuums."""


class Vacuumed(msgspec.Struct, frozen=True):
    """What was deleted from one table."""

    table: str
    files: int
    size_bytes: int


def vacuum(
    lake: LakePlace | Path,
    cache_path: Path,
    table: str,
    after_s: float,
    clock: Clock = system_clock,
    reader: LakeReader | None = None,
) -> Vacuumed:
    """Delete the table's unreferenced files that were not needed for `after_s` seconds.

    Files that queries may still read, and files staged for a commit to come, must be younger than that.
    """
    place, now_s = place_of(lake), clock() / 1e9
    reader = reader or LakeReader(place, cache_path)
    if place.url:
        return _vacuum_objects(place, reader, table, after_s, now_s, cache_path / f"vacuum-{table}.json")
    path = place.folder / table
    with delta_failures(path):
        # Listed before the snapshot is taken: what is committed in between is then known to it.
        old = list(_older(path, "part-*.parquet", now_s - max(after_s, LEAST_AGE_S)))
        snapshot = reader.snapshot(table)
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


def _vacuum_objects(
    place: LakePlace, reader: LakeReader, table: str, after_s: float, now_s: float, memory: Path
) -> Vacuumed:
    # Listed before the snapshot is taken: what is committed in between is then known to it.
    objects = data_objects(place, table)
    snapshot = reader.snapshot(table)
    if snapshot is None:
        return Vacuumed(table, 0, 0)
    named = {relative(place, table, file.path) for file in snapshot.files}
    known = _remembered(memory)
    unnamed = {one.path: known.get(one.path, now_s) for one in objects if one.path not in named}
    doomed = [
        one
        for one in objects
        if one.path in unnamed
        and now_s - unnamed[one.path] >= after_s
        and now_s - one.changed_s > OBJECT_LEAST_AGE_S
    ]
    remove(place, table, [one.path for one in doomed])
    gone = {one.path for one in doomed}
    replace_file(
        memory, msgspec.json.encode({path: since for path, since in unnamed.items() if path not in gone})
    )
    return Vacuumed(table, len(doomed), sum(one.size_bytes for one in doomed))


def _remembered(memory: Path) -> dict[str, float]:
    """Since when files are not named, as far as it is known; what is forgotten is kept longer."""
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, float])
    except (OSError, msgspec.DecodeError):
        return {}


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
