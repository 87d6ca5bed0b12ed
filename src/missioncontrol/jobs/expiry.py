"""Once a day, what is kept no longer goes: days of tables, parts of crashes, what is left of deletions.

Of all processes of an installation one does it. Never decides what is too old: the settings `retention.*` do.
"""

from __future__ import annotations

import threading
from datetime import date, datetime

import structlog

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import MissionControlError
from missioncontrol.jobs.due import daily_time
from missioncontrol.services import Services

_POLL_S = 30.0

logger = structlog.get_logger()


class Expiry:
    """Takes out what is too old until it is stopped."""

    def __init__(self, services: Services) -> None:
        """Raises `ConfigError` for a wrong time of day."""
        self._services = services
        self._done: date | None = None
        daily_time(services.config.jobs)

    def run(self, stop: threading.Event) -> None:
        """Look whether it is time until `stop` is set; waits while another process does it."""
        self._services.turn("expiry").work(stop, self._run)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.expire(utc(system_clock()))
            stop.wait(_POLL_S)

    def expire(self, now: datetime) -> None:
        """Do it, unless it was done that day or the day is too young; what fails is told and left for tomorrow."""
        if now.date() == self._done or now.time() < daily_time(self._services.config.jobs):
            return
        self._done = now.date()
        try:
            for gone in self._services.expire():
                logger.info("expired", table=gone.table, rows=gone.rows, size_bytes=gone.size_bytes)
            logger.info("expiry_done", day=str(self._done))
        except MissionControlError as error:
            logger.error("expiry_failed", code=error.code, message=error.message)
        except Exception:
            logger.exception("expiry_failed")
