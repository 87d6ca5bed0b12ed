"""One measure of one version, judged: every look of its life, and all that the last one rests on.

What was known at a look is what had arrived in windows that had ended by then. The verdict at a time is the replay's
look at that time: there is one way to it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np

from missioncontrol.health.account import account_of
from missioncontrol.health.case import Case, prepare
from missioncontrol.health.looking import early_look, look_of
from missioncontrol.health.model import Course, Look, Subject
from missioncontrol.health.published import tick_of
from missioncontrol.health.sums import ChannelSums
from missioncontrol.verdict.controls import Control, control
from missioncontrol.verdict.grid import LIFE_TICKS, looks
from missioncontrol.verdict.judge import Said, Verdict, judge
from missioncontrol.verdict.lives import live
from missioncontrol.verdict.replay import Looks, replay
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Bools, Floats, Ints, Release

_DAY = 24 * TICKS_PER_HOUR
_LEFT_SHARE = 0.02
_ACTIVITY_SHARE = 0.5
_ACTIVITY_FROM = 2 * TICKS_PER_HOUR
_EARLY_SHARE = 0.05


def course(sums: ChannelSums, subject: Subject, until: datetime, case: Case | None = None) -> Course:
    """All looks of a release up to `until` and the account of the last.

    Looks are at the end of each 5-minute window to 48 h of age and hourly after that, to 14 days; before the first one
    the account is that of a release of which nothing is known yet. `case` may be kept from an earlier call: it depends
    on nothing that came after the publication. Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`).
    """
    case = case or prepare(sums, subject)
    end = min(tick_of(until), sums.until, case.version.published + LIFE_TICKS)
    ticks = looks(max(end - case.version.published, 0))
    if not len(ticks):
        first = early_look(case.version, case.baseline, until)
        return Course(account_of(sums, subject, case, first, [], None), [])
    release = sums.release(case.version, case.measure, case.picked, end, case.nowcast)
    found = _looks(sums, case, release, ticks) if case.baseline else None
    verdicts = verdicts_of(sums, case, release, found, ticks)
    early = sums.early_hours(case.version, case.measure)
    told = looks_of(case, release, found, verdicts, early)
    return Course(account_of(sums, subject, case, told[-1], verdicts, found), told)


def verdicts_of(
    sums: ChannelSums, case: Case, release: Release, found: Looks | None, ticks: Ints, before: Said = Said()
) -> list[Verdict]:
    """The verdicts at the looks that were found, after those `before`; without a history (None) at ages `ticks`."""
    if found is None or case.baseline is None:
        return _without_history(release, ticks)
    problems = _problems(sums, case, release, found)
    may_alarm = _may_alarm(sums, case, release, found.ticks)
    return judge(case.baseline, found, may_alarm, problems, before)


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
        look_of(case.version, each, float(used), ("used_early",) if early_hours > _EARLY_SHARE * used else ())
        for each, used in zip(verdicts, hours, strict=True)
    ]


def _looks(sums: ChannelSums, case: Case, release: Release, ticks: Ints) -> Looks:
    assert case.baseline is not None
    others: list[Control] = []
    if case.replaced is not None:
        end = release.published + release.ticks
        old = sums.release(case.replaced, case.measure, case.picked, end, False)
        life = live(old, sums.pings, None, case.baseline.trait)
        others = [control(life, case.baseline.rates, release.published)]
    return as_bad(case, replay(case.baseline, release, sums.pings, others, ticks))


def as_bad(case: Case, found: Looks) -> Looks:
    """The looks with the evidence for what is bad of the measure."""
    if case.measure.worse == "down":
        # Too few is what is bad: the mirrored e-value is the evidence, and no slice has one.
        return replace(found, evidence=found.better, better=found.evidence)
    return found


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
    sums = np.concatenate([[0.0], np.cumsum(by_tick)])
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


def _without_history(release: Release, ticks: Ints) -> list[Verdict]:
    counts = np.concatenate([[0.0], np.cumsum(release.counts.sum(axis=1))])[ticks]
    return [
        Verdict(int(tick), "too-early", None, None, None, 0.0, float(count), 0.0, reasons=("no_history",))
        for tick, count in zip(ticks, counts, strict=True)
    ]
