"""Courses of sums, read from the lake: one row of lists a course, so that tens of thousands of numbers come at once.

SQL is made here of names that the registry declares; what users said is a parameter or a quoted literal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

from missioncontrol.clock import in_us
from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query import dialect, filters
from missioncontrol.query.aggregates import EXPERIMENT_COLUMNS
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter
from missioncontrol.query.versions import between, version_key
from missioncontrol.web.measure.lookup import MOST_PARTS, Course, Life


class RowsOf(msgspec.Struct, frozen=True):
    """Rows of a table: a condition in SQL, the values of its `?`, and the columns that it reads."""

    where: str
    parameters: list[Parameter]
    columns: tuple[str, ...]
    span: Span
    of_experiments: bool


class CourseReader:
    """Reads error_aggregates, or experiment_aggregates where an experiment is asked for. Thread-safe; blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(
        self,
        rows: RowsOf,
        measures: tuple[str, str],
        keys: tuple[str, ...],
        step: timedelta,
        lives: Sequence[Life] = (),
    ) -> list[Course]:
        """Sums by keys and place, as one row of lists a course: so tens of thousands of them are read at once."""
        width_s = int(step.total_seconds())
        since, join, parameters = "0", "", [*rows.parameters]
        if lives:
            since = "s.first_us"
            join = (
                "JOIN (SELECT unnest(?::VARCHAR[]) AS name, unnest(?::BIGINT[]) AS first_us, "
                f"unnest(?::BIGINT[]) AS end_us) AS s ON r.{keys[0]} IS NOT DISTINCT FROM s.name "
                "AND epoch_us(r.window_start) >= s.first_us AND epoch_us(r.window_start) < s.end_us"
            )
            parameters += [
                [one.group for one in lives],
                [in_us(one.start) for one in lives],
                [in_us(one.end) for one in lives],
            ]
        sums = [f"CAST(sum(r.{dialect.name(name)}) AS DOUBLE)" for name in measures]
        place = f"(epoch_us(r.window_start) - {since}) // {width_s * 1_000_000} * {width_s} AS place"
        select = [*(f"r.{dialect.name(name)} AS k{n}" for n, name in enumerate(keys)), place]
        named = [f"k{n}" for n in range(len(keys))]
        by = (
            f" GROUP BY {', '.join(named)} ORDER BY sum(per) DESC NULLS LAST LIMIT {MOST_PARTS}"
            if named
            else ""
        )
        sql = (
            f"SELECT {', '.join([*named, 'list(place)', 'list(value)', 'list(per)'])} "
            f"FROM (SELECT {', '.join(select)}, "
            # Two decimals of a hundred hours, six of less: what is read and sent is short, and no rate changes by more
            # than a twenty-thousandth.
            f"{sums[0]} AS value, round({sums[1]}, CASE WHEN abs({sums[1]}) >= 100 THEN 2 ELSE 6 END) AS per "
            f"FROM (FROM {{relation}} WHERE {rows.where}) AS r {join} GROUP BY {', '.join([*named, 'place'])}){by}"
        )
        columns = tuple(dict.fromkeys((*keys, "window_start", *measures, *rows.columns)))
        if rows.of_experiments:
            found = self._engine.over("experiment_aggregates", sql, parameters, rows.span, columns)
        else:
            found = self._engine.over_sums(columns, sql, parameters, rows.span)
        padded = [(*row[: len(keys)], *(None,) * (2 - len(keys)), *row[len(keys) :]) for row in found]
        return [Course(row[0], row[2], row[3], row[4], row[1]) for row in padded if row[2]]

    def rows_of(
        self, selected: Sequence[filters.TextFilter], members: Mapping[str, Sequence[str | None]], span: Span
    ) -> RowsOf:
        """The rows of a selection whose `members` columns have one of their values, in windows within `span`."""
        experiments = any(one.column in EXPERIMENT_COLUMNS for one in selected)
        if experiments:
            self._refuse_not_kept([one.column for one in selected])
        terms: list[str] = []
        parameters: list[Parameter] = []
        for one in selected:
            term, values = self._term(one, span)
            terms.append(term)
            parameters += values
        for column, only in members.items():
            texts = [dialect.text(name) for name in only if name is not None]
            held = [f"{dialect.name(column)} IN ({', '.join(texts)})"] if texts else []
            held += [f"{dialect.name(column)} IS NULL"] if None in only else []
            terms.append(f"({' OR '.join(held) or 'false'})")
        if span.first and span.last:
            terms.append(
                f"window_start BETWEEN {dialect.instant(span.first)} AND {dialect.instant(span.last)}"
            )
        columns = tuple(one.column for one in selected)
        return RowsOf(" AND ".join(terms), parameters, columns, span, experiments)

    def _term(self, one: filters.TextFilter, span: Span) -> tuple[str, list[Parameter]]:
        column = dialect.name(one.column)
        if one.how in ("null", "not_null"):
            return f"{column} IS {'NOT ' if one.how == 'not_null' else ''}NULL", []
        values = list(one.values)
        if one.how == "range" and one.column != "version":
            return f"{column} BETWEEN ? AND ?", [*values]
        if one.how == "range":
            sql = "SELECT DISTINCT version FROM {relation} WHERE version IS NOT NULL"
            held = [row[0] for row in self._engine.over_sums(("version",), sql, (), span)]
            low, high = sorted(values, key=version_key)
            values = between(held, low, high)
        return f"{column} IN ({', '.join('?' * len(values)) or 'NULL'})", [*values]

    def _refuse_not_kept(self, columns: Sequence[str]) -> None:
        """Raises `BadRequest` for a condition that rows of experiments cannot meet."""
        registry = self._engine.registry()
        kept = [c.name for c in lake_tables(registry)["experiment_aggregates"].columns]
        for name in columns:
            if name not in kept:
                names = [key.name for key in registry.keys if key.name in kept]
                raise BadRequest(
                    "not_kept_for_experiments",
                    f"{name} is not kept for rows of experiments.",
                    f"Together with an experiment these can be used: {', '.join(names)}.",
                )
