"""A submission as extraction sees it, whether it came through the log or from an imported file."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from missioncontrol.clock import utc_date
from missioncontrol.log.protocol import Record


class Submission(msgspec.Struct, frozen=True, gc=False):
    """A ping with what is known of it apart from its body. None: not known (only in imports)."""

    received_ns: int
    namespace: str
    document_type: str
    document_version: str
    document_id: str
    application: str | None
    channel: str | None
    version: str | None
    build_id: str | None
    country: str | None
    submission_date: str | None
    """YYYYMMDD; the build's age is counted to this day, which need not be that of `received_ns`."""
    headers: tuple[tuple[str, str], ...]
    encoding: str
    body: bytes | memoryview
    """As sent. In imports a part of memory that is used again: whoever keeps it copies it."""
    log_offset: int = 0


@lru_cache(maxsize=4096)
def submission_day(text: str | None) -> datetime | None:
    """The day of a submission date, as its first instant in UTC; None when it is no date."""
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC) if text and len(text) == 8 else None
    except ValueError:
        return None


def from_record(record: Record) -> Submission:
    """The submission in a log record of kind PING; its submission date is the day of receipt, UTC."""
    entry = record.entry
    legacy = entry.namespace == "telemetry"
    return Submission(
        received_ns=entry.received_ns,
        namespace=entry.namespace,
        document_type=entry.document_type,
        document_version=entry.document_version,
        document_id=entry.document_id,
        application=entry.application if legacy else None,
        channel=entry.channel if legacy else None,
        version=entry.version if legacy else None,
        build_id=entry.build_id if legacy else None,
        country=entry.country,
        submission_date=utc_date(entry.received_ns).strftime("%Y%m%d"),
        headers=entry.headers,
        encoding=entry.encoding,
        body=entry.body,
        log_offset=record.offset,
    )
