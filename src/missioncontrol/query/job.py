"""What the server and the process that runs one SQL query say to each other.

The job goes to the worker's stdin as one line of JSON; the answer comes out of its stdout in the wanted
format; how it went is the last line of its stderr.
"""

from __future__ import annotations

import msgspec

from missioncontrol.query.formats import Envelope, Format
from missioncontrol.query.rows import ResultColumn
from missioncontrol.query.views import View


class Job(msgspec.Struct, frozen=True):
    """One query and its limits."""

    query: str
    dialect: str
    """`duckdb`, or what the query is translated from."""
    views: list[View]
    with_protected: bool
    """The views have their protected columns."""
    form: Format
    envelope: Envelope
    max_rows: int | None
    timeout_s: float
    """0: no limit."""
    memory_limit_mb: int
    threads: int
    spill_path: str
    """An empty folder for what does not fit into memory; it is deleted afterwards."""
    spill_limit_mb: int


class Failure(msgspec.Struct, frozen=True):
    """A refusal or an error, as it is told to the user."""

    status: int
    code: str
    message: str
    hint: str


class Report(msgspec.Struct, frozen=True):
    """How the query went."""

    columns: list[ResultColumn] = []
    rows: int = 0
    complete: bool = True
    protected: list[str] = []
    """The tables that it read, with their protected columns, also when it failed."""
    failure: Failure | None = None
