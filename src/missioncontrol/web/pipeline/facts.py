"""What the picture of the pipeline is drawn from, beside the counts of `view.py`. Only types.

Every number has its unit in its name; None stands for what is not known (yet), never 0.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from missioncontrol.presence import Presence

STEP = timedelta(minutes=30)
"""What a point of a spark stands for."""
POINTS = 48


class Course(msgspec.Struct, frozen=True):
    """Counts of the last 24 hours."""

    first: datetime
    """Start of the first point."""
    counts: tuple[int, ...]
    """One each half hour, the oldest first; what is not over yet is not among them."""
    per_minute: float | None = None
    """In the newest 5 minutes that are over."""


class Judging(msgspec.Struct, frozen=True):
    """What judging said of itself after its newest turn."""

    written_at: datetime
    as_of: datetime | None
    """End of the newest window that was judged."""
    subjects: int
    failed: tuple[str, ...]
    took_s: float
    error: str


class AlertDeliveries(msgspec.Struct, frozen=True):
    """Where alerts go, and how that went in the last 24 hours."""

    channels: int
    broken: tuple[str, ...]
    """Names of channels that refuse messages."""
    sent: int
    failed: int
    waiting: int


class JobRuns(msgspec.Struct, frozen=True):
    """Runs of jobs, and days that are still to be made."""

    waiting: int
    running: int
    failed: int
    """Runs of the last 14 days whose work was not done since."""
    due_days: int
    """Days that are made by themselves, are over, and are not made, or are older than the archive."""
    daily: bool
    """Whether days are made by themselves."""


class DiskUse(msgspec.Struct, frozen=True):
    """What a part of the installation takes."""

    name: str
    what: str
    size_bytes: int | None
    """None: it is still being counted."""
    growth_bytes_day: float | None = None
    """What is added on a day, before anything is taken away; None: not known yet."""
    full: bool = False
    """Retention takes out as much as comes in."""


class Disk(msgspec.Struct, frozen=True):
    """The disk of the data folder."""

    total_bytes: int
    free_bytes: int
    uses: tuple[DiskUse, ...]
    growth_bytes_day: float | None
    """Of all parts together, without those that retention keeps at their size."""
    lasts_days: float | None
    """The free space at that growth; None: not known, or for ever."""


class Versions(msgspec.Struct, frozen=True):
    """What runs here."""

    product: str
    python: str
    state_schema: str
    """Newest migration of the state database; empty: not known."""
    registry_revision: str
    verdict_method: str
    duckdb: str
    deltalake: str
    sqlite: str


class Gauges(msgspec.Struct, frozen=True):
    """All of it as of `now`. A part that could not be read is None, and named in `unread` with the reason."""

    now: datetime
    accepted: Course | None = None
    discarded: Course | None = None
    crash_reports: Course | None = None
    oldest_waiting_s: float | None = None
    """Age of the oldest record of the log that is not in the lake; None: none waits."""
    newest_received: datetime | None = None
    crashes_held: int | None = None
    """Crashes that workers are at."""
    set_aside: int | None = None
    set_aside_lately: int | None = None
    """Of the last 24 hours."""
    processed_last_hour: int | None = None
    processed_last_day: int | None = None
    judging: Judging | None = None
    alerts: AlertDeliveries | None = None
    jobs: JobRuns | None = None
    disk: Disk | None = None
    versions: Versions | None = None
    processes: tuple[Presence, ...] = ()
    unread: tuple[str, ...] = ()
