"""The page of a calibration: what the method said of every past release, and how often that was wrong.

Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from missioncontrol.health.calibration import (
    FEWEST_ACCEPTED,
    NOMINAL,
    STAGES,
    Calibration,
    PastRelease,
    Replayed,
)
from missioncontrol.health.model import Look, Subject
from missioncontrol.web.numerals import percent
from missioncontrol.web.verdicts.axes import Tick
from missioncontrol.web.verdicts.view import verdict_path
from missioncontrol.web.verdicts.words import Mark, evidence_words, length, mark_of, power_words

_LEAST_EVIDENCE, _MOST_EVIDENCE = -1.0, 6.0
_LABELS = {"accepted": "accepted", "excluded": "excluded", "worse": "judged worse"}
_UNSAID = {"accepted": "nobody objected", "worse": "judged worse, nobody confirmed it"}


class Dot(msgspec.Struct, frozen=True):
    """One release by its largest evidence: `at` percent from the left, `row` from the top; stacked where they meet."""

    at: float
    row: int
    kind: str
    says: str


class ReleaseRow(msgspec.Struct, frozen=True):
    """One release."""

    version: str
    href: str
    label: str
    note: str
    history: int
    stages: list[Mark | None]
    worse_at: str
    final: Look
    largest: str
    false_alarm: bool
    missed: bool
    """A person judged it worse, and the method never did."""
    counts: bool


class Stored(msgspec.Struct, frozen=True):
    """A calibration that can be chosen."""

    application: str
    channel: str
    measure: str
    href: str
    shown: bool


class CalibrationView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    calibration: Calibration | None
    others: list[Stored]
    """All that are stored."""
    rows: list[ReleaseRow]
    stages: list[str]
    not_replayed: list[PastRelease]
    rate: str
    interval: str
    threshold: str
    advice: str
    dots: list[Dot]
    dot_rows: int
    ticks: list[Tick]
    alarm_at: float
    suggested_at: float | None
    command: str


def build_calibration(
    stored: Sequence[Calibration], application: str, channel: str, measure: str
) -> CalibrationView:
    """The calibration that is asked for by names (empty: any), or the first that there is."""
    asked = [one for one in stored if _is(one, application, channel, measure)]
    one = asked[0] if asked else None
    dots = _dots(one.releases) if one else []
    return CalibrationView(
        calibration=one,
        others=[
            Stored(other.application, other.channel, other.measure, calibration_url(other), other is one)
            for other in stored
        ],
        rows=[_row(one, each) for each in one.releases] if one else [],
        stages=[length(age).replace("24 h", "1 day") for age in STAGES],
        not_replayed=one.not_replayed if one else [],
        rate=percent(one.false_alarms / one.accepted) if one and one.accepted else "–",
        interval=_interval(one),
        threshold=evidence_words(one.suggestion.threshold) if one and one.suggestion else "–",
        advice=_advice(one) if one else "",
        dots=dots,
        dot_rows=max((dot.row for dot in dots), default=0) + 1,
        ticks=[Tick(_at(n), power_words(n)) for n in range(-1, 7)],
        alarm_at=_at(NOMINAL),
        suggested_at=_at(one.suggestion.threshold) if one and one.suggestion else None,
        command=command_of(one, application, channel, measure),
    )


def calibration_url(one: Calibration) -> str:
    """The page of a calibration."""
    names = {"application": one.application, "channel": one.channel, "measure": one.measure}
    return f"/calibration?{urlencode(names)}"


def command_of(one: Calibration | None, application: str, channel: str, measure: str) -> str:
    """The command that makes it, again or for the first time."""
    names = (
        (one.application, one.channel, one.measure)
        if one
        else (application or "Firefox", channel or "release", measure)
    )
    words = ["missioncontrol", "calibrate", "--application", names[0], "--channel", names[1]]
    return shlex.join([*words, *(["--measure", names[2]] if names[2] else [])])


def label_of(release: PastRelease) -> str:
    """What is said of a release, and whether a person said it."""
    words = _LABELS.get(release.status, release.status)
    return words if release.said_by else _UNSAID.get(release.status, words)


def _is(one: Calibration, application: str, channel: str, measure: str) -> bool:
    wanted = ((application, one.application), (channel, one.channel), (measure, one.measure))
    return all(not asked or asked == has for asked, has in wanted)


def _row(calibration: Calibration, one: Replayed) -> ReleaseRow:
    release = one.release
    subject = Subject(calibration.application, calibration.channel, release.version, calibration.measure)
    return ReleaseRow(
        version=release.version,
        href=verdict_path(subject),
        label=label_of(release),
        note=release.note,
        history=one.history,
        stages=[mark_of(verdict) if verdict else None for verdict in one.verdicts],
        worse_at=f"▲ {length(one.worse_at_hours)}" if one.worse_at_hours is not None else "",
        final=one.final,
        largest=evidence_words(one.largest),
        false_alarm=one.false_alarm,
        missed=release.status == "worse" and one.worse_at_hours is None,
        counts=one.counts,
    )


def _interval(one: Calibration | None) -> str:
    if one is None or one.low is None or one.high is None:
        return ""
    return f"95 % interval {percent(one.low)} to {percent(one.high)}"


def _advice(one: Calibration) -> str:
    if one.suggestion is None:
        return (
            f"A threshold is suggested from {FEWEST_ACCEPTED} accepted releases on; there are {one.accepted}. "
            "Until then keep 100."
        )
    left, reached = one.suggestion.left_out_alarms, evidence_words(one.suggestion.threshold)
    tried = (
        f"With each release left out in turn, {left} of {one.accepted} came beyond what the others support."
    )
    if one.suggestion.threshold <= NOMINAL:
        return f"No accepted release came beyond {reached}: the threshold of 100 holds here. {tried}"
    return f"Accepted releases reached {reached}: at 100 worse is said too easily here. {tried}"


def _at(evidence: float) -> float:
    span = _MOST_EVIDENCE - _LEAST_EVIDENCE
    return round(min(max((evidence - _LEAST_EVIDENCE) / span, 0.0), 1.0) * 100, 2)


def _dots(releases: Sequence[Replayed]) -> list[Dot]:
    """One dot a release, piled up where they would cover each other."""
    piles: dict[int, int] = {}
    dots = []
    for one in sorted(releases, key=lambda each: (each.largest, each.release.version)):
        at = _at(one.largest)
        pile = round(at / 1.6)
        row = piles.get(pile, 0)
        piles[pile] = row + 1
        kind = "alarm" if one.false_alarm else "accepted" if one.counts else "other"
        says = f"{one.release.version}: {evidence_words(one.largest)}, {label_of(one.release)}"
        dots.append(Dot(round(pile * 1.6, 2), row, kind, says))
    return dots
