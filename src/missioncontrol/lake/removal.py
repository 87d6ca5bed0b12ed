"""Rows taken out of the files of a table, wherever they lie: each file that holds one is written again without it.

Rows are gone for queries at once; the file that held them is deleted by the next vacuum, as any that left its table.
Takes the lock of a day while it rewrites it. Flow: snapshot -> files that hold a value -> their other rows -> commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.locks import rewriting
from missioncontrol.lake.merge import readable
from missioncontrol.lake.place import place_of
from missioncontrol.lake.plan import day
from missioncontrol.lake.sifting import sifted
from missioncontrol.lake.snapshot import FileRef, LakeReader
from missioncontrol.lake.swap import swap

_ATTEMPTS = 10
_LOCK_S = 60.0


class Removed(msgspec.Struct, frozen=True):
    """What was written again, and without what."""

    files: int = 0
    rows: int = 0


class RowRemoval:
    """Takes rows of one table out by the values of a column of text."""

    def __init__(self, lake: LakePlace | Path, cache_path: Path, table: str, column: str) -> None:
        self._place, self._table, self._column = place_of(lake), table, column
        self._reader = LakeReader(lake, cache_path)

    def held(self, values: Mapping[date, Collection[str]]) -> frozenset[str]:
        """Which of the values (by submission date) files hold now; raises `StorageError`."""
        found: set[str] = set()
        for one, wanted in values.items():
            for file in self._files(one):
                try:
                    found |= self._values_in(file, wanted)
                except FileNotFoundError:
                    continue
        return frozenset(found)

    def remove(self, values: Mapping[date, Collection[str]]) -> Removed:
        """Take the rows out. Raises `StorageError` (`lake_busy`, `lake_conflict`) and `StorageFull`; what was rewritten
        before stays, and another call does the rest.
        """
        files = rows = 0
        for one, wanted in values.items():
            with rewriting(self._place, self._table, one.isoformat(), _LOCK_S) as alone:
                if not alone:
                    raise StorageError(
                        "lake_busy",
                        f"{self._table} of {one} is being rewritten by another process.",
                        "Try again.",
                    )
                for removed in self._remove_day(one, wanted):
                    files, rows = files + 1, rows + removed
        return Removed(files, rows)

    def _remove_day(self, one: date, wanted: Collection[str]) -> Iterator[int]:
        for _ in range(_ATTEMPTS):
            holding = [file for file in self._files(one) if self._holds(file, wanted)]
            if not holding:
                return
            for file in holding:
                removed = self._rewrite(file, wanted)
                if removed:
                    yield removed
        raise StorageError(
            "lake_conflict", f"Other commits to {self._table} were faster {_ATTEMPTS} times.", "Try again."
        )

    def _files(self, one: date) -> list[FileRef]:
        snapshot = self._reader.snapshot(self._table)
        return [f for f in snapshot.files if day(f.partition) == one] if snapshot else []

    def _holds(self, file: FileRef, wanted: Collection[str]) -> bool:
        try:
            return bool(self._values_in(file, wanted))
        except FileNotFoundError:
            return False

    def _values_in(self, file: FileRef, wanted: Collection[str]) -> set[str]:
        with readable(file) as path, pq.ParquetFile(path) as opened:
            if self._column not in opened.schema_arrow.names:
                return set()
            values = opened.read(columns=[self._column], use_threads=False)[self._column]
        return set(values.filter(pc.is_in(values, pa.array(list(wanted), pa.string()))).to_pylist())

    def _rewrite(self, file: FileRef, wanted: Collection[str]) -> int:
        """How many rows left with this file; 0: another commit was faster."""
        values = pa.array(list(wanted), pa.string())

        def keeps(rows: pa.Table) -> pa.Array:
            return pc.invert(pc.is_in(rows[self._column], values))

        try:
            staged, removed = sifted(self._place, self._table, file, keeps)
        except FileNotFoundError:
            return 0
        gone = swap(self._place, self._table, staged, [file], data_change=True, attempts=_ATTEMPTS)
        return removed if gone else 0
