"""A read that failed is not tried again at once: whoever waited for it, or comes just after, is told why it failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from missioncontrol.errors import MissionControlError

_TOLD_S = 5.0


class Failing:
    """The last failure of a read that one thread makes at a time, under a lock of its owner."""

    def __init__(self) -> None:
        self._failed: tuple[float, MissionControlError] | None = None

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Raises what was raised in here less than five seconds ago, and keeps what is raised in here now."""
        failed = self._failed
        if failed is not None and time.monotonic() - failed[0] < _TOLD_S:
            raise failed[1]
        try:
            yield
        except MissionControlError as error:
            self._failed = (time.monotonic(), error)
            raise
        self._failed = None
