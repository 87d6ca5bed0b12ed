"""A source of verdicts for pages: courses that were made, not kept by an installation."""

from __future__ import annotations

from datetime import datetime

import msgspec

from missioncontrol.health.calibration import Calibration
from missioncontrol.health.model import Account, Course, Subject
from missioncontrol.web.verdict_source import Found
from missioncontrol.web.verdicts_kept import unknown


class Shown:
    """Courses by subject; at an earlier time the looks until then, with what was known at the end."""

    def __init__(self, courses: list[Course], calibrations: list[Calibration] | None = None) -> None:
        self._courses = {course.account.subject: course for course in courses}
        self._calibrations = calibrations or []

    def current(self) -> list[Account]:
        return [course.account for course in self._courses.values()]

    def course(self, subject: Subject, as_of: datetime | None) -> Found:
        course = self._courses.get(subject)
        looks = [look for look in course.looks if as_of is None or look.as_of <= as_of] if course else []
        if course is None or (not looks and course.looks):
            raise unknown(subject, as_of)
        account = msgspec.structs.replace(course.account, look=looks[-1]) if looks else course.account
        return Found(Course(account, looks))

    def calibrations(self) -> list[Calibration]:
        return self._calibrations
