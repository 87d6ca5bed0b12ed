"""The state of the pipeline, as the page and `/api/v1/pipeline` show it.

Only types; `source.py` fills them. Every number comes with its unit in its
name, and None stands for what is not known (yet), never 0. Bodies of discarded submissions are only ever
handed out as they came, bounded, and for download.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, Protocol

import msgspec

from missioncontrol.web.pipeline.facts import Gauges

Takes = Literal["all", "crashes", "nothing"]
"""What a server takes from clients: pings and crash reports, crash reports alone, or nothing."""


class TableSize(msgspec.Struct, frozen=True):
    """A table of the lake as it is now."""

    name: str
    rows: int
    files: int
    size_bytes: int
    version: int
    days_kept: int = 0
    """Days after which rows leave the table; 0: never."""
    oldest_day: date | None = None
    """Oldest submission date that there are rows of."""


class Accepted(msgspec.Struct, frozen=True):
    """Submissions of one document type that were counted."""

    document: str
    last_hour: int
    last_day: int


class Discard(msgspec.Struct, frozen=True):
    """Submissions of one reason that were discarded or refused. Edge refusals have reasons `edge_<code>`."""

    reason: str
    last_hour: int
    last_day: int
    last_window: datetime | None = None
    """Start of the newest 5-minute window that holds one."""
    explanation: str = ""
    """What the reason means and what to do, in a sentence."""


class Header(msgspec.Struct, frozen=True):
    """One header of a submission as it was kept."""

    name: str
    value: str


class Sample(msgspec.Struct, frozen=True):
    """A discarded submission that was kept for inspection."""

    reason: str
    log_offset: int
    """Place in the log; 0: it was in none."""
    received: datetime
    address: str
    """The path that it was posted to, as far as known."""
    headers: tuple[Header, ...]
    size_bytes: int
    """Of the whole body as it was sent."""
    preview: str
    """The first characters of the decoded body."""
    download: str = ""
    """Address of the body as it was sent; empty: there is none."""


class CrashBacklog(msgspec.Struct, frozen=True):
    """Crash reports that are stored and not processed yet."""

    reports: int
    most: int
    """So many may wait; further ones are refused (`backlog_full`)."""
    oldest_s: float
    """Seconds since the one was wanted that waits longest; 0 when none does."""


class PartitionBacklog(msgspec.Struct, frozen=True):
    """A partition of a log that has several."""

    partition: int
    next_offset: int
    """Kafka's offset of the next message that will come."""
    backlog_records: int


class PipelineStatus(msgspec.Struct, frozen=True):
    """How the pipeline is doing."""

    last_offset: int | None
    """Offset of the newest record of the log; None also for a log of several partitions."""
    committed_offset: int | None
    """All records up to this offset are in the lake; None as above."""
    backlog_records: int | None
    backlog_bytes: int | None
    """What the log takes on disk, with what is only kept to recognise duplicates; None also for a log elsewhere."""
    batches: int
    """Micro-batches committed since the stream started."""
    lag_p50_s: float | None = None
    """Median time from receipt to visible in the lake, over the last batches."""
    lag_p99_s: float | None = None
    last_commit: datetime | None = None
    stream_error: str = ""
    """Why the newest attempt to commit failed; empty when it did not."""
    registry_unfit: str = ""
    """Which column the registry in force wants otherwise than the lake has it: no stream takes it up; else empty."""
    partitions: tuple[PartitionBacklog, ...] = ()
    """Of a log that has several; else empty."""
    stream_runs: bool = True
    """Whether any process moves the log into the lake; without one nothing here changes."""
    duplicates_last_hour: int = 0
    duplicates_last_day: int = 0
    accepted: tuple[Accepted, ...] = ()
    crash_reports: Accepted | None = None
    """Crash reports that were stored, processed or not."""
    discards: tuple[Discard, ...] = ()
    notes: tuple[Discard, ...] = ()
    """Pings that were counted, but not wholly."""
    tables: tuple[TableSize, ...] = ()
    crashes: CrashBacklog | None = None
    samples: tuple[Sample, ...] = ()
    samples_withheld: bool = False
    """The samples need the scope `protected`, which the reader does not have."""
    gauges: Gauges | None = None
    """What the picture is drawn from; None: it was not asked for."""


class SampleBody(msgspec.Struct, frozen=True):
    """The body of a sample as it was sent (still encoded, if it came so)."""

    name: str
    encoding: str
    body: bytes


class Pipeline(Protocol):
    """Where the page gets its numbers. Calls block: run them in a thread."""

    def status(self, with_samples: bool) -> PipelineStatus:
        """The state now; samples hold what clients sent, so they are protected."""

    def sample(self, log_offset: int) -> SampleBody | None:
        """The kept body of a discarded submission; None when there is none of that offset."""

    def refused(self, day: str, name: str) -> SampleBody | None:
        """The first bytes of a refused crash report; None when there is none of that day (YYYYMMDD) and name."""
