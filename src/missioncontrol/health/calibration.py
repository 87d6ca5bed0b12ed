"""The method tried on an installation's own past: what it said of every release that is known, and what became of it.

Pure. Each release is replayed with the accepted ones before it as history, so nothing that came later is used. The
releases that nobody called bad are those of which worse would have been wrong: how often it was said is the false-alarm
rate that this history shows, and the tail of the largest evidence of each is the threshold that it supports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from missioncontrol.health.model import Course, Look

STAGES = (1.0, 6.0, 24.0, 168.0)
"""Ages, in hours, whose verdict is kept of each release."""
FEWEST_ACCEPTED = 30
"""Accepted releases from which on a threshold is suggested."""
NOMINAL = 2.0
"""log10 of the e-value at which worse is said."""
ACCEPTED, WORSE = "accepted", "worse"
_CHANCE = 0.01
_SURE = 0.95
_TAIL, _TAIL_SHARE = 10, 0.1


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
    would be a false alarm; supported: the threshold (log10) that the others that count support, null with too few.
    """

    release: PastRelease
    history: int
    verdicts: list[str | None]
    worse_at_hours: float | None
    final: Look
    largest: float
    counts: bool
    supported: float | None = None

    @property
    def false_alarm(self) -> bool:
        """Worse was said of a release that was accepted."""
        return self.counts and self.worse_at_hours is not None

    @property
    def beyond(self) -> bool:
        """Its evidence went beyond the threshold that the others support."""
        return self.supported is not None and self.largest > self.supported


class Suggestion(msgspec.Struct, frozen=True):
    """The threshold (log10) that the accepted releases support, and its 95 % interval.

    tail: of so many releases, those with most evidence, it is read; beyond: releases above the threshold that the
    others support, each left out in turn; others_low, others_high: the lowest and highest of these thresholds.
    """

    threshold: float
    low: float
    high: float
    tail: int
    beyond: int
    others_low: float
    others_high: float


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
    suggestion = None
    if len(good) >= FEWEST_ACCEPTED:
        others = left_out([one.largest for one in good])
        supported = dict(zip((one.release.version for one in good), others, strict=True))
        found = [
            replace(one, supported=supported[one.release.version]) if one.counts else one for one in found
        ]
        beyond = sum(one.beyond for one in found)
        tail = tail_of([one.largest for one in good])
        suggestion = Suggestion(*tail, beyond, min(others), max(others))
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
        suggestion=suggestion,
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


class Tail(NamedTuple):
    """The threshold (log10) that one release in 100 goes beyond, the 95 % interval, and of how many it is read."""

    threshold: float
    low: float
    high: float
    releases: int


def tail_of(largest: Sequence[float]) -> Tail:
    """The threshold that the next such release goes beyond with a chance of 1 in 100; log10 of e-values, 11 or more.

    No release need have come so far: the tail of `largest` is taken to be exponential, as Ville's inequality has it at
    worst (P(e ever >= x) <= 1 / x; Etude critique de la notion de collectif, 1939). It begins after the tenth (at least
    10) with most evidence, beyond which the next one is with a chance of (k + 1) / (n + 1), whatever the distribution;
    its scale is their mean excess (Hill, Annals of Statistics 3(5), 1975). The excess of the next over that mean is F
    with 2 and 2 k degrees (Lawless, Technometrics 13(4), 1971): so a scale that is learned from few is paid for. The
    interval is of the quantile (Weissman, Journal of the American Statistical Association 73, 1978) with 2 k times the
    estimated scale over the scale as chi squared with 2 k degrees.
    """
    from scipy.special import chdtri

    ordered = sorted(largest, reverse=True)
    k = max(_TAIL, math.ceil(_TAIL_SHARE * len(ordered)))
    start = ordered[k]
    scale = sum(value - start for value in ordered[:k]) / k
    odds = max((k + 1) / (len(ordered) + 1) / _CHANCE, 1.0)
    tails = ((1 - _SURE) / 2, (1 + _SURE) / 2)
    low, high = (start + scale * math.log(odds) * 2 * k / float(chdtri(2 * k, chance)) for chance in tails)
    return Tail(start + scale * k * (odds ** (1 / k) - 1), low, high, k)


def left_out(largest: Sequence[float]) -> list[float]:
    """For each release the threshold that the others support: it depends on how far they came, not on their order."""
    return [tail_of([*largest[:n], *largest[n + 1 :]]).threshold for n in range(len(largest))]


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
