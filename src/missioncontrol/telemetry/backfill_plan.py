"""What a backfill is asked for: tables, days and rules; as the arguments of a run, and in words.

Loads neither Arrow nor the lake, so that pages and lists of runs may read plans.
"""

from __future__ import annotations

from datetime import date

import msgspec

from missioncontrol.registry.rules import DEFAULT_RULES

JOB = "backfill"
"""Name of the job in the runs."""
ARCHIVE = "pings"
CRASHES = "crash_aggregates"
STREAM_TABLES = ("error_aggregates", "experiment_aggregates", "client_aggregates", "usage_by_activity")
TABLES = (CRASHES, *STREAM_TABLES)
"""What can be made again."""


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
