"""What a published table looks like in PostgreSQL: a pure function of the lake's table.

Never talks to a server. Stats are `double precision`, as in the lake: a quotient of two columns or sums is then a
fraction, never cut to an integer. Sums of `bigint` measures are `numeric` in PostgreSQL, and divide as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from missioncontrol.lake.tables import CRASH_STATS, Column, LakeTable, Type

_TYPES: dict[Type, str] = {
    "timestamp": "timestamp with time zone",
    "date": "date",
    "string": "text",
    "int64": "bigint",
    "float64": "double precision",
    "bool": "boolean",
}


class Field(msgspec.Struct, frozen=True):
    """A column in PostgreSQL."""

    name: str
    type: str
    """As PostgreSQL's format_type() says it."""
    description: str = ""


class Index(msgspec.Struct, frozen=True):
    """An index that published tables have for the usual queries."""

    name: str
    method: str
    expression: str


class Relation(msgspec.Struct, frozen=True):
    """A table in PostgreSQL."""

    name: str
    description: str
    fields: tuple[Field, ...]
    """In the order in which rows are copied."""
    required: tuple[str, ...]
    """Fields that any table of ours has; the others may be added to it."""
    indexes: tuple[Index, ...] = ()


def relation(table: LakeTable, held: Sequence[Column]) -> Relation:
    """The table in PostgreSQL for a lake's table as declared, with the columns that the lake holds besides."""
    return _crash_aggregates(table) if table.name == "crash_aggregates" else _sums(table, held)


def _crash_aggregates(table: LakeTable) -> Relation:
    described = {column.name: column.description for column in table.columns}
    keys = ("submission_date", "activity_date")
    return Relation(
        table.name,
        table.description,
        (
            *(Field(name, "date", described[name]) for name in keys),
            Field("dimensions", "jsonb", described["dimensions"]),
            *(Field(stat, "double precision") for stat in CRASH_STATS),
        ),
        (*keys, "dimensions"),
        (
            *(_index(table.name, name) for name in keys),
            _any_length(table.name, "channel", "(dimensions ->> 'channel')"),
        ),
    )


def _sums(table: LakeTable, held: Sequence[Column]) -> Relation:
    declared = {column.name for column in table.columns}
    columns = (*table.columns, *(column for column in held if column.name not in declared))
    indexes = [_index(table.name, "submission_date"), _index(table.name, "window_start")]
    if "version" in {column.name for column in columns}:
        indexes.append(_any_length(table.name, "version", "version"))
    return Relation(
        table.name,
        table.description,
        tuple(Field(c.name, _TYPES[c.type], c.description) for c in columns),
        ("window_start", "submission_date"),
        tuple(indexes),
    )


def _index(table: str, column: str) -> Index:
    return Index(f"{table}_{column}_idx", "btree", column)


def _any_length(table: str, name: str, expression: str) -> Index:
    """An index on text by equality. A b-tree refuses rows with texts past 2,704 bytes, SP-GiST splits them."""
    return Index(f"{table}_{name}_idx", "spgist", expression)
