"""Values as DuckDB gives them -> values that JSON and CSV can hold.

Times become ISO 8601 text with Z (a timestamp without zone is UTC here), binary becomes base64, a map an
object. Numbers stay numbers: integers of any size, decimals with all their digits. Not-a-number and infinity
are null.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from missioncontrol.query.rows import ResultColumn

Convert = Callable[[Any], Any]

ENCODER = msgspec.json.Encoder(decimal_format="number")

# Their values are what JSON holds already. Of aggregate queries (lower case) times are text.
_TEXT_TYPES = frozenset(
    {"string", "int64", "timestamp", "date"}
    | {"VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
    | {"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM"}
)
# The JSON encoder itself writes not-a-number as null.
_FLOAT_TYPES = frozenset({"float64", "DOUBLE", "FLOAT"})
_JSON_TYPES = _TEXT_TYPES | _FLOAT_TYPES | {"bool", "BOOLEAN"}


def json_converters(columns: tuple[ResultColumn, ...]) -> list[tuple[int, Convert]]:
    """(index, converter) of the columns whose values the JSON encoder cannot take as they are."""
    return [
        (i, _parsed if c.type == "JSON" else plain)
        for i, c in enumerate(columns)
        if c.type not in _JSON_TYPES
    ]


def text_converters(columns: tuple[ResultColumn, ...]) -> list[tuple[int, Convert]]:
    """(index, converter) of the columns whose values are not written as their text."""
    return [
        (i, _number if c.type in _FLOAT_TYPES else _cell)
        for i, c in enumerate(columns)
        if c.type not in _TEXT_TYPES
    ]


def plain(value: Any) -> Any:
    """The value, made of None, bool, int, float, Decimal, str, list and dict with text keys."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {_key(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, timedelta):
        return msgspec.to_builtins(value)
    return str(value)


def instant(value: datetime) -> str:
    """ISO 8601 with Z; a fraction only where there is one."""
    utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return utc.isoformat() + "Z"


def _parsed(value: Any) -> Any:
    """A JSON column becomes what the text holds."""
    try:
        return None if value is None else msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def _number(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _cell(value: Any) -> Any:
    """One cell of CSV: what has parts is written as JSON."""
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return ENCODER.encode(value).decode() if isinstance(value, list | dict) else value


def _key(key: Any) -> str:
    simple = plain(key)
    return simple if isinstance(simple, str) else msgspec.json.encode(simple).decode()
