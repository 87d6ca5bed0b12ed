"""Retention: days that are older than a table keeps leave it, and of the archive old discarded pings before them.

Whole files leave in one commit a table; readers that hold a snapshot still find them until vacuum deletes
them, and rollups go with their files. Commits carry the transaction of all rewriters, so that a merge of the
same files at the same time is lost, never the removal. Never deletes a file and never trusts a clock alone
(see `calendar_guard`). Flow: snapshot -> what is too old -> commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pyarrow.compute as pc
import structlog

from missioncontrol.clock import Clock, system_clock, utc_date
from missioncontrol.config import LakePlace, Retention
from missioncontrol.errors import StorageError
from missioncontrol.lake.calendar_guard import doubt
from missioncontrol.lake.filenames import kind_of
from missioncontrol.lake.merge import opened
from missioncontrol.lake.place import place_of, uri
from missioncontrol.lake.plan import day, kept_days
from missioncontrol.lake.sifting import sifted
from missioncontrol.lake.snapshot import FileRef, LakeReader, Snapshot
from missioncontrol.lake.swap import swap
from missioncontrol.lake.tables import CRASHES, REVISIONS, SHAPES

ARCHIVE = "pings"
DISCARDED = "pings_discarded"
"""The setting for the archive's discarded pings, and their name in `Expired`."""
_ATTEMPTS = 10
_log = structlog.get_logger(__name__)


class Expired(msgspec.Struct, frozen=True):
    """What left, or would leave, a table."""

    table: str
    """Or `pings_discarded`: the discarded pings of the archive."""
    days: int
    """How many the table keeps."""
    before: date
    """Rows of days before this one leave."""
    files: int
    rows: int
    size_bytes: int


def expire(
    lake: LakePlace | Path,
    cache_path: Path,
    settings: Retention,
    clock: Clock = system_clock,
    as_of: date | None = None,
    dry_run: bool = False,
) -> list[Expired]:
    """Take the days out of each table that it keeps no longer; one entry for each table that loses rows.

    With `dry_run` only say what would go. Days are counted to the clock's day, UTC, or to `as_of`, which is
    taken as it is. Raises `StorageError` (`retention_clock`) when the clock cannot be believed, and then
    nothing goes; `StorageError` and `StorageFull` for a table, after the others had their turn.
    """
    tables = _Lake(place_of(lake), LakeReader(lake, cache_path), settings)
    today = as_of or utc_date(clock())
    if as_of is None and not dry_run and (why := doubt(cache_path, tables.newest(), today)):
        if tables.expire(today, dry_run=True):
            raise clock_refusal(why, today)
        return []
    return tables.expire(today, dry_run)


def clock_doubt(lake: LakePlace | Path, cache_path: Path, clock: Clock = system_clock) -> str:
    """Why `expire()` would refuse the clock, if there were something to remove; the empty text: it would not."""
    tables = _Lake(place_of(lake), LakeReader(lake, cache_path), Retention())
    return doubt(cache_path, tables.newest(), utc_date(clock()), remember=False)


def clock_refusal(why: str, today: date) -> StorageError:
    """The error of whoever would delete by a clock that cannot be believed; `why` is what `clock_doubt()` says."""
    _log.warning("retention_clock_doubted", today=str(today), reason=why)
    return StorageError(
        "retention_clock",
        f"{why} Nothing was removed.",
        "Set the clock. If it is right: it is believed once this has run on three days; or say the day, "
        f"`lake expire --as-of {today}`.",
    )


