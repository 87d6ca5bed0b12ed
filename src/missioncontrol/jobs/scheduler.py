"""The scheduler: looks every few seconds for runs that wait and for days that are due, and makes them one by one.

Each run is a process of its own (`missioncontrol backfill ...`), so that its memory is gone when it ends and a crash
of it harms nobody. What it does, it notes itself; here only what it can no longer note. One scheduler an installation.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from datetime import date, datetime

import structlog

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import MissionControlError
from missioncontrol.jobs.command import run_command
from missioncontrol.jobs.due import daily_time, due_days, may_try, plan_for
from missioncontrol.lake.plan import day
from missioncontrol.services import Services
from missioncontrol.telemetry.backfill_plan import ARCHIVE, CRASHES, JOB, Plan, arguments, plan_of

_POLL_S = 3.0
_DUE_EVERY_POLLS = 10

logger = structlog.get_logger()


class Scheduler:
    """Runs jobs until it is stopped. `command` is how this installation's commands are called."""

    def __init__(self, services: Services, command: list[str]) -> None:
        self._services, self._command = services, command
        self._settings = services.config.jobs
        daily_time(self._settings)

    def run(self, stop: threading.Event) -> None:
        """Look for work until `stop` is set; waits while another process is the scheduler."""
        self._services.turn("jobs").work(stop, self._run)

    def _run(self, stop: threading.Event) -> None:
        polls = 0
        while not stop.wait(_POLL_S):
            try:
                self.run_waiting(stop)
                if polls % _DUE_EVERY_POLLS == 0:
                    self.run_due(stop)
            except MissionControlError as error:
                logger.error("jobs_failed", code=error.code, message=error.message)
            except Exception:
                logger.exception("jobs_failed")
            polls += 1

    def run_waiting(self, stop: threading.Event) -> None:
        """Make the runs that somebody asked for."""
        for run in self._services.runs.waiting(utc(system_clock())):
            if stop.is_set():
                return
            self._make(plan_of(run.arguments), run.origin, stop)

    def run_due(self, stop: threading.Event) -> None:
        """Make the days that are due."""
        for due in self.due(utc(system_clock())):
            if stop.is_set():
                return
            self._make(plan_for(due), "schedule", stop)

    def due(self, now: datetime) -> list[date]:
        """The days to make now, oldest first."""
        if not self._settings.daily:
            return []
        archived = self._archived()
        if not archived:
            return []
        runs = self._services.runs
        made = {built.day: built for built in runs.built_days(CRASHES)}
        days = due_days(archived, made, self._settings, now)
        return [d for d in days if may_try(runs.of(JOB, arguments(plan_for(d)), now), self._settings, now)]

    def _archived(self) -> Counter[date]:
        snapshot = self._services.reader.snapshot(ARCHIVE)
        found: Counter[date] = Counter()
        for file in snapshot.files if snapshot else ():
            found[day(file.partition)] += file.rows
        return found

    def _make(self, plan: Plan, origin: str, stop: threading.Event) -> None:
        """Make a plan in a process of its own; one that is stopped with the server goes on when it is started again."""
        code, said = run_command([*self._command, *_arguments(plan), "--origin", origin], stop)
        if code and stop.is_set():
            self._put_back(plan)
        elif code:
            self._note_failure(plan, code, said)

    def _put_back(self, plan: Plan) -> None:
        """Else the next server would take it for running until it was not seen for a while."""
        run = self._services.runs.of(JOB, arguments(plan), utc(system_clock()))
        if run is not None and run.status in ("running", "stopped"):
            self._services.runs.put_back(run)

    def _note_failure(self, plan: Plan, code: int, said: str) -> None:
        """A process that could not say itself how it went: refused before it began, or killed."""
        now = utc(system_clock())
        run = self._services.runs.of(JOB, arguments(plan), now)
        logger.warning("job_failed", job=JOB, arguments=arguments(plan), code=code, said=said)
        if run is None:
            return
        if run.status in ("waiting", "running") or (run.status == "stopped" and run.finished_at is None):
            self._services.runs.finish(run, "failed", said or f"The process ended with code {code}.", now)


def _arguments(plan: Plan) -> list[str]:
    days = ["--min-submission-date", plan.first.isoformat(), "--max-submission-date", plan.last.isoformat()]
    tables = [part for table in plan.tables for part in ("--table", table)]
    rules = ["--rules", plan.rules] if plan.of_crashes else []
    return ["backfill", *days, *tables, *rules, *(["--incomplete"] if plan.incomplete else [])]


def command_of(data: str, file: str | None) -> list[str]:
    """How commands of an installation are called."""
    return [sys.executable, "-m", "missioncontrol", "--data", data, *(["--config", file] if file else [])]
