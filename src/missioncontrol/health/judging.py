"""One measure of one version, judged: every look of its life, and all that the last one rests on.

What was known at a look is what had arrived in windows that had ended by then. The verdict at a time is the replay's
look at that time: there is one way to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from missioncontrol.health.account import account_of
from missioncontrol.health.case import Case, prepare
from missioncontrol.health.chains import Era, eras, looked_at
from missioncontrol.health.looking import early_look, look_of
from missioncontrol.health.model import Course, Look, Subject
from missioncontrol.health.published import ACCEPTED, Version, tick_of
from missioncontrol.health.sums import ChannelSums
from missioncontrol.verdict.controls import Control, control
from missioncontrol.verdict.forecast import undecided
from missioncontrol.verdict.grid import LIFE_TICKS, looks
from missioncontrol.verdict.judge import (
    REFRESH_TICKS,
    TOO_EARLY,
    WITHDRAWN,
    WORSE,
    Said,
    Verdict,
    judge,
    looked_back,
    said,
)
from missioncontrol.verdict.lives import live
from missioncontrol.verdict.replay import Looks, replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Bools, Floats, Ints, Release, running

_DAY = 24 * TICKS_PER_HOUR
_LEFT_SHARE = 0.02
_ACTIVITY_SHARE = 0.5
_ACTIVITY_FROM = 2 * TICKS_PER_HOUR
_EARLY_SHARE = 0.05


class Judged(NamedTuple):
    """All looks of a release, and what they rest on.

    case, sums: of the last look; claims: of each look, as in `Verdict`.
    """

    course: Course
    case: Case
    sums: ChannelSums
    claims: list[float | None]


def course(sums: ChannelSums, subject: Subject, until: datetime) -> Course:
    """As `judged()`, the course alone."""
    return judged(sums, subject, until).course


def judged(
    sums: ChannelSums,
    subject: Subject,
    until: datetime,
    of_era: Callable[[ChannelSums], ChannelSums] = lambda known: known,
) -> Judged:
    """All looks of a release up to `until`, and the account of the last.

    Looks are at the end of each 5-minute window to 48 h of age and hourly after that, to 14 days; before the first one
    the account is that of a release of which nothing is known yet. Each era is judged against what was known then;
    of_era: what is made of its sums before. Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`).
    """
    version = sums.version(subject.version)
    end = min(tick_of(until), sums.until)
    every = looks(max(min(end - version.published, LIFE_TICKS), 0))
    found_eras = eras(sums.versions, version, *looked_at(version, end))
    if not len(every):
        known = of_era(sums.known_in(found_eras[-1]))
        case = prepare(known, subject)
        first = early_look(case.version, case.baseline, until, case.bad)
        return Judged(Course(account_of(known, subject, case, first, [], None), []), case, known, [])
    told: list[Look] = []
    claims: list[float | None] = []
    before = Said()
    for era, ticks in by_era(found_eras, version, every):
        known = of_era(sums.known_in(era))
        case = prepare(known, subject)
        release = known.release(case.version, case.measure, case.picked, end, case.nowcast)
        seen = looked_back_at(ticks, before)
        found = _looks(known, case, release, seen, before) if case.baseline else None
        verdicts = verdicts_of(known, case, release, found, ticks, before)
        told += looks_of(case, release, found, verdicts, known.early_hours(case.version, case.measure))
        claims += [each.claim for each in verdicts]
        before = said(verdicts[-1])
    account = account_of(known, subject, case, told[-1], verdicts, found)
    return Judged(Course(account, told), case, known, claims)


def by_era(found: Sequence[Era], version: Version, ticks: Ints) -> list[tuple[Era, Ints]]:
    """Looks at ages `ticks` (ascending) by the era that they are in; eras without a look are left out."""
    ends = [era.look - version.published for era in found[1:]]
    parts = np.split(ticks, np.searchsorted(ticks, ends))
    return [(era, part) for era, part in zip(found, parts, strict=True) if len(part)]


def looked_back_at(ticks: Ints, before: Said) -> Ints:
    """Ages of the looks that judging those at `ticks` needs, and that at which a `worse` of before was explained."""
    explained = [] if before.first is None else [min(refreshed(before.first), int(ticks[-1]))]
    return np.unique(np.concatenate([np.array(explained, np.int64), looked_back(ticks)]))


def refreshed(first: int) -> int:
    """Age of the last look at which a verdict that was first given at age `first` is explained."""
    every = looks()
    return int(every[every <= first + REFRESH_TICKS][-1])


def verdicts_of(
    sums: ChannelSums, case: Case, release: Release, found: Looks | None, ticks: Ints, before: Said = Said()
) -> list[Verdict]:
    """The verdicts at the looks that were found, after those `before`; without a history (None) at ages `ticks`."""
    if found is None or case.baseline is None:
        return _without_history(case, release, ticks, before)
    problems = _problems(sums, case, release, found)
    may_alarm = _may_alarm(sums, case, release, found.ticks)
    return judge(case.baseline, found, may_alarm, problems, before, _accepted(case.version, found.ticks))


def looks_of(
    case: Case, release: Release, found: Looks | None, verdicts: list[Verdict], early_hours: float
) -> list[Look]:
    """Verdicts as they are told. early_hours: of the denominator, before the publication."""
    ages = np.array([each.age_ticks for each in verdicts], np.int64)
    if found is None:
        hours = np.cumsum(release.hours.sum(axis=1))[ages - 1]
    else:
        hours = found.hours[np.searchsorted(found.ticks, ages)]
    return [
        look_of(
            case.version,
            each,
            float(used),
            ("used_early",) if early_hours > _EARLY_SHARE * used else (),
            case.bad,
        )
        for each, used in zip(verdicts, hours, strict=True)
    ]


def _looks(sums: ChannelSums, case: Case, release: Release, ticks: Ints, before: Said) -> Looks:
    assert case.baseline is not None
    others: list[Control] = []
    if case.replaced is not None:
        end = release.published + release.ticks
        old = sums.release(case.replaced, case.measure, case.picked, end, False)
        life = live(old, sums.pings, None, case.baseline.trait)
        others = [control(life, case.baseline.rates, release.published)]
    odd, since = before.odd_rollout, before.age_ticks
    return replay(case.baseline, release, sums.pings, others, ticks, odd, since)


def _may_alarm(sums: ChannelSums, case: Case, release: Release, ticks: Ints) -> Bools:
    """[looks] False where a later version is out and this one has under 2 % of the channel's hours of a day."""
    published = case.version.published
    later = [each.published for each in sums.versions if each.published > published]
    if not later:
        return np.ones(len(ticks), bool)
    own = _trailing(release.hours.sum(axis=1), ticks) if case.measure.per == "usage_hours" else None
    if own is None:
        own = _trailing(
            sums.by_tick(case.version, "usage_hours", published, published + release.ticks), ticks
        )
    everyone = _trailing(sums.hours.between(published, published + release.ticks), ticks)
    succeeded = published + ticks > min(later)
    return ~succeeded | (own >= _LEFT_SHARE * everyone)


def _trailing(by_tick: Floats, ticks: Ints) -> Floats:
    """[looks] sums of the last day."""
    sums = running(by_tick)
    lately: Floats = sums[ticks] - sums[np.maximum(ticks - _DAY, 0)]
    return lately


def _problems(sums: ChannelSums, case: Case, release: Release, found: Looks) -> tuple[tuple[str, Bools], ...]:
    """What else is wrong with the data, look by look."""
    ticks, problems = found.ticks, []
    if case.nowcast and release.activity is not None:
        # Rows of activity that do not come would pass for hours that were not used.
        arrived = np.cumsum(release.activity.hours.sum(axis=1))
        reported = np.cumsum(release.hours.sum(axis=1))
        age = np.minimum(ticks, 72 * TICKS_PER_HOUR) - 1
        # An hour of activity is known when it has ended.
        due = reported[np.maximum(age - TICKS_PER_HOUR, 0)]
        problems.append(("no_activity", (ticks >= _ACTIVITY_FROM) & (arrived[age] < _ACTIVITY_SHARE * due)))
    return tuple(problems)


def _accepted(version: Version, ticks: Ints) -> Ints:
    """[looks] age from which on a person's acceptance that holds at the look was known; 0 where none holds."""
    found = np.zeros(len(ticks), np.int64)
    for label in version.labels:
        accepts = label.status == ACCEPTED and label.by_person
        found[ticks >= label.look - version.published] = label.look - version.published if accepts else 0
    return found


def _without_history(case: Case, release: Release, ticks: Ints, before: Said) -> list[Verdict]:
    """Nothing can be compared; a `worse` that was given while something could stays, and so does an odd rollout."""
    counts = running(release.counts.sum(axis=1))[ticks]
    told = []
    for tick, count, accepted in zip(ticks, counts, _accepted(case.version, ticks), strict=True):
        withdrawn = before.first is not None and accepted > before.first
        worse = before.first is not None and not withdrawn
        codes = {"no_history": True, "odd_rollout": before.odd_rollout, WITHDRAWN: withdrawn}
        told.append(Verdict(
            int(tick), WORSE if worse else TOO_EARLY, None, None, None, 0.0, float(count), 0.0,
            where=(before.explanations[0].where or None) if worse and before.explanations else None,
            explanations=before.explanations,
            forecast=() if worse else tuple(undecided(case.bad)),
            first=before.first,
            reasons=tuple(code for code, holds in codes.items() if holds),
        ))  # fmt: skip
    return told
