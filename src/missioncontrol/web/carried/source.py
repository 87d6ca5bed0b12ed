"""Where the page of what carries a rate gets its facts: a kept account, and the crash reports of now weighed by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import MissionControlError, NotFound
from missioncontrol.health.model import Account, SignatureBasis, SignatureShare, Subject, Where
from missioncontrol.query.signature_counts import Stretch

if TYPE_CHECKING:
    from missioncontrol.health.courses import Courses
    from missioncontrol.query.crash_reports import CrashReports
    from missioncontrol.query.engine import Engine
    from missioncontrol.state.releases import Releases
    from missioncontrol.web.verdicts.source import VerdictSource


class Carrier(msgspec.Struct, frozen=True):
    """A signature of a release: what of its crashes was to be expected, from how many reports, and whether it is named.

    first_seen: the first report of it that is kept, whichever version it was of; asked for only of some.
    """

    share: SignatureShare
    reports: int
    named: bool
    first_seen: datetime | None = None


class CarriedFacts(msgspec.Struct, frozen=True):
    """What the page is made of. `compared`: predecessors' reports are known, so that something was to be expected.

    stretches: the hours that were counted, of the release and of these predecessors. builds: version and build id of
    all that were published in the channel.
    """

    account: Account
    carriers: list[Carrier]
    basis: SignatureBasis
    compared: bool
    stretches: list[Stretch]
    builds: list[tuple[str, str]]
    processes: tuple[str | None, ...]
    """As `processes_of()` has them."""


class CarriedSource(Protocol):
    """Weighs crash reports. Every method blocks."""

    def newest(self, application: str, channel: str, measure: str) -> str:
        """The version that was published last; raises `NotFound` (`no_release`)."""

    def kept(self, subject: Subject) -> Account | None:
        """The newest account that was kept and can be weighed; None: it would have to be worked out."""

    def account(self, subject: Subject) -> Account:
        """The newest account of a subject, with its exposure if there can be one.

        Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`), `TooSlow` and `StorageError`.
        """

    def facts(self, account: Account, where: Where, dated: int) -> CarriedFacts:
        """All signatures of the release, those with the largest excess first; `dated` of them with their first report.

        Raises as `account()`.
        """


class LakeCarried:
    """Reads crash_signature_counts, and accounts as they are kept. Thread-safe."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        verdicts: VerdictSource,
        courses: Callable[[], Courses],
        releases: Callable[[], Releases],
        reports: CrashReports,
    ) -> None:
        self._engine, self._verdicts, self._courses = engine, verdicts, courses
        self._releases, self._reports = releases, reports

    def newest(self, application: str, channel: str, measure: str) -> str:
        """See `CarriedSource`."""
        judged = [
            one for one in self._verdicts.current() if _is_of(one.subject, application, channel, measure)
        ]
        if judged:
            return max(judged, key=lambda one: one.published_at).subject.version
        now = utc(system_clock())
        known = [one for one in self._releases().list(application, channel) if one.published_at <= now]
        if not known:
            raise NotFound(
                "no_release",
                f"No release of {application[:60]} is known to have been published on {channel[:60]}.",
                "Say what was published: missioncontrol import releases FILE.",
            )
        return known[-1].version

    def kept(self, subject: Subject) -> Account | None:
        """See `CarriedSource`."""
        return next(
            (one for one in self._verdicts.current() if one.subject == subject and _weighable(one)), None
        )

    def account(self, subject: Subject) -> Account:
        """See `CarriedSource`. One that was kept without its exposure is made anew, which takes seconds."""
        kept = self.kept(subject)
        if kept is not None:
            return kept
        account = self._verdicts.course(subject, None).course.account
        if _weighable(account):
            return account
        try:
            return self._courses().course(subject, account.look.as_of).account
        except MissionControlError:
            return account  # what was seen is worth showing without what was to be expected

    def facts(self, account: Account, where: Where, dated: int) -> CarriedFacts:
        """See `CarriedSource`."""
        from missioncontrol.health.published import versions_of
        from missioncontrol.health.signatures import processes_of, weigh

        of = account.subject
        versions = versions_of(self._releases().list(of.application, of.channel), of.application, of.channel)
        weighed = weigh(self._engine(), versions, account, where)
        named = weighed.named()
        found = [
            Carrier(share, int(reports), name)
            for share, reports, name in zip(weighed.shares(), weighed.counts.reports, named, strict=True)
        ]
        return CarriedFacts(
            account,
            self._dated(by_excess(found), of.application, dated),
            weighed.basis,
            weighed.found is not None,
            weighed.stretches,
            [(one.version, build) for one in versions for build in one.builds],
            processes_of(of.measure),
        )

    def _dated(self, found: list[Carrier], product: str, number: int) -> list[Carrier]:
        names = [one.share.signature for one in found[:number]]
        seen = self._reports.first_seen(names, product) if names else {}
        dates = [seen.get(name) for name in names]
        dated = [
            msgspec.structs.replace(one, first_seen=date)
            for one, date in zip(found[:number], dates, strict=True)
        ]
        return [*dated, *found[number:]]


def by_excess(found: Iterable[Carrier]) -> list[Carrier]:
    """The largest excess first; of equal ones by name. What was neither seen nor to be expected is left out."""
    some = [one for one in found if one.share.observed > 0 or one.share.expected >= 0.05]
    return sorted(some, key=lambda one: (one.share.expected - one.share.observed, one.share.signature or "~"))


def _weighable(account: Account) -> bool:
    """Whether its exposure is known, or there is none."""
    return account.exposure is not None or not any(one.used for one in account.predecessors)


def _is_of(subject: Subject, application: str, channel: str, measure: str) -> bool:
    return (subject.application, subject.channel, subject.measure) == (application, channel, measure)
