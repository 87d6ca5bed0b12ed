"""Times as clients write them, from seconds and nanoseconds since the epoch.

Only formatting: it never reads a clock. It is written for speed, since every ping holds several stamps.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

DAY_S = 86_400
HOUR_S = 3_600
NS = 1_000_000_000


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_S, UTC).strftime("%Y-%m-%d")


def day(seconds: int) -> str:
    """`2020-11-22`, in UTC."""
    return _day(seconds // DAY_S)


def compact_day(seconds: int) -> str:
    """`20201122`, in UTC: the form of a submission date."""
    return _day(seconds // DAY_S).replace("-", "")


def instant(nanoseconds: int) -> str:
    """`2020-11-22T10:11:12.345Z`: the form of `creationDate`."""
    seconds, rest = divmod(nanoseconds, NS)
    number, second = divmod(seconds, DAY_S)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{_day(number)}T{hour:02d}:{minute:02d}:{second:02d}.{rest // 1_000_000:03d}Z"


def local_hour(seconds: int, offset_h: int) -> str:
    """`2020-11-22T11:00:00.0+01:00`: local time cut to the hour, as clients write the start of a session."""
    number, second = divmod(seconds + offset_h * HOUR_S, DAY_S)
    sign = "-" if offset_h < 0 else "+"
    return f"{_day(number)}T{second // HOUR_S:02d}:00:00.0{sign}{abs(offset_h):02d}:00"


def local_minute(seconds: int, offset_h: int) -> str:
    """`2020-11-22T11:05+01:00`: local time cut to the minute, as Glean writes it."""
    number, second = divmod(seconds + offset_h * HOUR_S, DAY_S)
    hour, second = divmod(second, HOUR_S)
    sign = "-" if offset_h < 0 else "+"
    return f"{_day(number)}T{hour:02d}:{second // 60:02d}{sign}{abs(offset_h):02d}:00"


def build_stamp(seconds: int) -> str:
    """`20201122101112`: a build id."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S")


def uuid(high: int, low: int) -> str:
    """A version 4 UUID from 128 random bits."""
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[low >> 62]}{text[17:20]}-{text[20:]}"
