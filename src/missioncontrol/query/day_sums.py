"""Sums of error_aggregates by day, for pages that show which versions and channels there are in weeks of data.

What was read of a file is kept for as long as the file is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from missioncontrol.query import dialect
from missioncontrol.query.day_files import TABLE, DayFiles, KeptDays, every_file
from missioncontrol.query.published import COLUMN, COLUMNS, Named, with_published
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef
    from missioncontrol.query.engine import Engine

MOST_ROWS = 20_000
"""Of a day's part that are kept, the most used first: clients can make up any number of versions."""
_MOST_DAYS = 500
Place = tuple[str | None, str | None]
"""Application and channel."""
Sums = dict[Place, list[tuple[str | None, tuple[float | None, ...]]]]
"""Place -> group and the sums of its measures; without a group that is None."""


class DaySums:
    """Reads days, and keeps their sums. Thread-safe; blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: KeptDays[Sums] = KeptDays(_MOST_DAYS)

    def days(
        self, wanted: Iterable[date], group: str, measures: Sequence[str], named: Named = ()
    ) -> dict[date, list[Sums]] | None:
        """Sums of the measures by application, channel and `group` (empty: none), in parts, for each wanted day that
        has rows.

        named: builds of a channel, whose rows count for the version that they were published as, where `group` is that;
        of other channels the sums are of no use then. None: files hold windows of other days than their own, so that no
        sum of a day can be made of them. Raises as `Engine.over()`.
        """
        files = self._files(set(wanted))
        if files is None:
            return None
        names = tuple(measures)
        found = self._kept.days(
            (group, names, named), files, lambda missing: self._read(missing, group, names, named)
        )
        return {day: [part.content for part in parts] for day, parts in found.items()}

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

    def _read(self, missing: DayFiles, group: str, measures: tuple[str, ...], of: Named) -> dict[date, Sums]:
        """One query for all of them."""
        keys = ("application", "channel", *([group] if group else []))
        named = ", ".join(map(dialect.name, keys))
        sums = ", ".join(f"CAST(sum({dialect.name(name)}) AS DOUBLE)" for name in measures)
        day = "epoch_us(window_start) // 86400000000"
        usage = dialect.name(measures[-1])
        sql = (
            f"SELECT {day} AS day, {named}, {sums} FROM {with_published(of)} GROUP BY day, {named} "
            f"QUALIFY row_number() OVER (PARTITION BY day ORDER BY sum({usage}) DESC NULLS LAST) <= {MOST_ROWS}"
        )
        span = Span(dates=tuple(missing), files=every_file(missing))
        read = [
            *keys[:2],
            *(COLUMNS if group == COLUMN else keys[2:]),
            "window_start",
            *dict.fromkeys(measures),
        ]
        rows = self._engine.over_sums(read, sql, (), span)
        found: dict[date, Sums] = {day: {} for day in missing}
        for number, *row in rows:
            at = datetime.fromtimestamp(number * 86_400, UTC).date()
            sums_of = (row[2] if group else None, tuple(row[len(keys) :]))
            found[at].setdefault((row[0], row[1]), []).append(sums_of)
        return found


def _days_of(file: FileRef) -> tuple[date | None, date | None]:
    first, last = file.first_window, file.last_window
    return (first.astimezone(UTC).date() if first else None, last.astimezone(UTC).date() if last else None)
