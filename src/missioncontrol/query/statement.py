"""From an `AggregateQuery` to one SQL statement with bound parameters.

Names come from the registry only and are quoted; every value of the user is a parameter. Files that cannot
hold a wanted row are left out before DuckDB sees them, and slim rollups stand for base files where they hold
all that is asked. Never runs anything, except the look-up of the known versions that a range of versions
needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.lake.tables import Column, lake_tables
from missioncontrol.query import dialect
from missioncontrol.query.aggregates import EXPERIMENT_COLUMNS, AggregateQuery, only_population
from missioncontrol.query.filters import DateFilter, Filter, TextFilter, WindowFilter
from missioncontrol.query.relation import Span, scan
from missioncontrol.query.rows import ResultColumn
from missioncontrol.query.versions import between, version_key
from missioncontrol.registry.model import Registry

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef, LakeReader

Parameter = str | int | datetime | Sequence[str | None] | Sequence[int]
Versions = Callable[["Statement"], list[str]]
"""Runs a statement with one text column and gives its values."""

ROLLUP_KEYS = frozenset(
    {"window_start", "channel", "application", "version", "build_id", "os_name", "submission_date"}
)
_TIME_TYPES = {"window_start": "timestamp", "window_end": "timestamp", "submission_date": "date"}


class Statement(msgspec.Struct, frozen=True):
    """SQL, the values of its `?` in order, and the columns it gives."""

    sql: str
    parameters: tuple[Parameter, ...]
    columns: tuple[ResultColumn, ...]
    limit: int


class Compiler:
    """Compiles queries against one registry and the snapshots of one moment."""

    def __init__(
        self, reader: LakeReader, registry: Registry, versions: Versions, rollups: bool = True
    ) -> None:
        self._reader = reader
        self._registry = registry
        self._versions = versions
        self._rollups = rollups
        self._tables = lake_tables(registry)

    def compile(self, query: AggregateQuery, narrow: bool = False) -> Statement:
        """The statement for a query. `narrow`: sums of integers have 64 bits, or the query fails; else 128."""
        source = self._source(query)
        inner, parameters = self._inner(query, source)
        select = [f"{_shown(d, query.interval_s)} AS {dialect.name(d)}" for d in query.dimensions]
        select += [f"{self._sum(m, narrow)} AS {dialect.name(m)}" for m in query.measures]
        select += [f"g.{dialect.name(m.name)}" for m in query.people]
        select += [f"{_ratio(m, query.per)} AS {dialect.name(name)}" for name, m in query.ratios]
        order, order_parameters = self._order(query, source)
        sql = f"SELECT {', '.join(select)} FROM ({inner}) AS g ORDER BY {order} LIMIT {query.limit + 1}"
        return Statement(sql, (*parameters, *order_parameters), self._columns(query), query.limit)

    def _inner(self, query: AggregateQuery, source: str) -> tuple[str, list[Parameter]]:
        """All groups, with the sums and the numbers of people that are asked for."""
        if not query.people:
            where, parameters = self._where(query, source)
            return _grouping(query, source, where), parameters
        people, of_people = self._people(query)
        if not query.measures:
            return people, of_people
        where, parameters = self._where(query, source)
        return _joined(query, _grouping(query, source, where), people), [*parameters, *of_people]

    def _people(self, query: AggregateQuery) -> tuple[str, list[Parameter]]:
        """Numbers of clients and sessions by group. Their rows are hours: those that a filter touches count whole."""
        filters = tuple(_by_the_hour(f) for f in query.filters if not _on_experiments(f))
        hourly = msgspec.structs.replace(query, measures=(), per="", filters=filters)
        sketches = dict.fromkeys(column for m in query.people for column in m.columns)
        source = self._scan("client_aggregates", hourly, [*_needed(hourly), *sketches])
        where, parameters = self._where(hourly, source)
        select = [f"{expression} AS {alias}" for alias, expression in _keys(query).items()]
        select += [f"{m.sql} AS {dialect.name(m.name)}" for m in query.people]
        positions = ", ".join(str(i + 1) for i in range(len(_keys(query))))
        return f"SELECT {', '.join(select)} FROM {source} WHERE {where} GROUP BY {positions}", parameters

    def _source(self, query: AggregateQuery) -> str:
        """All rows the question is about, before its text filters."""
        sources = []
        if not query.of_experiments or _population_wanted(query):
            sources.append(self._population(query))
        if query.of_experiments and not only_population(query):
            sources.append(self._scan("experiment_aggregates", query, _needed(query)))
        return "(" + " UNION ALL BY NAME ".join(f"FROM {s}" for s in sources) + ")"

    def _population(self, query: AggregateQuery) -> str:
        needed = _needed(query)
        own = [c for c in needed if c not in EXPERIMENT_COLUMNS]
        table = self._scan("error_aggregates", query, own)
        absent = [f"{dialect.null('string')} AS {dialect.name(c)}" for c in needed if c not in own]
        return f"(SELECT {', '.join(['*', *absent])} FROM {table})" if absent else table

    def _scan(self, table: str, query: AggregateQuery, needed: Sequence[str]) -> str:
        return self.relation(table, needed, _span(query))

    def relation(self, table: str, needed: Sequence[str], span: Span) -> str:
        """The columns `needed` of a table's rows in files that `span` wants, as a relation."""
        columns = {c.name: c for c in self._tables[table].columns}
        snapshot = self._reader.snapshot(table)
        files = [f for f in snapshot.files if span.wants(f)] if snapshot else []
        slim = self._rollups and table == "error_aggregates" and self._in_rollup(needed)
        return scan(files, [_column(c, columns) for c in needed], self._rollup if slim else None)

    def _in_rollup(self, needed: Sequence[str]) -> bool:
        return all(c in ROLLUP_KEYS or c in self._registry.measures for c in needed)

    def _rollup(self, file: FileRef) -> str | None:
        return self._reader.rollup(file)

    def _where(self, query: AggregateQuery, source: str) -> tuple[str, list[Parameter]]:
        conditions: list[str] = []
        parameters: list[Parameter] = []
        for condition in query.filters:
            if isinstance(condition, TextFilter):
                sql, values = self._text_condition(condition, query, source)
                conditions.append(sql)
                parameters += values
            elif isinstance(condition, WindowFilter):
                conditions.append(_window_condition(condition))
            # A submission date is a partition: choosing the files has applied the filter already.
        return " AND ".join(conditions) or "true", parameters

    def _text_condition(
        self, condition: TextFilter, query: AggregateQuery, source: str
    ) -> tuple[str, list[Parameter]]:
        column = dialect.name(condition.column)
        if condition.how == "null":
            return f"{column} IS NULL", []
        if condition.how == "not_null":
            return f"{column} IS NOT NULL", []
        values = list(condition.values)
        if condition.how == "range" and condition.column == "version":
            low, high = sorted(values, key=version_key)
            values = between(self._known_versions(query, source), low, high)
            if not values:
                return "false", []
        elif condition.how == "range":
            return f"{column} BETWEEN ? AND ?", [*values]
        return f"{column} IN ({', '.join('?' * len(values))})", [*values]

    def _known_versions(self, query: AggregateQuery, source: str) -> list[str]:
        windows = [_window_condition(f) for f in query.filters if isinstance(f, WindowFilter)]
        where = " AND ".join(['"version" IS NOT NULL', *windows])
        sql = f'SELECT DISTINCT "version" FROM {source} WHERE {where}'
        return self._versions(Statement(sql, (), (ResultColumn("version", "string"),), 0))

    def _order(self, query: AggregateQuery, source: str) -> tuple[str, list[Parameter]]:
        parameters: list[Parameter] = []
        terms: list[str] = []
        named = dict(query.order)
        times = [d for d in query.dimensions if d in _TIME_TYPES]
        rest = [d for d in query.dimensions if d not in times]
        for column in dict.fromkeys([*named, *times, *rest]):
            term = _order_term(column, query)
            if column == "version" and column in named:
                # By number, as people count; text would put 9.0 above 10.0.
                parameters.append(
                    sorted(self._known_versions(query, source), key=lambda v: (version_key(v), v))
                )
                term = f"list_position(?::VARCHAR[], {term})"
            terms.append(f"{term} {'DESC' if named.get(column) else 'ASC'} NULLS LAST")
        return ", ".join(terms), parameters

    def _sum(self, measure: str, narrow: bool) -> str:
        column = f"g.{dialect.name(measure)}"
        return f"CAST({column} AS BIGINT)" if narrow and self._measure_type(measure) == "int64" else column

    def _measure_type(self, measure: str) -> str:
        return self._registry.measures[measure].column_type

    def _columns(self, query: AggregateQuery) -> tuple[ResultColumn, ...]:
        measures = self._registry.measures
        per_unit = measures[query.per].unit if query.per else ""
        return (
            *(self._dimension_column(d) for d in query.dimensions),
            *(ResultColumn(m, self._measure_type(m), measures[m].title, measures[m].unit) for m in query.measures),
            *(ResultColumn(m.name, m.column_type, m.title) for m in query.people),
            *(
                ResultColumn(
                    name, "float64", f"{measures[m].title} per 1,000 {measures[query.per].title.lower()}",
                    f"{measures[m].unit} per 1,000 {per_unit}",
                )
                for name, m in query.ratios
            ),
        )  # fmt: skip

    def _dimension_column(self, name: str) -> ResultColumn:
        declared = self._registry.dimensions.get(name)
        title = declared.title if declared else name.replace("_", " ").capitalize()
        return ResultColumn(name, _TIME_TYPES.get(name, "string"), title)


