"""What a request of Grafana asks for: a span of time and a channel. Pure.

Grafana writes times as milliseconds since the epoch (`${__from}`) or as ISO 8601 (`${__from:date:iso}`), and "All" of a
variable as an empty text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.query.filters import parse_instant

USUAL = timedelta(days=7)
LONGEST = timedelta(days=400)
_MILLISECONDS = re.compile(r"-?\d{1,15}", re.ASCII)


class Asked(msgspec.Struct, frozen=True):
    """From `first` to `last`, both included; None: of any application or channel."""

    first: datetime
    last: datetime
    application: str | None = None
    channel: str | None = None

    def wants(self, application: str, channel: str) -> bool:
        """Whether a channel is asked for."""
        return self.application in (None, application) and self.channel in (None, channel)

    def holds(self, moment: datetime) -> bool:
        """Whether a time is asked for."""
        return self.first <= moment <= self.last


def read_asked(first: str, last: str, application: str, channel: str, now: datetime) -> Asked:
    """What the texts of a request mean; without times the last seven days.

    Raises `BadRequest` (`bad_time`, `bad_range`).
    """
    ends = _moment("to", last) if last else now
    begins = _moment("from", first) if first else _before(ends, USUAL)
    if begins > ends:
        raise BadRequest("bad_range", "`from` is after `to`.", "Swap the two.")
    if ends - begins > LONGEST:
        raise BadRequest("bad_range", f"At most {LONGEST.days} days at once.", "Choose a shorter range.")
    return Asked(begins, ends, application or None, channel or None)


def _moment(name: str, text: str) -> datetime:
    if not _MILLISECONDS.fullmatch(text) or len(text) == 8:  # 20261127 is a day
        return parse_instant(name, text)
    try:
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        hint = "Milliseconds since the epoch, or ISO 8601."
        raise BadRequest("bad_time", f"{name}: {text} is no time.", hint) from None


def _before(moment: datetime, span: timedelta) -> datetime:
    try:
        return moment - span
    except OverflowError:
        return moment


def milliseconds(moment: datetime) -> int:
    """A time as Grafana counts it."""
    return round(moment.timestamp() * 1000)
