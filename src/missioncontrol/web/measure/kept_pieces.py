"""What a question found in the files of whole days, kept for as long as those are the files of the day.

A file of the lake never changes, so a day of which nothing was written since need not be read again; one of which
something was is read anew at once. Bounded by bytes; what was not asked for longest goes first. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from datetime import UTC, date
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef, Snapshot

MOST_BYTES = 16_000_000
Values = list[float | None]
Piece = tuple[str | None, str | None, list[int], Values, Values]
"""Two keys, places, and the two sums of each place, of one day."""


class _Day(msgspec.Struct, frozen=True, gc=False):
    files: frozenset[str]
    packed: bytes


class KeptPieces:
    """Pieces by question and day."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._days: OrderedDict[tuple[Hashable, date], _Day] = OrderedDict()
        self._bytes = 0

    def find(
        self, questions: Mapping[date, Hashable], files: Mapping[date, frozenset[str]]
    ) -> dict[date, list[Piece]]:
        """The pieces of what is asked of each day, where the day still has these files."""
        with self._lock:
            held = {}
            for day, question in questions.items():
                one = self._days.get((question, day))
                if one is not None and one.files == files[day]:
                    self._days.move_to_end((question, day))
                    held[day] = one.packed
        return {day: _decoder.decode(packed) for day, packed in held.items()}

    def keep(self, question: Hashable, day: date, files: frozenset[str], pieces: list[Piece]) -> None:
        """Keep what was found in all files of a day."""
        packed = msgspec.msgpack.encode(pieces)
        if len(packed) > MOST_BYTES // 8:
            return
        with self._lock:
            before = self._days.pop((question, day), None)
            self._days[question, day] = _Day(files, packed)
            self._bytes += len(packed) - (len(before.packed) if before else 0)
            while self._bytes > MOST_BYTES:
                self._bytes -= len(self._days.popitem(last=False)[1].packed)


_decoder = msgspec.msgpack.Decoder(list[Piece])


def files_by_day(snapshot: Snapshot | None, span: Span) -> dict[date, frozenset[str]] | None:
    """The files that can hold rows of a span, by the day of their windows; None: one holds windows of several days."""
    found: dict[date, set[str]] = {}
    for file in snapshot.files if snapshot else ():
        if not span.wants(file):
            continue
        day = _day_of(file)
        if day is None:
            return None
        found.setdefault(day, set()).add(file.path)
    return {day: frozenset(paths) for day, paths in found.items()}


def _day_of(file: FileRef) -> date | None:
    if file.first_window is None or file.last_window is None:
        return None
    first, last = file.first_window.astimezone(UTC).date(), file.last_window.astimezone(UTC).date()
    return first if first == last else None
