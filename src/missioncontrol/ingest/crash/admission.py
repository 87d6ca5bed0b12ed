"""Whether another report may come: how much room the disk has, and how many reports wait to be processed.

Asked before a body is read. Never counts the queue for a report: the last count and what was let in since are known,
and only when those reach the bound, or after a while, it is counted again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from missioncontrol.ingest.crash import reasons
from missioncontrol.ingest.crash.reasons import CrashRefused

_AGAIN_S = 1.0
"""A full queue is counted once in so long ..."""
_ANYWAY_S = 60.0
"""... and any queue, since other processes fill and empty it too."""


class Admission:
    """Lets reports in, on one event loop."""

    def __init__(
        self,
        folder: Path,
        free_bytes: int,
        most_waiting: int,
        count: Callable[[int], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count(n)` gives how many reports wait, at most n; it may block. `free_bytes` stay free where `folder` is."""
        self._folder, self._free_bytes, self._most_waiting = folder, free_bytes, most_waiting
        self._count, self._clock = count, clock
        self._waiting = 0
        self._let_in = 0
        self._counted_at: float | None = None
        self._counting = asyncio.Lock()

    async def require(self) -> None:
        """Let a report in; raises `CrashRefused` (`no_room`, `backlog_full`), and what counting failed with."""
        if not self._has_room():
            raise CrashRefused(reasons.NO_ROOM)
        if self._is_due():
            async with self._counting:
                if self._is_due():
                    await self._count_again()
        if self._is_full():
            raise CrashRefused(reasons.BACKLOG_FULL)
        self._let_in += 1

    def _has_room(self) -> bool:
        try:
            disk = os.statvfs(self._folder)
        except FileNotFoundError:
            disk = os.statvfs(next(f for f in self._folder.parents if f.exists()))
        floor = min(self._free_bytes, disk.f_blocks * disk.f_frsize // 16)
        return disk.f_bavail * disk.f_frsize >= floor

    def _is_full(self) -> bool:
        return self._waiting + self._let_in >= self._most_waiting

    def _is_due(self) -> bool:
        if self._counted_at is None:
            return True
        return self._clock() - self._counted_at >= (_AGAIN_S if self._is_full() else _ANYWAY_S)

    async def _count_again(self) -> None:
        self._waiting = await asyncio.to_thread(self._count, self._most_waiting)
        self._let_in = 0
        self._counted_at = self._clock()
