"""Which key each of millions of rows has: found by the hash of the key's columns, never by text.

Grouping or joining in SQL compares texts for every row and costs several times what reading does. Here SQL is asked
once for the distinct keys and once for the rows with their hash; both read the same snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from missioncontrol.query import dialect
from missioncontrol.query.engine import Engine
from missioncontrol.query.statement import Parameter

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int32]
Column = npt.NDArray[Any]

_TABLE_BITS = 20
_TRIES = 32
_ODD = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Source:
    """Rows of a relation that hold `where`, a condition with `?` for the parameters."""

    relation: str
    where: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Keys:
    """The distinct keys of some rows: `values[i]` of its columns, `sums[i]` of what was asked for, and its hash."""

    columns: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...]
    sums: tuple[tuple[int, ...], ...]
    hashes: Hashes

    def rows(
        self, engine: Engine, source: Source, selected: Sequence[str]
    ) -> Iterator[tuple[Places, list[Column]]]:
        """Some rows at a time: the place of each one's key, and the `selected` expressions (numbers without nulls)."""
        place = _finder(self.hashes)
        sql = (
            f"SELECT {_hash(self.columns)}, {', '.join(selected)} FROM {source.relation} WHERE {source.where}"
        )
        for batch in engine.arrow(sql, source.parameters):
            hashes, *columns = map(numbers, batch.columns)
            yield place(hashes), columns


def read_keys(
    engine: Engine, source: Source, columns: tuple[str, ...], aggregates: Sequence[str] = ()
) -> Keys:
    """The distinct keys of the rows, in no order that matters, with `aggregates` of integers of each."""
    # Rows of one hash have one key: grouping by the number alone spares comparing texts.
    names = [f"any_value({dialect.name(name)})" for name in columns]
    sql = (
        f"SELECT {_hash(columns)} AS k, {', '.join([*names, *aggregates])} FROM {source.relation} "
        f"WHERE {source.where} GROUP BY k"
    )
    found: list[tuple[Any, ...]] = []
    for batch in engine.arrow(sql, source.parameters):
        found += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    end = len(columns) + 1
    return Keys(
        columns,
        tuple(row[1:end] for row in found),
        tuple(row[end:] for row in found),
        np.array([row[0] for row in found], np.uint64),
    )


def numbers(column: pa.Array) -> Column:
    """A column of numbers without nulls, not copied. (Arrow's own way there loads pandas where it is installed.)"""
    found: Column = np.from_dlpack(column)
    return found


def _hash(columns: Sequence[str]) -> str:
    return f"hash({', '.join(dialect.name(name) for name in columns)})"


class _finder:  # noqa: N801 - a function that keeps its table
    """From hashes of rows to places in the list of keys."""

    def __init__(self, hashes: Hashes) -> None:
        self._order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._sorted = hashes[self._order]
        self._shift = np.uint64(64 - _TABLE_BITS)
        self._factor, self._table = self._perfect(hashes)

    def __call__(self, hashes: Hashes) -> Places:
        if self._table is not None:
            slots: Places = self._table[(hashes * self._factor) >> self._shift]
            return slots
        return self._order[np.minimum(np.searchsorted(self._sorted, hashes), len(self._sorted) - 1)]

    def _perfect(self, hashes: Hashes) -> tuple[np.uint64, Places | None]:
        """A factor under which no two keys share a slot of the table; none for very many keys."""
        if len(hashes) <= 1 << (_TABLE_BITS // 2 + 1):
            for nth in range(_TRIES):
                factor = np.uint64((_ODD * (2 * nth + 1)) % 2**64)
                slots = (hashes * factor) >> self._shift
                if len(np.unique(slots)) == len(hashes):
                    table = np.zeros(1 << _TABLE_BITS, np.int32)
                    table[slots] = np.arange(len(hashes), dtype=np.int32)
                    return factor, table
        return np.uint64(1), None
