"""How names, texts and types are written in DuckDB's SQL.

Whatever ends up in SQL text goes through `name()` or `text()`; values of users are bound as parameters
instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

SQL_TYPES = {
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "binary": "BLOB",
    "bool": "BOOLEAN",
    "sketch": "BLOB",
    "text_map": "MAP(VARCHAR, VARCHAR)",
    "number_map": "MAP(VARCHAR, DOUBLE)",
}
"""Type of a lake column -> type in DuckDB."""


def name(identifier: str) -> str:
    """The identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """A list of string literals."""
    return "[" + ", ".join(text(v) for v in values) + "]"


def instant(value: datetime) -> str:
    """A literal of an aware instant."""
    return f"TIMESTAMPTZ {text(value.isoformat())}"


def null(kind: str) -> str:
    """A typed null of a lake column type."""
    return f"CAST(NULL AS {SQL_TYPES[kind]})"


def same(column: str, value: str | None) -> tuple[str, list[str]]:
    """The condition that a column has this value, or is null; and its parameters."""
    return (f"{name(column)} IS NULL", []) if value is None else (f"{name(column)} = ?", [value])
