"""Keeps a walker's memory of symbols true: looks into the journal of changes before a walk.

One look is one short query; nothing is read of the symbols themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from missioncontrol.state.symbol_changes import SymbolChanges


class Forgetful(Protocol):
    """What remembers symbols, as the stackwalker does."""

    def forget_missing(self) -> None:
        """Look again for what was missing."""

    def forget(self, symbols: list[tuple[str, str]]) -> None:
        """Read these (debug file, debug id) again."""

    def close(self) -> None:
        """Forget everything; it starts again by itself."""


class SymbolWatch:
    """Passes changes on, in this order, to those who know nothing yet when this is made: copies before the walker."""

    def __init__(self, changes: SymbolChanges, told: Sequence[Forgetful]) -> None:
        self._changes, self._told = changes, told
        self._seen = changes.newest()

    def look(self) -> bool:
        """Make the walker forget what is not true any more; whether there was anything."""
        changes = self._changes.since(self._seen)
        if changes.upto == self._seen:
            return False
        for one in self._told:
            if changes.complete:
                one.forget(list(changes.symbols))
                one.forget_missing()
            else:
                one.close()
        self._seen = changes.upto
        return True
