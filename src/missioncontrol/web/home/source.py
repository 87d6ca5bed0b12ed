"""Where the first page gets what it shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from missioncontrol.errors import MissionControlError
from missioncontrol.query.held import Held
from missioncontrol.query.hour_sums import Builds, HourSums, days_between, days_of_hours, hour_after
from missioncontrol.query.last_day_users import client_files, last_day_shares
from missioncontrol.query.published import NamedReleases
from missioncontrol.query.summary_scope import platform_of
from missioncontrol.state.release_model import Release, Version
from missioncontrol.web.failing import Failing
from missioncontrol.web.home.cards import REPORTS, Card, CrashFree, Facts, drawn_measure, hours_drawn
from missioncontrol.web.home.numbers import (
    DAYS_SHOWN,
    Numbers,
    Place,
    add_further,
    newest_of,
    numbers_of,
    pieces_of,
)
from missioncontrol.web.home.view import Home, assembled, cards_of

if TYPE_CHECKING:
    from missioncontrol.health.model import Account
    from missioncontrol.query.engine import Engine
    from missioncontrol.registry.model import Registry
    from missioncontrol.web.verdicts.source import VerdictSource

_WINDOW = timedelta(minutes=5)
_SHOWN = timedelta(days=DAYS_SHOWN)
_HELD_S = 5.0
"""So long nothing is looked at again, whatever is committed."""
_AFTER_S = 0.1
_WAITED_FOR_S = 120.0
"""What is older than this is not shown: the reader waits for what is new. Open pages ask every minute."""


class Made(msgspec.Struct, frozen=True):
    """The page, and what it was made of. `cards`: all there are, also those that the page has no room for."""

    facts: Facts
    cards: list[Card]
    home: Home


def made_of(registry: Registry, facts: Facts, now: datetime) -> Made:
    """Lay the page out, all applications and channels of it."""
    cards = cards_of(registry, facts, now)
    return Made(facts, cards, assembled(registry, cards, facts.accounts, facts.end, now))


class HomeSource(Protocol):
    """Makes the first page."""

    def made(self, now: datetime) -> Made:
        """The page up to now, or a little before: `home.now` says which. Blocks.

        Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
        """


class LakeHome:
    """Reads the lake, the releases and the verdicts that are kept. Thread-safe."""

    def __init__(
        self,
        engine: Engine,
        releases: Callable[[], Sequence[Release]],
        verdicts: VerdictSource,
    ) -> None:
        self._engine, self._releases, self._verdicts = engine, releases, verdicts
        self._sums = HourSums(engine, pieces_of)
        self._reading = threading.Lock()
        self._failing = Failing()
        self._held: tuple[float, Made] | None = None
        self._revision: tuple[object, ...] = ()
        self._named = NamedReleases()
        self._people: Held[dict[tuple[Place, str | None], CrashFree]] = Held(1)

    def made(self, now: datetime) -> Made:
        """See `HomeSource`. What is a little old is answered at once, and brought up to date after that."""
        held, moment = self._held, time.monotonic()
        if held is None or moment - held[0] > _WAITED_FOR_S:
            with self._reading:
                if self._held is not held and self._held is not None:
                    return self._held[1]
                with self._failing.trying():
                    return self._renew(now)
        if moment - held[0] > _HELD_S and self._reading.acquire(blocking=False):
            # Later, so that this request has its answer before the processor is needed for the next one's.
            timer = threading.Timer(_AFTER_S, self._renew_behind, args=(now,))
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:  # no thread can be started now; the next request tries again
                self._reading.release()
        return held[1]

    def _renew_behind(self, now: datetime) -> None:
        try:
            self._renew(now)
        except MissionControlError:
            pass  # it is tried again, and told once what is held is too old
        finally:
            self._reading.release()

    def _renew(self, now: datetime) -> Made:
        """Read what changed and make the page of it. Only one thread is in here."""
        versions, builds = self._named.of(self._releases())
        registry, accounts = self._engine.registry(), self._verdicts.current()
        out = sum(one.published_at <= now for one in versions)
        revision = (versions, registry, accounts, self._sums.files(), now.date(), out)
        held = self._held
        if held is None or revision != self._revision:
            facts = self._read(registry, versions, builds, accounts, now)
        else:
            facts = held[1].facts
        made = made_of(registry, facts, now)
        # An empty page waits for its first ping: it is looked at anew each time.
        self._held = (time.monotonic(), made) if facts.numbers or facts.accounts else None
        self._revision = revision
        return made

    def _read(
        self,
        registry: Registry,
        versions: Sequence[Version],
        builds: Builds,
        accounts: Sequence[Account],
        now: datetime,
    ) -> Facts:
        newest = self._sums.newest()
        if newest is None:
            return Facts({}, versions, accounts, {}, None)
        end = min(newest + _WINDOW, now)
        named = ("usage_hours", drawn_measure(registry), REPORTS, "count")
        measures = [name if name in registry.measures else "" for name in named]
        days = set(days_between(end - _SHOWN, end))
        numbers = numbers_of(part.content for part in self._sums.days(days, measures, builds))
        further = _days_drawn(numbers, versions, end, now) - days
        add_further(numbers, (part.content for part in self._sums.days(further, measures, builds)))
        return Facts(numbers, versions, accounts, self._crash_free(numbers, builds, end), end)

    def _crash_free(
        self, numbers: Numbers, builds: Builds, end: datetime
    ) -> dict[tuple[Place, str | None], CrashFree]:
        """Of the clients of the last day; empty where nothing tells of clients."""
        if not numbers:
            return {}
        revision = (client_files(self._engine), end, builds)
        try:
            return self._people.of(
                "", revision, lambda: people_of(last_day_shares(self._engine, builds, end), end)
            )
        except MissionControlError:
            return {}  # the page is worth showing without it


def people_of(
    rows: Iterable[tuple[object, ...]], end: datetime | None = None
) -> dict[tuple[Place, str | None], CrashFree]:
    """Rows of (application, channel, version, system, share, low, high, clients), by platform.

    A client is on one system, so shares of several systems of a platform are joined by their clients.
    """
    parts: dict[tuple[Place, str | None], list[tuple[float, float, float, float]]] = {}
    for application, channel, version, system, share, low, high, clients in rows:
        if isinstance(share, float) and isinstance(low, float) and isinstance(high, float) and clients:
            place = Place(_text(application), _text(channel), platform_of(_text(system)))
            parts.setdefault((place, _text(version)), []).append((share, low, high, float(str(clients))))
    found = {}
    for key, own in parts.items():
        clients = sum(part[3] for part in own)
        share, low, high = (sum(part[n] * part[3] for part in own) / clients for n in range(3))
        found[key] = CrashFree(share, low, high, clients, end)
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _days_drawn(numbers: Numbers, versions: Sequence[Version], end: datetime, now: datetime) -> set[date]:
    """The days on which the newest versions, and their predecessors, had the ages that are drawn."""
    by_channel: dict[tuple[str, str], list[Version]] = {}
    for one in versions:
        by_channel.setdefault((one.application, one.channel), []).append(one)
    spans: set[tuple[int, int]] = set()
    for place, field in numbers.items():
        known = by_channel.get((place.application or "", place.channel or ""), [])
        spans.update(hours_drawn(known, newest_of(field.totals(), known, now)[1], hour_after(end)))
    return {day for first, length in spans for day in days_of_hours(first, first + length)}
