"""Which files hold which day of error_aggregates: what sums of days are kept by, since a file never changes."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

TABLE = "error_aggregates"


def files_of_days(engine: Engine) -> dict[date, frozenset[str]]:
    """The files of each day as they are now. Raises `StorageError`."""
    snapshot = engine.reader.snapshot(TABLE)
    found: dict[date, set[str]] = {}
    for file in snapshot.files if snapshot else ():
        day = dict(file.partition).get("submission_date")
        if day:
            found.setdefault(date.fromisoformat(day), set()).add(file.path)
    return {day: frozenset(paths) for day, paths in found.items()}


def newest_window(engine: Engine) -> datetime | None:
    """Start of the newest window of all data; None: there is none. Raises `StorageError`."""
    snapshot = engine.reader.snapshot(TABLE)
    return max((f.last_window for f in snapshot.files if f.last_window), default=None) if snapshot else None
