"""Rules on times. Now is when the report was received: no clock is read."""

from __future__ import annotations

from datetime import UTC, datetime

from missioncontrol.crashes.processing.model import Crash
from missioncontrol.crashes.processing.reading import integer_at, number_at

_LATEST_S = 253_402_300_799
"""The last second of the year 9999."""
_MILLISECONDS = 100_000_000_000
"""Seconds since 1970 that are more than this are milliseconds: clients of Java and JavaScript send those."""


def date_report(crash: Crash) -> None:
    """`date_processed` (when the report was received) and `completed_datetime`."""
    crash.document["date_processed"] = received_at(crash).isoformat()
    crash.document["completed_datetime"] = crash.processed_at.isoformat()


def received_at(crash: Crash) -> datetime:
    """When the collector received the report; when that cannot be read, when it is processed."""
    try:
        received = datetime.fromisoformat(crash.annotation("submitted_timestamp"))
        return received.replace(tzinfo=UTC) if received.tzinfo is None else received.astimezone(UTC)
    except (ValueError, OverflowError):
        crash.note("submitted_timestamp: no time")
        return crash.processed_at


def reckon_times(crash: Crash) -> None:
    """`crash_time`, `client_crash_date`, `install_age`, `uptime`: from the client's clock, in seconds."""
    document = crash.document
    received_s = int(datetime.fromisoformat(document["date_processed"]).timestamp())
    crash_s = _seconds(crash, "crash_time")
    crash_s = received_s if crash_s is None else crash_s
    document["crash_time"] = crash_s
    document["client_crash_date"] = datetime.fromtimestamp(crash_s, UTC).isoformat()
    installed_s, started_s = _seconds(crash, "install_time"), _seconds(crash, "startup_time")
    if installed_s is not None:
        document["install_age"] = crash_s - installed_s
    uptime_s = number_at(document, "uptime_ts")
    if uptime_s is None:
        uptime_s = integer_at(crash.dump, "process_uptime")
    if started_s is not None:
        document["uptime"] = max(0, crash_s - started_s)
    elif uptime_s is not None and 0 <= uptime_s <= _LATEST_S:
        document["uptime"] = int(uptime_s)


def _seconds(crash: Crash, name: str) -> int | None:
    """A time of the document in seconds since 1970, or None; one that is no time is taken out of it."""
    value = integer_at(crash.document, name)
    if value is None:
        return None
    if value > _MILLISECONDS:
        value //= 1000
    if not 0 <= value <= _LATEST_S:
        crash.note(f"{name}: no time")
        del crash.document[name]
        return None
    crash.document[name] = value
    return value
