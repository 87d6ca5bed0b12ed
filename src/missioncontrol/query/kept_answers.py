"""Answers to questions that were asked just now.

A statement names the files that it reads, and these never change: whoever asks the same of the same files gets the same
answer, and new data makes another statement.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from missioncontrol.query.statement import Statement

_MOST_ROWS = 50_000
"""Of all answers together; one of more than a fourth of them is not kept."""
_ROW_LENGTH = 200
"""So many characters of a statement take as much room as a row."""
Answer = tuple[list[tuple[Any, ...]], bool]
"""Rows, and whether these are all."""


class _Kept(NamedTuple):
    rows: list[tuple[Any, ...]]
    complete: bool
    size: int


class KeptAnswers:
    """The answers that were asked for last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()
        self._size = 0

    def of(self, statement: Statement, read: Callable[[Statement], Answer]) -> Answer:
        """The answer to a statement, which `read` gives if it is not known; the list is the caller's own."""
        bound = (
            tuple(p) if isinstance(p, Sequence) and not isinstance(p, str) else p
            for p in statement.parameters
        )
        key = (statement.sql, statement.limit, *bound)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                held = self._kept[key]
                return list(held.rows), held.complete
        rows, complete = read(statement)
        size = len(rows) + len(statement.sql) // _ROW_LENGTH
        if size <= _MOST_ROWS // 4:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = _Kept(rows, complete, size)
                    self._size += size
                while self._size > _MOST_ROWS:
                    self._size -= self._kept.popitem(last=False)[1].size
        return list(rows), complete
