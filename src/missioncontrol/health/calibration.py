"""The method tried on an installation's own past: what it said of every release that is known, and what became of it.

Pure. Each release is replayed with the accepted ones before it as history, so nothing that came later is used. The
releases that a person accepted are the ones of which worse would have been wrong: how often it was said is the
false-alarm rate that this history shows, and the largest evidence that one of them reached is the threshold that it
supports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from missioncontrol.health.model import Course, Look

STAGES = (1.0, 6.0, 24.0, 168.0)
"""Ages, in hours, whose verdict is kept of each release."""
FEWEST_ACCEPTED = 30
"""Accepted releases from which on a threshold is suggested."""
NOMINAL = 2.0
"""log10 of the e-value at which worse is said."""
_QUANTILE = 0.99
_NOT_COUNTED = ("data-problem",)


class PastRelease(msgspec.Struct, frozen=True):
    """A release and what a person, or nobody, said of it later. status: accepted, excluded or worse."""

    version: str
    published_at: datetime
    status: str
    note: str = ""


class Replayed(msgspec.Struct, frozen=True):
    """A release as the method saw it. verdicts: at `STAGES`, null where its life did not get so far."""

    release: PastRelease
    history: int
    """Predecessors that it was compared with."""
    verdicts: list[str | None]
    worse_at_hours: float | None
    final: Look
    largest: float
    """The largest evidence (log10 of the e-value) of its life."""
    counts: bool
    """Accepted and with history: a worse of it is a false alarm."""

    @property
    def false_alarm(self) -> bool:
        """Worse was said of a release that was accepted."""
        return self.counts and self.worse_at_hours is not None


class Suggestion(msgspec.Struct, frozen=True):
    """The threshold (log10) that the accepted releases support, and how it fared with each of them left out in turn."""

    threshold: float
    left_out_alarms: int
    """Of the accepted releases, those above the threshold that the others support."""


class Calibration(msgspec.Struct, frozen=True):
    """The method on the past of one measure of a channel."""

    application: str
    channel: str
    measure: str
    made_at: datetime
    releases: list[Replayed]
    """Newest first."""
    not_replayed: list[PastRelease]
    """Without data, or before any that could be compared with."""
    accepted: int
    false_alarms: int
    low: float | None
    high: float | None
    """95 % interval of the false-alarm rate (Clopper and Pearson, Biometrika 26, 1934); null without releases."""
    suggestion: Suggestion | None
    """None with fewer than `FEWEST_ACCEPTED` accepted releases."""


Replay = Callable[[PastRelease], Course | None]
"""The course of a release from publication to the end of its life; None: there is no data of it."""


def calibrate(
    application: str,
    channel: str,
    measure: str,
    releases: Sequence[PastRelease],
    replay: Replay,
    made_at: datetime,
    done: Callable[[PastRelease], None] = lambda _: None,
) -> Calibration:
    """Replay all `releases` (any order); `done` is told of each one that is through."""
    found: list[Replayed] = []
    missing: list[PastRelease] = []
    for release, course in _courses(releases, replay):
        if course is None or not course.looks:
            missing.append(release)
        else:
            found.append(replayed(release, course))
        done(release)
    good = [one for one in found if one.counts]
    alarms = sum(one.false_alarm for one in good)
    low, high = binomial_interval(alarms, len(good)) if good else (None, None)
    return Calibration(
        application, channel, measure, made_at, found[::-1], missing[::-1], len(good), alarms, low, high,
        suggest([one.largest for one in good]),
    )  # fmt: skip


def replayed(release: PastRelease, course: Course) -> Replayed:
    """What is kept of a course with at least one look."""
    account, looks = course.account, course.looks
    history = sum(1 for one in account.predecessors if one.used)
    first = next((look for look in looks if look.verdict == "worse"), None)
    # A look at which worse may not be said would not have met a threshold either.
    largest = max((look.evidence for look in looks if look.verdict not in _NOT_COUNTED), default=0.0)
    return Replayed(
        release,
        history,
        [_verdict_at(looks, age) for age in STAGES],
        first.age_hours if first else None,
        looks[-1],
        largest,
        release.status == "accepted" and history > 0,
    )


def suggest(largest: Sequence[float]) -> Suggestion | None:
    """The 99th percentile of the largest evidence of accepted releases; of fewer than 100 that is the largest."""
    if len(largest) < FEWEST_ACCEPTED:
        return None
    above = sum(
        value > _percentile([*largest[:place], *largest[place + 1 :]]) for place, value in enumerate(largest)
    )
    return Suggestion(_percentile(largest), above)


def binomial_interval(events: int, cases: int) -> tuple[float, float]:
    """The 95 % interval of a rate of which `events` of `cases` were seen (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    low = float(betaincinv(events, cases - events + 1, 0.025)) if events else 0.0
    high = float(betaincinv(events + 1, cases - events, 0.975)) if events < cases else 1.0
    return low, high


def _courses(releases: Sequence[PastRelease], replay: Replay) -> Iterator[tuple[PastRelease, Course | None]]:
    for release in sorted(releases, key=lambda one: (one.published_at, one.version)):
        yield release, replay(release)


def _verdict_at(looks: Sequence[Look], age_hours: float) -> str | None:
    """The verdict of the last look up to an age; None when the release did not get so old."""
    if not looks or looks[-1].age_hours < age_hours - 1e-9:
        return None
    return next((look.verdict for look in reversed(looks) if look.age_hours <= age_hours + 1e-9), None)


def _percentile(values: Sequence[float]) -> float:
    """The smallest value that at least 99 % of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, _ceil(_QUANTILE * len(ordered)) - 1))]


def _ceil(value: float) -> int:
    return int(value) + (value > int(value))
