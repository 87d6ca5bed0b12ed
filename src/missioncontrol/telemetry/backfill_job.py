"""A backfill as a run: day after day, noted as it goes, gone on with where it was stopped.

One process at a time does the same; another is refused. A day that fails does not stop the days after it, unless
there is no room left. Never decides what a day consists of (see `backfill`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Protocol

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import BadRequest, MissionControlError, StorageFull
from missioncontrol.file_lock import try_lock
from missioncontrol.state.runs import SEEN_EVERY_S, BuiltDay, Origin, Run, Runs, Status
from missioncontrol.telemetry.backfill import Backfill, DayReport
from missioncontrol.telemetry.backfill_plan import CRASHES, JOB, Plan, arguments
from missioncontrol.telemetry.backfill_scope import Held


class Watcher(Protocol):
    """Is told how a backfill goes on."""

    def begins(self, days: dict[date, int], done: int) -> None:
        """Before the first day: pings to be read of each; `done` days are left out, an earlier attempt made them."""

    def read(self, pings: int) -> None:
        """So many more pings were read."""

    def made(self, report: DayReport) -> None:
        """A day is in the tables."""

    def failed(self, day: date, error: MissionControlError) -> None:
        """A day is as it was."""


class BackfillJob:
    """Runs plans. Use it as a context manager."""

    def __init__(self, data: Path, backfill: Backfill, runs: Runs, revision: str) -> None:
        self._data, self._backfill, self._runs, self._revision = data, backfill, runs, revision

    def __enter__(self) -> BackfillJob:
        return self

    def __exit__(self, *_: object) -> None:
        self._backfill.close()

    def run(self, plan: Plan, watcher: Watcher, origin: Origin = "command") -> bool:
        """Make the plan's days again; False when some failed.

        Raises `BadRequest` (`already_running`) and, after noting it, whatever stops the run as a whole.
        """
        with _alone(self._data, plan):
            run = self._runs.start(JOB, arguments(plan), origin, utc(system_clock()))
            try:
                failures = self._days(run, plan, watcher)
            except MissionControlError as error:
                self._finish(run, "failed", f"{error.code}: {error.message}")
                raise
            except BaseException as error:
                self._finish(run, "stopped", type(error).__name__)
                raise
            self._finish(run, "failed" if failures else "done", " ".join(failures))
            return not failures

    def _days(self, run: Run, plan: Plan, watcher: Watcher) -> list[str]:
        days = self._backfill.days(plan)
        done = self._done(run, plan)
        watcher.begins(
            {day: pings for day, pings in days.items() if day not in done}, len(done & days.keys())
        )
        failures = []
        before = {built.day: Held(built.pings, built.counting) for built in self._runs.built_days(CRASHES)}
        for day in days:
            if day in done:
                continue
            try:
                seen = _Seen(self._runs, run, watcher)
                report = self._backfill.run_day(plan, day, seen, before.get(day, Held(0, 0)))
            except StorageFull:
                raise
            except MissionControlError as error:
                failures.append(f"{day}: {error.code}: {error.message}")
                watcher.failed(day, error)
                continue
            self._note(run, plan, report)
            watcher.made(report)
        return failures

    def _done(self, run: Run, plan: Plan) -> set[date]:
        """The days that an earlier attempt of the same run has made, of every table, under the registry of now."""
        if run.attempts < 2:
            return set()
        made: dict[date, set[str]] = {}
        for built in self._runs.built_days(run_id=run.id):
            if built.revision == self._revision:
                made.setdefault(built.day, set()).add(built.table_name)
        return {day for day, tables in made.items() if tables >= set(plan.tables)}

    def _note(self, run: Run, plan: Plan, report: DayReport) -> None:
        now = utc(system_clock())
        self._runs.built(
            [
                BuiltDay(
                    table, report.day, run.id, plan.rules if table == CRASHES else "", self._revision,
                    report.archived[table], report.counting, report.rows.get(table, 0), report.duration_s, now,
                )
                for table in plan.tables
            ]
        )  # fmt: skip

    def _finish(self, run: Run, status: Status, message: str) -> None:
        self._runs.finish(run, status, message, utc(system_clock()))


class _Seen:
    """Passes progress on, and says now and then that the run is still there."""

    def __init__(self, runs: Runs, run: Run, watcher: Watcher) -> None:
        self._runs, self._run, self._watcher = runs, run, watcher
        self._last = time.monotonic()

    def __call__(self, pings: int) -> None:
        self._watcher.read(pings)
        if time.monotonic() - self._last > SEEN_EVERY_S:
            self._last = time.monotonic()
            self._runs.seen(self._run, utc(system_clock()))


@contextmanager
def _alone(data: Path, plan: Plan) -> Iterator[None]:
    """No other process works on the same plan; the lock ends with the process."""
    folder = data / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.blake2b(arguments(plan).encode(), digest_size=16).hexdigest()
    with (folder / f"{name}.lock").open("w") as lock:
        if not try_lock(lock):
            hint = "Wait for it, or stop that process."
            raise BadRequest("already_running", "Another process makes the same days right now.", hint)
        yield
