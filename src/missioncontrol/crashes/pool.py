"""Worker processes for crashes, started when there is something to do and ended when there was nothing for a while.

An installation without crashes costs no memory for them; a worker that dies is started again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from missioncontrol.errors import MissionControlError
from missioncontrol.processes import Child
from missioncontrol.state.crash_queue import CrashQueue
from missioncontrol.state.crash_recounts import CrashRecounts

_LOOK_EVERY_S = 0.25
_KEPT_S = 900.0
_PAUSE_S = 5.0

logger = structlog.get_logger()


class WorkerPool:
    """Keeps up to `count` workers of the command `arguments`."""

    def __init__(
        self,
        queue: CrashQueue,
        recounts: CrashRecounts,
        arguments: Sequence[str],
        count: int,
        now: Callable[[], datetime],
    ) -> None:
        self._queue, self._arguments, self._count, self._now = queue, list(arguments), count, now
        self._recounts = recounts
        self._children: list[Child] = []
        self._busy_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Look after the workers until `stop` is set, then end them."""
        try:
            while not stop.wait(_LOOK_EVERY_S):
                try:
                    self._look()
                except MissionControlError as error:
                    logger.error("crash_workers_failed", code=error.code, message=error.message)
                    stop.wait(_PAUSE_S)
                except Exception:  # no file or process may be left to open or start: that passes
                    logger.exception("crash_workers_failed")
                    stop.wait(_PAUSE_S)
        finally:
            self._end()

    def _look(self) -> None:
        due = self._queue.any_due(self._now())
        if due or self._recounts.any_marked():
            self._busy_at = time.monotonic()
            while len(self._children) < (self._count if due else 1):
                self._children.append(Child(self._arguments))
        elif self._children and time.monotonic() - self._busy_at > _KEPT_S:
            self._end()

    def _end(self) -> None:
        children, self._children = self._children, []
        for child in children:
            child.stop()
