"""Quiet hours: until when a channel is not to be disturbed. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from missioncontrol.errors import BadRequest
from missioncontrol.state.alert_channels import QuietHours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_IN_A_ROW = 14
"""Quiet times that follow one another, so that a channel that is always quiet is told once in two weeks."""


def quiet_until(quiet: QuietHours | None, now: datetime) -> datetime | None:
    """The end of the quiet time that it is now; None when it is not. Times that touch are one."""
    end: datetime | None = None
    for _ in range(_MOST_IN_A_ROW):
        later = _end_of_one(quiet, end or now) if quiet else None
        if later is None:
            break
        end = later
    return end


def _end_of_one(quiet: QuietHours, now: datetime) -> datetime | None:
    zone = ZoneInfo(quiet.zone)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if quiet.days and DAYS[day.weekday()] not in quiet.days:
            continue
        begins, ends = read_time(quiet.begins), read_time(quiet.ends)
        last = day if ends > begins else day + timedelta(days=1)
        if _instant(day, begins, zone) <= now < _instant(last, ends, zone):
            return _instant(last, ends, zone)
    return None


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """A time that a change of clocks leaves out, or has twice, is the first that fits."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def read_time(text: str) -> time:
    """A time of day as in 22:00; raises `BadRequest` (`bad_quiet_hours`)."""
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 -- a time of day has no zone yet
    except ValueError:
        raise BadRequest("bad_quiet_hours", f"{text[:20]!r} is no time of day.", "As in 22:00.") from None


def checked_quiet(quiet: QuietHours) -> QuietHours:
    """The same, with its days in order; raises `BadRequest` (`bad_quiet_hours`, `unknown_zone`)."""
    _ = read_time(quiet.begins), read_time(quiet.ends)
    wrong = next((day for day in quiet.days if day not in DAYS), None)
    if wrong is not None:
        raise BadRequest("bad_quiet_hours", f"{wrong[:20]!r} is no day.", f"Days: {', '.join(DAYS)}.")
    try:
        ZoneInfo(quiet.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = "As in UTC or Europe/Berlin."
        raise BadRequest("unknown_zone", f"There is no time zone {quiet.zone[:60]!r}.", hint) from None
    days = tuple(day for day in DAYS if day in quiet.days)
    return QuietHours(
        quiet.begins, quiet.ends, quiet.zone, () if len(days) == len(DAYS) else days, quiet.passing
    )