def _needed(query: AggregateQuery) -> list[str]:
    """The stored columns that the statement reads."""
    dimensions = ["window_start" if d == "window_end" else d for d in query.dimensions]
    windows = ["window_start" for f in query.filters if isinstance(f, WindowFilter)]
    # Ordering and ranges of versions look the versions up in the same source.
    return list(
        dict.fromkeys(
            [*dimensions, *windows, *query.filtered, *query.measures, *([query.per] if query.per else [])]
        )
    )


def _column(name: str, columns: dict[str, Column]) -> Column:
    return columns.get(name) or Column(name, "string")


def _population_wanted(query: AggregateQuery) -> bool:
    """Population rows have null experiments: a filter on a value leaves none of them."""
    return not any(
        isinstance(f, TextFilter) and f.column in EXPERIMENT_COLUMNS and f.how != "null"
        for f in query.filters
    )


def _span(query: AggregateQuery) -> Span:
    """The narrowest span of files that the time filters allow."""
    first = [min(f.values) for f in query.filters if isinstance(f, WindowFilter)]
    last = [max(f.values) for f in query.filters if isinstance(f, WindowFilter)]
    dates: DateFilter | None = next((f for f in query.filters if isinstance(f, DateFilter)), None)
    days: tuple[date, ...] | None = dates.values if dates else None
    ranged = dates is not None and dates.how == "range"
    return Span(max(first, default=None), min(last, default=None), days, ranged)


