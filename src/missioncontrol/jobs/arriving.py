"""Every five minutes, when pings came: are there builds that arrive steadily and that nobody named?

The question is asked by a process of its own (`missioncontrol release infer --recent`), so that DuckDB's memory is gone
when it ends. Remembered is only which version of the table was looked at; two servers that look at once do no harm.
"""

from __future__ import annotations

import threading
from datetime import datetime

import structlog

from missioncontrol.clock import WINDOW_S, system_clock, utc
from missioncontrol.errors import MissionControlError
from missioncontrol.health.inference import RECENT
from missioncontrol.jobs.command import run_command
from missioncontrol.services import Services

_AFTER_WINDOW_S = 15.0
"""The stream brings the last pings of a window into the lake within seconds."""

logger = structlog.get_logger()


class Arriving:
    """Looks after the end of each window. `command`: how commands of the installation are called."""

    def __init__(self, services: Services, command: list[str]) -> None:
        self._services, self._command = services, command
        self._seen = -1

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set; does nothing where the settings say so."""
        if not self._services.config.jobs.infer_releases:
            return
        while not stop.wait(pause_s(utc(system_clock()))):
            try:
                self.look(utc(system_clock()), stop)
            except MissionControlError as error:
                logger.error("releases_not_inferred", code=error.code, message=error.message)
            except Exception:
                logger.exception("releases_not_inferred")

    def look(self, now: datetime, stop: threading.Event) -> bool:
        """Look once, if pings came since the last look that worked; says whether it did."""
        snapshot = self._services.reader.snapshot("error_aggregates")
        if snapshot is None or snapshot.version == self._seen:
            return False
        # Care of the lake makes new versions too. A file that does not tell its windows may have recent ones.
        if not any(f.last_window is None or f.last_window >= now - RECENT for f in snapshot.files):
            self._seen = snapshot.version
            return False
        code, said = run_command([*self._command, "release", "infer", "--recent"], stop)
        if not code:
            self._seen = snapshot.version
        elif not stop.is_set():
            logger.error("releases_not_inferred", code=code, message=said)
        return True


def pause_s(now: datetime) -> float:
    """Seconds until the next window has ended and its pings are in the lake."""
    return WINDOW_S - now.timestamp() % WINDOW_S + _AFTER_WINDOW_S
