"""Care of the lake: compaction, folding, sealing, rollups and vacuum in turn, in the background or on command.

Never changes what a query returns and never stops for one table's trouble: it is reported, and tried again
next time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path

import msgspec
import structlog

from missioncontrol.clock import Clock, system_clock
from missioncontrol.config import Lake, LakePlace, Retention
from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.lake.compaction import Compacted, Progress, compact
from missioncontrol.lake.folding import Folding
from missioncontrol.lake.locks import caring
from missioncontrol.lake.plan import kept_days, oldest_day
from missioncontrol.lake.rollup import TABLE, Rolled, refresh_rollups
from missioncontrol.lake.seal import TABLE as ARCHIVE
from missioncontrol.lake.seal import seal, sealings
from missioncontrol.lake.seal_process import SealProcess
from missioncontrol.lake.snapshot import LakeReader, Snapshot
from missioncontrol.lake.tables import CRASHES, SHAPES, LakeTable, lake_tables
from missioncontrol.lake.vacuum import Vacuumed, vacuum
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.model import Registry

_log = structlog.get_logger(__name__)

_LIST_S = 300.0


class Trouble(msgspec.Struct, frozen=True):
    """A table that could not be cared for."""

    table: str
    code: str
    message: str


class CareReport(msgspec.Struct, frozen=True):
    """What one turn did."""

    compacted: tuple[Compacted, ...] = ()
    rolled: Rolled = Rolled(0, 0)
    vacuumed: tuple[Vacuumed, ...] = ()
    """Only tables of which something was deleted."""
    troubles: tuple[Trouble, ...] = ()


class TableFacts(msgspec.Struct, frozen=True):
    """A table as `lake tables` shows it."""

    name: str
    title: str
    rows: int
    files: int
    size_bytes: int
    version: int
    first_window: datetime | None
    last_window: datetime | None
    oldest_day: date | None = None
    """Oldest submission date."""
    days_kept: int = 0
    """Days after which rows leave; 0: never."""


class LakeCare:
    """Cares for all tables of one lake in turn, while any number of readers and writers go on."""

    def __init__(
        self,
        lake: LakePlace | Path,
        cache_path: Path,
        registry_source: Callable[[], Registry],
        settings: Lake,
        clock: Clock = system_clock,
    ) -> None:
        self._lake, self._cache_path = lake, cache_path
        self._registry_source, self._settings, self._clock = registry_source, settings, clock
        # One for all turns: to open a table on S3 takes many requests.
        self._reader = LakeReader(lake, cache_path)
        self._vacuum_at: dict[str, float] = {}
        self._sealing = SealProcess(lake, cache_path, settings.target_file_bytes)
        self._folding = Folding(lake, cache_path, clock)

    def run(self, stop: threading.Event) -> None:
        """Take turns until `stop` is set, `compact_interval_s` apart; waits while another process does."""
        while not stop.wait(self._settings.compact_interval_s):
            try:
                with caring(self._lake) as alone:
                    if alone:
                        self._run_alone(stop)
            except MissionControlError as error:
                _log.error("lake_care_failed", code=error.code, message=error.message)
            except Exception:
                _log.exception("lake_care_failed")
        self._sealing.stop()

    def _run_alone(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.run_once(stop)
            except Exception:
                _log.exception("lake_care_failed")
            stop.wait(self._settings.compact_interval_s)

    def run_once(self, stop: threading.Event | None = None) -> CareReport:
        """One turn over all tables; what fails for one is in the report. `stop` ends it after the next merge."""
        turn = _Turn(stop or threading.Event())
        for table in lake_tables(self._registry_source()).values():
            if table.name == CRASHES:
                self._step(turn, table.name, partial(self._fold, turn))
            self._step(turn, table.name, partial(self._compact, turn, table))
            if table.name == ARCHIVE and self._settings.seal_archive:
                self._step(turn, table.name, partial(self._seal, turn))
            self._step(turn, table.name, partial(self._vacuum, turn, table))
            if table.name == TABLE:
                self._step(turn, table.name, partial(self._roll, turn, table))
        return turn.report()

    def _step(self, turn: _Turn, table: str, step: Callable[[], None]) -> None:
        if turn.stop.is_set():
            return
        try:
            step()
        except MissionControlError as error:
            _log.warning("lake_care_trouble", table=table, code=error.code, message=error.message)
            turn.troubles.append(Trouble(table, error.code, error.message))

    def _compact(self, turn: _Turn, table: LakeTable) -> None:
        target = self._settings.target_file_bytes
        turn.compacted += compact(
            self._lake,
            self._cache_path,
            table,
            target,
            self._clock,
            stop=turn.stop,
            leave_settled=table.name == ARCHIVE and self._settings.seal_archive,
            reader=self._reader,
        )

    def _fold(self, turn: _Turn) -> None:
        turn.compacted += self._folding.run(stop=turn.stop)

    def _seal(self, turn: _Turn) -> None:
        """Hear what the child did since the last turn; start one when there is something to do."""
        report = self._sealing.report()
        if report is not None:
            turn.compacted += report.done
            if report.code:
                raise StorageError(report.code, report.message)
        snapshot = self._reader.snapshot(ARCHIVE)
        if sealings(snapshot, self._settings.target_file_bytes, self._clock):
            self._sealing.start()

    def _vacuum(self, turn: _Turn, table: LakeTable) -> None:
        after_s = self._settings.vacuum_after_s
        if self._settings.url:
            # It lists all objects of the table, and none is deleted soon.
            now_s = self._clock() / 1e9
            if now_s < self._vacuum_at.get(table.name, 0.0):
                return
            self._vacuum_at[table.name] = now_s + min(_LIST_S, after_s)
        vacuumed = vacuum(self._lake, self._cache_path, table.name, after_s, self._clock, self._reader)
        if vacuumed.files:
            turn.vacuumed.append(vacuumed)

    def _roll(self, turn: _Turn, table: LakeTable) -> None:
        turn.rolled = refresh_rollups(self._lake, self._cache_path, table, reader=self._reader)


def table_facts(
    lake: LakePlace | Path, cache_path: Path, retention: Retention = Retention()
) -> list[TableFacts]:
    """Every table that exists, in the order of the documentation."""
    reader = LakeReader(lake, cache_path)
    snapshots = [(shape, reader.snapshot(name)) for name, shape in SHAPES.items()]
    return [
        _facts(shape.title, snapshot, kept_days(retention, shape.name))
        for shape, snapshot in snapshots
        if snapshot is not None
    ]


def compact_now(
    lake: LakePlace | Path,
    cache_path: Path,
    registry: Registry,
    settings: Lake,
    progress: Progress | None = None,
) -> list[Compacted]:
    """Fold crashes, merge every partition, today's too, as far as `target_file_bytes` allows; then make the rollups.

    The archive is sealed instead, where the settings say that it is to be.
    """
    done = Folding(lake, cache_path).run(full=True)
    tables = lake_tables(registry)
    for table in tables.values():
        target = settings.target_file_bytes
        if table.name == ARCHIVE and settings.seal_archive:
            if LakeReader(lake, cache_path).snapshot(ARCHIVE) is not None:
                LakeWriter(lake).ensure(registry)  # a lake of an earlier version lacks columns
            done += seal(lake, cache_path, target, full=True, progress=progress)
            continue
        done += compact(lake, cache_path, table, target, full=True, progress=progress)
    refresh_rollups(lake, cache_path, tables[TABLE])
    return done


def vacuum_now(lake: LakePlace | Path, cache_path: Path, settings: Lake) -> list[Vacuumed]:
    """Delete what `vacuum_after_s` allows to delete now, of every table that exists."""
    return [vacuum(lake, cache_path, name, settings.vacuum_after_s) for name in SHAPES]


class _Turn:
    """What a turn has done so far."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.compacted: list[Compacted] = []
        self.rolled = Rolled(0, 0)
        self.vacuumed: list[Vacuumed] = []
        self.troubles: list[Trouble] = []

    def report(self) -> CareReport:
        return CareReport(tuple(self.compacted), self.rolled, tuple(self.vacuumed), tuple(self.troubles))


def _facts(title: str, snapshot: Snapshot, days_kept: int) -> TableFacts:
    firsts = [f.first_window for f in snapshot.files if f.first_window]
    lasts = [f.last_window for f in snapshot.files if f.last_window]
    return TableFacts(
        name=snapshot.table,
        title=title,
        rows=sum(f.rows for f in snapshot.files),
        files=len(snapshot.files),
        size_bytes=sum(f.size_bytes for f in snapshot.files),
        version=snapshot.version,
        first_window=min(firsts, default=None),
        last_window=max(lasts, default=None),
        oldest_day=oldest_day(snapshot),
        days_kept=days_kept,
    )
