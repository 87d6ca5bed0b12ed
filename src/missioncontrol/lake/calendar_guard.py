"""Whether the clock can be believed by whoever deletes by it.

A clock that jumps ahead makes all data look old. Two things speak against it: that nothing in the lake is of
late, and that the day is far from the day on which this was last asked. After a jump the new day is believed
once it was asked on a few days in a row: then it was the machine that stood still. Never deletes anything.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec

from missioncontrol.small_file import replace_file

LONGEST_GAP_DAYS = 7
"""Longer than a weekend, a holiday or a repair without clients; and a clock that is less wrong than this takes
away at most so many days too early."""
DAYS_TO_BELIEVE = 3


class _Memory(msgspec.Struct, frozen=True):
    last: date
    """The last day that was believed."""
    doubted: tuple[date, ...] = ()
    """Days since then on which it was asked."""


def doubt(cache_path: Path, newest: date | None, today: date, remember: bool = True) -> str:
    """Why `today` is not believed, as a sentence; the empty text when it is. `newest`: day of the newest rows."""
    if newest is not None and (today - newest).days > LONGEST_GAP_DAYS:
        return f"The clock says {today}, but the newest rows in the lake are of {newest}."
    path = cache_path / "retention-day.json"
    before = _read(path)
    if before is None or (today - before.last).days <= LONGEST_GAP_DAYS:
        after = _Memory(today)
    else:
        doubted = tuple(sorted({*before.doubted, today}))
        believed = len(doubted) >= DAYS_TO_BELIEVE
        after = _Memory(today) if believed else _Memory(before.last, doubted)
    if remember:
        _write(path, after)
    if after.last == today:
        return ""
    return f"The clock says {today}, but the last time that rows were looked through for old ones was {after.last}."


def _read(path: Path) -> _Memory | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Memory)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, memory: _Memory) -> None:
    # On a full disk it matters more that old rows go.
    replace_file(path, msgspec.json.encode(memory))