class _Lake:
    """The tables, and how long they are kept."""

    def __init__(self, place: LakePlace, reader: LakeReader, settings: Retention) -> None:
        self._place, self._reader, self._settings = place, reader, settings

    def newest(self) -> date | None:
        """The day of the newest rows of any table."""
        snapshots = (self._reader.snapshot(name) for name in SHAPES)
        return max((day(f.partition) for s in snapshots if s is not None for f in s.files), default=None)

    def expire(self, today: date, dry_run: bool) -> list[Expired]:
        expired: list[Expired] = []
        failure: StorageError | None = None
        for table in SHAPES:
            for step in (self._days, self._discarded):
                try:
                    gone = step(table, today, dry_run)
                except StorageError as error:
                    failure = failure or error
                    continue
                expired += [gone] if gone is not None else []
        if failure:
            raise failure
        return expired

    def _days(self, table: str, today: date, dry_run: bool) -> Expired | None:
        """Whole days of one table."""
        days = kept_days(self._settings, table)
        limit = _limit(days, today)

        def doomed(snapshot: Snapshot) -> list[FileRef]:
            old = _older(snapshot, limit)
            if table != REVISIONS or dry_run or not old:
                return old
            # Without its revisions every row that a crash ever had would count.
            crashes = self._reader.snapshot(CRASHES)
            needed = {day(f.partition) for f in crashes.files} if crashes is not None else set()
            return [f for f in old if day(f.partition) not in needed]

        return self._remove(table, dry_run, doomed, (table, days, limit))

    def _discarded(self, table: str, today: date, dry_run: bool) -> Expired | None:
        """Discarded pings that are older than they are kept, in days that stay."""
        days = self._settings.pings_discarded
        if table != ARCHIVE or not days:
            return None
        limit, kept_from = _limit(days, today), _limit(self._settings.pings, today)
        label = (DISCARDED, days, limit)

        def of_kind(snapshot: Snapshot | None, kind: str) -> list[FileRef]:
            old = _older(snapshot, limit) if snapshot is not None else []
            return [f for f in old if kind_of(f.path) == kind and day(f.partition) >= kept_from]

        whole = self._remove(table, dry_run, lambda snapshot: of_kind(snapshot, "discarded"), label)
        mixed = of_kind(self._reader.snapshot(table), "")
        parts = [whole, *(_sift(self._place, file, label, dry_run) for file in mixed)]
        return _total([part for part in parts if part is not None])

    def _remove(
        self,
        table: str,
        dry_run: bool,
        doomed: Callable[[Snapshot], list[FileRef]],
        label: tuple[str, int, date],
    ) -> Expired | None:
        """Take whole files out, in one commit; looked at anew when another rewriter was faster."""
        for _ in range(_ATTEMPTS):
            snapshot = self._reader.snapshot(table)
            files = doomed(snapshot) if snapshot is not None else []
            if not files:
                return None
            if dry_run or swap(self._place, table, [], files, data_change=True, attempts=_ATTEMPTS):
                rows, size_bytes = sum(f.rows for f in files), sum(f.size_bytes for f in files)
                return Expired(*label, len(files), rows, size_bytes)
        raise StorageError(
            "lake_conflict",
            f"Old days stay in {uri(self._place, table)}: other commits were faster {_ATTEMPTS} times.",
            "It is tried again tomorrow, or by `lake expire`.",
        )


def _sift(place: LakePlace, file: FileRef, label: tuple[str, int, date], dry_run: bool) -> Expired | None:
    """Rewrite a file without its discarded pings; None when it has none, or is being merged meanwhile."""
    try:
        rows = discarded_rows(file)
        if not rows:
            return None
        if dry_run:
            return Expired(*label, 1, rows, file.size_bytes * rows // max(1, file.rows))
        staged, _ = sifted(place, ARCHIVE, file, lambda pings: pc.is_null(pings["discarded"]))
    except FileNotFoundError:
        return None
    if not swap(place, ARCHIVE, staged, [file], data_change=True, attempts=_ATTEMPTS):
        return None
    return Expired(*label, 1, rows, file.size_bytes - sum(one.size_bytes for one in staged))


def discarded_rows(file: FileRef) -> int:
    """How many discarded pings a file of the archive holds."""
    with opened(file) as parquet:
        if "discarded" not in parquet.schema_arrow.names:
            return 0
        column = parquet.read(columns=["discarded"], use_threads=False)["discarded"]
        return int(len(column) - column.null_count)


def _limit(days: int, today: date) -> date:
    """The first day that is kept."""
    return today - timedelta(days=days) if 0 < days < today.toordinal() else date.min


def _older(snapshot: Snapshot, limit: date) -> list[FileRef]:
    return [f for f in snapshot.files if day(f.partition) < limit]


def _total(parts: Sequence[Expired]) -> Expired | None:
    if not parts:
        return None
    return msgspec.structs.replace(
        parts[0],
        files=sum(p.files for p in parts),
        rows=sum(p.rows for p in parts),
        size_bytes=sum(p.size_bytes for p in parts),
    )
