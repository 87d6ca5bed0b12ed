"""The verdicts that an installation keeps, as the pages want them."""

from __future__ import annotations

from datetime import datetime

from missioncontrol.health.calibration import Calibration
from missioncontrol.health.model import Account, Course, Subject
from missioncontrol.services import Services


class KeptVerdicts:
    """Reads the table `verdicts` and the stored calibrations."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def current(self) -> list[Account]:
        """The newest account of every measure of every current version."""
        return []

    def course(self, subject: Subject, as_of: datetime | None) -> Course | None:
        """All looks up to a time with the account of the last."""
        return None

    def calibrations(self) -> list[Calibration]:
        """Those that are stored."""
        from missioncontrol.health.calibration_store import kept

        return kept(self._services.blobs)
