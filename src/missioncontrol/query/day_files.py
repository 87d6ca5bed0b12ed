"""Which files hold which day of a table, and what is kept of them: since a file never changes, what was made of its
rows is right for as long as the file is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import msgspec

from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

TABLE = "error_aggregates"
_MOST_PARTS = 50
DayFiles: TypeAlias = Mapping[date, frozenset[str]]
T = TypeVar("T")


class Part(msgspec.Struct, Generic[T], frozen=True):
    """Files of a day and what was made of their rows."""

    day: date
    files: frozenset[str]
    content: T


class KeptDays(Generic[T]):
    """What was made of days, by the files of each. Thread-safe."""

    def __init__(self, most_days: int) -> None:
        self._most_days = most_days
        self._lock = threading.Lock()
        self._kept: dict[tuple[Hashable, date], tuple[Part[T], ...]] = {}

    def days(
        self, asked: Hashable, files: DayFiles, read: Callable[[DayFiles], Mapping[date, T]]
    ) -> dict[date, tuple[Part[T], ...]]:
        """What is made of these files, in parts that are the same objects for as long as their files are there.

        asked: the question; read: what it makes of files that are not known yet, for every day that it is given. A day
        that is over is read once, and of today what was committed since; a day of which files were replaced is read
        whole.
        """
        with self._lock:
            found = {day: self._kept.get((asked, day), ()) for day in files}
        missing = {}
        for day, paths in files.items():
            known = frozenset[str]().union(*(part.files for part in found[day]))
            if known == paths:
                continue
            if not known < paths or len(found[day]) >= _MOST_PARTS:
                found[day], known = (), frozenset()
            missing[day] = paths - known
        if missing:
            made = read(missing)
            for day, paths in missing.items():
                found[day] = (*found[day], Part(day, paths, made[day]))
            with self._lock:
                if len(self._kept) + len(missing) > self._most_days:
                    self._kept.clear()
                self._kept.update({(asked, day): found[day] for day in missing})
        return found

    def forget(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept.clear()


def files_of_days(engine: Engine, table: str = TABLE, span: Span = Span()) -> dict[date, frozenset[str]]:
    """The files of each day as they are now, of those that `span` wants. Raises `StorageError`."""
    snapshot = engine.reader.snapshot(table)
    found: dict[date, set[str]] = {}
    for file in snapshot.files if snapshot else ():
        day = dict(file.partition).get("submission_date")
        if day and span.wants(file):
            found.setdefault(date.fromisoformat(day), set()).add(file.path)
    return {day: frozenset(paths) for day, paths in found.items()}


def every_file(days: DayFiles) -> frozenset[str]:
    """The files of all of these days."""
    return frozenset[str]().union(*days.values())


def newest_window(engine: Engine) -> datetime | None:
    """Start of the newest window of all data; None: there is none. Raises `StorageError`."""
    snapshot = engine.reader.snapshot(TABLE)
    return max((f.last_window for f in snapshot.files if f.last_window), default=None) if snapshot else None
