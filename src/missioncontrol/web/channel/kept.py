"""What is kept of a channel's sums: of every day that was asked for, and of the hours of a few days. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from missioncontrol.query.day_files import Part
from missioncontrol.query.hour_sums import HOUR_S, Builds, HourSums
from missioncontrol.web.channel.sums import DAY_H, Days, Sheets, Span, sheets_of, split

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

_MOST_CHANNELS = 8
_MOST_HOURLY_DAYS = 40
Channel = tuple[str | None, str | None]


class ChannelSums:
    """The sums of the channels that were looked at last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._kept: dict[Channel, _Kept] = {}
        self._newest = HourSums(engine, len)

    def newest(self) -> datetime | None:
        """Start of the newest window of all data."""
        return self._newest.newest()

    def days(
        self, of: Channel, measures: Sequence[str], builds: Builds, spans: Iterable[Span], end: int
    ) -> Days:
        """What these spans are made of; no data is after the hour `end`. Blocks; raises as `Engine.over()`."""
        with self._lock:
            kept = self._kept.pop(of, None) or _Kept(self._engine, of)
            self._kept[of] = kept
            while len(self._kept) > _MOST_CHANNELS:
                self._kept.pop(next(iter(self._kept)))
        whole: set[int] = set()
        cut: set[int] = set()
        for span in spans:
            for wanted, more in zip((whole, cut), split(span, end), strict=True):
                wanted.update(more)
        with kept.reading:  # what two would read at once is read once
            return Days(
                _by_day(kept.daily.days(map(_date, whole), measures, builds)),
                _by_day(kept.hourly.days(map(_date, cut), measures, builds)),
                end,
            )


class _Kept:
    """Of one channel."""

    def __init__(self, engine: Engine, of: Channel) -> None:
        self.reading = threading.Lock()
        self.daily = HourSums(engine, sheets_of, of, DAY_H)
        self.hourly = HourSums(engine, sheets_of, of, 1, _MOST_HOURLY_DAYS)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * HOUR_S, UTC).date()


def _by_day(parts: Iterable[Part[Sheets]]) -> dict[int, list[Sheets]]:
    found: dict[int, list[Sheets]] = {}
    for part in parts:
        start = datetime(part.day.year, part.day.month, part.day.day, tzinfo=UTC)
        found.setdefault(int(start.timestamp()) // HOUR_S, []).append(part.content)
    return found
