"""Verdicts as an installation keeps them: courses that were made elsewhere, written into the table `verdicts`."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from tests.support.form import config_of, installed

from missioncontrol.health.calibration import Calibration
from missioncontrol.health.calibration_store import keep
from missioncontrol.health.model import Course, Look
from missioncontrol.health.records import Record, append, turns
from missioncontrol.health.sentence import sentence
from missioncontrol.services import Services
from missioncontrol.state.releases import Release


def moved(course: Course, end: datetime, version: str = "") -> Course:
    """The same course so that its last look is at `end`, of another version."""
    account = course.account
    shift = end - account.look.as_of
    looks = [_later(look, shift) for look in course.looks]
    subject = msgspec.structs.replace(account.subject, version=version or account.subject.version)
    account = msgspec.structs.replace(
        account,
        subject=subject,
        published_at=account.published_at + shift,
        look=_later(account.look, shift),
        sentence=account.sentence.replace(account.subject.version, subject.version, 1),
    )
    return Course(account, looks)


def keep_courses(data: Path, courses: list[Course], calibrations: list[Calibration] | None = None) -> None:
    """Write every look as the next turn, accounts with some of them, and what was published."""
    services = Services(config_of(installed(data)))
    records = [record for course in courses for record in _records(course)]
    registry = services.registry()
    assert append(services.writer, registry, records, turns(services.writer, registry))
    services.releases.put([_release(course) for course in courses])
    for one in calibrations or ():
        keep(services.blobs, one)
    services.close()


def _release(course: Course) -> Release:
    subject = course.account.subject
    return Release(subject.application, subject.channel, subject.version, "", course.account.published_at)


def _records(course: Course) -> list[Record]:
    """An account stands with the last look, with every change and once an hour; it is the last one's but for its look."""
    account, looks = course.account, course.looks
    records: list[Record] = []
    told_at: datetime | None = None
    for place, look in enumerate(looks):
        told = told_at is None or look.as_of - told_at >= timedelta(hours=1) or place == len(looks) - 1
        kept = None
        if told or look.verdict != looks[place - 1].verdict:
            told_at = look.as_of
            kept = msgspec.structs.replace(account, look=look)
            if place < len(looks) - 1:
                kept = msgspec.structs.replace(kept, sentence=sentence(kept, "Main crashes"))
        records.append(Record(account.subject, account.published_at, look, account.baseline, "1", kept))
    return records


def _later(look: Look, shift: timedelta) -> Look:
    since = look.since + shift if look.since else None
    return msgspec.structs.replace(look, as_of=look.as_of + shift, since=since)
