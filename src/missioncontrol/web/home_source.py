"""Where the first page gets what it shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from missioncontrol.errors import MissionControlError
from missioncontrol.query import filters
from missioncontrol.query.aggregates import AggregateQuery
from missioncontrol.query.client_measures import SHARE, client_measures
from missioncontrol.query.hour_sums import Day, HourSums, days_between
from missioncontrol.query.summary_scope import platform_of
from missioncontrol.state.release_model import Release, Version, group
from missioncontrol.web.home_cards import REPORTS, CrashFree, Facts, drawn_measure, predecessor
from missioncontrol.web.home_numbers import (
    DAYS_SHOWN,
    Builds,
    Numbers,
    Place,
    builds_of,
    hour_of,
    joined,
    newest_of,
    numbers_of,
)

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine
    from missioncontrol.registry.model import Registry
    from missioncontrol.web.verdict_source import VerdictSource

_WINDOW = timedelta(minutes=5)
_SHOWN = timedelta(days=DAYS_SHOWN)
_HELD_S = 5.0
"""So long numbers are not looked at again, whatever is committed."""
_PEOPLE_HELD_S = 600.0
_DAY = timedelta(hours=24)
_LIMIT = 5000
_Revision = tuple[object, ...]


class HomeSource(Protocol):
    """What the first page is made of."""

    def facts(self, now: datetime) -> Facts:
        """The facts up to now; the same object for as long as nothing changed. Blocks.

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
        self._sums = HourSums(engine)
        self._lock = threading.Lock()
        self._held: tuple[float, _Revision, Facts] | None = None
        self._versions: tuple[Sequence[Release], list[Version], Builds] = ([], [], {})
        self._numbers: dict[date, tuple[Day, Builds, Numbers]] = {}
        self._people: tuple[float, dict[tuple[Place, str | None], CrashFree]] | None = None

    def facts(self, now: datetime) -> Facts:
        """See `HomeSource`."""
        releases, accounts = self._releases(), self._verdicts.current()
        with self._lock:
            versions, builds = self._named(releases)
            registry = self._engine.registry()
            revision: _Revision = (id(versions), now.date(), registry)
            held = self._held
            if held is not None and held[1][:-1] == revision and held[2].accounts == accounts:
                if time.monotonic() - held[0] < _HELD_S:
                    return held[2]
                if held[1][-1] == self._sums.files():
                    self._held = (time.monotonic(), held[1], held[2])
                    return held[2]
            files = self._sums.files()
            facts = self._read(registry, versions, builds, now)
            facts = Facts(facts.numbers, versions, accounts, facts.crash_free, facts.end)
            if facts.numbers:
                self._held = (time.monotonic(), (*revision, files), facts)
            return facts

    def _named(self, releases: Sequence[Release]) -> tuple[list[Version], Builds]:
        known, versions, builds = self._versions
        if known != releases:
            versions = group(releases)
            builds = builds_of(versions)
            self._versions = (releases, versions, builds)
        return versions, builds

    def _read(self, registry: Registry, versions: Sequence[Version], builds: Builds, now: datetime) -> Facts:
        newest = self._sums.newest()
        if newest is None:
            return Facts({}, versions, [], {}, None)
        end = min(newest + _WINDOW, now)
        named = ("usage_hours", drawn_measure(registry), REPORTS, "count")
        measures = [name if name in registry.measures else "" for name in named]
        wanted = days_between(end - _SHOWN, end)
        numbers = self._joined(wanted, measures, builds)
        further = {
            day for first, last in _spans_before(numbers, versions, end) for day in days_between(first, last)
        }
        if further - set(wanted):
            numbers = self._joined([*wanted, *further], measures, builds)
        return Facts(numbers, versions, [], self._crash_free(registry, numbers, end), end)

    def _joined(self, days: Iterable[date], measures: Sequence[str], builds: Builds) -> Numbers:
        parts = []
        for day in self._sums.days(days, measures):
            held = self._numbers.get(day.day)
            if held is None or held[0] is not day or held[1] is not builds:
                held = (day, builds, numbers_of(day.sums, builds))
                self._numbers[day.day] = held
            parts.append(held[2])
        return joined(parts)

    def _crash_free(
        self, registry: Registry, numbers: Numbers, end: datetime
    ) -> dict[tuple[Place, str | None], CrashFree]:
        """Of the clients of the last day; empty where nothing tells of clients."""
        held = self._people
        if held is not None and time.monotonic() - held[0] < _PEOPLE_HELD_S:
            return held[1]
        people = client_measures(registry)
        names = (SHARE, f"{SHARE}_low", f"{SHARE}_high", "client_count")
        dimensions = ("application", "channel", "version", "os_name")
        if not numbers or not all(name in people for name in names):
            return {}
        within = filters.WindowFilter("range", (end - _DAY, end - _WINDOW))
        query = AggregateQuery(
            (), dimensions, (within,), (), _LIMIT, "", 86_400, tuple(people[name] for name in names)
        )
        try:
            with self._engine.aggregate(query) as rows:
                found = people_of([row for batch in rows.batches() for row in batch])
        except MissionControlError:
            return {}  # the page is worth showing without it
        self._people = (time.monotonic(), found)
        return found


def people_of(rows: Iterable[tuple[object, ...]]) -> dict[tuple[Place, str | None], CrashFree]:
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
        found[key] = CrashFree(share, low, high)
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _spans_before(
    numbers: Numbers, versions: Sequence[Version], end: datetime
) -> list[tuple[datetime, datetime]]:
    """When the predecessors of the newest versions had the ages that are drawn."""
    by_channel: dict[tuple[str, str], list[Version]] = {}
    for one in versions:
        by_channel.setdefault((one.application, one.channel), []).append(one)
    found = {}
    for place, lines in numbers.items():
        known = by_channel.get((place.application or "", place.channel or ""), [])
        newest = newest_of(lines, known, hour_of(end) + 1)[1]
        before = predecessor(known, newest) if newest else None
        if newest and before:
            first = before.published_at.astimezone(UTC)
            age = min(end - newest.published_at, _SHOWN)
            found[first, newest.version] = (first, first + age)
    return list(found.values())
