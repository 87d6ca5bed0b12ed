"""The schema of the lake as a page: every table with its columns, types and meanings, made from the registry."""

from __future__ import annotations

from collections.abc import Iterator

from missioncontrol.lake.tables import Column, LakeTable, lake_tables
from missioncontrol.registry.model import Registry

PARQUET_TYPES = {
    "timestamp": "timestamp (UTC, microseconds)",
    "date": "date",
    "string": "text",
    "int64": "64-bit integer",
    "float64": "double",
    "binary": "bytes",
    "bool": "boolean",
    "sketch": "bytes (HLL sketch)",
    "text_map": "map text -> text",
    "number_map": "map text -> double",
}
"""Type of a column as readers of Parquet see it."""

_HEAD = """# Schema of the lake

Made by `missioncontrol lake schema` from the shipped registry; an installation with declarations of its own prints
its own. What a row is and which rows may be added: [tables](tables.md). A column can be null, unless it says what a
row is about. **Protected** columns need the scope `protected` ([users and tokens](../how-to/users-and-tokens.md)):
SQL over HTTP does not have them without it.
"""


def schema_page(registry: Registry) -> str:
    """The page as Markdown."""
    lines = [_HEAD, *(line for table in lake_tables(registry).values() for line in _section(table))]
    return "\n".join(lines).rstrip() + "\n"


def _section(table: LakeTable) -> Iterator[str]:
    yield from (f"## {table.name}", "", table.description)
    yield from (f"Partitioned by {', '.join(f'`{name}`' for name in table.partition_by)}.", "")
    yield from ("| column | type | |", "|---|---|---|", *map(_row, table.columns), "")


def _row(column: Column) -> str:
    about = " ".join(filter(None, ("**Protected.**" if column.protected else "", column.description)))
    return f"| `{column.name}` | {PARQUET_TYPES[column.type]} | {about.replace('|', chr(92) + '|')} |"
