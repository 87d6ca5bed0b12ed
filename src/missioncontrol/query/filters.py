"""Filters of aggregate queries: from texts in an address to typed conditions.

One value means equality, two mean an inclusive range for columns with an order (times, build ids, versions)
and membership for all others, three or more mean membership. Never touches data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.errors import BadRequest
from missioncontrol.query.versions import is_version

TIME_COLUMNS = ("window_start", "window_end", "submission_date")
WINDOW = timedelta(seconds=WINDOW_S)

_ORDERED = frozenset({"build_id", "version"})
_COMPACT_DATE = re.compile(r"\d{8}", re.ASCII)
_DASHED_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class TextFilter(msgspec.Struct, frozen=True):
    """A condition on a text column."""

    column: str
    how: Literal["in", "range", "null", "not_null"]
    values: tuple[str, ...] = ()
    """`range`: the lower and the upper bound, both included. `version` is compared by number."""


class WindowFilter(msgspec.Struct, frozen=True):
    """A condition on the start of the window (UTC)."""

    how: Literal["in", "range"]
    values: tuple[datetime, ...]


class DateFilter(msgspec.Struct, frozen=True):
    """A condition on the submission date."""

    how: Literal["in", "range"]
    values: tuple[date, ...]


Filter = TextFilter | WindowFilter | DateFilter


def time_filter(column: str, values: Sequence[str]) -> WindowFilter | DateFilter:
    """The condition that `column=value&column=value...` puts on a time column; `BadRequest` for a bad
    value.
    """
    _refuse_empty(column, values)
    how: Literal["in", "range"] = "range" if len(values) == 2 else "in"
    if column == "submission_date":
        return DateFilter(how, tuple(sorted(parse_date(column, v) for v in values)))
    instants = [parse_instant(column, v) for v in values]
    if column == "window_end":
        instants = [_minus_window(column, i) for i in instants]
    return WindowFilter(how, tuple(sorted(instants)))


def text_filter(column: str, values: Sequence[str], ordered: bool = False) -> TextFilter:
    """The condition that `column=value&column=value...` puts on a text column; `BadRequest` for an empty
    value.
    """
    _refuse_empty(column, values)
    if len(values) == 2 and column == "version":
        _refuse_no_version(values)
        return TextFilter(column, "range", tuple(values))
    if is_range(column, values, ordered):
        return TextFilter(column, "range", tuple(sorted(values)))
    return TextFilter(column, "in", tuple(dict.fromkeys(values)))


def is_range(column: str, values: Sequence[str], ordered: bool) -> bool:
    """Whether these are the ends of a range; `ordered`: the column is declared to have an order."""
    return len(values) == 2 and (ordered or column in _ORDERED)


def null_filter(column: str, values: Sequence[str]) -> TextFilter:
    """The condition `column__isnull=true|false`."""
    wanted = {v.lower() for v in values}
    if wanted == {"true"}:
        return TextFilter(column, "null")
    if wanted == {"false"}:
        return TextFilter(column, "not_null")
    raise BadRequest(
        "bad_filter", f"{column}__isnull must be true or false.", f"For example {column}__isnull=true."
    )


def parse_instant(column: str, value: str) -> datetime:
    """An ISO 8601 instant (without offset: UTC; date only: midnight) as aware UTC; `BadRequest` otherwise."""
    try:
        if not re.match(r"\d{4}-?\d{2}-?\d{2}", value, re.ASCII):
            raise ValueError
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = "ISO 8601, as in 2018-03-28T02:05:00Z or 2018-03-28. A + in an address is written %2B."
        raise BadRequest("bad_time", f"{column}: {_shown(value)} is no time.", hint) from None


def parse_date(column: str, value: str) -> date:
    """A day written YYYY-MM-DD or YYYYMMDD; `BadRequest` otherwise."""
    try:
        if not (_COMPACT_DATE.fullmatch(value) or _DASHED_DATE.fullmatch(value)):
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise BadRequest(
            "bad_time", f"{column}: {_shown(value)} is no day.", "YYYY-MM-DD or YYYYMMDD."
        ) from None


def _minus_window(column: str, end: datetime) -> datetime:
    try:
        return end - WINDOW
    except OverflowError:
        raise BadRequest("bad_time", f"{column}: there is no window that ends then.") from None


def _refuse_empty(column: str, values: Sequence[str]) -> None:
    if not values or any(not v for v in values):
        hint = f"Leave the parameter out for all rows, or say {column}__isnull=true for rows without a value."
        raise BadRequest("empty_filter", f"The filter {column} has no value.", hint)


def _refuse_no_version(values: Sequence[str]) -> None:
    for value in values:
        if not is_version(value):
            hint = "Two versions are a range, from the lower to the higher, as in version=60.0&version=61.0."
            raise BadRequest("bad_filter", f"version: {_shown(value)} is no version.", hint)


def _shown(value: str) -> str:
    return repr(value[:80])
