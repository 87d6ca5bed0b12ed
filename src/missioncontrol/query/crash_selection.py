"""Which crashes a question is about, and the SQL of it: conditions whose values are always bound.

Columns are named by code of ours only (`COLUMNS`), never by a reader. Never runs anything.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec

from missioncontrol.query import dialect
from missioncontrol.query.relation import Span

By = Literal["report", "build"]
How = Literal["is", "starts", "begins", "contains", "null"]

COLUMNS = (
    "uuid", "product", "version", "release_channel", "build", "vendor", "signature", "proto_signature", "process_type",
    "report_type", "reason", "address", "moz_crash_reason", "abort_message", "os_name", "os_version",
    "os_pretty_version", "cpu_arch", "cpu_info", "crashing_thread_name", "topmost_filenames", "modules_in_stack",
    "throttle_rule",
)  # fmt: skip
"""Public columns of text that a condition may name."""
SYSTEM = "coalesce(os_pretty_version, os_name)"
"""SQL of the system of a crash as people know it."""
EMPTY = "EMPTY"
"""What signatures begin with that say why a crash could not be named."""
_FIRST_DAY = date(2000, 1, 1)


class Condition(msgspec.Struct, frozen=True):
    """What a column must be. Of several values one has to match; a value of `null` is not looked at.

    `os_pretty_version` stands for `os_name` where a crash has none, as where crashes are broken down by it.

    `starts` is of versions: `4.0b` is all betas of 4.0. `begins` takes every value for a beginning.
    """

    column: str
    values: tuple[str, ...] = ()
    how: How = "is"


class Selection(msgspec.Struct, frozen=True):
    """Crashes in [start, end) (UTC) that meet every condition."""

    start: datetime
    end: datetime
    by: By = "report"
    """Whether the span is of the receipt of the report or of the day in the build id."""
    conditions: tuple[Condition, ...] = ()
    versions: tuple[str, ...] = ()
    """Any of them; `4.0b` stands for all versions that begin with it or with `4.0-beta`."""
    weighted: bool = False
    """Count a report as 1 / throttle_rate crashes."""

    @property
    def length(self) -> timedelta:
        """How long the span is."""
        return self.end - self.start

    def before(self) -> Selection:
        """The same, with the equally long span before put in front."""
        return msgspec.structs.replace(self, start=self.start - self.length)


class Intervals(msgspec.Struct, frozen=True):
    """Parts of equal length, one after the other."""

    start: datetime
    width: timedelta
    number: int

    def starts(self) -> list[datetime]:
        """When each begins."""
        return [self.start + n * self.width for n in range(self.number)]


def span_of(selection: Selection) -> Span:
    """The days of receipt that can hold such crashes: a build is not older than its crashes."""
    last = selection.end.astimezone(UTC).date() if selection.by == "report" else date.max
    return Span(dates=(max(selection.start.date(), _FIRST_DAY), last), dates_range=True)


def moment_of(by: By) -> str:
    """SQL of the instant by which crashes are in the span or not."""
    if by == "report":
        return '"date"'
    return "CAST(try_strptime(left(build, 8), '%Y%m%d') AS TIMESTAMP) AT TIME ZONE 'UTC'"


def weight_of(selection: Selection) -> str:
    """SQL of what one report counts."""
    return "1e0 / CASE WHEN throttle_rate > 0 THEN throttle_rate ELSE 1 END" if selection.weighted else "1e0"


def where(selection: Selection) -> tuple[str, list[str | datetime | list[str]]]:
    """A condition, and its parameters in order."""
    moment = moment_of(selection.by)
    parts = [f"{moment} >= ?", f"{moment} < ?"]
    parameters: list[str | datetime | list[str]] = [selection.start, selection.end]
    conditions = [*selection.conditions, *_versions(selection.versions)]
    for condition in conditions:
        sql, bound = _one(condition)
        parts.append(sql)
        parameters += bound
    return " AND ".join(parts), parameters


def written(selection: Selection) -> str:
    """The condition with literals in place of its parameters, for somebody to read and run."""
    condition, parameters = where(selection)
    pieces = condition.split("?")
    values = [
        dialect.text(p)
        if isinstance(p, str)
        else dialect.texts(p)
        if isinstance(p, list)
        else dialect.instant(p)
        for p in parameters
    ]
    return "".join(piece + value for piece, value in zip(pieces, [*values, ""], strict=True))


def _versions(versions: tuple[str, ...]) -> list[Condition]:
    return [Condition("version", versions, "starts")] if versions else []


def _one(condition: Condition) -> tuple[str, list[str | datetime | list[str]]]:
    assert condition.column in COLUMNS, condition.column
    column = SYSTEM if condition.column == "os_pretty_version" else dialect.name(condition.column)
    if condition.how == "null":
        return f"{column} IS NULL", []
    if condition.how == "contains":
        texts = [f"contains(lower({column}), lower(?))" for _ in condition.values]
        return f"({' OR '.join(texts)})", list(condition.values)
    if condition.how == "begins":
        return f"({' OR '.join(f'starts_with({column}, ?)' for _ in condition.values)})", list(
            condition.values
        )
    if condition.how == "starts":
        # `4.0b` is every beta of 4.0, also as semantic versions name it; a version that ends with a number is itself.
        betas = [t for v in condition.values if v.endswith("b") for t in (v, f"{v[:-1]}-beta")]
        exact = [v for v in condition.values if not v.endswith("b")]
        each = [*(f"starts_with({column}, ?)" for _ in betas), *(f"{column} = ?" for _ in exact)]
        return f"({' OR '.join(each)})", [*betas, *exact]
    return f"list_contains(?, {column})", [list(condition.values)]
