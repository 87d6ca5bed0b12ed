"""Where the history gets its facts: file lists of two tables, the runs, and the days that they built.

Opens no Parquet file: rows and sizes are what the tables' own lists of files say. Reads, and asks for runs; who
makes them is somebody else.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import structlog

from missioncontrol.services import Services
from missioncontrol.telemetry.backfill_plan import ARCHIVE, CRASHES, JOB, Plan, arguments
from missioncontrol.web.history.facts import Archived, Facts
from missioncontrol.web.history.model import History, RunRow
from missioncontrol.web.history.runs import asked_of, leave, open_failures, run_row
from missioncontrol.web.history.view import build_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missioncontrol.lake.snapshot import FileRef

_RUNS_READ = 500
_FAILURES_READ = 50
_logger = structlog.get_logger()


class LakeHistory:
    """The `HistorySource` of one installation."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def history(self, before: date | None = None) -> History:
        """The history now; costs a few small queries."""
        now, runs, config = datetime.now(UTC), self._services.runs, self._services.config
        built = {
            day.day: day for day in runs.built_days(CRASHES)
        }  # first: tables get a day before it is noted
        facts = Facts(
            now=now,
            archiving=config.lake.archive,
            attempts=config.jobs.attempts if config.jobs.daily else 0,
            lookback_days=config.jobs.lookback_days,
            built=built,
            archive=self._archive(),
            rows=self._rows(),
            runs=runs.list(now, _RUNS_READ),
            also=lambda first, last: runs.built_days(first=first, last=last),
        )
        return build_history(facts, before)

    def run(self, run_id: int) -> RunRow:
        """One run; raises `NotFound` (`unknown_run`)."""
        now, runs = datetime.now(UTC), self._services.runs
        run = runs.get(run_id, now)
        newest = runs.of(run.job, run.arguments, now)
        return run_row(run, newest is None or newest.id == run.id)

    def want(self, plan: Plan) -> RunRow:
        """A waiting run of the plan, or the one that waits or runs already."""
        return run_row(self._services.runs.want(JOB, arguments(plan), "page", datetime.now(UTC)))

    def retry(self, run_id: int) -> RunRow:
        """The same for the plan of a run that failed; raises `NotFound`, `BadRequest` (`nothing_to_retry`)."""
        return run_row(self._services.runs.retry(run_id, "page", datetime.now(UTC)))

    def leave(self, run_id: int) -> RunRow:
        """Note that days whose archive is too little stay as they are; raises `NotFound`, `BadRequest`."""
        return leave(self._services.runs, run_id, datetime.now(UTC))

    def trouble(self) -> bool:
        """Whether something failed lately and was not made since: one small query while nothing did."""
        try:
            now, runs = datetime.now(UTC), self._services.runs
            unwell = runs.list(now, _FAILURES_READ, ("failed", "stopped", "running"))
            if not open_failures(asked_of(unwell), now):
                return False
            return bool(open_failures(asked_of(runs.list(now, _RUNS_READ)), now))
        except Exception as error:  # no page may fail for a mark in its navigation
            _logger.warning("history_unreadable", error=str(error))
            return False

    def _archive(self) -> dict[date, Archived]:
        found: dict[date, Archived] = {}
        for day, file in self._files(ARCHIVE):
            known = found.get(day, Archived())
            last = max(filter(None, (known.last_received, file.last_window)), default=None)
            found[day] = Archived(known.pings + file.rows, known.size_bytes + file.size_bytes, last)
        return found

    def _rows(self) -> dict[date, int]:
        found: dict[date, int] = {}
        for day, file in self._files(CRASHES):
            found[day] = found.get(day, 0) + file.rows
        return found

    def _files(self, table: str) -> Iterator[tuple[date, FileRef]]:
        """The files of a table with the day that each is of."""
        snapshot = self._services.reader.snapshot(table)
        for file in snapshot.files if snapshot else ():
            day = dict(file.partition)["submission_date"]
            if day:
                yield date.fromisoformat(day), file
