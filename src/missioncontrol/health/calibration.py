"""The method tried on an installation's own past: what it said of every release that is known, and what became of it.

Pure. Each release is replayed with the accepted ones before it as history, so nothing that came later is used. The
releases that nobody called bad are those of which worse would have been wrong: how often it was said is the false-alarm
rate that this history shows, and the largest evidence that one of them reached is the threshold that it supports.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from missioncontrol.health.model import Course, Look

STAGES = (1.0, 6.0, 24.0, 168.0)
"""Ages, in hours, whose verdict is kept of each release."""
FEWEST_ACCEPTED = 30
"""Accepted releases from which on a threshold is suggested."""
NOMINAL = 2.0
"""log10 of the e-value at which worse is said."""
ACCEPTED, WORSE = "accepted", "worse"
_QUANTILE = 0.99


class PastRelease(msgspec.Struct, frozen=True):
    """A release and what is said of it now. status: accepted, excluded or worse; `said_by`: empty where nobody did."""

    version: str
    published_at: datetime
    status: str = ACCEPTED
    note: str = ""
    said_by: str = ""


class Replayed(msgspec.Struct, frozen=True):
    """A release as the method saw it.

    history: predecessors that it was compared with; verdicts: at `STAGES`, null where its life did not get so far;
    largest: the largest evidence (log10 of the e-value) of looks at which worse could be said; counts: a worse of it
    would be a false alarm.
    """

    release: PastRelease
    history: int
    verdicts: list[str | None]
    worse_at_hours: float | None
    final: Look
    largest: float
    counts: bool

    @property
    def false_alarm(self) -> bool:
        """Worse was said of a release that was accepted."""
        return self.counts and self.worse_at_hours is not None


class Suggestion(msgspec.Struct, frozen=True):
    """The threshold (log10) that the accepted releases support.

    left_out_alarms: of them, those above the threshold that the others support, each left out in turn.
    """

    threshold: float
    left_out_alarms: int


class Calibration(msgspec.Struct, frozen=True):
    """The method on the past of one measure of a channel; releases: newest first.

    not_replayed: releases without data; accepted: releases that count; low, high: 95 % interval of the false-alarm
    rate, null without any; suggestion: null with fewer than `FEWEST_ACCEPTED` of them.
    """

    application: str
    channel: str
    measure: str
    made_at: datetime
    releases: list[Replayed]
    not_replayed: list[PastRelease]
    accepted: int
    false_alarms: int
    low: float | None
    high: float | None
    suggestion: Suggestion | None


def calibrated(
    application: str,
    channel: str,
    measure: str,
    outcomes: Sequence[tuple[PastRelease, Replayed | None]],
    made_at: datetime,
) -> Calibration:
    """What all releases together say. outcomes: in any order; None: there is no data of it."""
    ordered = sorted(outcomes, key=lambda one: (one[0].published_at, one[0].version), reverse=True)
    found = [one for _, one in ordered if one is not None]
    good = [one for one in found if one.counts]
    alarms = sum(one.false_alarm for one in good)
    low, high = binomial_interval(alarms, len(good)) if good else (None, None)
    return Calibration(
        application=application,
        channel=channel,
        measure=measure,
        made_at=made_at,
        releases=found,
        not_replayed=[release for release, one in ordered if one is None],
        accepted=len(good),
        false_alarms=alarms,
        low=low,
        high=high,
        suggestion=suggest([one.largest for one in good]),
    )


def replayed(release: PastRelease, course: Course, claims: Sequence[float | None]) -> Replayed | None:
    """What is kept of a release's whole course; None when nothing of it ever arrived.

    claims: the evidence of each look that a threshold meets, None where no `worse` could be said whatever it was: of
    data with a fault or a gap, of a version that has all but ended. A release counts once it is a week old, since
    before that nobody can know that it is good, and if there is any look at which it could have been called worse.
    """
    looks = course.looks
    if not looks or not any(look.observed or look.expected for look in looks):
        return None
    history = sum(1 for one in course.account.predecessors if one.used)
    first = next((look for look in looks if look.verdict == WORSE), None)
    spoken = [round(claim, 4) for claim in claims if claim is not None]
    return Replayed(
        release=release,
        history=history,
        verdicts=[_verdict_at(looks, age) for age in STAGES],
        worse_at_hours=first.age_hours if first else None,
        final=looks[-1],
        largest=max(spoken, default=0.0),
        counts=_may_be_good(release) and history > 0 and bool(spoken) and looks[-1].age_hours >= STAGES[-1],
    )


def _may_be_good(release: PastRelease) -> bool:
    """Whether nobody said that it is bad: what a verdict said by itself is what is to be checked."""
    return release.status == ACCEPTED or (release.status == WORSE and not release.said_by)


def suggest(largest: Sequence[float]) -> Suggestion | None:
    """The 99th percentile of the largest evidence of accepted releases; of fewer than 100 that is the largest."""
    if len(largest) < FEWEST_ACCEPTED:
        return None
    others = ([*largest[:place], *largest[place + 1 :]] for place in range(len(largest)))
    above = sum(value > percentile(rest) for value, rest in zip(largest, others, strict=True))
    return Suggestion(percentile(largest), above)


def percentile(values: Sequence[float]) -> float:
    """The smallest of them that at least 99 % do not exceed."""
    ordered = sorted(values)
    reached = next(n for n in range(1, len(ordered) + 1) if n >= _QUANTILE * len(ordered))
    return ordered[reached - 1]


def binomial_interval(events: int, cases: int) -> tuple[float, float]:
    """The 95 % interval of a rate of which `events` of `cases` were seen (Clopper and Pearson, Biometrika 26, 1934)."""
    from scipy.special import betaincinv

    low = float(betaincinv(events, cases - events + 1, 0.025)) if events else 0.0
    high = float(betaincinv(events + 1, cases - events, 0.975)) if events < cases else 1.0
    return low, high


def _verdict_at(looks: Sequence[Look], age_hours: float) -> str | None:
    """The verdict of the last look up to an age; None when the release did not get so old."""
    if looks[-1].age_hours < age_hours:
        return None
    return next((look.verdict for look in reversed(looks) if look.age_hours <= age_hours), None)
