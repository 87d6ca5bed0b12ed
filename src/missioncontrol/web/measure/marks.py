"""Marks in the charts: when versions were published, and what people noted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query.versions import version_key
from missioncontrol.state.release_model import group
from missioncontrol.web.measure.table import age_label
from missioncontrol.web.measure.view import Line, Mark

if TYPE_CHECKING:
    from missioncontrol.state.annotations import Annotation
    from missioncontrol.state.release_model import Release, Version
    from missioncontrol.web.measure.question import Question

MOST_RELEASES = 20
MOST_NOTES = 50
_LONGEST_LABEL = 16


class Covered(msgspec.Struct, frozen=True):
    """What a line covers, where time counts from the start of each."""

    line: Line
    version: str
    """Its version, whose successor is marked; empty: none is."""
    zero: datetime
    """Age 0."""
    start: datetime
    end: datetime


def marks_of(
    question: Question,
    drawn: Sequence[Line],
    releases: Sequence[Release],
    annotations: Sequence[Annotation],
    protected: bool,
) -> list[Mark]:
    """Marks within the range, by time: the newest releases, those that are drawn first, and annotations numbered.

    Releases whose time was inferred count where they are accepted: the time of others is that of no release.
    `protected`: whether the reader may see who noted something.
    """
    shown = {line.label for line in drawn}
    known = [one for one in _known(releases) if question.start <= one.published_at < question.end]
    known.sort(key=lambda one: (one.version in shown, one.published_at), reverse=True)
    marks = [_of_release(one, int(one.published_at.timestamp()), None, "") for one in known[:MOST_RELEASES]]
    for number, note in enumerate(annotations[-MOST_NOTES:], 1):
        marks.append(_of_note(note, number, int(note.at.timestamp()), None, "", protected))
    return sorted(marks, key=lambda mark: mark.x)


def marks_by_age(
    courses: Sequence[Covered],
    releases: Sequence[Release],
    annotations: Sequence[Annotation],
    protected: bool,
) -> list[Mark]:
    """The same where time counts from the start of each line: each mark is on the lines that cover its instant, at the
    age that they had then, so one that is on several lines is at several ages.

    Of releases a line has one mark at most: that of the version that succeeds it.
    """
    known = _known(releases)
    marks = []
    for course in courses:
        successor = _successor(course, known)
        if successor and course.start <= successor.published_at < course.end:
            age_s = _age_s(successor.published_at, course)
            marks.append(_of_release(successor, age_s, course.line, age_label(age_s)))
    covered = [
        note for note in annotations if any(course.start <= note.at < course.end for course in courses)
    ]
    for number, note in enumerate(covered[-MOST_NOTES:], 1):
        for course in courses:
            if course.start <= note.at < course.end:
                age_s = _age_s(note.at, course)
                marks.append(_of_note(note, number, age_s, course.line, age_label(age_s), protected))
    return sorted(marks, key=lambda mark: mark.x)


def _age_s(instant: datetime, course: Covered) -> int:
    return (instant - course.zero) // timedelta(seconds=1)


def _known(releases: Sequence[Release]) -> list[Version]:
    return [one for one in group(releases) if one.origin != "inferred" or one.status == "accepted"]


def _successor(course: Covered, known: Sequence[Version]) -> Version | None:
    """The first version with a higher number that was published after the line began."""
    if not course.version:
        return None
    own = version_key(course.version)
    later = (one for one in known if one.published_at > course.zero and version_key(one.version) > own)
    return next(later, None)


def _of_release(one: Version, x: int, line: Line | None, at: str) -> Mark:
    seems = "seems to have been " if one.origin == "inferred" else ""
    text = f"{one.version} {seems}published"
    return _on(line, at, Mark(x, _cut(one.version), "release", one.published_at, text))


def _of_note(note: Annotation, number: int, x: int, line: Line | None, at: str, protected: bool) -> Mark:
    who = note.who if protected else None
    of = "" if note.channel else "all channels" if note.application else "everywhere"
    return _on(line, at, Mark(x, str(number), "annotation", note.at, note.text, who, note.id, of))


def _on(line: Line | None, at: str, mark: Mark) -> Mark:
    return msgspec.structs.replace(mark, line=line.index, of=line.label, at=at) if line else mark


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
