"""Values of imported rows: cast to their column's type, and refused where no row can have them.

What is refused is told by file, row, column and value. Bounds are of what can be counted and summed without loss:
`docs/reference/tables.md` has them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from missioncontrol.clock import WINDOW_S, system_clock, utc
from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import Column
from missioncontrol.registry.decode import MAX_COUNT
from missioncontrol.telemetry.extract import MAX_TEXT

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=366)
"""So far after the machine's clock times may be: it may be wrong, and simulations reach into the future."""
MOST_USAGE_HOURS = 8_000_000
"""Of a row: what a 64-bit integer holds in units of 2^-40 h (`docs/adr/0004`)."""
_LONGEST_INTERVAL_S = 86_400
WRITE_AS_TEXT = "Write it as text: 60.0 is another version than 60, and as numbers they are the same."
_TYPES: dict[str, pa.DataType] = {
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
}
_Test = Callable[[pa.ChunkedArray], pa.ChunkedArray]


class Place(msgspec.Struct, frozen=True):
    """Where in a file a block of rows stands; rows before it."""

    path: Path
    before: int

    def wrong(self, name: str, row: int, value: Any, why: str, hint: str = "") -> BadRequest:
        """What is said of a value in the block's row `row` (from 0)."""
        shown = value if isinstance(value, str) else str(value)
        where = f"{self.path}: row {self.before + row + 1:,}, column `{name}`: {shown[:80]!r}"
        return BadRequest("import_value", f"{where} {why}.", hint or "Nothing of the file was imported.")


def conformed(values: pa.ChunkedArray, column: Column, place: Place, name: str = "") -> pa.ChunkedArray:
    """The values in the column's type; null stays null.

    name: of the column in the file, if it is another. Raises `BadRequest` (`import_value`) for the first value that is
    of no such type or outside of the bounds.
    """
    name = name or column.name
    if column.type == "date":
        return pa.chunked_array([pa.nulls(len(values), pa.date32())])  # follows from the time
    cast = _cast(values, column, place, name)
    for wrong, why, hint in _tests(column):
        found = pc.index(wrong(cast), True).as_py()
        if found >= 0:
            raise place.wrong(name, found, _plain(values[found]), why, hint)
    return cast


def _tests(column: Column) -> list[tuple[_Test, str, str]]:
    """What may be wrong of values of a column, in words, with a hint."""
    if column.type == "timestamp":
        latest = utc(system_clock()) + AHEAD
        found: list[tuple[_Test, str, str]] = [
            (lambda v: pc.less(v, _scalar(EARLIEST)), "is before 1990", _TIMES),
            (lambda v: pc.greater(v, _scalar(latest)), "is more than a year in the future", _TIMES),
        ]
        return [*found, _OFF_GRID] if column.name == "window_start" else found
    if column.type == "string":
        return [
            (lambda v: pc.greater(pc.utf8_length(v), MAX_TEXT), f"is longer than {MAX_TEXT} characters", "")
        ]
    least, most = 0, MAX_COUNT
    if column.name == "usage_hours":
        most = MOST_USAGE_HOURS
    elif column.name.endswith("_length_s"):
        least, most = 1, _LONGEST_INTERVAL_S
    found = [
        (lambda v: pc.less(v, least), f"is below {least}", ""),
        (lambda v: pc.greater(v, most), f"is above {most:,}", ""),
    ]
    return [_NO_NUMBER, *found] if column.type == "float64" else found


def _off_grid(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.not_equal(pc.floor_temporal(times, WINDOW_S // 60, "minute"), times)


_TIMES = "Times are ISO 8601, UTC, as in 2026-11-20T14:35:00Z."
_OFF_GRID: tuple[_Test, str, str] = (
    _off_grid,
    "is not the start of a window",
    "Windows are 5 minutes long and start at whole multiples of 5 minutes (UTC).",
)
_NO_NUMBER: tuple[_Test, str, str] = (
    lambda values: pc.invert(pc.is_finite(values)),
    "is NaN or infinite",
    "Leave it empty (null) if it is not known.",
)


def _scalar(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("us", "UTC"))


def _cast(values: pa.ChunkedArray, column: Column, place: Place, name: str) -> pa.ChunkedArray:
    try:
        return _plain_cast(values, column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        row = _first_that_fails(values, column)
        value, why = _plain(values[row]), f"cannot be {_WORDS[column.type]}"
        raise place.wrong(name, row, value, why, str(error).splitlines()[0][:200]) from None


def _plain(value: pa.Scalar) -> Any:
    """The value as Python has it; of a time that no calendar of Python's has, its number."""
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return getattr(value, "value", "?")


_WORDS = {"timestamp": "a time", "string": "a text", "int64": "a whole number", "float64": "a number"}


def _plain_cast(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    kind, is_text = values.type, pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if column.type == "timestamp":
        if pa.types.is_timestamp(kind) and kind.tz is None:
            values = pc.assume_timezone(values, "UTC")
        elif is_text:
            values = _instants(values)
        elif not (pa.types.is_temporal(kind) or pa.types.is_null(kind)):
            raise pa.ArrowInvalid(_TIMES)
    elif column.type == "string" and (pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise pa.ArrowInvalid(WRITE_AS_TEXT)
    elif pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        raise pa.ArrowInvalid("Write it as a number.")
    elif column.type == "int64" and is_text:
        values = values.cast(pa.float64())  # some writers give whole numbers a fraction of .0
    return values.cast(_TYPES[column.type])


def _first_that_fails(values: pa.ChunkedArray, column: Column) -> int:
    """Place of the first value that cannot be cast, found by halves: one of them cannot."""
    first, end = 0, len(values)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            _plain_cast(values.slice(first, middle - first), column)
            first = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            end = middle
    return first


def _instants(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 text to instants; text without a zone is UTC."""
    zoned = pc.match_substring_regex(values, r"(Z|[+-]\d\d:?\d\d)$")
    text = pc.if_else(zoned, values, pc.binary_join_element_wise(values, "Z", ""))
    return text.cast(pa.timestamp("us", "UTC"))
