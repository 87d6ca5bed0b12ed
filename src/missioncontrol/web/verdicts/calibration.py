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
from missioncontrol.web.verdicts.words import Mark, evidence_words, length, mark_of, power_words, times

_LEAST_EVIDENCE, _MOST_EVIDENCE = -1.0, 6.0
_MOST_NAMED = 3
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
    supported: str
    """The threshold that the others support; empty with too few."""
    beyond: bool
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
    threshold_interval: str
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
        threshold_interval=_threshold_interval(one),
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
        supported=evidence_words(one.supported) if one.supported is not None else "",
        beyond=one.beyond,
        false_alarm=one.false_alarm,
        missed=release.status == "worse" and one.worse_at_hours is None,
        counts=one.counts,
    )


def _interval(one: Calibration | None) -> str:
    if one is None or one.low is None or one.high is None:
        return ""
    return f"95 % interval {percent(one.low)} to {percent(one.high)}"


def _threshold_interval(one: Calibration | None) -> str:
    if one is None or one.suggestion is None:
        return ""
    low, high = evidence_words(one.suggestion.low), evidence_words(one.suggestion.high)
    return f"95 % interval {low} to {high}; worse is said at 100"


def _advice(one: Calibration) -> str:
    rate = ""
    if one.high is not None:
        rate = (
            f" {one.false_alarms} of {one.accepted} called worse allow a false-alarm rate of up to {percent(one.high)};"
            " it takes some 300 releases and no false alarm to show one of at most 1 %."
        )
    tail = one.suggestion
    if tail is None:
        return (
            f"A threshold is suggested from {FEWEST_ACCEPTED} accepted releases on; there are {one.accepted}: "
            f"too short a history to support another threshold than 100.{rate}"
        )
    reached = (
        f"By the {tail.tail} accepted releases with most evidence one in 100 goes beyond "
        f"{evidence_words(tail.threshold)} (95 % interval {evidence_words(tail.low)} to {evidence_words(tail.high)})"
    )
    if tail.low > NOMINAL:
        meant = "at 100 worse is said too easily here."
    elif tail.high < NOMINAL:
        meant = "the threshold of 100 is on the safe side here."
    else:
        meant = "that cannot be told from the threshold of 100, which holds."
    others = f"{evidence_words(tail.others_low)} to {evidence_words(tail.others_high)}"
    gone = sorted((each for each in one.releases if each.beyond), key=lambda each: -each.largest)
    named = ", ".join(f"{each.release.version} {_times_beyond(each)}" for each in gone[:_MOST_NAMED])
    tried = f" With each left out in turn the others support {others}; beyond that went {len(gone) or 'none'}"
    return f"{reached}: {meant}{tried}{f' ({named})' if named else ''}.{rate}"


def _times_beyond(one: Replayed) -> str:
    """How far a release went beyond what the others support."""
    return f"by {times(10 ** (one.largest - (one.supported or 0.0)))}"


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
