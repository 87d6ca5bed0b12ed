"""Where the page of a channel gets what it shows: hourly sums that are kept, verdicts, clients of the last day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from missioncontrol.errors import MissionControlError
from missioncontrol.query.day_files import KeptDays
from missioncontrol.query.held import Held
from missioncontrol.query.hour_sums import HOUR_S, Builds, hour_after
from missioncontrol.query.last_day_users import UserCount, client_files, last_day_users
from missioncontrol.query.published import NamedReleases
from missioncontrol.query.summary_scope import platform_of
from missioncontrol.query.version_slices import Era, Place, SliceSum, slice_sums
from missioncontrol.state.release_model import Release
from missioncontrol.web.channel.address import ChannelState
from missioncontrol.web.channel.breakdown import Breakdown, build_breakdown
from missioncontrol.web.channel.columns import (
    Column,
    Out,
    columns_of,
    offered_columns,
    shipped,
    unpublished,
    usual_columns,
)
from missioncontrol.web.channel.kept import Channel, ChannelSums
from missioncontrol.web.channel.sums import DAY_H, Days, Sheets, Span, systems_of, version_sums
from missioncontrol.web.channel.table import Facts, Shown, Users, before_of
from missioncontrol.web.home.numbers import STRAY_SHARE
from missioncontrol.web.measure.sums import counts_events

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine
    from missioncontrol.registry.model import Registry
    from missioncontrol.web.verdicts.source import VerdictSource

_WINDOW = timedelta(minutes=5)
FURTHEST = timedelta(days=200)
"""So far back is read at most."""
_LATELY = 14
"""Days in which versions are looked for where nobody published any."""
_MOST_SLICED = 500
"""Days of breakdowns that are kept."""
_MOST_CHANNELS = 200
_BROKEN_DOWN_H = 24 * _LATELY
"""Breakdowns are of so much of a life at most."""
_STRETCHES = 28
_MOST_TRIED = 4


class Read(msgspec.Struct, frozen=True):
    """What a view is made of. known: whether anybody published a version; offered: kinds of columns to choose from."""

    facts: Facts
    parts: tuple[Sheets, ...]
    platforms: list[str]
    which: str
    offered: list[str]
    published: bool
    last_s: int
    waiting: Out | None = None
    """A version that is newer than all of which there is data."""


class _Asked(msgspec.Struct, frozen=True):
    """A channel, measures, and the hours before which what is shown of them is, and all data."""

    of: Channel
    names: tuple[str, ...]
    builds: Builds
    end: int
    data_end: int

    @property
    def furthest(self) -> int:
        """The first hour that is read."""
        return self.end - DAY_H * FURTHEST.days


class ChannelSource(Protocol):
    """Reads what the page shows. Blocks; raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`."""

    def read(self, state: ChannelState, now: datetime) -> Read:
        """The numbers of a view, up to now."""

    def breakdown(self, state: ChannelState, read: Read, now: datetime) -> Breakdown:
        """The breakdown that a view asks for; raises `KeyError` where the version is no column of it."""


class LakeChannel:
    """Reads the lake, the releases and the verdicts that are kept. Thread-safe."""

    def __init__(
        self, engine: Engine, releases: Callable[[], Sequence[Release]], verdicts: VerdictSource
    ) -> None:
        self._engine, self._releases, self._verdicts = engine, releases, verdicts
        self._sums = ChannelSums(engine)
        self._named = NamedReleases()
        self._sliced: KeptDays[list[SliceSum]] = KeptDays(_MOST_SLICED)
        self._people: Held[list[UserCount]] = Held(_MOST_CHANNELS)

    def read(self, state: ChannelState, now: datetime) -> Read:
        """See `ChannelSource`."""
        registry, newest = self._engine.registry(), self._sums.newest()
        names = tuple(registry.measures)
        versions, builds = self._named.of(self._releases())
        of = (state.application, state.channel)
        own = [one for one in versions if (one.application, one.channel) == of]
        if newest is None:
            return Read(Facts(names, [], [], {}, None), (), [], "releases", [], bool(own), 0)
        end = min(newest + _WINDOW, now)
        asked = _Asked(of, names, builds, hour_after(end), hour_after(newest + _WINDOW))
        out = shipped(own, now) or self._unpublished(asked)
        which = state.columns or usual_columns(out)
        columns = columns_of(out, which, state.channel)
        shown, parts = self._shown(columns, state, asked)
        accounts = [
            one for one in self._verdicts.current() if (one.subject.application, one.subject.channel) == of
        ]
        users = self._users(registry, of, builds, end) if shown else {}
        cut = state.age == "all" and any(one.start_hour < asked.furthest for one in columns)
        facts = Facts(names, shown, accounts, users, end, FURTHEST.days if cut else 0)
        parts = [*parts, *self._days(asked, [(asked.end - DAY_H, asked.end)]).every()]
        held = {platform_of(one) for one in systems_of(parts, "")}
        last_s = max((sheet.last_s for part in parts for sheet in part.values()), default=0)
        newer = columns[0].versions[-1] if columns and not (shown and shown[0].column is columns[0]) else None
        return Read(
            facts, tuple(parts), sorted(held), which, list(offered_columns(out)), bool(own), last_s, newer
        )

    def breakdown(self, state: ChannelState, read: Read, now: datetime) -> Breakdown:
        """See `ChannelSource`."""
        one, before = before_of(read.facts.shown, state.version)
        registry = self._engine.registry()
        measure = registry.measures[state.measure]
        _, builds = self._named.of(self._releases())
        own_builds = {
            build: version
            for (application, channel, build), version in builds.items()
            if (application, channel) == (state.application, state.channel)
        }
        end = read.facts.end or now
        age = int(end.timestamp()) // HOUR_S + 1 - one.column.start_hour
        hours = max(1, min(one.hours, age, _BROKEN_DOWN_H))
        eras = [
            Era(tuple(each.column.names), start, start + timedelta(hours=hours))
            for each in (one, before)
            if each is not None
            for start in [datetime.fromtimestamp(each.column.start_hour * HOUR_S, UTC)]
        ]
        systems = tuple(systems_of(read.parts, state.platform)) if state.platform else None
        dimensions = ("os_name", "os_version") if state.by == "os_version" else (state.by,)
        place = Place(state.application, state.channel, systems)
        stretch = timedelta(hours=max(1, hours // _STRETCHES))
        measures = measure.name, measure.per
        sums = slice_sums(self._engine, place, dimensions, measures, eras, stretch, own_builds, self._sliced)
        return build_breakdown(
            sums,
            dimensions,
            measures,
            (one.column.name, before.column.name if before else None),
            hours,
            counts_events(measure),
        )

    def _shown(
        self, columns: Sequence[Column], state: ChannelState, asked: _Asked
    ) -> tuple[list[Shown], list[Sheets]]:
        """The columns with data and their numbers. Ages are those of the newest that has any."""
        for first in range(min(len(columns), _MOST_TRIED)):
            age = max(1, asked.end - columns[first].start_hour)
            spans = [
                (one.start_hour, min(one.start_hour + age, asked.end) if state.age == "equal" else asked.end)
                for one in columns[first:]
            ]
            days = self._days(asked, spans)
            found = [
                Shown(one, b - a, version_sums(days, one.names, state.platform, (max(a, asked.furthest), b)))
                for one, (a, b) in zip(columns[first:], spans, strict=True)
            ]
            if found[0].sums is not None:
                return [one for one in found if one.sums is not None], days.every()
        return [], []

    def _days(self, asked: _Asked, spans: Iterable[Span]) -> Days:
        """What there is of a channel in spans."""
        cut = [(max(first, asked.furthest), last) for first, last in spans]
        return self._sums.days(asked.of, asked.names, asked.builds, cut, asked.data_end)

    def _unpublished(self, asked: _Asked) -> list[Out]:
        """The versions of the last days, from the day of their first data; those hardly used are stray."""
        first_hours: dict[str, int] = {}
        weights: dict[str, float] = {}
        place = asked.names.index("usage_hours") if "usage_hours" in asked.names else 0
        first = (asked.end - 1) // DAY_H * DAY_H - (_LATELY - 1) * DAY_H
        for part in self._days(asked, [(first, asked.end)]).every():
            for (version, _), sheet in part.items():
                if version is not None:
                    first_hours[version] = min(first_hours.get(version, asked.end), int(sheet.hours[0]))
                    usage = float(sheet.total[place])
                    weights[version] = weights.get(version, 0.0) + (usage if usage == usage else 0.0)
        least = STRAY_SHARE * sum(weights.values())
        return unpublished({name: hour for name, hour in first_hours.items() if weights[name] >= least})

    def _users(
        self, registry: Registry, of: tuple[str | None, str | None], builds: Builds, end: datetime
    ) -> dict[tuple[str | None, str, str], Users]:
        """Of the clients of the last day; empty where nothing tells of clients."""
        own = {build: version for (a, c, build), version in builds.items() if (a, c) == of}
        names = [one.name for one in registry.client_measures]
        if not names:
            return {}
        revision = (client_files(self._engine), end, names, own)
        try:
            found = self._people.of(of, revision, lambda: last_day_users(self._engine, *of, names, own, end))
        except MissionControlError:
            return {}  # the page is worth showing without it
        return users_of(found)


def users_of(counts: Iterable[UserCount]) -> dict[tuple[str | None, str, str], Users]:
    """Counts by platform, and of all platforms (empty): a client is on one system, so these add up."""
    found: dict[tuple[str | None, str, str], Users] = {}
    for one in counts:
        for platform in ("", platform_of(one.os_name)):
            key = (one.version, platform, one.measure)
            had = found.get(key, Users(0.0, 0.0, 0.0, 0.0))
            found[key] = Users(
                had.number + one.number, had.low + one.low, had.high + one.high, had.of + one.of
            )
    return found
