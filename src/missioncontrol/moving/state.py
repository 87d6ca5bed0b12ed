"""The state copied from one database to another, table by table, in one transaction of the second.

What the second held is replaced, so a copy that is repeated comes to the same. Afterwards every table is read back and
compared, row by row, by a checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import StorageError
from missioncontrol.spark.owner import LEASE as LAKE_LEASE
from missioncontrol.state.database import Database, identities, leases, metadata
from missioncontrol.state.moments import aware

_ROWS = 2000
_IDENTITY = ("id", "claimant", "noted_s")
_LEFT = (leases.name,)
"""Who does what just now is of the installation that is left; but not whose the lake is."""


def copy_state(
    source: Database, target: Database, seen: Iterator[tuple[bytes, int, int]]
) -> tuple[dict[str, int], int]:
    """Rows by table, all of them copied and compared, and how many identities were added from those of a log.

    seen: (id, claimant, noted_s) of documents that the log knows. Raises `StorageError` (`move_state_differs`,
    `state_...`).
    """
    tables = [table for table in metadata.sorted_tables if table.name not in _LEFT]
    copied: dict[str, int] = {}
    with source.engine().connect() as old, target.engine().begin() as new:
        for table in reversed(tables):
            new.execute(sa.delete(table))
        for table in tables:
            copied[table.name] = 0
            for rows in _rows(old, table).partitions(_ROWS):
                new.execute(sa.insert(table), [_plain(row) for row in rows])
                copied[table.name] += len(rows)
            _go_on_numbering(new, table)
            if _checksum(old, table) != _checksum(new, table):
                raise StorageError(
                    "move_state_differs",
                    f"The table {table.name} of the state is not in the new database as it was.",
                    "Nothing was changed there. Is the old installation still at work?",
                )
        lake = sa.select(leases).where(leases.c.name == LAKE_LEASE)
        new.execute(sa.delete(leases).where(leases.c.name == LAKE_LEASE))
        for row in old.execute(lake):
            new.execute(sa.insert(leases), [_plain(row)])
        added = 0
        while some := list(islice(seen, _ROWS)):
            new.execute(sa.insert(identities), [dict(zip(_IDENTITY, row, strict=True)) for row in some])
            added += len(some)
    return copied, added


def is_empty(target: Database) -> bool:
    """Whether the database holds nothing that somebody could miss."""
    with target.engine().connect() as connection:
        return not any(
            connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
            for table in metadata.sorted_tables
            if table.name not in _LEFT
        )


def _rows(connection: sa.Connection, table: sa.Table) -> sa.CursorResult[Any]:
    order = list(table.primary_key.columns) or list(table.columns)
    return connection.execute(sa.select(table).order_by(*order).execution_options(stream_results=True))


def _plain(row: sa.Row[Any]) -> dict[str, Any]:
    """The values by column, as either database takes them and gives them back."""
    return {name: _value(value) for name, value in row._mapping.items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return aware(value)
    if isinstance(value, memoryview):
        return bytes(value)
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _checksum(connection: sa.Connection, table: sa.Table) -> str:
    """Of all rows; the databases order texts alike, so their order is that of the key in both."""
    found = hashlib.sha256()
    for row in _sorted(connection, table):
        found.update(row)
    return found.hexdigest()


def _sorted(connection: sa.Connection, table: sa.Table) -> Iterator[bytes]:
    for rows in _rows(connection, table).partitions(_ROWS):
        for row in rows:
            yield msgspec.msgpack.encode(list(_plain(row).values()))


def _go_on_numbering(connection: sa.Connection, table: sa.Table) -> None:
    """PostgreSQL counts by itself, and has to be told how far the numbers are."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
        if sequence is not None:
            highest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
            connection.execute(sa.select(sa.func.setval(sequence, highest, False)))
