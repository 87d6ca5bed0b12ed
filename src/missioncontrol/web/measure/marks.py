"""Marks in the charts: when versions were published, and what people noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from missioncontrol.state.release_model import group
from missioncontrol.web.measure.question import Question
from missioncontrol.web.measure.view import Line, Mark

if TYPE_CHECKING:
    from missioncontrol.state.annotations import Annotation
    from missioncontrol.state.release_model import Release

MOST_RELEASES = 20
MOST_NOTES = 50
_LONGEST_LABEL = 16


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
    known = [
        one
        for one in group(releases)
        if question.start <= one.published_at < question.end
        and (one.origin != "inferred" or one.status == "accepted")
    ]
    known.sort(key=lambda one: (one.version in shown, one.published_at), reverse=True)
    marks = [
        Mark(
            int(one.published_at.timestamp()),
            _cut(one.version),
            "release",
            one.published_at,
            f"{one.version} {'seems to have been ' if one.origin == 'inferred' else ''}published",
        )
        for one in known[:MOST_RELEASES]
    ]
    for number, note in enumerate(annotations[-MOST_NOTES:], 1):
        who = note.who if protected else None
        of = "" if note.channel else "all channels" if note.application else "everywhere"
        marks.append(
            Mark(int(note.at.timestamp()), str(number), "annotation", note.at, note.text, who, note.id, of)
        )
    return sorted(marks, key=lambda mark: mark.x)


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
