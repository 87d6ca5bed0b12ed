"""When usage happened: the cells of usage_by_activity that one ping's hours fall into."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from missioncontrol.clock import utc_date
from missioncontrol.registry.compile import build_date
from missioncontrol.telemetry.fact import Fact, grid

FINE_S = (300, 1800)
"""Lengths of arrival and activity cells in seconds while a build is young."""
COARSE_S = (3600, 3600)
LONGEST_HOURS = 25.0
"""A session that claims this or more is beyond what one day can hold (25 h: the day clocks are set back)."""


class Cells(msgspec.Struct, frozen=True):
    """Where a ping's usage goes. `hours[i]` belongs to the cell that starts at `first_s + i * activity_length_s`.

    Times in seconds since the epoch, UTC. The hours add up exactly to the ping's usage.
    """

    arrival_s: int
    arrival_length_s: int
    first_s: int
    activity_length_s: int
    hours: tuple[float, ...]


def place(fact: Fact, received_ns: int, build_id: str | None, fine_days: int) -> Cells | None:
    """The cells of a ping's usage; None when its start cannot be believed.

    Not believed: no start, one after receipt, one before the day of the build, or a length beyond a day's.
    Cells are fine until `fine_days` after the build's date, so that the choice depends on the ping alone.
    """
    start, usage = fact.activity_start_s, fact.usage_hours
    if start is None or usage is None or usage < 0 or usage >= LONGEST_HOURS:
        return None
    received_s = received_ns // 1_000_000_000
    built = build_date(build_id) if build_id else None
    if start > received_s or start < 0 or (built and start < _epoch_s(built)):
        return None
    young = built is not None and utc_date(received_ns) <= built + timedelta(days=fine_days)
    arrival_length, activity_length = FINE_S if young else COARSE_S
    first = int(start) - int(start) % activity_length
    return Cells(
        received_s - received_s % arrival_length,
        arrival_length,
        first,
        activity_length,
        _spread(usage, start - first, activity_length),
    )


def _epoch_s(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86400


def _spread(usage_hours: float, into_cell_s: float, length_s: int) -> tuple[float, ...]:
    """Spread evenly from the start on; the last cell takes what rounding left, so that the sum is exact."""
    left_s = usage_hours * 3600
    room_s = length_s - into_cell_s
    hours: list[float] = []
    while left_s > room_s:
        hours.append(grid(room_s / 3600))
        left_s -= room_s
        room_s = length_s
    return (*hours, usage_hours - sum(hours))