def _window_condition(condition: WindowFilter) -> str:
    # Instants were parsed, so writing them out is safe; each is compared as stored, so statistics prune row
    # groups.
    values = [dialect.instant(v) for v in condition.values]
    if condition.how == "range":
        return f'"window_start" BETWEEN {values[0]} AND {values[-1]}'
    return f'"window_start" IN ({", ".join(values)})'


def _grouping(query: AggregateQuery, source: str, where: str) -> str:
    select = [f"{expression} AS {alias}" for alias, expression in _keys(query).items()]
    sums = list(dict.fromkeys([*query.measures, *([query.per] if query.per else [])]))
    select += [f"sum({dialect.name(m)}) AS {dialect.name(m)}" for m in sums]
    positions = ", ".join(str(i + 1) for i in range(len(_keys(query))))
    return f"SELECT {', '.join(select)} FROM {source} WHERE {where} GROUP BY {positions}"


def _joined(query: AggregateQuery, sums: str, people: str) -> str:
    """Groups of both, also those that only one of them has."""
    keys = list(_keys(query))
    sum_names = dict.fromkeys([*query.measures, *([query.per] if query.per else [])])
    select = [f"coalesce(s.{k}, p.{k}) AS {k}" for k in keys]
    select += [f"s.{dialect.name(m)}" for m in sum_names] + [
        f"p.{dialect.name(m.name)}" for m in query.people
    ]
    same = " AND ".join(f"s.{k} IS NOT DISTINCT FROM p.{k}" for k in keys)
    return f"SELECT {', '.join(select)} FROM ({sums}) AS s FULL OUTER JOIN ({people}) AS p ON {same}"


def _by_the_hour(condition: Filter) -> Filter:
    """The condition for rows of hours: the hours in which its windows lie."""
    if not isinstance(condition, WindowFilter):
        return condition
    hours = tuple(v.replace(minute=0, second=0, microsecond=0) for v in condition.values)
    return WindowFilter(condition.how, hours)


def _on_experiments(condition: Filter) -> bool:
    return isinstance(condition, TextFilter) and condition.column in EXPERIMENT_COLUMNS


def _keys(query: AggregateQuery) -> dict[str, str]:
    """Alias -> expression of what is grouped by; both window columns come from one key in microseconds."""
    keys: dict[str, str] = {}
    for dimension in query.dimensions:
        if dimension in ("window_start", "window_end"):
            width = query.interval_s * 1_000_000
            keys["window_us"] = f'epoch_us("window_start") // {width} * {width}'
        else:
            keys[dialect.name(dimension)] = dialect.name(dimension)
    return keys


def _shown(dimension: str, interval_s: int) -> str:
    """The dimension as the answer gives it."""
    if dimension not in ("window_start", "window_end"):
        return f"g.{dialect.name(dimension)}"
    instant = "g.window_us" if dimension == "window_start" else f"g.window_us + {interval_s * 1_000_000}"
    return f"make_timestamptz({instant})"


def _order_term(column: str, query: AggregateQuery) -> str:
    if column in ("window_start", "window_end"):
        return "g.window_us"
    ratio = dict(query.ratios).get(column)
    return _ratio(ratio, query.per) if ratio else f"g.{dialect.name(column)}"


def _ratio(measure: str, per: str) -> str:
    top, bottom = f"g.{dialect.name(measure)}", f"g.{dialect.name(per)}"
    return f"CASE WHEN {bottom} > 0 THEN 1000.0 * CAST({top} AS DOUBLE) / {bottom} END"
