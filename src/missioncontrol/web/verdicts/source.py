"""Where the pages of verdicts get what they show."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from missioncontrol.health.calibration import Calibration
from missioncontrol.health.model import Account, Course, Subject
from missioncontrol.query.uncounted import Uncounted


class Found(msgspec.Struct, frozen=True):
    """A course. worked_out: looks that nobody made at their time; they are made from what has arrived since."""

    course: Course
    worked_out: int = 0


class VerdictSource(Protocol):
    """What is known of verdicts. Every method blocks."""

    def current(self) -> list[Account]:
        """The newest account of every measure of every current version, in any order."""

    def course(self, subject: Subject, as_of: datetime | None) -> Found:
        """All looks up to a time (None: the newest), with the account of the last.

        There is none before publication.

        Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`), `TooSlow` and `StorageError`.
        """

    def uncounted(self, account: Account) -> Uncounted | None:
        """What was not counted from its publication to its look; None: it cannot be said now."""

    def calibrations(self) -> list[Calibration]:
        """Those that are stored."""
