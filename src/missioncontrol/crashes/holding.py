"""A worker's hold on the crashes that it has in its hands, renewed while it works on them.

A crash may take longer than a lease: several dumps, symbols asked for elsewhere. Without a renewal another worker would
take it, and each would give up its result for the other's. A worker that hangs does not hold a crash for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from missioncontrol.state.crash_queue import CrashQueue

LEASE_S = 60.0
"""How long a crash is held by a worker that is gone."""
_LONGEST_S = 3600.0

logger = structlog.get_logger()


class Holding:
    """What one worker holds. Thread-safe."""

    def __init__(
        self, queue: CrashQueue, holder: str, now: Callable[[], datetime], lease_s: float = LEASE_S
    ) -> None:
        self._queue, self._holder, self._now, self._lease_s = queue, holder, now, lease_s
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}

    def take(self, crash_ids: Iterable[str]) -> None:
        """These were leased just now."""
        with self._lock:
            self._since.update(dict.fromkeys(crash_ids, time.monotonic()))

    def drop(self, crash_ids: Iterable[str]) -> None:
        """These are done, or were given back."""
        with self._lock:
            for crash_id in crash_ids:
                self._since.pop(crash_id, None)

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the hold on all that is held, four times a lease, while the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew, args=(stop,), name="crash hold", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(self._lease_s / 4):
            lately = time.monotonic() - _LONGEST_S
            with self._lock:
                ids = [crash_id for crash_id, since in self._since.items() if since > lately]
            if ids:
                try:
                    self._queue.hold(ids, self._holder, self._lease_s, self._now())
                except Exception:  # the next renewal may do it: there are some within a lease
                    logger.exception("crash_hold_failed")
