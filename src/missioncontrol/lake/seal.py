"""Sealing: the archive's bodies are kept unpacked, so that zstd finds what pings have in common.

Files of a day that is over become sealed ones, of counted pings and of discarded pings, each swapped in by
one atomic commit (see `swap`). A body is kept unpacked only where `packing` can give it back byte for byte;
every other one is kept as it was sent. What is sealed is not looked at again, but small sealed files are
merged. Holds a few row groups in memory, whatever a body claims to hold. Flow: snapshot -> plan -> row
groups -> sealed row groups -> commit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from missioncontrol.clock import Clock, system_clock
from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import StagedFile
from missioncontrol.lake.compaction import Compacted, Progress
from missioncontrol.lake.durability import flush
from missioncontrol.lake.filenames import Kind, kind_of
from missioncontrol.lake.merge import readable
from missioncontrol.lake.packing import Packer
from missioncontrol.lake.parquet import (
    ARROW_TYPES,
    SEALED_GROUP_BYTES,
    SEALED_LEVEL,
    PartFile,
    conform,
    sort,
)
from missioncontrol.lake.place import fetch, place_of
from missioncontrol.lake.plan import Merge, bins, grown, partitions, ripe_tiers
from missioncontrol.lake.settled import is_over, is_quiet
from missioncontrol.lake.snapshot import LakeReader, Snapshot
from missioncontrol.lake.swap import swap
from missioncontrol.lake.tables import Column

TABLE = "pings"
MOST_BYTES = 8 * 1024 * 1024
"""A body that holds more is kept as it was sent."""
_ATTEMPTS = 10
_PACKING: tuple[tuple[str, pa.DataType], ...] = (
    ("packing", pa.string()),
    ("sent_bytes", pa.int64()),
    ("sent_crc32", pa.int64()),
)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)


class _StoppedError(Exception):
    pass


def seal(
    lake: LakePlace | Path,
    cache_path: Path,
    target_file_bytes: int,
    clock: Clock = system_clock,
    full: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    most_bytes: int = MOST_BYTES,
) -> list[Compacted]:
    """Seal the archive's days that are over and quiet; with `full` every day, and merge what is sealed already.

    An empty list when there is nothing to do. Raises `StorageError` and `StorageFull`; what was sealed before
    stays. `stop` ends it within a row group; the file under way is given up.
    """
    snapshot = LakeReader(lake, cache_path).snapshot(TABLE)
    merges = sealings(snapshot, target_file_bytes, clock, full)
    packer = Packer(most_bytes)
    done: list[Compacted] = []
    failure: StorageError | None = None
    for merge in merges:
        assert snapshot is not None
        try:
            done.append(_seal(place_of(lake), snapshot.columns, merge, packer, stop))
        except StorageError as error:
            failure = failure or error
            continue
        except FileNotFoundError:
            continue  # The snapshot is older than a vacuum: another process has merged these files.
        except _StoppedError:
            break
        if progress:
            progress(done[-1], len(done), len(merges))
    if failure:
        raise failure
    return done


def sealings(
    snapshot: Snapshot | None, target_bytes: int, clock: Clock = system_clock, full: bool = False
) -> list[Merge]:
    """What there is to seal now, and the sealed files worth merging; opens no file.

    Empty for a table from before there was sealing, until it has the columns that it needs.
    """
    if snapshot is None or not {name for name, _ in _PACKING} <= {c.name for c in snapshot.columns}:
        return []
    merges: list[Merge] = []
    for partition, files in partitions(snapshot):
        if not full and not is_over(partition, clock):
            continue
        fresh = [f for f in files if not kind_of(f.path)]
        if full or is_quiet(fresh, clock):
            fresh.sort(key=lambda f: (f.first_window or _FIRST, f.path))
            merges += [Merge(partition, tuple(group)) for group in bins(fresh, target_bytes)]
        for kind in ("sealed", "discarded"):
            small = [f for f in files if kind_of(f.path) == kind and not grown(f, target_bytes)]
            small.sort(key=lambda f: f.size_bytes)
            for group in [small] if full else ripe_tiers(small):
                merges += [Merge(partition, tuple(b)) for b in bins(group, target_bytes) if len(b) > 1]
    return merges


def _seal(
    place: LakePlace,
    columns: Sequence[Column],
    merge: Merge,
    packer: Packer,
    stop: threading.Event | None,
) -> Compacted:
    staged = _write(place, columns, merge, packer, stop)
    flush(place, staged)
    return Compacted(
        table=TABLE,
        partition=merge.partition,
        files=len(merge.files),
        rows_before=sum(f.rows for f in merge.files),
        rows_after=sum(f.rows for f in staged),
        bytes_before=sum(f.size_bytes for f in merge.files),
        bytes_after=sum(f.size_bytes for f in staged),
        # Most commits that come between are appends and merges of other days: only the swap is repeated.
        committed=swap(place, TABLE, staged, merge.files, attempts=_ATTEMPTS),
    )


def _write(
    place: LakePlace,
    columns: Sequence[Column],
    merge: Merge,
    packer: Packer,
    stop: threading.Event | None,
) -> list[StagedFile]:
    """The rows of the files in one file for each kind that there is; none is left behind after an error."""
    fetch(merge.files)
    with ExitStack() as stack:
        kinds: tuple[Kind, Kind] = ("sealed", "discarded")
        parts = {k: stack.enter_context(_Part(place, columns, merge, k)) for k in kinds}
        for rows in _row_groups(merge, columns):
            for piece in _unpacked(rows, packer):
                if stop is not None and stop.is_set():
                    raise _StoppedError
                counted = pc.is_null(piece["discarded"])
                parts["sealed"].add(piece.filter(counted))
                parts["discarded"].add(piece.filter(pc.invert(counted)))
        return [staged for part in parts.values() for staged in part.finished()]


class _Part:
    """A sealed file that is being written: rows are gathered until they make a row group."""

    def __init__(self, place: LakePlace, columns: Sequence[Column], merge: Merge, kind: Kind) -> None:
        self._columns = columns
        self._file = PartFile(place, TABLE, merge.partition, SEALED_LEVEL, kind)
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self._rows = 0

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def add(self, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        self._waiting.append(conform(TABLE, self._columns, rows))
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= SEALED_GROUP_BYTES:
            self._flush()

    def finished(self) -> list[StagedFile]:
        """The file, if there are rows for it."""
        if self._waiting:
            self._flush()
        return [self._file.staged()] if self._rows else []

    def _flush(self) -> None:
        rows = sort(TABLE, pa.concat_tables(self._waiting, promote_options="default"))
        self._waiting, self._waiting_bytes = [], 0
        self._rows += rows.num_rows
        self._file.write(rows)


def _row_groups(merge: Merge, columns: Sequence[Column]) -> Iterator[pa.Table]:
    """The rows of the files with all columns of the table: what a file lacks is null."""
    partitioned = dict(merge.partition)
    wanted = [(c.name, ARROW_TYPES[c.type]) for c in columns if c.name not in partitioned]
    for ref in merge.files:
        with readable(ref) as path, pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number, use_threads=False)
                for name, kind in wanted:
                    if name not in rows.column_names:
                        rows = rows.append_column(name, pa.nulls(rows.num_rows, kind))
                yield rows


def _unpacked(rows: pa.Table, packer: Packer) -> Iterator[pa.Table]:
    """The rows with their bodies unpacked where that can be undone, in pieces of about a row group."""
    bodies: list[Any] = []
    packings: list[tuple[str | None, int | None, int | None]] = []
    start = size = 0
    known = rows.select(["encoding", *(name for name, _ in _PACKING)]).to_pylist()
    for index, (body, before) in enumerate(zip(_buffers(rows["body"]), known, strict=True)):
        kept, packing = _row(body, before, packer)
        bodies.append(kept)
        packings.append(packing)
        size += len(kept or b"")
        if size >= SEALED_GROUP_BYTES or index == rows.num_rows - 1:
            yield _with(rows.slice(start, len(bodies)), bodies, packings)
            bodies, packings, start, size = [], [], index + 1, 0


def _row(
    body: memoryview | None, before: dict[str, Any], packer: Packer
) -> tuple[bytes | memoryview | None, tuple[str | None, int | None, int | None]]:
    if before["packing"] is not None:
        return body, (before["packing"], before["sent_bytes"], before["sent_crc32"])
    found = None if body is None else packer.unpacked(body, before["encoding"] or "")
    if found is None:
        return body, (None, None, None)
    return found.content, (found.packing, found.sent_bytes, found.sent_crc32)


def _buffers(bodies: pa.ChunkedArray) -> Iterator[memoryview | None]:
    for body in bodies:
        buffer = body.as_buffer()
        # Arrow says signed bytes, which are never equal to those of `bytes`.
        yield None if buffer is None else memoryview(buffer).cast("B")


def _with(
    rows: pa.Table,
    bodies: list[Any],
    packings: list[tuple[str | None, int | None, int | None]],
) -> pa.Table:
    for (name, kind), values in zip(_PACKING, zip(*packings, strict=True), strict=True):
        rows = _set(rows, name, pa.array(values, kind))
    return _set(rows, "body", pa.array(bodies, pa.binary()))


def _set(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)
