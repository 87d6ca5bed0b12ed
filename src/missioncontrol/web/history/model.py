"""The history, as the page and `/api/v1/history` show it: days of the archive, what was made of them, and runs.

Only types, and what may be asked for; `history_view` builds them, `history_source` knows where the facts are. None
stands for what is not known, never 0. Nothing here knows HTML, and nothing loads the state database or Arrow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Protocol

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.registry.rules import DEFAULT_RULES, RULE_SETS
from missioncontrol.telemetry.backfill_plan import CRASHES, TABLES, Plan, refuse_future, refuse_idle_rules

State = Literal["made", "older", "missing", "failed", "running", "waiting", "arriving", "nothing"]
STATES: dict[State, str] = {
    "made": "Made",
    "older": "Older than the archive",
    "missing": "Not made yet",
    "failed": "Failed",
    "running": "Under way",
    "waiting": "Waiting to be made",
    "arriving": "Still arriving",
    "nothing": "Nothing to make",
}
ALL = "all"
_DAY = re.compile(r"\d{4}-\d\d-\d\d|\d{8}", re.ASCII)


class AlsoMade(msgspec.Struct, frozen=True):
    """Tables of the stream that were made again, all at once."""

    tables: tuple[str, ...]
    made_at: datetime


class Day(msgspec.Struct, frozen=True):
    """A day of the archive and its part of crash_aggregates."""

    day: date
    state: State
    note: str
    """What went wrong, or what the state means here."""
    pings: int
    """Archived submissions of that submission date."""
    size_bytes: int
    """What they take on disk."""
    rows: int | None = None
    """Rows of crash_aggregates; None: the table has none of that day."""
    made_at: datetime | None = None
    duration_s: float | None = None
    rules: str | None = None
    run_id: int | None = None
    """The run that made it."""
    also: tuple[AlsoMade, ...] = ()


class RunRow(msgspec.Struct, frozen=True):
    """A run of a job."""

    id: int
    job: str
    what: str
    """Tables, days and rules in words."""
    origin: str
    status: str
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    message: str
    can_retry: bool
    """It failed or stopped for a reason that may be gone, and no newer run is of the same."""
    can_leave: bool = False
    """The archive is too little for days of it, and nobody said yet that they may stay as they are."""
    days: int | None = None
    """Days that there is something to make of, as far as is known; None: not known."""
    made: int | None = None
    """Those of them that are made."""
    made_nothing: bool = False
    """It is done, and there was nothing to make."""


class Notice(msgspec.Struct, frozen=True):
    """A sentence about the whole."""

    kind: Literal["failed", "todo", "next", "rules", "busy", "fine"]
    text: str
    detail: str = ""
    """Why, and what to do."""
    run: int | None = None
    """The run that is spoken of."""
    retry: int | None = None
    """The run that can be retried."""
    command: str = ""
    """What replaces days whose archive is too little, a command a line."""
    leave: int | None = None
    """The run of which it can be said that these days stay as they are."""
    first: date | None = None
    last: date | None = None
    """The days that are spoken of: those to leave, or those that the form can make."""
    rules: str = ""
    """The rule set for that; empty: the default."""


class History(msgspec.Struct, frozen=True):
    """The archive, what was made of it and how it went."""

    now: datetime
    archiving: bool
    """Whether pings are archived at all."""
    archived_days: int
    archived_pings: int
    archived_bytes: int
    made_until: date | None
    """All archived days up to this one are made."""
    notices: tuple[Notice, ...]
    days: tuple[Day, ...]
    """The newest first."""
    days_total: int
    older: date | None
    """There are days before this one, the oldest in `days`."""
    newer: bool
    """There are days after the newest in `days`."""
    runs: tuple[RunRow, ...]
    """The newest first."""
    rules: str | None = None
    """The rule set that most days of crash_aggregates were made under."""


class HistorySource(Protocol):
    """Where page and API get the history. Calls block: run them in a thread."""

    def history(self, before: date | None = None) -> History:
        """The history now; days before a day."""

    def run(self, run_id: int) -> RunRow:
        """One run; raises `NotFound` (`unknown_run`)."""

    def want(self, plan: Plan) -> RunRow:
        """A waiting run of the plan; one that waits or runs already is not doubled."""

    def retry(self, run_id: int) -> RunRow:
        """The same for the plan of a run that failed; raises `NotFound`, `BadRequest` (`nothing_to_retry`)."""

    def leave(self, run_id: int) -> RunRow:
        """Note that days whose archive is too little stay as they are; raises `NotFound`, `BadRequest`
        (`nothing_to_leave`).
        """

    def trouble(self) -> bool:
        """Whether a run failed lately and what it was to make was not made since. Cheap; never raises."""


def read_plan(tables: Sequence[str], first: str, last: str, rules: str, today: date) -> Plan:
    """What is asked for. No table means crash_aggregates, no rules the default, no last day the first.

    Raises `BadRequest` (`bad_day`, `days_out_of_order`, `day_in_future`, `unknown_table`, `unknown_rules`,
    `rules_without_crashes`).
    """
    for table in tables:
        if table not in (ALL, *TABLES):
            raise BadRequest(
                "unknown_table",
                f"There is no table {table[:80]!r} to make.",
                f"Known: {', '.join(TABLES)}, all.",
            )
    chosen = TABLES if ALL in tables else tuple(t for t in TABLES if t in tables) or (CRASHES,)
    rules = read_rules(rules)
    refuse_idle_rules(chosen, rules, "The rule set")
    begins = read_day(first)
    ends = read_day(last) if last else begins
    if begins > ends:
        raise BadRequest("days_out_of_order", f"{begins} comes after {ends}.", "Swap the two days.")
    refuse_future(ends, today)
    return Plan(chosen, begins, ends, rules)


def read_rules(text: str) -> str:
    """A rule set, the default when none is named; raises `BadRequest` (`unknown_rules`)."""
    if text and text not in RULE_SETS:
        raise BadRequest(
            "unknown_rules", f"There is no rule set {text[:80]!r}.", f"Known: {', '.join(RULE_SETS)}."
        )
    return text or DEFAULT_RULES


def read_day(text: str) -> date:
    """A day as YYYY-MM-DD or YYYYMMDD; raises `BadRequest` (`bad_day`)."""
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadRequest("bad_day", f"{text[:40]!r} is no day.", "As in 2026-11-24.")
