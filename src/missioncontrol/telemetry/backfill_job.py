"""A backfill as a run: day after day, noted as it goes, gone on with where it was stopped.

One process at a time does the same; another is refused. A day that fails does not stop the days after it, unless
there is no room left. Never decides what a day consists of (see `backfill`).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Protocol

import structlog

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import BadRequest, MissionControlError, StorageFull
from missioncontrol.file_lock import try_lock
from missioncontrol.state.runs import SEEN_EVERY_S, BuiltDay, Origin, Run, Runs, Status
from missioncontrol.telemetry.backfill import Backfill, DayReport
from missioncontrol.telemetry.backfill_plan import (
    CRASHES,
    INCOMPLETE,
    JOB,
    Plan,
    arguments,
    stopped_words,
)
from missioncontrol.telemetry.backfill_scope import Held

logger = structlog.get_logger()


class Watcher(Protocol):
    """Is told how a backfill goes on."""

    def begins(self, days: dict[date, int], done: frozenset[date]) -> None:
        """Before the first day: pings to be read of each. An earlier attempt has made `done`, which are left out."""

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
            progress = _Progress(self._runs, run)
            try:
                with _beating(self._runs, run):
                    failures = self._days(run, plan, watcher, progress)
            except KeyboardInterrupt:
                self._finish(run, "stopped", stopped_words(progress.made, progress.days))
                raise
            except MissionControlError as error:
                self._finish(run, "failed", f"{error.code}: {_said(error)}")
                raise
            except BaseException as error:
                self._finish(run, "failed", f"unexpected: {type(error).__name__}: {error}".rstrip(": "))
                raise
            self._finish(run, "failed" if failures else "done", " ".join(failures))
            return not failures

    def _days(self, run: Run, plan: Plan, watcher: Watcher, progress: _Progress) -> list[str]:
        days = self._backfill.days(plan)
        done = frozenset(self._done(run, plan) & days.keys())
        watcher.begins({day: pings for day, pings in days.items() if day not in done}, done)
        progress.begins(len(days), len(done))
        failures = []
        before = {built.day: Held(built.pings, built.counting) for built in self._runs.built_days(CRASHES)}
        for day in days:
            if day in done:
                continue
            try:
                report = self._backfill.run_day(plan, day, watcher.read, before.get(day, Held(0, 0)))
            except StorageFull:
                raise
            except MissionControlError as error:
                failures.append(f"{day}: {error.code}: {_said(error)}")
                watcher.failed(day, error)
                continue
            self._note(run, plan, report)
            progress.day(bool(report.rows))
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
        for data in (os.path.realpath(self._data), str(self._data)):  # as it is read beside the data folder
            message = message.replace(data.rstrip(os.sep) + os.sep, "")
        self._runs.finish(run, status, message, utc(system_clock()))


class _Progress:
    """Counts the days of a run, and notes it."""

    def __init__(self, runs: Runs, run: Run) -> None:
        self._runs, self._run = runs, run
        self.days: int | None = None
        self.made = 0

    def begins(self, days: int, made: int) -> None:
        self.days, self.made = days, made
        self._note()

    def day(self, replaced: bool) -> None:
        """A day was looked at; one that nothing was to be made of is none of the run's."""
        self.made += replaced
        self.days = (self.days or 0) - (not replaced)
        self._note()

    def _note(self) -> None:
        self._runs.progress(self._run, self.days or 0, self.made, utc(system_clock()))


def _said(error: MissionControlError) -> str:
    """What a run keeps of an error; what to do about an archive that is too little depends on who asks."""
    hint = "" if error.code == INCOMPLETE else error.hint
    return f"{error.message} {hint}".rstrip()


@contextmanager
def _beating(runs: Runs, run: Run) -> Iterator[None]:
    """Say now and then that the run is still there, also while it waits for locks or sums."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(SEEN_EVERY_S):
            try:
                runs.seen(run, utc(system_clock()))
            except Exception:  # there are some within the time after which it is taken for stopped
                logger.exception("run_not_seen", run=run.id)

    thread = threading.Thread(target=beat, name="run beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


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
