"""Where the page of builds gets its days."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.query.build_hours import BuildHours, Wanted
from missioncontrol.query.hour_sums import days_between
from missioncontrol.web.builds.days import BEFORE, DAYS, BuildDay, build_days, platforms_of

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine

_MOST_KEPT = 100


class Field(msgspec.Struct, frozen=True):
    """The build days of a channel."""

    days: list[BuildDay]
    """The oldest first."""
    platforms: list[str]
    """Those with rows, whatever was asked for."""
    end: datetime | None
    """Of the data; None: there is none at all."""


class BuildSource(Protocol):
    """Reads what the page is made of."""

    def field(self, wanted: Wanted, platform: str, now: datetime) -> Field:
        """The last weeks of a channel, on one platform or all. Blocks.

        Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
        """


class LakeBuilds:
    """Reads the lake, and keeps what was made for as long as nothing new arrives. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._hours = BuildHours(engine)
        self._kept: dict[tuple[Wanted, str], tuple[object, Field]] = {}

    def field(self, wanted: Wanted, platform: str, now: datetime) -> Field:
        """See `BuildSource`."""
        newest = self._hours.newest()
        if newest is None:
            return Field([], [], None)
        end = min(newest + timedelta(seconds=WINDOW_S), now)
        days = days_between(end - timedelta(days=DAYS + BEFORE), end)
        revision = (self._hours.files(), end)
        held = self._kept.get((wanted, platform))
        if held and held[0] == revision:
            return held[1]
        rows = self._hours.read(wanted, days)
        made = Field(build_days(rows, end, platform), platforms_of(rows), end)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[wanted, platform] = (revision, made)
        return made
