"""Time as the rest of the code sees it: aware, UTC, and replaceable.

Receive time is an integer of nanoseconds since the epoch, as the edge stamps it; everything derived from it
(window, submission date) is a pure function of that integer, so tests and imports inject their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

Clock = Callable[[], int]
"""Returns nanoseconds since the epoch, UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW_S = 300
"""Length of an aggregation window in seconds."""


def system_clock() -> int:
    """Nanoseconds since the epoch by the machine's clock."""
    return time.time_ns()


def utc(received_ns: int) -> datetime:
    """The instant as an aware datetime, cut to microseconds."""
    return datetime.fromtimestamp(received_ns // 1_000_000_000, UTC).replace(
        microsecond=received_ns % 1_000_000_000 // 1000
    )


def of_us(since_epoch_us: int) -> datetime:
    """The aware instant of microseconds since the epoch, as SQL's epoch_us() gives them."""
    return _EPOCH + timedelta(microseconds=since_epoch_us)


def in_us(instant: datetime) -> int:
    """Microseconds since the epoch."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def window_start_s(received_ns: int) -> int:
    """Start of the 5-minute window that holds the instant, in seconds since the epoch."""
    seconds = received_ns // 1_000_000_000
    return seconds - seconds % WINDOW_S


def utc_date(received_ns: int) -> date:
    """The UTC calendar day of the instant."""
    return utc(received_ns).date()
