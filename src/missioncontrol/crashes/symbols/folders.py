"""The folders that the walker reads symbols from, asked which builds they have: by the debug id, as the walker does.

A program that was renamed has the debug id of its build, so the name under which symbols lie does not matter. Never
opens a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from missioncontrol.crashes.symbols.names import symbol_name
from missioncontrol.crashes.symbols.store import StoredSymbols
from missioncontrol.errors import BadRequest


class SymbolFolders:
    """Folders in Breakpad's layout, and the memory that the walker may take for what lies there. Thread-safe."""

    def __init__(
        self,
        roots: Sequence[Path],
        memory_limit_mb: int,
        elsewhere: Callable[[], Iterable[StoredSymbols]] = lambda: (),
    ) -> None:
        """`memory_limit_mb`: 0 for no limit; `elsewhere` lists those that walkers get copies of."""
        self._elsewhere = elsewhere
        self.memory_limit_mb = memory_limit_mb
        self._roots = tuple(roots)

    def find(self, debug_ids: Collection[str]) -> dict[str, StoredSymbols]:
        """The symbols of these builds by debug id, the newest where there are several; costs a look at each name."""
        wanted = {debug_id for debug_id in debug_ids if _is_id(debug_id)}
        found: dict[str, StoredSymbols] = {}
        for root in self._roots if wanted else ():
            for debug_file in _names(str(root)):
                for debug_id in wanted.intersection(_names(f"{root}/{debug_file}")):
                    one = _stored(root, debug_file, debug_id)
                    if one and (debug_id not in found or found[debug_id].stored_at < one.stored_at):
                        found[debug_id] = one
        for one in self._elsewhere() if wanted else ():
            known = found.get(one.debug_id)
            if one.debug_id in wanted and (known is None or known.stored_at < one.stored_at):
                found[one.debug_id] = one
        return found


def _is_id(debug_id: str) -> bool:
    try:
        return symbol_name("any", debug_id).debug_id == debug_id
    except BadRequest:
        return False


def _names(folder: str) -> list[str]:
    """What lies in a folder: by its plain name, since a `Path` for each would take many times as long."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _stored(root: Path, debug_file: str, debug_id: str) -> StoredSymbols | None:
    try:
        status = (root / symbol_name(debug_file, debug_id).path).stat()
    except (BadRequest, OSError):
        return None
    # Not when it was written: a file may have been made, and copied, long before it came to lie here.
    came_at = datetime.fromtimestamp(status.st_ctime, UTC)
    return StoredSymbols(debug_file, debug_id, status.st_size, came_at)
