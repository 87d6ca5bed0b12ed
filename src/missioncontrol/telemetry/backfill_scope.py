"""Which files of tables and archive belong to a day of a backfill, and when the archive is too little to make it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, timedelta
from typing import TypeVar

import msgspec
import pyarrow.compute as pc

from missioncontrol.errors import BadRequest, StorageError
from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.merge import opened
from missioncontrol.lake.plan import day as partition_day
from missioncontrol.lake.retention import discarded_rows
from missioncontrol.lake.snapshot import FileRef, Snapshot
from missioncontrol.telemetry.backfill_plan import INCOMPLETE, INCOMPLETE_CAUSE, Plan, incomplete_command

T = TypeVar("T")

_AT_ONCE = 16
_PINGS_COUNTED = {"error_aggregates": "count", "usage_by_activity": "starts"}
"""Columns whose sum is at most the number of pings."""


def days_of(file: FileRef, plan: Plan) -> set[date]:
    """The days of the plan that a file of the archive has pings for."""
    days = {partition_day(file.partition)} if plan.of_crashes else set()
    if plan.of_stream:
        days |= _received_days(file)
    return {day for day in days if plan.first <= day <= plan.last}


def of_each(do: Callable[[FileRef], T], files: Sequence[FileRef]) -> list[T]:
    """What is done with each file, in their order; several at once, since on S3 each takes some requests."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(do, files))


def files_of(snapshot: Snapshot, day: date) -> list[FileRef]:
    """The files of a day of a table; counts of crash reports are none of what pings make."""
    return [f for f in snapshot.files if partition_day(f.partition) == day and kind_of(f.path) != "reports"]


def refuse_incomplete(plan: Plan, snapshot: Snapshot, day: date, archived: int) -> None:
    """Refuse to replace what could not be made again: rows of pings that the archive does not have.

    `archived`: pings received on the day. Raises `BadRequest` (`archive_incomplete`) and `StorageError`
    (`lake_file_missing`).
    """
    column = _PINGS_COUNTED.get(snapshot.table)
    try:
        counted = _total(files_of(snapshot, day), column) if column else 0
    except FileNotFoundError as error:
        message = f"{day}: a file of {snapshot.table} is gone: {error.filename or error}."
        raise StorageError(
            "lake_file_missing", message, "Restore it from a backup, or make the day again with --incomplete."
        ) from None
    if counted > archived:
        text = f"{snapshot.table} counts {counted:,} pings, the archive holds {archived:,} of them."
        raise _too_little(plan, day, text)


class Held(msgspec.Struct, frozen=True):
    """What the archive holds of the pings submitted on a day."""

    pings: int
    counting: int
    """Of these: that counted when they came, or do so in crash_aggregates."""


def counted_when_they_came(archive: Snapshot, day: date) -> int:
    """How many archived pings of the day were not discarded on arrival."""
    files = files_of(archive, day)
    return sum(file.rows for file in files) - sum(of_each(discarded_rows, files))


def refuse_shrunk(plan: Plan, day: date, left: Held, before: Held) -> None:
    """Refuse to make crash_aggregates from an archive that lost pings that counted in it.

    Pings that never counted leave the archive earlier and are not missed; other rules may count fewer of the same
    archive. Raises `BadRequest` (`archive_incomplete`).
    """
    if left.pings < before.pings and left.counting < before.counting:
        made_of = f"crash_aggregates was made of {before.counting:,} pings that count"
        text = f"{made_of}, the archive holds {left.counting:,} of them."
        raise _too_little(plan, day, text)


def _too_little(plan: Plan, day: date, text: str) -> BadRequest:
    command = incomplete_command(plan, day, day)
    return BadRequest(INCOMPLETE, text, f"{INCOMPLETE_CAUSE} To replace the day anyway: {command}")


def _received_days(file: FileRef) -> set[date]:
    """The days on which the pings of a file arrived; mostly one, so that the file need not be opened."""
    if file.first_window and file.last_window:
        first, last = (w.astimezone(UTC).date() for w in (file.first_window, file.last_window))
        if last - first <= timedelta(days=1):
            return {first, last}
    with opened(file) as parquet:
        times = parquet.read(["window_start"], use_threads=False)["window_start"]
    return {moment.astimezone(UTC).date() for moment in pc.unique(times).to_pylist()}


def _total(files: list[FileRef], column: str) -> int:
    total = 0
    for file in files:
        with opened(file) as parquet:
            if column in parquet.schema_arrow.names:
                total += pc.sum(parquet.read([column], use_threads=False)[column]).as_py() or 0
    return total
