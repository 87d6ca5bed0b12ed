"""Where the pages of verdicts get what they show."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from missioncontrol.health.calibration import Calibration
from missioncontrol.health.model import Account, Course, Subject


class VerdictSource(Protocol):
    """What is known of verdicts. Every method blocks."""

    def current(self) -> list[Account]:
        """The newest account of every measure of every current version, in any order."""

    def course(self, subject: Subject, as_of: datetime | None) -> Course | None:
        """All looks up to a time (None: the newest) with the account of the last; None: there was none by then."""

    def calibrations(self) -> list[Calibration]:
        """Those that are stored."""
