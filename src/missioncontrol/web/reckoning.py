"""How a number on a page was computed, in words, and the SQL that gives the same number.

Pure. A page's number and its SQL count the same rows as long as no more arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec
from markupsafe import Markup

from missioncontrol.query import dialect
from missioncontrol.web.sql.view import SqlForm
from missioncontrol.web.times import moment, timed

_FAMILIES = (
    ("windows", "^(Windows|WINNT)"),
    ("mac", "^(Darwin|Mac)"),
    ("linux", "Linux|BSD|SunOS|Solaris"),
    ("ios", "^iOS|iPhone"),
    ("android", "^Android"),
)
"""Families of systems, in the order in which they are tried, as the registry's rule has them."""

MOST_OTHERS = 60
"""Builds of other versions that are named; more would not fit an address, and only betas need them."""


class Reckoning(msgspec.Struct, frozen=True):
    """What is said of a number."""

    of: str
    """Which number it is: names the button for those who do not see where it stands."""
    formula: str
    parts: list[tuple[str, str]]
    """What goes in, with its value as text: numerator, denominator, rows."""
    query: str = ""
    """DuckDB's SQL that gives it, or all numbers of its column; empty: no SQL does."""
    note: str = ""
    inputs: list[tuple[str, str]] = []
    """Further SQL: what it gives, of which the number is made, and the query."""
    doc: str = ""
    """The page that says more."""

    @property
    def href(self) -> str:
        """The SQL page with the query; empty: there is none, or it is too long for an address."""
        return SqlForm(self.query).link if self.query else ""

    @property
    def input_links(self) -> list[tuple[str, str]]:
        """What each input gives, and the SQL page with its query; what is too long for an address is left out."""
        links = [(title, SqlForm(query).link) for title, query in self.inputs]
        return [(title, href) for title, href in links if href]


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
    more_versions: tuple[str, ...] = ()
    """Further versions that count as the same."""

    def conditions(self) -> list[str]:
        """Of SQL."""
        found = place_conditions(self.application, self.channel)
        if not self.every_version:
            found.append(self.version_condition())
        if self.platform:
            found.append(f"{platform_sql()} = {dialect.text(self.platform)}")
        return [*found, *between(self.start, self.end)]

    def version_condition(self) -> str:
        """That a row is of the version."""
        said = (
            f"version IN {_listed((self.version or '', *self.more_versions))}"
            if self.more_versions
            else _is("version", self.version)
        )
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
    return _select(_rate_columns(Sums(measure, per)), "error_aggregates", rows.conditions())


def sum_query(measure: str, rows: Rows) -> str:
    """The sum of a measure, 0 where nobody reported it, and how many rows it is of."""
    columns = [f"coalesce(sum({dialect.name(measure)}), 0) AS total", 'count(*) AS "rows"']
    return _select(columns, "error_aggregates", rows.conditions())


class Sums(msgspec.Struct, frozen=True):
    """A measure and what its rate is per."""

    measure: str
    per: str
    zero: bool = True
    """That nobody reported it means 0, as with events."""
    rate: bool = True
    """Whether there is one."""


def grouped_query(
    sums: Sums,
    by: Sequence[tuple[str, str]],
    conditions: Sequence[str],
    table: str = "error_aggregates",
    order: str = "denominator DESC NULLS LAST",
) -> str:
    """The sums and the rate of each group. by: names of columns of the answer, and SQL that gives them."""
    columns = [f"{sql} AS {dialect.name(name)}" if sql != name else sql for name, sql in by]
    places = ", ".join(str(n + 1) for n in range(len(by)))
    select = _select([*columns, *_rate_columns(sums)], table, conditions)
    return f"{select}\nGROUP BY {places}" + (f" ORDER BY {order}" if order else "")


def rate_of_query(sums: Sums, conditions: Sequence[str], table: str = "error_aggregates") -> str:
    """The sums and the rate of all these rows."""
    return _select(_rate_columns(sums), table, conditions)


def measures_query(measures: Sequence[Sums], conditions: Sequence[str]) -> str:
    """A row for each of several measures of the same rows: count, what it is per, and the rate."""
    # A list of each: as rows of their own, names and sums would be thrice as long.
    denominators = list(dict.fromkeys(one.per for one in measures if one.rate))
    places = ", ".join(f"p{denominators.index(one.per)}" if one.rate else "NULL" for one in measures)
    counts = f"[{', '.join(_sum_of(one) for one in measures)}]::DOUBLE[] AS counts"
    sums = [f"sum({dialect.name(name)}) AS p{n}" for n, name in enumerate(denominators)]
    return (
        "SELECT measure, count, per, 1000 * count / per AS per_1000\n"
        f"FROM (SELECT unnest({dialect.texts(one.measure for one in measures)}) AS measure,\n"
        f"  unnest(counts) AS count, unnest([{places}]::DOUBLE[]) AS per FROM (\n"
        f"{_select([counts, *sums], 'error_aggregates', conditions)}))"
    )


def users_query(measures: Sequence[str], rows: Rows) -> str:
    """Clients with at least one of each measure, and all of them; those of systems are added up."""
    counted = [("clients", "clients"), *((name, f"{name}_clients") for name in measures)]
    columns = [f"distinct_count({dialect.name(column)}) AS {dialect.name(name)}" for name, column in counted]
    inner = _select(["os_name", *columns], "client_aggregates", rows.conditions())
    sums = ", ".join(f"sum({dialect.name(name)}) AS {dialect.name(name)}" for name, _ in counted)
    return f"SELECT {sums}\nFROM (\n{inner}\nGROUP BY os_name)"


def _rate_columns(sums: Sums) -> list[str]:
    one, other = _sum_of(sums), f"sum({dialect.name(sums.per)})"
    rate = [f"1000 * {one} / {other} AS per_1000"] if sums.rate else []
    return [f"{one} AS numerator", f"{other} AS denominator", *rate, 'count(*) AS "rows"']


def _sum_of(sums: Sums) -> str:
    one = f"sum({dialect.name(sums.measure)})"
    return f"coalesce({one}, 0)" if sums.zero else one


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


def rows_of(what: str, start: datetime, end: datetime) -> tuple[str, str]:
    """The part that says which rows: `sums of 5 minutes, 2026-01-31 14:00 to 2026-02-01 14:00 UTC`."""
    return "Rows", Markup("{}, {} to {}").format(what, timed(start), moment(end))


def between(start: datetime, end: datetime) -> list[str]:
    """Conditions that a window starts from `start` to before `end`."""
    return [f"window_start >= {_instant(start)}", f"window_start < {_instant(end)}"]


def place_conditions(application: str | None, channel: str | None) -> list[str]:
    """Conditions that a row is of an application and channel."""
    return [_is("application", application), _is("channel", channel)]


def among(column: str, values: Collection[str | None]) -> str:
    """The condition that a column has one of these values."""
    named = [value for value in values if value is not None]
    parts = [f"{column} IN {_listed(named)}"] if named else []
    parts += [f"{column} IS NULL"] if None in values else []
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts) or 'false'})"


def _select(columns: Sequence[str], table: str, conditions: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns)}\nFROM {table}\nWHERE " + "\n  AND ".join(conditions)


def _is(column: str, value: str | None) -> str:
    return f"{column} IS NULL" if value is None else f"{column} = {dialect.text(value)}"


def _listed(values: Collection[str]) -> str:
    return f"({', '.join(dialect.text(value) for value in values)})"


def _instant(value: datetime) -> str:
    return f"TIMESTAMPTZ {dialect.text(f'{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00')}"
