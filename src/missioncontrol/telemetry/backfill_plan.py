"""What a backfill is asked for: tables, days and rules; as the arguments of a run, and in words.

Loads neither Arrow nor the lake, so that pages and lists of runs may read plans.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.registry.rules import DEFAULT_RULES

JOB = "backfill"
"""Name of the job in the runs."""
ARCHIVE = "pings"
CRASHES = "crash_aggregates"
STREAM_TABLES = ("error_aggregates", "experiment_aggregates", "client_aggregates", "usage_by_activity")
TABLES = (CRASHES, *STREAM_TABLES)
"""What can be made again."""
INCOMPLETE = "archive_incomplete"
"""Code of the refusal to make a day from an archive that is too little."""
INCOMPLETE_CAUSE = (
    "The others were never archived (`import aggregates`, `lake.archive = false`) or have left the archive."
)
_GO_ON = "Start it again with the same options to go on."


class Plan(msgspec.Struct, frozen=True):
    """Which tables to make again, for which days (both ends included) and under which rules."""

    tables: tuple[str, ...]
    first: date
    last: date
    rules: str = DEFAULT_RULES
    """Rule set of crash_aggregates."""
    incomplete: bool = False
    """Replace days also where the archive lacks pings that the table has."""

    @property
    def of_crashes(self) -> bool:
        """Whether crash_aggregates is made, which goes by submission date."""
        return CRASHES in self.tables

    @property
    def of_stream(self) -> bool:
        """Whether a table of the stream is made; they go by the day of arrival."""
        return any(table in STREAM_TABLES for table in self.tables)

    @property
    def words(self) -> str:
        """As in `crash_aggregates of 2016-03-14, rules cra`."""
        tables = "all tables" if set(self.tables) == set(TABLES) else ", ".join(self.tables)
        days = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        rules = f", rules {self.rules}" if self.of_crashes and self.rules != DEFAULT_RULES else ""
        return f"{tables} of {days}{rules}{', also incomplete days' if self.incomplete else ''}"


def arguments(plan: Plan) -> str:
    """The plan as text, the same for the same plan."""
    return msgspec.json.encode(plan, order="sorted").decode()


def plan_of(text: str) -> Plan:
    """The plan in the arguments of a run."""
    return msgspec.json.decode(text, type=Plan)


def command_line(plan: Plan) -> str:
    """The command that does the same."""
    tables = ["all"] if set(plan.tables) == set(TABLES) else list(plan.tables)
    parts = [
        "missioncontrol backfill",
        *(f"--table {table}" for table in tables if tables != [CRASHES]),
        f"--min-submission-date {plan.first}",
        f"--max-submission-date {plan.last}",
        *([f"--rules {plan.rules}"] if plan.of_crashes and plan.rules != DEFAULT_RULES else []),
        *(["--incomplete"] if plan.incomplete else []),
    ]
    return " ".join(parts)


def incomplete_command(plan: Plan, first: date, last: date) -> str:
    """The command that replaces days of a plan whose archive is too little."""
    return command_line(msgspec.structs.replace(plan, first=first, last=last, incomplete=True))


def refuse_future(first: date, today: date) -> None:
    """Refuse days of which none has begun. Raises `BadRequest` (`day_in_future`)."""
    if first > today:
        raise BadRequest("day_in_future", f"{first} has not begun yet.", f"Today is {today}, in UTC.")


def refuse_idle_rules(tables: Collection[str], rules: str, name: str) -> None:
    """Refuse a rule set that would change nothing; `name` is what the asker calls it.

    Raises `BadRequest` (`rules_without_crashes`).
    """
    if rules != DEFAULT_RULES and CRASHES not in tables:
        raise BadRequest(
            "rules_without_crashes",
            f"{name} says how {CRASHES} counts; it is not among the tables.",
            "Leave the rule set out, or make crash_aggregates too.",
        )


def days_without(found: Collection[date], plan: Plan, today: date) -> tuple[date, ...]:
    """The days of the plan, up to today, that are not in `found`; oldest first."""
    last = min(plan.last, today)
    count = (last - plan.first).days + 1
    return tuple(d for n in range(count) if (d := plan.first + timedelta(days=n)) not in found)


def spans(days: Sequence[date]) -> list[tuple[date, date]]:
    """Days, oldest first, as first and last of those that follow each other."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def stopped_words(made: int, days: int | None) -> str:
    """What is said of a run that somebody stopped; `days`: how many it was to make, None: not known yet."""
    if days is None:
        return "Stopped by Ctrl-C before the first day."
    are = "is" if made == 1 else "are"
    return f"Stopped by Ctrl-C; {made:,} of {days:,} day{'s' * (days != 1)} {are} made. {_GO_ON}"
