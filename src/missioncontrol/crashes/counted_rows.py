"""The crashes of some hours that count, read from the files of the table `crashes`, a piece at a time.

A crash that was processed again counts by its newest row, one that was deleted not at all. Never writes anything.
Flow: snapshots -> files that may hold the hours -> row groups -> tables of the columns that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime, time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.crashes.index import hour_of
from missioncontrol.lake.merge import readable
from missioncontrol.lake.plan import day as day_of_partition
from missioncontrol.lake.snapshot import FileRef, LakeReader
from missioncontrol.lake.tables import CRASHES, DELETED, REVISIONS
from missioncontrol.registry.report_checks import OWN

SECOND = "second"
"""Column of the read tables: seconds since the start of the day, of the receipt."""
_DAY_S = 86_400
_MAP = "fields"


def counted_rows(
    reader: LakeReader, day: date, hours: Set[int], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Tables of `second` and `columns` (columns of the table, or `fields.NAME`) of the crashes in these hours.

    A column that a file lacks is null. Raises `StorageError`, and `FileNotFoundError` when the lake was vacuumed
    meanwhile.
    """
    # Revisions first: a row that comes between the two looks is not yet counted, instead of twice or never.
    newest = _newest(_files(reader, REVISIONS, day))
    for file in _files(reader, CRASHES, day):
        if hours & hours_of(file, day):
            yield from _read(file, day, hours, columns, newest)


def hours_of(file: FileRef, day: date) -> set[int]:
    """The hours of its day in which rows of a file may lie."""
    first, last = (0 if w is None else hour_of(w, day) for w in (file.first_window, file.last_window))
    return set(range(first, (23 if file.last_window is None else last) + 1))


def _files(reader: LakeReader, table: str, day: date) -> list[FileRef]:
    snapshot = reader.snapshot(table)
    return [f for f in snapshot.files if day_of_partition(f.partition) == day] if snapshot else []


def _newest(files: Sequence[FileRef]) -> dict[str, int]:
    """The revision that counts, of the crashes of which not the first one does."""
    newest: dict[str, int] = {}
    for file in files:
        with readable(file) as path, pq.ParquetFile(path) as opened:
            rows = opened.read(["uuid", "revision"], use_threads=False)
        for uuid, revision in zip(rows["uuid"].to_pylist(), rows["revision"].to_pylist(), strict=True):
            known = newest.get(uuid, 0)
            newest[uuid] = DELETED if DELETED in (known, revision) else max(known, revision)
    return newest


def _read(
    file: FileRef, day: date, hours: Set[int], columns: Sequence[str], newest: Mapping[str, int]
) -> Iterator[pa.Table]:
    wanted = {_MAP if name.startswith(OWN) else name for name in columns}
    wanted |= {"date", "revision"} | ({"uuid"} if newest else set())
    with readable(file) as path, pq.ParquetFile(path) as opened:
        held = set(opened.schema_arrow.names)
        for number in range(opened.num_row_groups):
            rows = opened.read_row_group(number, columns=sorted(wanted & held), use_threads=False)
            second = _seconds(rows, day)
            mask = pc.and_(
                pc.is_in(pc.divide(second, 3600), pa.array(sorted(hours), pa.int64())), _counts(rows, newest)
            )
            kept = rows.filter(mask)
            if kept.num_rows:
                taken = {name: _column(kept, name) for name in columns}
                yield pa.table({SECOND: second.filter(mask), **taken})


def _seconds(rows: pa.Table, day: date) -> pa.ChunkedArray:
    """Seconds since the start of the day, within it."""
    start_us = int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000
    passed = pc.divide(pc.subtract(rows["date"].cast(pa.int64()), start_us), 1_000_000)
    inside = pc.min_element_wise(pc.max_element_wise(passed, 0), _DAY_S - 1)
    return pc.fill_null(inside, 0).cast(pa.int64())


def _counts(rows: pa.Table, newest: Mapping[str, int]) -> pa.ChunkedArray:
    """Which rows are those of their crash that count."""
    first = pc.equal(rows["revision"], 0)
    if not newest:
        return first
    revised = pc.is_in(rows["uuid"], pa.array(list(newest), pa.string()))
    if not pc.any(revised).as_py():
        return first
    pairs = zip(rows["uuid"].to_pylist(), rows["revision"].to_pylist(), strict=True)
    return pa.chunked_array([pa.array([newest.get(uuid, 0) == revision for uuid, revision in pairs])])


def _column(rows: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    if name.startswith(OWN):
        if _MAP not in rows.column_names:
            return pa.nulls(rows.num_rows, pa.string())
        return pc.map_lookup(rows[_MAP], name.removeprefix(OWN), "first")
    return rows[name] if name in rows.column_names else pa.nulls(rows.num_rows)
