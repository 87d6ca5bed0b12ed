"""What commits since a version changed: from which window on a table's rows are others than they were.

Reads the commits of the table's log, never a Parquet file. Merges of files change nothing, and say so.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec

from missioncontrol.config import LakePlace
from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.place import place_of, read_commit
from missioncontrol.lake.snapshot import Snapshot

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class _File(msgspec.Struct, rename="camel"):
    path: str
    data_change: bool = True
    partition_values: dict[str, str | None] = {}
    stats: str | None = None


class _Stats(msgspec.Struct, rename="camel"):
    min_values: dict[str, object] = {}


class _Action(msgspec.Struct):
    add: _File | None = None
    remove: _File | None = None


def changed_from(
    lake: LakePlace | Path,
    snapshot: Snapshot,
    since: int,
    with_reports: bool = True,
    column: str = "window_start",
) -> datetime | None:
    """The earliest `column` whose rows commits after version `since` may have changed; None: there is none.

    Where the log no longer has a commit that is the beginning of all times. Without `with_reports` counts of crash
    reports are not looked at.
    """
    earliest: datetime | None = None
    for version in range(since + 1, snapshot.version + 1):
        commit = read_commit(place_of(lake), snapshot.table, version)
        if commit is None:
            return _ALWAYS
        for line in commit.splitlines():
            window = _touched(line, with_reports, column)
            if window is not None:
                earliest = window if earliest is None else min(earliest, window)
    return earliest


def _touched(line: bytes, with_reports: bool, column: str) -> datetime | None:
    action = msgspec.json.decode(line, type=_Action)
    if action.add is not None and action.add.data_change:
        if not with_reports and kind_of(action.add.path) == "reports":
            return None
        return _first_window(action.add, column)
    if action.remove is not None and action.remove.data_change and kind_of(action.remove.path) != "reports":
        # Counts of reports are made anew as a whole: the files that take their place say which hours they are of.
        return _day(action.remove)
    return None


def _first_window(file: _File, column: str) -> datetime:
    try:
        text = msgspec.json.decode(file.stats or "{}", type=_Stats).min_values[column]
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except (KeyError, ValueError, msgspec.DecodeError):
        return _day(file)


def _day(file: _File) -> datetime:
    text = file.partition_values.get("submission_date")
    try:
        return datetime.combine(date.fromisoformat(text or ""), time(), UTC)
    except ValueError:
        return _ALWAYS
