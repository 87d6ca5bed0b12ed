"""Counts of what the edge refused, kept until they are in the log.

Counted by 5-minute window and code in memory, flushed about every second as `Kind.REFUSED` entries, so that
refusals reach the table `discards` the way everything else does. A flush that fails is kept and tried again.
Never holds what was refused, only how often; a killed process loses the counts of its last second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter

import msgspec

from missioncontrol.clock import Clock, window_start_s
from missioncontrol.log.protocol import Appender, Entry, Kind

FLUSH_INTERVAL_S = 1.0
DETAIL_PREFIX = "edge_"

_logger = logging.getLogger(__name__)


class _Tally(msgspec.Struct):
    """Refusals of one code in one window."""

    last_ns: int
    count: int = 0


class Refusals:
    """Counts refusals on one event loop and brings them to the log."""

    def __init__(self, log: Appender, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._pending: dict[tuple[int, str], _Tally] = {}
        self._totals: Counter[str] = Counter()
        self._stop = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None

    @property
    def totals(self) -> dict[str, int]:
        """Refusals by code since the start."""
        return dict(self._totals)

    def add(self, code: str) -> None:
        """Count one refusal now."""
        self._totals[code] += 1
        self._tally(code, self._clock(), 1)

    async def flush(self) -> bool:
        """Write what is counted to the log; False when that failed and it was kept."""
        pending, self._pending = self._pending, {}
        if not pending:
            return True
        entries = [
            Entry(Kind.REFUSED, tally.last_ns, detail=DETAIL_PREFIX + code, count=tally.count)
            for (_, code), tally in pending.items()
        ]
        try:
            await asyncio.to_thread(self._log.append_many, entries)
        except Exception as error:  # whatever the store's trouble is, the counts must outlive it
            _logger.warning("refusals not flushed, kept for the next time: %s", error)
            for (_, code), tally in pending.items():
                self._tally(code, tally.last_ns, tally.count)
            return False
        return True

    async def run_flusher(self, stop: asyncio.Event) -> None:
        """Flush every second until `stop` is set, then once more."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH_INTERVAL_S)
            await self.flush()

    def start(self) -> None:
        """Flush in the background of the running event loop."""
        self._stop.clear()
        self._flusher = asyncio.create_task(self.run_flusher(self._stop))

    async def stop(self) -> None:
        """Flush a last time and end the background task."""
        self._stop.set()
        if self._flusher is not None:
            await self._flusher
            self._flusher = None
        await self.flush()

    def _tally(self, code: str, at_ns: int, count: int) -> None:
        tally = self._pending.setdefault((window_start_s(at_ns), code), _Tally(at_ns))
        tally.last_ns = max(tally.last_ns, at_ns)
        tally.count += count
