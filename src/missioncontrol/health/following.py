"""The current releases of one channel, judged look by look from what is in memory.

Made of a channel's sums once; then each turn reads what arrived. Says what a course says of the same looks, but for
what was said before: `worse` stays whatever arrives late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import structlog

from missioncontrol.errors import MissionControlError
from missioncontrol.health.account import account_of
from missioncontrol.health.case import METHOD, Case, baseline_hash, prepare
from missioncontrol.health.growing import Growing
from missioncontrol.health.judging import as_bad, looks_of, verdicts_of
from missioncontrol.health.model import Account, Look, Subject
from missioncontrol.health.news import News, Wanted
from missioncontrol.health.published import tick_of
from missioncontrol.health.records import Record, State
from missioncontrol.health.signatures import with_signatures
from missioncontrol.health.sums import ChannelSums
from missioncontrol.query.engine import Engine
from missioncontrol.verdict.attribution import Explanation
from missioncontrol.verdict.follow import Follower, Other
from missioncontrol.verdict.grid import LIFE_TICKS, looks
from missioncontrol.verdict.judge import REFRESH_TICKS, Said, Verdict, looked_back, said
from missioncontrol.verdict.replay import Looks
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Ints, Release

_DAY = 24 * TICKS_PER_HOUR
ACCOUNT_EVERY_TICKS = TICKS_PER_HOUR

logger = structlog.get_logger()


@dataclass(frozen=True)
class Judged:
    """A look that is due, made: `record` is to be kept; `before` is the verdict before it, and None at the first."""

    record: Record
    account: Account | None
    before: Look | None


@dataclass
class _Pair:
    """One subject: its case, and what was said of it."""

    subject: Subject
    case: Case
    follower: Follower | None
    early_hours: float
    hash: str
    said: Said = field(default_factory=Said)
    look: Look | None = None
    accounted: int = -(10**9)
    """Tick of the newest account."""


@dataclass
class Failed:
    """A subject that could not be judged."""

    subject: Subject
    code: str
    message: str


@dataclass
class Outcome:
    """What judging came to."""

    judged: list[Judged] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


class Following:
    """Judges the subjects of one channel. `states`: what was said of them, by subject."""

    def __init__(
        self, engine: Engine, sums: ChannelSums, subjects: Iterable[Subject], states: dict[Subject, State]
    ) -> None:
        self.failed: list[Failed] = []
        self._engine = engine
        self._growing = Growing(engine, sums)
        self._pairs: dict[Subject, _Pair] = {}
        for subject in subjects:
            try:
                self._pairs[subject] = self._begin(sums, subject, states.get(subject))
            except Exception as error:
                self.failed.append(_failure(subject, error))
        self._growing.settle()

    @property
    def until(self) -> int:
        """The tick up to which all is known."""
        return self._growing.sums.until

    @property
    def learned(self) -> int:
        """The tick of the newest publication: what changes before it changes a baseline."""
        return max((pair.case.version.published for pair in self._pairs.values()), default=0)

    @property
    def versions(self) -> frozenset[str]:
        """The versions that it judges, or failed to begin with."""
        return frozenset(subject.version for subject in self.subjects)

    def forget(self, versions: Collection[str]) -> None:
        """Judge these versions no longer."""
        if versions:
            self._pairs = {s: pair for s, pair in self._pairs.items() if s.version not in versions}
            self.failed = [each for each in self.failed if each.subject.version not in versions]
            self._growing.forget(versions)

    @property
    def subjects(self) -> frozenset[Subject]:
        """What it judges, or failed to begin with."""
        return frozenset([*self._pairs, *(failure.subject for failure in self.failed)])

    def wanted(self, until: int) -> Wanted:
        """What is to be read to go on to tick `until`."""
        return self._growing.wanted(until)

    def go_on(self, until: int, news: News | None = None) -> None:
        """Take in what arrived before tick `until`: `news`, or what is read now; raises as `Growing.go_on()`."""
        self._growing.go_on(until, news)

    def rewind(self, tick: int) -> None:
        """Rows from tick `tick` on are not what they were: forget them, to read them again."""
        self._growing.rewind(tick)
        for pair in self._pairs.values():
            if pair.follower is not None:
                pair.follower.rewind(tick)

    def judge(self) -> Outcome:
        """Make the newest look of each subject that has one due."""
        outcome = Outcome()
        for subject, pair in self._pairs.items():
            try:
                made = self._judge(pair)
                if made is not None:
                    outcome.judged.append(made)
            except Exception as error:
                outcome.failed.append(_failure(subject, error))
        return outcome

    def _begin(self, sums: ChannelSums, subject: Subject, state: State | None) -> _Pair:
        case = prepare(sums, subject)
        follower = Follower(case.baseline) if case.baseline is not None else None
        pair = _Pair(
            subject,
            case,
            follower,
            sums.early_hours(case.version, case.measure),
            baseline_hash(case.baseline),
        )
        self._growing.follow(case)
        if follower is not None and sums.until > case.version.published:
            before = self._growing.before(case)
            others = [Other(before, case.version.published)] if before is not None else []
            follower.prime(self._growing.release(case), sums.pings, others)
        if state is not None and state.record.published_at == case.version.published_at:
            self._resume(pair, state)
        return pair

    def _resume(self, pair: _Pair, state: State) -> None:
        """Go on from what was said before this process began."""
        published, look = pair.case.version.published, state.record.look
        first = None if look.since is None else tick_of(look.since) - published
        pair.said = Said(tick_of(look.as_of) - published, first, (), "odd_rollout" in look.reasons)
        pair.look = look
        if state.accounted_at is not None:
            pair.accounted = tick_of(state.accounted_at) - published

    def _ticks(self, pair: _Pair) -> Ints:
        """Ages of the looks that were not made, oldest first."""
        pings = self._pings
        newest = min(self.until, pings.first + len(pings.counts))
        age = min(newest - pair.case.version.published, LIFE_TICKS)
        every = looks(max(age, 0))
        return every[every > pair.said.age_ticks]

    def _judge(self, pair: _Pair) -> Judged | None:
        ticks = self._ticks(pair)
        if not len(ticks):
            return None
        case, sums = pair.case, self._growing.sums
        release = self._growing.release(case)
        if pair.said.first is not None and not pair.said.explanations and pair.follower is not None:
            pair.said = replace(pair.said, explanations=self._explained(pair, release))
        found = self._found(pair, release, ticks, pair.said)
        verdicts = verdicts_of(sums, case, release, found, ticks, pair.said)
        newest = verdicts[-1]
        look = looks_of(case, release, found, verdicts[-1:], pair.early_hours)[0]
        changed = pair.look is None or pair.look.verdict != look.verdict
        account = None
        if changed or newest.age_ticks - pair.accounted >= ACCOUNT_EVERY_TICKS:
            account = self._account(pair, release, look, verdicts, found)
            pair.accounted = newest.age_ticks
        record = Record(pair.subject, case.version.published_at, look, pair.hash, METHOD, account)
        before, pair.look = pair.look, look
        pair.said = said(newest)
        return Judged(record, account, before)

    def _found(
        self, pair: _Pair, release: Release, ticks: Ints, before: Said, also: Sequence[int] = ()
    ) -> Looks | None:
        """The looks at these ages, and what judging them looks back at; `also`: further ages."""
        if pair.follower is None:
            return None
        every = np.unique(np.concatenate([np.array(also, np.int64), looked_back(ticks)]))
        other = self._growing.other(pair.case)
        others = []
        if other is not None:
            others.append(Other(other[0], pair.case.version.published, other[1]))
        return as_bad(pair.case, pair.follower.looks(release, self._pings, others, every, before))

    def _explained(self, pair: _Pair, release: Release) -> tuple[Explanation, ...]:
        """What was explained before this process began, explained again: it is kept as it was 12 h after the alarm."""
        before = pair.said
        assert before.first is not None
        age = min(before.age_ticks, _refreshed(before.first))
        found = self._found(pair, release, np.array([age]), replace(before, age_ticks=age - 1))
        told = verdicts_of(
            self._growing.sums, pair.case, release, found, np.array([age]), replace(before, age_ticks=age - 1)
        )
        return told[-1].explanations

    def _account(
        self, pair: _Pair, release: Release, look: Look, verdicts: list[Verdict], found: Looks | None
    ) -> Account:
        newest = verdicts[-1]
        sums = self._growing.sums
        if newest.first is not None and newest.age_ticks > _refreshed(newest.first):
            # What explains it is told by the numbers of the look at which it was explained.
            ticks = np.array([newest.age_ticks])
            found = self._found(pair, release, ticks, pair.said, [_refreshed(newest.first)])
        account = account_of(sums, pair.subject, pair.case, look, verdicts, found)
        return with_signatures(self._engine, sums, account)

    @property
    def _pings(self) -> Channel:
        return self._growing.sums.pings


def _refreshed(first: int) -> int:
    """Age of the last look at which a verdict that was first given at age `first` is explained."""
    every = looks()
    return int(every[every <= first + REFRESH_TICKS][-1])


def _failure(subject: Subject, error: Exception) -> Failed:
    if isinstance(error, MissionControlError):
        logger.error(
            "verdict_failed", **msgspec.structs.asdict(subject), code=error.code, message=error.message
        )
        return Failed(subject, error.code, error.message)
    logger.exception("verdict_failed", **msgspec.structs.asdict(subject))
    return Failed(subject, "internal_error", str(error))
