"""Times as the pages print them: `<time>` elements in UTC, which a script may show in the browser's zone;
a day stays that of UTC.

The text is what somebody without scripts reads, and is complete in itself. A time of null is an en dash.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from markupsafe import Markup, escape

from missioncontrol.web import numerals

Form = Literal["minute", "second", "clock", "short", "day"]
FORMS: dict[Form, str] = {
    "minute": "%Y-%m-%d %H:%M",
    "second": "%Y-%m-%d %H:%M:%S",
    "clock": "%H:%M",
    "short": "%m-%d %H:%M",
    "day": "%Y-%m-%d",
}
_ELEMENT = Markup('<time datetime="{}" data-form="{}">{}</time>')
_DAY = Markup('<time datetime="{}" data-form="day" title="{}">{}</time>')
_SAID = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC")
_AGO = Markup('<time datetime="{}" data-form="ago" title="{}">{}</time>')


def moment(instant: datetime | None) -> Markup | str:
    """`2026-01-31 14:05 UTC` as an element; never for an attribute."""
    if instant is None:
        return numerals.NOTHING
    return _ELEMENT.format(_machine(instant), "zoned", numerals.moment(instant))


def timed(instant: datetime | None, form: Form = "minute") -> Markup | str:
    """A time without its zone, where a head or the page says which; a day is that of UTC."""
    if instant is None:
        return numerals.NOTHING
    return _ELEMENT.format(_machine(instant), form, instant.astimezone(UTC).strftime(FORMS[form]))


def dated(instant: datetime | None) -> Markup | str:
    """The day of a time, with the time at the pointer."""
    if instant is None:
        return numerals.NOTHING
    day = instant.astimezone(UTC).strftime(FORMS["day"])
    return _DAY.format(_machine(instant), numerals.moment(instant), day)


def told(sentence: str) -> Markup:
    """A sentence, all of it escaped, in which each `2026-01-31 14:05 UTC` is an element."""
    parts = _SAID.split(sentence)
    found = Markup("")
    for words, day, clock in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        found += escape(words)
        if day:
            found += _ELEMENT.format(f"{day}T{clock}:00Z", "zoned", f"{day} {clock} UTC")
    return found


def ago(instant: datetime | None, now: datetime) -> Markup | str:
    """`5 min ago`, with the time at the pointer."""
    if instant is None:
        return numerals.NOTHING
    return _AGO.format(_machine(instant), numerals.moment(instant), numerals.ago(instant, now))


def _machine(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
