"""Runs as the history reads them: what each was to make, which days of it failed, and what was made since.

Pure functions of runs. A run names the days that failed in its message; one that names none failed as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.telemetry.backfill_plan import INCOMPLETE, JOB, Plan, plan_of
from missioncontrol.web.history.model import RunRow

if TYPE_CHECKING:
    from missioncontrol.state.runs import Run, Runs

FORGOTTEN_AFTER = timedelta(days=14)
"""A failure that is older is history: it is in the table and no longer announced."""
_NAMED = re.compile(r"(?:^| )(\d{4}-\d\d-\d\d): (?=\w+: )", re.ASCII)
_CODE = re.compile(r"^(\w+): ", re.ASCII)


class Asked(msgspec.Struct, frozen=True):
    """A run of the backfill and its plan."""

    run: Run
    plan: Plan
    named: dict[date, str]
    """Days that failed, and why."""

    @property
    def begun(self) -> datetime:
        """When it started, or was asked for."""
        return self.run.started_at or self.run.created_at

    @property
    def pending(self) -> bool:
        """It waits or runs."""
        return self.run.status in ("waiting", "running")

    @property
    def failed(self) -> bool:
        """It failed, or stopped while nobody was looking; who stops a command knows it."""
        return self.run.status == "failed" or (self.run.status == "stopped" and self.run.origin != "command")

    def covers(self, plan: Plan) -> bool:
        """Whether it was to make at least the same."""
        within = self.plan.first <= plan.first and plan.last <= self.plan.last
        return within and set(self.plan.tables) >= set(plan.tables)

    def fails(self, day: date) -> bool:
        """Whether it failed on this day of its plan, as far as it says."""
        return self.failed and (day in self.named and not self.left(day) if self.named else True)

    def left(self, day: date) -> bool:
        """Whether the archive is too little for this day, and somebody said that it may stay as it is."""
        return self.run.left_at is not None and day in self.too_little

    @property
    def too_little(self) -> tuple[date, ...]:
        """The days that were refused because the archive lacks pings of them, oldest first."""
        return tuple(sorted(day for day, why in self.named.items() if split_code(why)[0] == INCOMPLETE))

    def makes(self, day: date) -> bool:
        """Whether it made this day of its plan, or found nothing to make."""
        return self.run.status == "done" or (
            self.run.status == "failed" and bool(self.named) and day not in self.named
        )


class Failure(msgspec.Struct, frozen=True):
    """A run that failed, of which something was not made since."""

    asked: Asked
    days: tuple[date, ...]
    """The days that are not made; empty: all of its plan."""
    too_little: bool
    """The archive lacks pings of these days, so that trying again does not help."""
    times: int
    """Attempts that failed."""
    pending: int | None
    """The run that is to make it now."""


def asked_of(runs: Iterable[Run]) -> list[Asked]:
    """Runs of the backfill, those that began last first; what is no plan is left out."""
    found = []
    for run in runs:
        if run.job == JOB:
            try:
                found.append(Asked(run, plan_of(run.arguments), named_days(run.message)))
            except msgspec.MsgspecError:
                continue
    return sorted(found, key=lambda a: (a.begun, a.run.id), reverse=True)


def named_days(message: str) -> dict[date, str]:
    """The days that a run's message names, with what happened to each."""
    marks = list(_NAMED.finditer(message))
    ends = [*(mark.start() for mark in marks[1:]), len(message)][: len(marks)]
    found = {}
    for mark, end in zip(marks, ends, strict=True):
        try:
            found[date.fromisoformat(mark[1])] = message[mark.end() : end].strip()
        except ValueError:
            continue
    return found


def split_code(text: str) -> tuple[str, str]:
    """`code: message` in its two parts; the code is empty when there is none."""
    match = _CODE.match(text)
    return (match[1], text[match.end() :]) if match else ("", text)


def open_failures(asked: Sequence[Asked], now: datetime) -> list[Failure]:
    """What failed lately and was not made since; `asked` as `asked_of` orders them."""
    found = []
    for number, each in enumerate(asked):
        if not each.failed or now - (each.run.finished_at or each.begun) > FORGOTTEN_AFTER:
            continue
        later = [other for other in asked[:number] if set(other.plan.tables) >= set(each.plan.tables)]
        days = [d for d in sorted(each.named) if not each.left(d) and not _settled(each, d, later)]
        lacking = tuple(day for day in days if day in each.too_little)
        others = tuple(day for day in days if day not in lacking)
        pending = next((o.run.id for o in later if o.pending and o.covers(each.plan)), None)
        times = _times(each, asked[number:])
        if others if each.named else not _settled_whole(each, later):
            found.append(Failure(each, others, False, times, pending))
        if lacking:
            found.append(Failure(each, lacking, True, times, pending))
    return found


def _settled(each: Asked, day: date, later: Sequence[Asked]) -> bool:
    """Made since, or failed again since, which is then told of the later run."""
    one = msgspec.structs.replace(each.plan, first=day, last=day)
    return any(o.covers(one) and (o.makes(day) or o.fails(day)) for o in later)


def _settled_whole(each: Asked, later: Sequence[Asked]) -> bool:
    return any(o.covers(each.plan) and (o.run.status == "done" or o.failed) for o in later)


def _times(each: Asked, older: Iterable[Asked]) -> int:
    total = 0
    for other in older:
        if other.run.arguments == each.run.arguments:
            if not other.failed:
                break
            total += other.run.attempts
    return total


def run_rows(runs: Sequence[Run]) -> tuple[RunRow, ...]:
    """Runs, newest first, as they are shown."""
    seen: set[tuple[str, str]] = set()
    rows = []
    for run in runs:
        newest = (run.job, run.arguments) not in seen
        seen.add((run.job, run.arguments))
        rows.append(run_row(run, newest))
    return tuple(rows)


def run_row(run: Run, newest: bool = True) -> RunRow:
    """A run as it is shown; `newest`: no newer run has the same arguments."""
    named = named_days(run.message) if run.status == "failed" else {}
    lacking = [split_code(why)[0] == INCOMPLETE for why in named.values()]
    hopeless = bool(lacking) and all(lacking)
    return RunRow(
        id=run.id,
        job=run.job,
        what=what(run),
        origin=run.origin,
        status=run.status,
        attempts=run.attempts,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration_s=run.duration_s,
        message=run.message,
        can_retry=newest and run.status in ("failed", "stopped") and not hopeless,
        can_leave=any(lacking) and run.left_at is None,
        days=run.days,
        made=run.made,
        made_nothing=run.made_nothing,
    )


def leave(runs: Runs, run_id: int, now: datetime) -> RunRow:
    """Note that the days of a run whose archive is too little stay as they are; twice is as once.

    Raises `NotFound` (`unknown_run`) and `BadRequest` (`nothing_to_leave`).
    """
    run = runs.get(run_id, now)
    if not run_row(run).can_leave and run.left_at is None:
        hint = "Only days that were refused with archive_incomplete can be left as they are."
        raise BadRequest("nothing_to_leave", f"Run {run_id} did not fail because of its archive.", hint)
    return run_row(runs.leave(run_id, now))


def what(run: Run) -> str:
    """What a run was to make, in words; its arguments, where they are of another job."""
    try:
        return plan_of(run.arguments).words if run.job == JOB else run.arguments
    except msgspec.MsgspecError:
        return run.arguments
