"""A sample of a day's archived pings: whole 5-minute windows, evenly spread over the day.

Windows, not pings, because rows of an aggregate are counted by window: those of a window that was read in full are
exact, and windows can be scaled up. Reads the archive only, one row group at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.snapshot import FileRef, Snapshot
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.inflate import inflate
from missioncontrol.telemetry.submission import Submission

_IN_SUBMISSION = (
    "received_ns", "namespace", "document_type", "document_version", "document_id", "application", "channel",
    "version", "build_id", "country", "headers", "encoding", "body", "log_offset",
)  # fmt: skip
_BATCH_ROWS = 256


class DaySample(msgspec.Struct, frozen=True):
    """Which windows of which day are looked at, and how many there are."""

    day: date
    windows: tuple[datetime, ...]
    windows_of_day: int
    pings: int
    pings_of_day: int
    is_cut: bool
    """The only window that is read has more pings than the limit: its rows are counted too low."""

    @property
    def is_whole(self) -> bool:
        """Whether all pings of the day are looked at."""
        return self.pings == self.pings_of_day


def choose_sample(archive: Snapshot, today: date, max_pings: int) -> DaySample | None:
    """Windows of the last day with at most `max_pings` pings in them; None when the archive has no counted ping.

    Today is not over: the day before is taken when it has more pings.
    """
    sizes: Counter[date] = Counter()
    for file in archive.files:
        sizes[_day(file)] += file.rows
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
    """The pings of the sample that were counted or are of a type that was not declared, with their bodies as kept."""
    left = sample.pings
    for file in _files(archive, sample.day):
        wanted = _counted() & pc.field("window_start").isin(
            pa.array(sample.windows, ARROW_TYPES["timestamp"])
        )
        scan = ds.dataset(file.path, format="parquet").scanner(
            columns=list(_IN_SUBMISSION),
            filter=wanted,
            batch_size=_BATCH_ROWS,
            batch_readahead=1,
            use_threads=False,
        )
        for batch in scan.to_batches():
            for row in batch.to_pylist():
                if left <= 0:
                    return
                left -= 1
                yield _submission(row, sample.day)


def archived_body(submission: Submission, limit: int) -> bytes | memoryview | Discard:
    """The JSON of an archived ping, at most `limit` bytes; the one place that knows how the archive keeps bodies."""
    return inflate(submission.body, submission.encoding, limit)


def _day(file: FileRef) -> date:
    return date.fromisoformat(dict(file.partition)["submission_date"])


def _files(archive: Snapshot, day: date) -> list[FileRef]:
    return [file for file in archive.files if _day(file) == day]


def _counted() -> pc.Expression:
    """Of those that were discarded, only an undeclared type can become a row by a declaration."""
    return pc.field("discarded").is_null() | (pc.field("discarded") == "document_type")


def _windows(archive: Snapshot, day: date) -> dict[datetime, int]:
    """Pings of each window of a day, in the order of time."""
    counts: Counter[datetime] = Counter()
    for file in _files(archive, day):
        found = ds.dataset(file.path, format="parquet").to_table(columns=["window_start"], filter=_counted())
        for entry in pc.value_counts(found["window_start"]).to_pylist():
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


def _submission(row: dict[str, Any], day: date) -> Submission:
    headers = msgspec.json.decode(row.pop("headers") or "{}", type=dict[str, str])
    return Submission(**row, headers=tuple(headers.items()), submission_date=f"{day:%Y%m%d}")
