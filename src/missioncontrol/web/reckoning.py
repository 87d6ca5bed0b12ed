"""How a number on a page was computed, in words, and the SQL that gives the same number.

Pure. A page's number and its SQL count the same rows as long as no more arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from missioncontrol.query import dialect
from missioncontrol.web.sql.view import SqlForm

_FAMILIES = (
    ("windows", "^(Windows|WINNT)"),
    ("mac", "^(Darwin|Mac)"),
    ("linux", "Linux|BSD|SunOS|Solaris"),
    ("ios", "^iOS|iPhone"),
    ("android", "^Android"),
)
"""Families of systems, in the order in which they are tried, as the registry's rule has them."""


class Reckoning(msgspec.Struct, frozen=True):
    """What is said of a number."""

    of: str
    """Which number it is: names the button for those who do not see where it stands."""
    formula: str
    parts: list[tuple[str, str]]
    """What goes in, with its value as text: numerator, denominator, rows."""
    query: str = ""
    """DuckDB's SQL that gives it; empty: no SQL does."""
    note: str = ""

    @property
    def href(self) -> str:
        """The SQL page with the query; empty: there is none, or it is too long for an address."""
        return SqlForm(self.query).link if self.query else ""


class Rows(msgspec.Struct, frozen=True):
    """The rows of a table of sums that a number is made of: of a version, from `start` to before `end`."""

    application: str | None
    channel: str | None
    version: str | None
    start: datetime
    end: datetime
    platform: str = ""
    """A family of systems; empty: all."""
    builds: tuple[str, ...] = ()
    """Builds that were published as the version, whatever their pings say."""
    other_builds: tuple[str, ...] = ()
    """Builds that were published as others."""
    every_version: bool = False

    def conditions(self) -> list[str]:
        """Of SQL."""
        found = [_is("application", self.application), _is("channel", self.channel)]
        if not self.every_version:
            found.append(self.version_condition())
        if self.platform:
            found.append(f"{platform_sql()} = {dialect.text(self.platform)}")
        return [*found, f"window_start >= {_instant(self.start)}", f"window_start < {_instant(self.end)}"]

    def version_condition(self) -> str:
        """That a row is of the version."""
        said = _is("version", self.version)
        if self.other_builds:
            said = f"({said} AND (build_id IS NULL OR build_id NOT IN {_listed(self.other_builds)}))"
        return f"(build_id IN {_listed(self.builds)} OR {said})" if self.builds else said


def platform_sql() -> str:
    """SQL of the family of `os_name`: windows, mac, linux, ios, android or other."""
    cases = " ".join(
        f"WHEN regexp_matches(coalesce(os_name, ''), {dialect.text(pattern)}) THEN {dialect.text(name)}"
        for name, pattern in _FAMILIES
    )
    return f"CASE {cases} ELSE 'other' END"


def rate_query(measure: str, per: str, rows: Rows) -> str:
    """Sums of two measures, their rate per 1,000, and how many rows they are of."""
    one, other = dialect.name(measure), dialect.name(per)
    return _select(
        [
            f"coalesce(sum({one}), 0) AS numerator",
            f"sum({other}) AS denominator",
            f"1000 * coalesce(sum({one}), 0) / sum({other}) AS per_1000",
            'count(*) AS "rows"',
        ],
        "error_aggregates",
        rows.conditions(),
    )


def share_query(measure: str, rows: Rows) -> str:
    """The share that a version has of a sum over all versions."""
    own, name = rows.version_condition(), dialect.name(measure)
    whole = msgspec.structs.replace(rows, every_version=True)
    return _select(
        [
            f"sum({name}) FILTER ({own}) AS numerator",
            f"sum({name}) AS denominator",
            f"sum({name}) FILTER ({own}) / sum({name}) AS share",
            'count(*) AS "rows"',
        ],
        "error_aggregates",
        whole.conditions(),
    )


def crash_free_query(rows: Rows) -> str:
    """The share of clients without a main crash; systems of a platform are joined by their clients."""
    inner = _select(
        [
            "os_name",
            "crash_free(clients, main_crashes_clients) AS share",
            "round(distinct_count(clients)) AS people",
            "count(*) AS n",
        ],
        "client_aggregates",
        rows.conditions(),
    )
    return (
        "SELECT sum(share * people) / sum(people) AS crash_free_users, sum(people) AS clients, sum(n) AS \"rows\"\n"
        f"FROM (\n{inner}\nGROUP BY os_name)"
    )  # fmt: skip


def span_words(start: datetime, end: datetime) -> str:
    """`2026-01-31 14:00 to 2026-02-01 14:00 UTC`."""
    return f"{start.astimezone(UTC):%Y-%m-%d %H:%M} to {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _select(columns: Sequence[str], table: str, conditions: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns)}\nFROM {table}\nWHERE " + "\n  AND ".join(conditions)


def _is(column: str, value: str | None) -> str:
    return f"{column} IS NULL" if value is None else f"{column} = {dialect.text(value)}"


def _listed(values: Collection[str]) -> str:
    return f"({', '.join(dialect.text(value) for value in values)})"


def _instant(value: datetime) -> str:
    return f"TIMESTAMPTZ {dialect.text(f'{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00')}"
