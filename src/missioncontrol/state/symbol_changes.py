"""A short journal of symbols that arrived, were replaced or removed, for processes that keep what they read.

Numbers only grow. Entries are kept for a while; whoever was away for longer must forget everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from missioncontrol.state.database import Database, symbol_changes, write_first

KEPT = 20_000
"""Entries that are kept."""


class Changes(msgspec.Struct, frozen=True):
    """What changed since some number."""

    upto: int
    """Number of the newest change there is."""
    symbols: tuple[tuple[str, str], ...]
    """(debug file, debug id)."""
    complete: bool
    """False: older changes are no longer known."""


class SymbolChanges:
    """The journal of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, symbols: Sequence[tuple[str, str]], now: datetime) -> None:
        """Note changes, after they were made."""
        if not symbols:
            return
        rows = [{"debug_file": file, "debug_id": debug_id, "at": now} for file, debug_id in symbols]
        with self._database.engine().begin() as connection:
            write_first(connection, symbol_changes)  # or a smaller number could appear after a greater one
            connection.execute(sa.insert(symbol_changes), rows)
            newest = connection.execute(sa.select(sa.func.max(symbol_changes.c.id))).scalar_one()
            connection.execute(sa.delete(symbol_changes).where(symbol_changes.c.id <= newest - KEPT))

    def newest(self) -> int:
        """Number of the newest change; 0: there was none yet."""
        with self._database.engine().connect() as connection:
            return int(connection.execute(sa.select(sa.func.max(symbol_changes.c.id))).scalar_one() or 0)

    def since(self, number: int) -> Changes:
        """What changed after the change of this number."""
        with self._database.engine().connect() as connection:
            ends = sa.select(sa.func.min(symbol_changes.c.id), sa.func.max(symbol_changes.c.id))
            oldest, newest = connection.execute(ends).one()
            if newest is None or newest <= number:
                return Changes(number, (), True)
            query = sa.select(symbol_changes.c.debug_file, symbol_changes.c.debug_id)
            query = query.where(symbol_changes.c.id > number, symbol_changes.c.id <= newest).distinct()
            found = tuple((row.debug_file, row.debug_id) for row in connection.execute(query))
        return Changes(newest, found, oldest <= number + 1)
