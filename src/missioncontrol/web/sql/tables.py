"""The tables that SQL can ask, as the page shows them: columns, types and what they mean, from the registry."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from missioncontrol.lake.tables import CRASH_STATS, Column, LakeTable, lake_tables
from missioncontrol.query.views import CRASH_FREE, CRASHES, V2, V2_DIMENSIONS, V2_MEASURES, protected_columns
from missioncontrol.registry.model import Registry

_TYPES = {
    "timestamp": "timestamp", "date": "date", "string": "text", "int64": "integer", "float64": "double",
    "binary": "bytes", "bool": "boolean", "sketch": "sketch", "text_map": "map of text", "number_map": "map of doubles",
}  # fmt: skip
_PREDECESSORS = {
    "presto": {
        "activity_date": "text", "submission_date": "text",
    },
    "postgres": {"dimensions": "jsonb", "stats": "jsonb"},
}  # fmt: skip
"""Types of `crash_aggregates` where a dialect has others."""


class ShownColumn(msgspec.Struct, frozen=True):
    """A column of a table."""

    name: str
    type: str
    description: str = ""
    protected: bool = False


class ShownTable(msgspec.Struct, frozen=True):
    """A table or view."""

    name: str
    description: str
    columns: list[ShownColumn]


def shown_tables(registry: Registry, dialect: str, with_protected: bool) -> list[ShownTable]:
    """Every table that a reader can ask, in the order of the documentation; protected columns only `with_protected`."""
    tables = lake_tables(registry)
    made = []
    for name, table in tables.items():
        hidden = () if with_protected else protected_columns(table, table.columns)
        columns = [_shown(c) for c in table.columns if c.name not in hidden]
        if name == CRASHES:
            types = _PREDECESSORS.get(dialect, {})
            columns = [msgspec.structs.replace(c, type=types.get(c.name, c.type)) for c in columns]
            columns += [ShownColumn(stat, "double", f"`{stat}` of `stats`.") for stat in CRASH_STATS]
        made.append(ShownTable(name, table.description, columns))
        if name == CRASHES:
            made.append(ShownTable("aggregates", "Another name of crash_aggregates.", columns))
    return [*made, _crash_free(tables["client_aggregates"]), _v2(tables["error_aggregates"])]


def _shown(column: Column) -> ShownColumn:
    return ShownColumn(column.name, _TYPES[column.type], column.description, column.protected)


def _crash_free(clients: LakeTable) -> ShownTable:
    columns = [
        ShownColumn("submission_date", "date", "UTC day of arrival."),
        *(_shown(c) for c in _of(clients, ("application", "channel", "version"))),
        ShownColumn("active_clients", "integer", "Clients that sent anything on that day, estimated."),
        ShownColumn("affected_clients", "integer", "Of them, those with a main crash."),
        ShownColumn("crash_free_users", "double", "Share of clients without a main crash, 0 to 1."),
        ShownColumn("crash_free_users_low", "double", "Lower bound of it."),
        ShownColumn("crash_free_users_high", "double", "Upper bound of it."),
    ]
    return ShownTable(CRASH_FREE, "Clients without a main crash, by day and version.", columns)


def _v2(aggregates: LakeTable) -> ShownTable:
    known = {c.name: c for c in aggregates.columns}
    columns = [
        ShownColumn("window_start", "timestamp", "Start of the 5-minute window of arrival, UTC."),
        ShownColumn("window_end", "timestamp", "End of it."),
        ShownColumn("submission_date_s3", "text", "UTC day of arrival as YYYYMMDD."),
    ]
    for name in V2_DIMENSIONS:
        columns.append(ShownColumn(name, "text", known[name].description if name in known else ""))
    for name in V2_MEASURES:
        kind = "double" if name == "usage_hours" else "integer"
        columns.append(ShownColumn(name, kind, known[name].description if name in known else ""))
    return ShownTable(V2, "One row a key, with experiments: the predecessor's table.", columns)


def _of(table: LakeTable, names: Iterable[str]) -> list[Column]:
    wanted = set(names)
    return [c for c in table.columns if c.name in wanted]
