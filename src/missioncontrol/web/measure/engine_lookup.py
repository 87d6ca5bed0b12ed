"""The pages' questions, answered by the query engine: each is one query.

Never reads the lake itself and keeps nothing, so that an answer is as new as the tables are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query import dialect, filters
from missioncontrol.query.aggregates import EXPERIMENT_COLUMNS, AggregateQuery
from missioncontrol.query.day_sums import DaySums
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter
from missioncontrol.query.versions import between, version_key
from missioncontrol.web.address import INTERVALS, Filter, Group, Interval
from missioncontrol.web.measure.lookup import (
    MOST_PARTS,
    ChannelRef,
    Course,
    FirstData,
    GroupTotal,
    Life,
    Selection,
    VersionTotal,
)
from missioncontrol.web.measure.question import ceil, floor
from missioncontrol.web.measure.sums import add

_LIMIT = 500_000
_WINDOW = timedelta(minutes=5)
_DAY = timedelta(days=1)
_EVER_S = 400 * 366 * 86_400
Conditions = tuple[filters.Filter, ...]


class _RowsOf(msgspec.Struct, frozen=True):
    """Rows of a table: a condition in SQL, the values of its `?`, and the columns that it reads."""

    where: str
    parameters: list[Parameter]
    columns: tuple[str, ...]
    span: Span
    of_experiments: bool


class EngineLookup:
    """See `Lookup` for what each method promises."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._days = DaySums(engine)

    def channels(self, start: datetime, end: datetime) -> list[ChannelRef]:
        """The channels with rows on the days of [start, end), the busiest first."""
        days = self._days.days(_days_within(start, end), "", ("count",))
        if days is None:
            rows = self._rows(("count",), ("application", "channel"), _within(start, end), _EVER_S)
            counts = {(row[1], row[2]): row[3] or 0 for row in rows}
        else:
            counts = {}
            for parts in days.values():
                for sums in parts:
                    for place, ((_, (count,)),) in sums.items():
                        counts[place] = counts.get(place, 0) + (count or 0)
        return [ChannelRef(*place) for place in sorted(counts, key=lambda place: counts[place], reverse=True)]

    def versions(self, measures: Sequence[str], start: datetime, end: datetime) -> list[VersionTotal]:
        """Sums for each application, channel and version with rows in [start, end)."""
        rows = self._rows(tuple(measures), ("application", "channel", "version"), _within(start, end))
        return [VersionTotal(row[0], row[1], row[2], tuple(row[3:])) for row in rows]

    def totals(
        self, of: Selection, measure: str, per: str, group: Group, start: datetime, end: datetime
    ) -> list[GroupTotal]:
        """Sums of two measures for each group with rows in [start, end)."""
        found: dict[str | None, GroupTotal] = {}
        whole = self._whole_days(of, measure, per, group, start, end)
        for one in whole or []:
            found[one.group] = joined(found[one.group], one) if one.group in found else one
        for first, last in _edges(start, end) if whole is not None else [(start, end)]:
            for one in self._read_totals(of, measure, per, group, first, last):
                found[one.group] = joined(found[one.group], one) if one.group in found else one
        return list(found.values())

    def _read_totals(
        self, of: Selection, measure: str, per: str, group: Group, start: datetime, end: datetime
    ) -> list[GroupTotal]:
        names = tuple(dict.fromkeys((measure, per)))
        rows = self._rows(names, ("submission_date", group), (*_selected(of), *_within(start, end)))
        return [
            GroupTotal(name, sums[0], sums[-1], date.fromisoformat(day), date.fromisoformat(day))
            for day, name, *sums in rows
        ]

    def _whole_days(
        self, of: Selection, measure: str, per: str, group: Group, start: datetime, end: datetime
    ) -> list[GroupTotal] | None:
        """Sums of the days that lie within [start, end), from those that are kept; None where none are."""
        if of.filters:
            return None
        days = self._days.days(_whole(start, end), group, (measure, per))
        if days is None:
            return None
        place = (of.application, of.channel)
        return [
            GroupTotal(name, value, of_per, day, day)
            for day, parts in days.items()
            for sums in parts
            for name, (value, of_per) in sums.get(place, [])
        ]

    def points(
        self,
        of: Selection,
        measure: str,
        per: str,
        group: Group,
        only: Sequence[str | None],
        start: datetime,
        end: datetime,
        interval: Interval,
    ) -> list[Course]:
        """Sums of two measures for each interval and each of the groups `only`, in [start, end)."""
        if interval == "day":
            whole = self._whole_days(of, measure, per, group, start, end)
            if whole is not None:
                return _by_day(whole, only)
        rows = self._rows_of(of, {group: only}, Span(start, end - _WINDOW))
        return self._courses(rows, (measure, per), (group,), INTERVALS[interval])

    def course(
        self, of: Selection, measure: str, per: str, start: datetime, end: datetime, interval: Interval
    ) -> Course:
        """Sums of two measures for each interval in [start, end), all groups together."""
        rows = self._rows_of(of, {}, Span(start, end - _WINDOW))
        found = self._courses(rows, (measure, per), (), INTERVALS[interval])
        return found[0] if found else Course(None, [], [], [])

    def parts(
        self,
        of: Selection,
        measure: str,
        per: str,
        dimension: str,
        group: Group,
        groups: Sequence[str | None],
        start: datetime,
        end: datetime,
        interval: Interval,
    ) -> list[Course]:
        """Sums for each interval, of each of the groups by value of a dimension, in [start, end)."""
        rows = self._rows_of(of, {group: groups}, Span(start, end - _WINDOW))
        return self._courses(rows, (measure, per), (group, dimension), INTERVALS[interval])

    def ages(
        self, of: Selection, measure: str, per: str, group: Group, lives: Sequence[Life], interval: Interval
    ) -> list[Course]:
        """Sums of two measures for each interval of the age of each life; no two are of one group."""
        if not lives:
            return []
        span = Span(min(one.start for one in lives), max(one.end for one in lives) - _WINDOW)
        rows = self._rows_of(of, {group: [one.group for one in lives]}, span)
        return self._courses(rows, (measure, per), (group,), INTERVALS[interval], lives)

    def first_data(self, of: Selection, group: Group, only: Sequence[str | None]) -> list[FirstData]:
        """The first window of each of the groups; one without rows is left out."""
        if not only:
            return []
        rows = self._rows_of(of, {group: only}, Span())
        sql = f"SELECT {group}, min(epoch_us(window_start)) FROM {{relation}} WHERE {rows.where} GROUP BY 1"
        columns = dict.fromkeys((group, "window_start", *rows.columns))
        found = self._engine.over_sums(tuple(columns), sql, rows.parameters)
        return [FirstData(name, datetime.fromtimestamp(us // 1_000_000, UTC)) for name, us in found]

    def _courses(
        self,
        rows: _RowsOf,
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
                [_us(one.start) for one in lives],
                [_us(one.end) for one in lives],
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

    def _rows_of(self, of: Selection, members: Mapping[str, Sequence[str | None]], span: Span) -> _RowsOf:
        """The rows of a selection whose `members` columns have one of their values, in windows within `span`."""
        selected = _selected(of)
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
        return _RowsOf(" AND ".join(terms), parameters, columns, span, experiments)

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

    def _rows(
        self,
        measures: tuple[str, ...],
        dimensions: tuple[str, ...],
        conditions: Conditions,
        interval_s: int = 300,
    ) -> list[tuple[Any, ...]]:
        """Rows of (dimensions, measures), times as ISO 8601 text."""
        query = AggregateQuery(measures, dimensions, conditions, limit=_LIMIT, interval_s=interval_s)
        with self._engine.aggregate(query) as rows:
            return [row for batch in rows.batches() for row in batch]


def _within(start: datetime, end: datetime) -> Conditions:
    """[start, end) as windows, of which both the first and the last are named."""
    return (filters.WindowFilter("range", (start, end - _WINDOW)),)


def _selected(of: Selection) -> tuple[filters.TextFilter, ...]:
    fixed = [_equals("application", of.application), _equals("channel", of.channel)]
    if any(one.dimension in EXPERIMENT_COLUMNS for one in of.filters):
        fixed = fixed[1:]  # rows of experiments have no application
    return (*fixed, *(_condition(one) for one in of.filters))


def _us(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000


def _equals(column: str, value: str | None) -> filters.TextFilter:
    if value is None:
        return filters.TextFilter(column, "null")
    return filters.TextFilter(column, "in", (value,))


def _condition(one: Filter) -> filters.TextFilter:
    """The same meaning as in the API: two versions or build ids are a range."""
    if one.null is None:
        return filters.text_filter(one.dimension, one.values)
    how: Literal["null", "not_null"] = "null" if one.null else "not_null"
    return filters.TextFilter(one.dimension, how)


def joined(one: GroupTotal, other: GroupTotal) -> GroupTotal:
    """The sums of both."""
    return GroupTotal(
        one.group,
        add(one.value, other.value),
        add(one.per, other.per),
        min(one.first, other.first),
        max(one.last, other.last),
    )


def _whole(start: datetime, end: datetime) -> list[date]:
    """The days that lie within [start, end)."""
    first, last = ceil(start, _DAY), floor(end, _DAY)
    return [(first + n * _DAY).date() for n in range(max(0, (last - first) // _DAY))]


def _edges(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """What of [start, end) is no whole day."""
    first, last = ceil(start, _DAY), floor(end, _DAY)
    if first >= last:
        return [(start, end)]
    return [(one, other) for one, other in ((start, first), (last, end)) if one < other]


def _days_within(start: datetime, end: datetime) -> list[date]:
    return [(floor(start, _DAY) + n * _DAY).date() for n in range((end - floor(start, _DAY)) // _DAY + 1)]


def _by_day(totals: Sequence[GroupTotal], only: Sequence[str | None]) -> list[Course]:
    """A course of each group, from its sums day by day; those of one day are added up."""
    sums: dict[str | None, dict[date, GroupTotal]] = {}
    for one in totals:
        if one.group in only:
            own = sums.setdefault(one.group, {})
            own[one.first] = joined(own[one.first], one) if one.first in own else one
    return [
        Course(
            group,
            [int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in days],
            [one.value for one in days.values()],
            [one.per for one in days.values()],
        )
        for group, days in sums.items()
    ]
