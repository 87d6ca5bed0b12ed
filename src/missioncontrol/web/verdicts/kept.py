"""The verdicts that an installation keeps, as the pages want them.

What was said stands in the table `verdicts`. Looks that nobody made, because the server was off or the data came by
import, are worked out by a process of its own, from what has arrived since: this process never loads the statistics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from missioncontrol.errors import MissionControlError
from missioncontrol.health.calibration import Calibration
from missioncontrol.health.calibration_store import kept
from missioncontrol.health.crossing import crossing_of, doubted, guilty_of, with_crossing
from missioncontrol.health.model import Account, Course, Crossing, Look, Subject
from missioncontrol.health.records import Record
from missioncontrol.health.sentence import sentence
from missioncontrol.query.uncounted import Uncounted, archived_since, uncounted
from missioncontrol.web.verdicts.source import Found

if TYPE_CHECKING:
    from missioncontrol.blobs.protocol import Blobs
    from missioncontrol.config import Config
    from missioncontrol.health.courses import Courses
    from missioncontrol.health.records import Records
    from missioncontrol.query.engine import Engine
    from missioncontrol.registry.model import Registry
    from missioncontrol.state.releases import Releases

T = TypeVar("T", Account, Record)
_CURRENT_FOR_S = 10.0
_LATELY = timedelta(days=3)
"""So long a channel of which nothing comes any more is still shown, beside others of which there are new looks."""
_STILL_LOOKED_AT = timedelta(hours=3)
"""Old versions are looked at by the hour; whatever is this much older than the newest look of its channel has ended."""
_FINE_HOURS = 48.0
_ENOUGH = 0.7
"""Share of the looks of a life with which its plots need no others."""


class KeptVerdicts:
    """Reads the table `verdicts` and the stored calibrations. Thread-safe."""

    def __init__(
        self,
        records: Callable[[], Records],
        courses: Callable[[], Courses],
        blobs: Callable[[], Blobs],
        registry: Callable[[], Registry],
        releases: Callable[[], Releases],
        engine: Callable[[], Engine],
        config: Config,
    ) -> None:
        self._records, self._courses, self._blobs = records, courses, blobs
        self._registry, self._releases, self._engine, self._config = registry, releases, engine, config
        self._current: tuple[float, list[Account]] | None = None
        self._crossings: dict[tuple[Subject, datetime | None, str], Crossing | None] = {}
        """Of subjects by when they were first worse. What was said then stays said, so it is looked up once."""

    def current(self) -> list[Account]:
        """The newest account of every measure of every version that is still looked at, and not taken back."""
        now = time.monotonic()
        held = self._current
        if held is None or now - held[0] > _CURRENT_FOR_S:
            records = self._records()
            found = records.current(since=datetime.now(UTC) - _LATELY) or records.current()
            held = now, self._crossed([self._account(one) for one in still_looked_at(found)])
            self._current = held
        return of_releases(held[1], self._releases())

    def course(self, subject: Subject, as_of: datetime | None) -> Found:
        """All looks up to a time, with the account of the last."""
        # Of a signature nothing is kept.
        record = None if subject.signature else self._records().known_at(subject, as_of)
        if record is None or record.account is None:
            course = self._courses().course(subject, as_of or datetime.now(UTC))
            account = self._still(with_crossing(course.account, course.looks))
            return Found(Course(account, course.looks), len(course.looks))
        made = self._records().history(subject, until=as_of)
        account = self._still(with_crossing(self._crossed([self._account(record)])[0], made))
        if len(made) >= _ENOUGH * looks_due(record.look.age_hours):
            return Found(Course(account, made))
        try:
            other = self._courses().course(subject, record.look.as_of)
        except MissionControlError:
            return Found(Course(account, made))  # the looks that were made are worth showing by themselves
        looks = merged(made, other.looks)
        account = self._still(with_crossing(account, looks))
        return Found(Course(account, looks), len(looks) - len(made))

    def uncounted(self, account: Account) -> Uncounted | None:
        """What was not counted from its publication to its look; None: it cannot be said now."""
        of, until = account.subject, account.look.as_of
        if until <= account.published_at:
            return None
        try:
            since = account.published_at
            kept_all = archived_since(self._config, since, datetime.now(UTC))
            engine = self._engine()
            return uncounted(engine, of.application, of.channel, of.version, since, until, kept_all)
        except MissionControlError:
            return None  # a verdict is worth showing without it

    def calibrations(self) -> list[Calibration]:
        """Those that are stored."""
        return kept(self._blobs())

    def _account(self, record: Record) -> Account:
        """The newest account with the newest look: it is kept once an hour only."""
        assert record.account is not None
        if record.account.look == record.look:
            return record.account
        return self._told(msgspec.structs.replace(record.account, look=record.look))

    def _told(self, account: Account) -> Account:
        """The account with a sentence on what is in it now."""
        name = account.subject.measure
        measure = self._registry().measures.get(name)
        said = (
            sentence(account, measure.title, measure.worse)
            if measure is not None
            else sentence(account, name)
        )
        return msgspec.structs.replace(account, sentence=said)

    def _still(self, account: Account) -> Account:
        """Told anew where it is doubted now: what was kept with it may be of before, or not know what was seen then."""
        return self._told(account) if doubted(account) else account

    def _crossed(self, accounts: list[Account]) -> list[Account]:
        """The accounts, those that are worse from before and doubted now with what was seen when they became so."""
        wanted = [one for one in accounts if doubted(one) and _alarm(one) not in self._crossings]
        if wanted:
            since = min(one.look.since for one in wanted if one.look.since)
            first = {(one.subject, one.look.since): one for one in self._records().crossings(since)}
            for one in wanted:
                record = first.get((one.subject, one.look.since))
                then = None if record is None else record.account or record.look
                self._crossings[_alarm(one)] = None if then is None else crossing_of(one, then)
        crossed = {one.subject: self._crossings[_alarm(one)] for one in accounts if doubted(one)}
        return [
            self._still(msgspec.structs.replace(one, crossed=found))
            if (found := crossed.get(one.subject)) is not None
            else self._still(one)
            for one in accounts
        ]


def _alarm(account: Account) -> tuple[Subject, datetime | None, str]:
    """When it was first worse, and for whom: that is explained again in the hours after."""
    guilty = guilty_of(account)
    return account.subject, account.look.since, str(guilty.where) if guilty else ""


def of_releases(found: Sequence[T], releases: Releases) -> list[T]:
    """Those of versions that are known; what was said of others stays in the table."""
    known = {(one.application, one.channel, one.version) for one in releases.list()} if found else set()
    return [
        one for one in found if (one.subject.application, one.subject.channel, one.subject.version) in known
    ]


def still_looked_at(records: Sequence[Record]) -> list[Record]:
    """Those whose newest look is about as new as the newest one of their channel."""
    newest: dict[tuple[str, str], datetime] = {}
    for one in records:
        key = one.subject.application, one.subject.channel
        newest[key] = max(newest.get(key, one.look.as_of), one.look.as_of)
    return [
        one
        for one in records
        if one.account is not None
        and one.look.as_of >= newest[one.subject.application, one.subject.channel] - _STILL_LOOKED_AT
    ]


def looks_due(age_hours: float) -> float:
    """How many looks a life of that age has: every 5 minutes to 48 h, every hour after that."""
    return 12 * min(age_hours, _FINE_HOURS) + max(age_hours - _FINE_HOURS, 0.0)


def merged(made: Sequence[Look], worked_out: Sequence[Look]) -> list[Look]:
    """Looks by time; of two of the same time the one that was made then."""
    by_time = {look.as_of: look for look in (*worked_out, *made)}
    return [by_time[moment] for moment in sorted(by_time)]
