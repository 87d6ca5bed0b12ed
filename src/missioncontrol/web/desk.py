"""Where questions of the web are answered: in threads, a bounded number at a time, on paper that is bounded too.

An answer is complete before its first byte is sent; a large one waits on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar, cast

import anyio
import anyio.to_thread
import msgspec

from missioncontrol.config import Config
from missioncontrol.errors import BadRequest, StorageFull, TooSlow

T = TypeVar("T")

IN_MEMORY_BYTES = 4 * 1024 * 1024
_ANSWER_BYTES = 1024 * 1024 * 1024
_AGGREGATES_AT_ONCE = 8
SQL_AT_ONCE = 2
"""Each may use the whole memory limit."""


class Answer(msgspec.Struct, frozen=True):
    """A written answer, positioned at its end."""

    body: BinaryIO
    form: str
    complete: bool
    rows: int = 0
    """How many it has; counted for SQL alone."""


class Paper(tempfile.SpooledTemporaryFile[bytes]):
    """What an answer is written on. Refuses to grow without end."""

    most_bytes = _ANSWER_BYTES

    def write(self, data: Any) -> int:
        """Append; raises `BadRequest` (`answer_too_large`) and `StorageFull` (`spool_full`)."""
        if self.tell() + len(data) > self.most_bytes:
            message = f"The answer has more than {self.most_bytes} bytes."
            raise BadRequest("answer_too_large", message, "Ask for fewer rows.")
        try:
            return super().write(data)
        except OSError as error:
            hint = "Free some room below the data folder."
            raise StorageFull(
                "spool_full", f"The answer could not be written: {error.strerror}.", hint
            ) from None


class Desk:
    """Runs blocking questions in threads, a bounded number at a time, and keeps their answers."""

    def __init__(self, config: Config) -> None:
        self._spool = config.cache_path / "spool"
        self._wait_s = config.query.timeout_s
        self._aggregates = anyio.CapacityLimiter(_AGGREGATES_AT_ONCE)
        self._sql = anyio.CapacityLimiter(SQL_AT_ONCE)

    async def aggregate(self, work: Callable[[], T]) -> T:
        """The result of `work`; `TooSlow` (`busy`) when no turn comes in time."""
        return await self._run(self._aggregates, work)

    async def sql(self, work: Callable[[], T]) -> T:
        """As `aggregate()`, for SQL of users."""
        return await self._run(self._sql, work)

    def paper(self, most_bytes: int = _ANSWER_BYTES) -> BinaryIO:
        """Where an answer is written: in memory, and on disk when it grows. Gone when closed."""
        self._spool.mkdir(parents=True, exist_ok=True)
        paper = Paper(IN_MEMORY_BYTES, dir=str(self._spool))
        paper.most_bytes = most_bytes
        return cast(BinaryIO, paper)

    async def _run(self, limiter: anyio.CapacityLimiter, work: Callable[[], T]) -> T:
        # Waiting for a turn holds no thread.
        with anyio.move_on_after(self._wait_s) as waiting:
            await limiter.acquire_on_behalf_of(work)
        if waiting.cancelled_caught:
            raise TooSlow("busy", "Too many queries are running.", "Try again in a few seconds.", 5)
        try:
            return await anyio.to_thread.run_sync(work)
        finally:
            limiter.release_on_behalf_of(work)
