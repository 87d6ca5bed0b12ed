"""How many pings arrived in each 5 minutes of the last day, from the archive.

What files say is kept in parts, each of the files that were new at one request, for as long as all of them are there:
a page that is asked for again and again reads what was committed since, and after a compaction what it replaced.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.query.relation import Span
from missioncontrol.web.pipeline.facts import POINTS, STEP, Course
from missioncontrol.web.pipeline.view import Accepted

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

TABLE = "pings"
_STEP_TICKS = int(STEP.total_seconds()) // WINDOW_S
_MOST_PARTS = 20
_MOST_DOCUMENTS = 100
_COUNTS = f"""
SELECT epoch_us(window_start) // {WINDOW_S * 1_000_000},
       CASE WHEN discarded IS NOT NULL THEN NULL WHEN doc_type = 'other' THEN document_type ELSE doc_type END,
       discarded IS NOT NULL, count(*)
FROM {{relation}} WHERE window_start >= ? GROUP BY ALL"""
Key = tuple[int, str | None, bool]
"""Tick (5-minute window since the epoch), document type, and whether it was discarded."""


class _Part(msgspec.Struct, frozen=True):
    files: frozenset[str]
    counts: Counter[Key]


class Arrivals:
    """Counts of the last day. Thread-safe; blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._parts: tuple[_Part, ...] = ()

    def counts(self, now: datetime) -> Counter[Key]:
        """By window, document and fate, from 24 hours before `now` on. Raises as `Engine.over()`."""
        first = now - timedelta(days=1)
        snapshot = self._engine.reader.snapshot(TABLE)
        files = {f.path for f in snapshot.files if Span(first=first).wants(f)} if snapshot else set[str]()
        with self._lock:
            parts = tuple(part for part in self._parts if part.files <= files)
        missing = files.difference(*(part.files for part in parts))
        if missing:
            parts = (*parts, self._read(frozenset(missing), first))
        if len(parts) > _MOST_PARTS:
            parts = (_joined(parts),)
        with self._lock:
            self._parts = parts
        least = _tick(first)
        return Counter({key: n for key, n in _joined(parts).counts.items() if key[0] >= least})

    def _read(self, files: frozenset[str], first: datetime) -> _Part:
        rows = self._engine.over(TABLE, _COUNTS, (first,), Span(files=files))
        return _Part(files, Counter({(tick, document, gone): n for tick, document, gone, n in rows}))


def accepted(counts: Mapping[Key, int], now: datetime) -> tuple[Accepted, ...]:
    """Pings that were counted, by document, most first."""
    hour, last_hour, last_day = _tick(now - timedelta(hours=1)), Counter[str](), Counter[str]()
    for (tick, document, gone), n in counts.items():
        if not gone:
            last_day[document or ""] += n
            last_hour[document or ""] += n if tick >= hour else 0
    ordered = sorted(last_day, key=lambda name: (-last_day[name], name))[:_MOST_DOCUMENTS]
    return tuple(Accepted(name, last_hour[name], last_day[name]) for name in ordered)


def course(counts: Mapping[Key, int], gone: bool, now: datetime) -> Course:
    """The last 24 hours of what was counted, or of what was discarded (`gone`)."""
    by_tick = Counter[int]()
    for key, n in counts.items():
        if key[2] == gone:
            by_tick[key[0]] += n
    last = int(now.timestamp()) // WINDOW_S - 1
    first, sums = half_hours(by_tick.items(), now)
    return Course(first, sums, by_tick[last] / (WINDOW_S / 60))


def half_hours(counts: Iterable[tuple[int, int]], now: datetime) -> tuple[datetime, tuple[int, ...]]:
    """Counts by tick as sums of the 48 half hours that ended last, and the start of the first."""
    step_s = int(STEP.total_seconds())
    end = int(now.timestamp()) // step_s
    sums = [0] * POINTS
    for tick, n in counts:
        at = tick // _STEP_TICKS - (end - POINTS)
        if 0 <= at < POINTS:
            sums[at] += n
    return datetime.fromtimestamp((end - POINTS) * step_s, now.tzinfo), tuple(sums)


def _joined(parts: Iterable[_Part]) -> _Part:
    files, counts = frozenset[str](), Counter[Key]()
    for part in parts:
        files |= part.files
        counts.update(part.counts)
    return _Part(files, counts)


def _tick(moment: datetime) -> int:
    """The first window that starts at or after a time."""
    return -int(-moment.timestamp() // WINDOW_S)
