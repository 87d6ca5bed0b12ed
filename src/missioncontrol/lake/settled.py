"""Which days are settled: over by the clock, and left alone by writers for a while."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from missioncontrol.clock import Clock, utc_date
from missioncontrol.lake.plan import Partition, day
from missioncontrol.lake.snapshot import FileRef

QUIET_S = 600
"""A past day counts as quiet when none of its files is younger than this."""


def is_over(partition: Partition, clock: Clock) -> bool:
    """Whether the partition's day is past, UTC."""
    return day(partition) < utc_date(clock())


def is_quiet(files: Iterable[FileRef], clock: Clock) -> bool:
    """Whether none of the files was written, or touched by a rewriter, of late."""
    quiet_since = clock() / 1e9 - QUIET_S
    try:
        return all(_needed_s(file) < quiet_since for file in files)
    except FileNotFoundError:
        return False


def _needed_s(file: FileRef) -> float:
    # At hand it has the time of its last reader.
    return file.joined_s if file.place is not None else Path(file.path).stat().st_mtime
