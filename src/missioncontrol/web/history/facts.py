"""What a history is built from: the archive by day, what was made of it, and the runs. Only types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from missioncontrol.state.runs import BuiltDay, Run


class Archived(msgspec.Struct, frozen=True):
    """A day of the archive."""

    pings: int = 0
    size_bytes: int = 0
    last_received: datetime | None = None


class Facts(msgspec.Struct, frozen=True):
    """All that a history is built from."""

    now: datetime
    archiving: bool
    attempts: int
    """How often a scheduled run is tried by itself; 0: never."""
    lookback_days: int
    """Days that are older are not made by themselves."""
    archive: dict[date, Archived]
    rows: dict[date, int]
    """Rows of crash_aggregates by day."""
    built: dict[date, BuiltDay]
    """Of crash_aggregates."""
    runs: Sequence[Run]
    """The newest first."""
    also: Callable[[date, date], Sequence[BuiltDay]]
    """Days of the other tables that were built from one day to another."""
