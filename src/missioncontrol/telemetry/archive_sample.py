"""A sample of a day's archived pings: whole 5-minute windows, evenly spread over the day.

Windows, not pings, because rows of an aggregate are counted by window: those of a window that was read in full are
exact, and windows can be scaled up. Reads the archive only, one row group at a time, and of those only which it needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.clock import window_start_s
from missioncontrol.lake.merge import opened
from missioncontrol.lake.plan import day as partition_day
from missioncontrol.lake.snapshot import FileRef, Snapshot
from missioncontrol.telemetry.archive import Archived, parts, read_part
from missioncontrol.telemetry.backfill_scope import files_of
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.inflate import inflate
from missioncontrol.telemetry.submission import Submission

_COUNTABLE = (None, "document_type")
"""Counted, or of an undeclared type: of those that were discarded, only these can become rows by a declaration."""


class DaySample(msgspec.Struct, frozen=True):
    """Which windows of which day are looked at, and how many there are."""

    day: date
    windows: tuple[datetime, ...]
    windows_of_day: int
    pings: int
    pings_of_day: int
    is_cut: bool
    """The only window that is read has more pings than the limit: its rows are counted too low."""


def choose_sample(archive: Snapshot, today: date, max_pings: int) -> DaySample | None:
    """Windows of the last day with at most `max_pings` pings in them; None when the archive has no counted ping.

    Today is not over: the day before is taken when it has more pings.
    """
    sizes: Counter[date] = Counter()
    for file in archive.files:
        sizes[partition_day(file.partition)] += file.rows
    days = sorted(sizes)[-2:]
    if not days:
        return None
    day = days[0] if days[-1] == today and sizes[days[0]] > sizes[days[-1]] else days[-1]
    windows = _windows(archive, day)
    if not windows:
        return None
    chosen = _spread(windows, max_pings)
    pings, total = sum(windows[w] for w in chosen), sum(windows.values())
    return DaySample(day, chosen, len(windows), min(pings, max_pings), total, pings > max_pings)


def submissions(archive: Snapshot, sample: DaySample) -> Iterator[Submission]:
    """The pings of the sample that were counted or are of a type that was not declared, with their bodies as kept.

    Raises `StorageError` when a file cannot be read or was merged into another meanwhile.
    """
    wanted = {int(w.timestamp()) for w in sample.windows}
    left = sample.pings
    for file in files_of(archive, sample.day):
        for found in _archived(file, wanted):
            submission = found.submission
            if window_start_s(submission.received_ns) not in wanted or found.discarded not in _COUNTABLE:
                continue
            if left <= 0:
                return
            left -= 1
            yield submission


def _archived(file: FileRef, windows: set[int]) -> Iterator[Archived]:
    """The rows of those row groups in which one of the windows may be."""
    found = parts(file)
    with opened(file) as parquet:
        metadata = parquet.metadata
    for part in found:
        groups = tuple(g for g in part.groups if _may_hold(metadata.row_group(g), windows))
        if groups:
            yield from read_part(msgspec.structs.replace(part, groups=groups))


def _may_hold(group: pq.RowGroupMetaData, windows: set[int]) -> bool:
    for column in (group.column(i) for i in range(group.num_columns)):
        if column.path_in_schema == "window_start" and column.statistics and column.statistics.has_min_max:
            first, last = column.statistics.min.timestamp(), column.statistics.max.timestamp()
            return any(first <= w <= last for w in windows)
    return True


def archived_body(submission: Submission, limit: int) -> bytes | memoryview | Discard:
    """The JSON of an archived ping, at most `limit` bytes; the one place that knows how the archive keeps bodies."""
    return inflate(submission.body, submission.encoding, limit)


def _windows(archive: Snapshot, day: date) -> dict[datetime, int]:
    """Pings of each window of a day, in the order of time."""
    counts: Counter[datetime] = Counter()
    for file in files_of(archive, day):
        with opened(file) as parquet:
            found = parquet.read(["window_start", "discarded"], use_threads=False)
        counted = pc.is_in(found["discarded"], value_set=pa.array(_COUNTABLE, pa.string()))
        for entry in pc.value_counts(found["window_start"].filter(counted)).to_pylist():
            counts[entry["values"].astimezone(UTC)] += entry["counts"]
    return dict(sorted(counts.items()))


def _spread(windows: dict[datetime, int], max_pings: int) -> tuple[datetime, ...]:
    """As many evenly spaced windows as hold at most `max_pings` together, but one at least."""
    starts = list(windows)
    count = max(1, min(len(starts), len(starts) * max_pings // max(1, sum(windows.values()))))
    while True:
        chosen = tuple(starts[(2 * i + 1) * len(starts) // (2 * count)] for i in range(count))
        if count == 1 or sum(windows[w] for w in chosen) <= max_pings:
            return chosen
        count -= max(1, count // 10)
