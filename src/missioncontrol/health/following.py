"""The current releases of one channel, judged look by look from what is in memory.

Made of a channel's sums once; then each turn reads what arrived. Says what a course says of the same looks, but for
what was said before: `worse` stays whatever arrives late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import structlog

from missioncontrol.errors import MissionControlError
from missioncontrol.health.account import account_of
from missioncontrol.health.case import Case, baseline_hash, prepare
from missioncontrol.health.chains import Era, eras
from missioncontrol.health.crossing import with_crossing
from missioncontrol.health.growing import Growing
from missioncontrol.health.judging import by_era, looked_back_at, looks_of, refreshed, verdicts_of
from missioncontrol.health.model import METHOD, Account, Look, Subject
from missioncontrol.health.news import News, Wanted
from missioncontrol.health.published import Version, tick_of
from missioncontrol.health.records import Record, State
from missioncontrol.health.sentence import sentence
from missioncontrol.health.signatures import with_signatures
from missioncontrol.health.sums import ChannelSums
from missioncontrol.query.engine import Engine
from missioncontrol.verdict.attribution import Explanation
from missioncontrol.verdict.follow import Follower, Other
from missioncontrol.verdict.grid import LIFE_TICKS, looks
from missioncontrol.verdict.judge import Said, Verdict, said
from missioncontrol.verdict.replay import Looks
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Ints, Release

ACCOUNT_EVERY_TICKS = TICKS_PER_HOUR

logger = structlog.get_logger()


@dataclass(frozen=True)
class Judged:
    """A look that is due, made: `record` is to be kept; `before` is the verdict before it, and None at the first."""

    record: Record
    account: Account | None
    before: Look | None


@dataclass(eq=False)
class _Stretch:
    """An era of a subject, and what it is judged by there."""

    era: Era
    case: Case
    follower: Follower | None
    hash: str


@dataclass
class _Pair:
    """One subject: its version, the stretches that further looks are in, and what was said of it."""

    subject: Subject
    version: Version
    stretches: list[_Stretch]
    early_hours: float
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
        return max((pair.version.published for pair in self._pairs.values()), default=0)

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
            for stretch in pair.stretches:
                if stretch.follower is not None:
                    stretch.follower.rewind(tick)

    def relabel(self, versions: tuple[Version, ...]) -> None:
        """Take up what is said now of the versions that are judged, for their own verdicts."""
        now = {each.version: each for each in versions}
        for pair in self._pairs.values():
            pair.version = now[pair.version.version]
            for stretch in pair.stretches:
                stretch.case = replace(stretch.case, version=pair.version)

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
        version = sums.version(subject.version)
        pair = _Pair(subject, version, [], 0.0)
        if state is not None and state.record.published_at == version.published_at:
            _resume(pair, state)
        before = pair.said
        since = before.age_ticks + 1 if before.first is None else _explained_at(before)
        last = min(sums.until, version.published + LIFE_TICKS)
        for era in eras(sums.versions, version, min(version.published + since, last), last):
            known = sums.known_in(era)
            case = prepare(known, subject)
            pair.early_hours = known.early_hours(case.version, case.measure)
            pair.stretches.append(self._stretch(era, case, sums))
        return pair

    def _stretch(self, era: Era, case: Case, sums: ChannelSums) -> _Stretch:
        self._growing.follow(case)
        follower = Follower(case.baseline) if case.baseline is not None else None
        if follower is not None and sums.until > case.version.published:
            before = self._growing.before(case)
            others = [Other(before, case.version.published)] if before is not None else []
            follower.prime(self._growing.release(case), sums.pings, others)
        return _Stretch(era, case, follower, baseline_hash(case.baseline))

    def _ticks(self, pair: _Pair) -> Ints:
        """Ages of the looks that were not made, oldest first."""
        pings = self._pings
        newest = min(self.until, pings.first + len(pings.counts))
        age = min(newest - pair.version.published, LIFE_TICKS)
        every = looks(max(age, 0))
        return every[every > pair.said.age_ticks]

    def _judge(self, pair: _Pair) -> Judged | None:
        ticks = self._ticks(pair)
        if not len(ticks):
            return None
        before = pair.said
        if before.first is not None and not before.explanations:
            before = replace(before, explanations=self._explained(pair))
        for stretch, part in self._parts(pair, ticks):
            earlier = before
            release = self._growing.release(stretch.case)
            found = self._found(stretch, release, part, earlier)
            verdicts = verdicts_of(self._growing.sums, stretch.case, release, found, part, earlier)
            before = said(verdicts[-1])
        newest = verdicts[-1]
        look = looks_of(stretch.case, release, found, verdicts[-1:], pair.early_hours)[0]
        changed = pair.look is None or pair.look.verdict != look.verdict
        account = None
        if changed or newest.age_ticks - pair.accounted >= ACCOUNT_EVERY_TICKS:
            account = self._account(pair, stretch, look, verdicts, found)
            first = [each for each in verdicts if each.age_ticks == newest.first]
            then = looks_of(stretch.case, release, found, first, pair.early_hours) if first else []
            told = with_crossing(account, then)  # it became worse while nothing ran, and today would not
            measure = stretch.case.measure
            words = sentence(told, measure.title, measure.worse)
            account = msgspec.structs.replace(account, sentence=words)
            pair.accounted = newest.age_ticks
        record = Record(pair.subject, pair.version.published_at, look, stretch.hash, METHOD, account)
        last, pair.look = pair.look, look
        pair.said = before
        del pair.stretches[: pair.stretches.index(stretch)]
        return Judged(record, account, last)

    def _parts(self, pair: _Pair, ticks: Ints) -> list[tuple[_Stretch, Ints]]:
        """Looks at these ages by the stretch that they are in."""
        of_era = {stretch.era.look: stretch for stretch in pair.stretches}
        parts = by_era([stretch.era for stretch in pair.stretches], pair.version, ticks)
        return [(of_era[era.look], part) for era, part in parts]

    def _found(self, stretch: _Stretch, release: Release, ticks: Ints, before: Said) -> Looks | None:
        """The looks at these ages, and what judging them looks back at."""
        case, follower = stretch.case, stretch.follower
        if follower is None:
            return None
        other = self._growing.other(case)
        others = []
        if other is not None:
            others.append(Other(other[0], case.version.published, other[1]))
        every = looked_back_at(ticks, before)
        return follower.looks(release, self._pings, others, every, before)

    def _explained(self, pair: _Pair) -> tuple[Explanation, ...]:
        """What was explained before this process began, explained again: it is kept as it was 12 h after the alarm."""
        age = _explained_at(pair.said)
        before = replace(pair.said, age_ticks=age - 1)
        ((stretch, ticks),) = self._parts(pair, np.array([age]))
        release = self._growing.release(stretch.case)
        found = self._found(stretch, release, ticks, before)
        told = verdicts_of(self._growing.sums, stretch.case, release, found, ticks, before)
        return told[-1].explanations

    def _account(
        self, pair: _Pair, stretch: _Stretch, look: Look, verdicts: list[Verdict], found: Looks | None
    ) -> Account:
        sums = self._growing.sums.known_in(stretch.era)
        account = account_of(sums, pair.subject, stretch.case, look, verdicts, found)
        return with_signatures(self._engine, sums, stretch.case, account)

    @property
    def _pings(self) -> Channel:
        return self._growing.sums.pings


def _resume(pair: _Pair, state: State) -> None:
    """Go on from what was said before this process began."""
    published, look = pair.version.published, state.record.look
    first = None if look.since is None else tick_of(look.since) - published
    pair.said = Said(tick_of(look.as_of) - published, first, (), "odd_rollout" in look.reasons)
    pair.look = look
    if state.accounted_at is not None:
        pair.accounted = tick_of(state.accounted_at) - published


def _explained_at(before: Said) -> int:
    """Age of the newest look so far at which a `worse` was explained."""
    assert before.first is not None
    return min(before.age_ticks, refreshed(before.first))


def _failure(subject: Subject, error: Exception) -> Failed:
    if isinstance(error, MissionControlError):
        logger.error(
            "verdict_failed", **msgspec.structs.asdict(subject), code=error.code, message=error.message
        )
        return Failed(subject, error.code, error.message)
    logger.exception("verdict_failed", **msgspec.structs.asdict(subject))
    return Failed(subject, "internal_error", str(error))
