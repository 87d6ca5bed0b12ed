"""What stands in the queue of crashes. Loads no database, so that whoever hands crashes on need not."""

from __future__ import annotations

from datetime import datetime

import msgspec

AGAIN, USUAL, URGENT = 0, 1, 2
"""Priorities: to be processed anew, just arrived, somebody waits for it."""


class Upload(msgspec.Struct, frozen=True):
    """A report that is stored and not announced yet."""

    identity: bytes
    """Of the annotations and files, whatever the way they came."""
    crash_id: str


class Leased(msgspec.Struct, frozen=True):
    """A crash that a worker holds."""

    crash_id: str
    attempts: int
    """Times that it was begun, this one included."""


class SetAside(msgspec.Struct, frozen=True):
    """A crash that could not be processed."""

    crash_id: str
    attempts: int
    reason: str
    since: datetime


class Entry(msgspec.Struct, frozen=True):
    """A crash in the queue, as it stands."""

    priority: int
    wanted_at: datetime
    due_at: datetime
    """When it is tried, or for a held one when its worker's time is over."""
    attempts: int
    held: bool
    set_aside: bool
    reason: str
    """Why the last attempt failed; empty when none did."""


class Backlog(msgspec.Struct, frozen=True):
    """How much there is to do."""

    waiting: int
    held: int
    set_aside: int
    oldest_s: float
    """Seconds since the crash was wanted that waits longest; 0 when none does."""
    reports: int = 0
    """Of all that waits or is held, the new reports: what `ingest.crash_backlog_max` bounds."""
