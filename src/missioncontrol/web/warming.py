"""What readers ask for first, prepared once the server answers: else the first of them after a restart waits for it.

One thread, of low priority as far as it is its own work, that ends with the process whatever it does.
"""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from missioncontrol.errors import MissionControlError
from missioncontrol.web.channel.address import ChannelState

if TYPE_CHECKING:
    from missioncontrol.query.running import RunningQueries
    from missioncontrol.web.channel.source import ChannelSource
    from missioncontrol.web.home.source import HomeSource

_NICE = 10
_AFTER_S = 1.0
"""So long after the start, that whatever waited for the server has its answer first."""
_MOST_CHANNELS = 2

logger = structlog.get_logger()


class Warming:
    """Prepares the first page and those of the most used channels; nothing where there is no data."""

    def __init__(self, home: HomeSource, channel: ChannelSource) -> None:
        self._home, self._channel = home, channel
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming", daemon=True)

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is being read is not waited for."""
        self._ended.set()

    def prepare(self) -> None:
        """Prepare, in this thread; raises as the sources do."""
        now = datetime.now(UTC)
        cards = [card for card in self._home.made(now).cards if not card.reports]
        cards.sort(key=lambda card: -card.usage_hours_day)
        for application, channel in list(dict.fromkeys((c.application, c.channel) for c in cards))[
            :_MOST_CHANNELS
        ]:
            if self._ended.is_set():
                return
            self._channel.read(ChannelState(application, channel), now)

    def _run(self) -> None:
        if self._ended.wait(_AFTER_S):
            return
        if sys.platform == "linux":  # where a thread has a priority of its own
            thread = threading.get_native_id()
            lower = min(os.getpriority(os.PRIO_PROCESS, thread) + _NICE, 19)
            os.setpriority(os.PRIO_PROCESS, thread, lower)
        try:
            self.prepare()
        except MissionControlError as error:
            logger.warning("pages_not_prepared", code=error.code, message=error.message)
        except Exception:
            logger.exception("pages_not_prepared")


class Around:
    """What the web application does when the server has begun to answer, and when it is told to end."""

    def __init__(self, warming: Warming, queries: RunningQueries) -> None:
        self._warming, self._queries = warming, queries

    def begin(self) -> None:
        """The server answers."""
        self._warming.start()

    def end(self) -> None:
        """The server waits for its threads before it ends: none may wait for a query."""
        self._warming.stop()
        self._queries.stop_all()
