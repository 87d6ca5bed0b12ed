"""Sums of error_aggregates by day, for pages that show which versions and channels there are in weeks of data.

What was read of a file is kept for as long as the file is there: a day that is over is read once, and of today what was
committed since.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query import dialect
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef
    from missioncontrol.query.engine import Engine

TABLE = "error_aggregates"
MOST_ROWS = 20_000
"""Of a day's part that are kept, the most used first: clients can make up any number of versions."""
_MOST_PARTS = 50
_MOST_DAYS = 500
Place = tuple[str | None, str | None]
"""Application and channel."""
Sums = dict[Place, list[tuple[str | None, tuple[float | None, ...]]]]
"""Place -> group and the sums of its measures; without a group that is None."""


class _Part(msgspec.Struct, frozen=True, gc=False):
    """Files of a day and the sums of their rows."""

    files: frozenset[str]
    sums: Sums


class DaySums:
    """Reads days, and keeps their sums. Thread-safe; blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._parts: dict[tuple[date, str, tuple[str, ...]], tuple[_Part, ...]] = {}

    def days(
        self, wanted: Iterable[date], group: str, measures: Sequence[str]
    ) -> dict[date, list[Sums]] | None:
        """Sums of the measures by application, channel and `group` (empty: none), in parts, for each wanted day that
        has rows.

        None: files hold windows of other days than their own, so that no sum of a day can be made of them. Raises as
        `Engine.over()`.
        """
        files = self._files(set(wanted))
        if files is None:
            return None
        names = tuple(measures)
        with self._lock:
            held = {day: self._parts.get((day, group, names), ()) for day in files}
        found, missing = dict(held), {}
        for day, paths in files.items():
            known = frozenset[str]().union(*(part.files for part in held[day]))
            if known == paths:
                continue
            # What was committed since is read alone, unless files were replaced.
            kept = held[day] if known < paths and len(held[day]) < _MOST_PARTS else ()
            found[day], missing[day] = kept, paths - known if kept else paths
        if missing:
            read = self._read(missing, group, names)
            for day, paths in missing.items():
                found[day] = (*found[day], _Part(paths, read.get(day, {})))
            with self._lock:
                if len(self._parts) > _MOST_DAYS:
                    self._parts.clear()
                self._parts.update({(day, group, names): found[day] for day in missing})
        return {day: [part.sums for part in parts] for day, parts in found.items()}

    def _files(self, wanted: set[date]) -> dict[date, frozenset[str]] | None:
        snapshot = self._engine.reader.snapshot(TABLE)
        found: dict[date, set[str]] = {}
        for file in snapshot.files if snapshot else ():
            first, last = _days_of(file)
            own = dict(file.partition).get("submission_date")
            if own is None or first is None or not first == last == date.fromisoformat(own):
                if first is None or last is None or any(first <= day <= last for day in wanted):
                    return None
            elif first in wanted:
                found.setdefault(first, set()).add(file.path)
        return {day: frozenset(paths) for day, paths in found.items()}

    def _read(
        self, missing: dict[date, frozenset[str]], group: str, measures: tuple[str, ...]
    ) -> dict[date, Sums]:
        """One query for all of them."""
        keys = ("application", "channel", *([group] if group else []))
        named = ", ".join(map(dialect.name, keys))
        sums = ", ".join(f"CAST(sum({dialect.name(name)}) AS DOUBLE)" for name in measures)
        day = "epoch_us(window_start) // 86400000000"
        usage = dialect.name(measures[-1])
        sql = (
            f"SELECT {day} AS day, {named}, {sums} FROM {{relation}} GROUP BY day, {named} QUALIFY row_number() OVER "
            f"(PARTITION BY day ORDER BY sum({usage}) DESC NULLS LAST) <= {MOST_ROWS}"
        )
        span = Span(dates=tuple(missing), files=frozenset[str]().union(*missing.values()))
        rows = self._engine.over_sums((*keys, "window_start", *dict.fromkeys(measures)), sql, (), span)
        found: dict[date, Sums] = {}
        for number, *row in rows:
            at = datetime.fromtimestamp(number * 86_400, UTC).date()
            places = found.setdefault(at, {})
            sums_of = (row[2] if group else None, tuple(row[len(keys) :]))
            places.setdefault((row[0], row[1]), []).append(sums_of)
        return found


def _days_of(file: FileRef) -> tuple[date | None, date | None]:
    first, last = file.first_window, file.last_window
    return (first.astimezone(UTC).date() if first else None, last.astimezone(UTC).date() if last else None)
