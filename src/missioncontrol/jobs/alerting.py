"""Delivers alerts while the server runs: looks every few seconds whether somebody is to be told something.

Of all processes of an installation one does it. As long as there is no channel, it asks for one and does no more.
"""

from __future__ import annotations

import threading

import structlog

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import MissionControlError
from missioncontrol.services import Services

_POLL_S = 3.0

logger = structlog.get_logger()


class Alerting:
    """Delivers until it is stopped."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set; waits while another process does it."""
        self._services.turn("alerts").work(stop, self._run)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._turn()
            except MissionControlError as error:
                logger.error("alerts_failed", code=error.code, message=error.message)
            except Exception:
                logger.exception("alerts_failed")
            stop.wait(_POLL_S)

    def _turn(self) -> None:
        if self._services.alert_channels.any():  # or what delivers is not even loaded
            self._services.alert_deliverer.turn(utc(system_clock()))
