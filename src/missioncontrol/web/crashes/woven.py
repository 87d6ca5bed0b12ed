"""What the pages of crashes know of verdicts and of the life of versions: a signature's history, and what it carries.

Reads the lake, the releases and the verdicts that are kept. What is not known is left out: a page of crashes is worth
showing without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.errors import MissionControlError
from missioncontrol.query.day_files import KeptDays
from missioncontrol.web.carried.view import account_address
from missioncontrol.web.crashes.spread import NAMES, Difference, differences

if TYPE_CHECKING:
    from missioncontrol.health.model import Account
    from missioncontrol.query.engine import Engine
    from missioncontrol.query.signature_history import UsageHour
    from missioncontrol.registry.model import Registry
    from missioncontrol.state.releases import Releases
    from missioncontrol.web.crashes.address import CrashState
    from missioncontrol.web.crashes.moved import Moved
    from missioncontrol.web.verdicts.source import VerdictSource

_MOST_DAYS = 1000
"""Of usage that are kept."""


class Carrying(msgspec.Struct, frozen=True):
    """A signature that carries what is worse of a version now."""

    application: str
    channel: str
    version: str
    measure: str
    measure_title: str
    signature: str | None
    share: float | None
    """Of the excess."""
    new: bool
    href: str
    """All that carries it."""


class WovenCrashes:
    """Thread-safe; blocks."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        releases: Callable[[], Releases],
        verdicts: VerdictSource,
        registry: Callable[[], Registry],
    ) -> None:
        self._engine, self._releases, self._verdicts, self._registry = engine, releases, verdicts, registry
        self._usage: KeptDays[list[UsageHour]] = KeptDays(_MOST_DAYS)

    def carrying(self, application: str = "") -> list[Carrying]:
        """The signatures that carry what is worse now, of one application or of all; the largest share first."""
        found = [
            one for account in self._accounts() if not application or account.subject.application == application
            for one in self._carried(account)
        ]  # fmt: skip
        return sorted(found, key=lambda one: -(one.share or 0.0))

    def worse(self, application: str, channel: str, version: str) -> list[Account]:
        """The verdicts on a version that are worse now."""
        wanted = application, channel, version
        return [
            one
            for one in self._accounts()
            if one.look.verdict == "worse"
            and (one.subject.application, one.subject.channel, one.subject.version) == wanted
        ]

    def moved(self, state: CrashState, measure: str, now: datetime) -> Moved | None:
        """The versions that a signature moves; None where nothing is known of it, or of versions."""
        # Brings numpy along, which a server needs that shows a signature, and an idle one does not.
        from missioncontrol.health.published import owner_of, versions_of
        from missioncontrol.query.signature_history import beginnings, crash_hours, usage_by_hour
        from missioncontrol.web.crashes.moved import Lives, build_moved, dispersions, place_of, stretches_of

        engine = self._engine()
        known = beginnings(engine, state.signature, state.product)
        place = place_of(state, known)
        if place is None:
            return None
        versions = versions_of(self._releases().list(*place), *place)
        stretches = stretches_of(versions, now)
        if not stretches:
            return None
        crashes = crash_hours(engine, *place, state.signature, stretches)
        usage = usage_by_hour(engine, *place, stretches, self._usage)
        accounts = [one for one in self._accounts() if _place(one) == place]
        phi = dispersions({one.subject.measure: one.data.dispersion for one in accounts}, measure)
        own = [one for one in self.carrying(place[0]) if one.signature == state.signature]
        lives = Lives(stretches, crashes, usage, owner_of(versions))
        return build_moved(state, place, versions, lives, known, own, measure, phi)

    def differences(self, state: CrashState, now: datetime) -> list[Difference]:
        """What users of the signature's crashes differ in from those of other crashes of the same versions."""
        from missioncontrol.query.signature_history import spread

        around = msgspec.structs.replace(state, signature="", contains="", empty=False).selection(now)
        return differences(spread(self._engine(), around, state.signature, NAMES))

    def _accounts(self) -> Sequence[Account]:
        try:
            return self._verdicts.current()
        except MissionControlError:
            return []

    def _carried(self, account: Account) -> list[Carrying]:
        of = account.subject
        declared = self._registry().measures.get(of.measure)
        title = declared.title if declared else of.measure
        if account.look.verdict != "worse":
            return []
        return [
            Carrying(of.application, of.channel, of.version, of.measure, title, one.signature, one.share, one.new,
                     account_address(account))
            for one in account.signatures
        ]  # fmt: skip


def _place(account: Account) -> tuple[str, str]:
    return account.subject.application, account.subject.channel
