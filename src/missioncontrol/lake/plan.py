"""Which files of a table are worth merging: a pure function of its snapshot.

Never looks at a file. Files of a partition fall into tiers by size, each 8 times the one below; 8 files of
a tier are merged into one, which mostly belongs to the next: every row is rewritten a few times in its
life, not once a commit. A day that is over and quiet becomes one file, or as few as the target size allows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby

import msgspec

from missioncontrol.config import Retention
from missioncontrol.lake.snapshot import FileRef, Snapshot
from missioncontrol.lake.tables import CRASHES, REVISIONS

FANOUT = 8
_SMALLEST_TIER_BYTES = 512 * 1024
_LARGEST_ROWS = 2_000_000
"""Of one merge: bounds the memory of aggregates, which compress to a few bytes a row."""


Partition = tuple[tuple[str, str], ...]
"""(column, value as text) of each partition column."""


class Merge(msgspec.Struct, frozen=True):
    """Files of one partition that are to become one."""

    partition: Partition
    files: tuple[FileRef, ...]


def plan(snapshot: Snapshot, target_bytes: int, settled: Collection[Partition]) -> list[Merge]:
    """The merges worth doing now, those of the newest day first, none of which share a file.

    `settled` partitions are merged as far as `target_bytes` (size on disk of a merged file) allows; the
    others by tiers. Empty when nothing is worth it.
    """
    merges: list[Merge] = []
    for partition, files in partitions(snapshot):
        small = sorted((f for f in files if not grown(f, target_bytes)), key=lambda f: f.size_bytes)
        groups = [small] if partition in settled else list(ripe_tiers(small))
        for group in groups:
            merges += [Merge(partition, tuple(bin_)) for bin_ in bins(group, target_bytes) if len(bin_) > 1]
    return merges


def partitions(snapshot: Snapshot) -> list[tuple[Partition, tuple[FileRef, ...]]]:
    """The files of each partition, newest day first."""
    files = sorted(snapshot.files, key=lambda f: f.partition, reverse=True)
    return [(partition, tuple(members)) for partition, members in groupby(files, key=lambda f: f.partition)]


def day(partition: Partition) -> date:
    """The submission date of a partition."""
    return date.fromisoformat(dict(partition)["submission_date"])


def grown(file: FileRef, target_bytes: int) -> bool:
    """Whether the file is too large to be worth merging."""
    return file.size_bytes * 4 > target_bytes * 3 or file.rows * 4 > _LARGEST_ROWS * 3


def ripe_tiers(files: Iterable[FileRef]) -> Iterator[list[FileRef]]:
    """The tiers of files (smallest first) that have enough members to be merged."""
    for _, members in groupby(files, key=lambda f: _tier(f.size_bytes)):
        tier = list(members)
        if len(tier) >= FANOUT:
            yield tier


def _tier(size_bytes: int) -> int:
    tier, limit = 0, _SMALLEST_TIER_BYTES
    while size_bytes >= limit:
        tier, limit = tier + 1, limit * FANOUT
    return tier


def bins(files: Sequence[FileRef], target_bytes: int) -> list[list[FileRef]]:
    """The files in their order, cut where a merged file would pass the target size."""
    bins: list[list[FileRef]] = []
    size = rows = 0
    for file in files:
        if not bins or size + file.size_bytes > target_bytes or rows + file.rows > _LARGEST_ROWS:
            bins.append([])
            size = rows = 0
        bins[-1].append(file)
        size, rows = size + file.size_bytes, rows + file.rows
    return bins


def kept_days(settings: Retention, table: str) -> int:
    """How many days the table keeps; 0: for ever. Revisions stay as long as the rows that they are about."""
    days: int = getattr(settings, CRASHES if table == REVISIONS else table, 0)
    return days


def oldest_day(snapshot: Snapshot) -> date | None:
    """The oldest submission date that the table has rows of."""
    return min((day(f.partition) for f in snapshot.files), default=None)
