"""The pages' questions, answered by the query engine: each is one query.

Never reads the lake itself. What is kept is of files that are still there: an answer is as new as the tables are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from missioncontrol.query import dialect, filters
from missioncontrol.query.aggregates import EXPERIMENT_COLUMNS, AggregateQuery
from missioncontrol.query.day_sums import DaySums
from missioncontrol.query.engine import Engine
from missioncontrol.query.published import COLUMN
from missioncontrol.query.relation import Span
from missioncontrol.web.address import INTERVALS, Filter, Group, Interval
from missioncontrol.web.measure.courses import CourseReader
from missioncontrol.web.measure.lookup import (
    BuildRef,
    ChannelRef,
    Course,
    FirstData,
    GroupTotal,
    Life,
    Selection,
)
from missioncontrol.web.measure.question import ceil, floor
from missioncontrol.web.measure.sums import add

_LIMIT = 500_000
_WINDOW = timedelta(minutes=5)
_DAY = timedelta(days=1)
_EVER_S = 400 * 366 * 86_400
Conditions = tuple[filters.Filter, ...]


class EngineLookup:
    """See `Lookup` for what each method promises."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._days = DaySums(engine)
        self._courses = CourseReader(engine)

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

    def builds(self, begins: str, start: datetime, end: datetime) -> list[BuildRef]:
        """The builds with rows on the days of [start, end) whose id begins so, the highest id first."""
        wanted = _days_within(start, end)
        days = self._days.days(wanted, "build_id", ("count",))
        if days is None:
            sql = (
                "SELECT epoch_us(window_start) // 86400000000, application, channel, build_id FROM {relation} "
                "WHERE starts_with(build_id, ?) GROUP BY ALL"
            )
            columns = ("application", "channel", "build_id", "window_start")
            span = Span(start, end - _WINDOW)
            rows = self._engine.over_sums(columns, sql, (begins,), span)
            found = [(datetime.fromtimestamp(number * 86_400, UTC).date(), *row) for number, *row in rows]
        else:
            found = [
                (day, *place, build)
                for day, parts in days.items()
                for sums in parts
                for place, of_place in sums.items()
                for build, _ in of_place
                if build is not None and build.startswith(begins)
            ]
        seen: dict[tuple[str | None, str | None, str], list[date]] = {}
        for day, application, channel, build in found:
            seen.setdefault((application, channel, build), []).append(day)
        ordered = sorted(seen, key=lambda key: (key[2], key[0] or "", key[1] or ""), reverse=True)
        return [BuildRef(*key, min(seen[key]), max(seen[key])) for key in ordered]

    def totals(
        self, of: Selection, measure: str, per: str, group: Group, start: datetime, end: datetime
    ) -> list[GroupTotal]:
        """Sums of two measures for each group with rows in [start, end)."""
        found: dict[str | None, GroupTotal] = {}
        whole = self._whole_days(of, measure, per, group, start, end)
        for one in whole or []:
            found[one.group] = joined(found[one.group], one) if one.group in found else one
        for one in self._read_totals(
            of, measure, per, group, _edges(start, end) if whole is not None else [(start, end)]
        ):
            found[one.group] = joined(found[one.group], one) if one.group in found else one
        return list(found.values())

    def _read_totals(
        self,
        of: Selection,
        measure: str,
        per: str,
        group: Group,
        ranges: Sequence[tuple[datetime, datetime]],
    ) -> list[GroupTotal]:
        """Sums for each group and day in some ranges, by one query."""
        if not ranges:
            return []
        spans = [Span(start, end - _WINDOW) for start, end in ranges]
        snapshot = self._engine.reader.snapshot("error_aggregates")
        held = snapshot.files if snapshot else ()
        paths = frozenset(file.path for file in held if any(span.wants(file) for span in spans))
        within_files = Span(spans[0].first, spans[-1].last, files=paths)
        rows = self._courses.rows_of(_selected(of), {}, within_files, of.named)
        within = " OR ".join(
            f"window_start BETWEEN {dialect.instant(start)} AND {dialect.instant(end - _WINDOW)}"
            for start, end in ranges
        )
        day = "epoch_us(window_start) // 86400000000"
        sums = ", ".join(f"CAST(sum({dialect.name(name)}) AS DOUBLE)" for name in (measure, per))
        sql = (
            f"SELECT {rows.key(group)}, {day}, {sums} FROM {rows.relation} WHERE {rows.where} AND ({within}) "
            "GROUP BY 1, 2"
        )
        columns = rows.read((group, "window_start", measure, per))
        if rows.of_experiments:
            read = self._engine.over("experiment_aggregates", sql, rows.parameters, rows.span, columns)
        else:
            read = self._engine.over_sums(columns, sql, rows.parameters, rows.span)
        found = []
        for name, number, value, of_per in read:
            at = datetime.fromtimestamp(number * 86_400, UTC).date()
            found.append(GroupTotal(name, value, of_per, at, at))
        return found

    def _whole_days(
        self, of: Selection, measure: str, per: str, group: Group, start: datetime, end: datetime
    ) -> list[GroupTotal] | None:
        """Sums of the days that lie within [start, end), from those that are kept; None where none are."""
        if of.filters:
            return None
        by_name = of.named if group == "version" else ()
        key = COLUMN if by_name else group
        days = self._days.days(_whole(start, end), key, (measure, per), by_name)
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
        rows = self._courses.rows_of(_selected(of), {group: only}, Span(start, end - _WINDOW), of.named)
        return self._courses.read(rows, (measure, per), (group,), INTERVALS[interval])

    def course(
        self,
        of: Selection,
        measure: str,
        per: str,
        start: datetime,
        end: datetime,
        interval: Interval,
        since: datetime | None = None,
    ) -> Course:
        """Sums of two measures for each interval in [start, end), all groups together."""
        rows = self._courses.rows_of(_selected(of), {}, Span(start, end - _WINDOW), of.named)
        found = self._courses.read(rows, (measure, per), (), INTERVALS[interval], since=since)
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
        rows = self._courses.rows_of(_selected(of), {group: groups}, Span(start, end - _WINDOW), of.named)
        return self._courses.read(rows, (measure, per), (group, dimension), INTERVALS[interval])

    def age_parts(
        self,
        of: Selection,
        measure: str,
        per: str,
        dimension: str,
        group: Group,
        lives: Sequence[Life],
        interval: Interval,
    ) -> list[Course]:
        """As `parts()`, for each interval of the age of each life; no two are of one group."""
        return self._by_age(of, measure, per, (group, dimension), lives, interval)

    def ages(
        self, of: Selection, measure: str, per: str, group: Group, lives: Sequence[Life], interval: Interval
    ) -> list[Course]:
        """Sums of two measures for each interval of the age of each life; no two are of one group."""
        return self._by_age(of, measure, per, (group,), lives, interval)

    def _by_age(
        self,
        of: Selection,
        measure: str,
        per: str,
        keys: tuple[str, ...],
        lives: Sequence[Life],
        interval: Interval,
    ) -> list[Course]:
        if not lives:
            return []
        span = Span(min(one.start for one in lives), max(one.end for one in lives) - _WINDOW)
        rows = self._courses.rows_of(_selected(of), {keys[0]: [one.group for one in lives]}, span, of.named)
        return self._courses.read(rows, (measure, per), keys, INTERVALS[interval], lives)

    def first_data(self, of: Selection, group: Group, only: Sequence[str | None]) -> list[FirstData]:
        """The first window of each of the groups; one without rows is left out."""
        if not only:
            return []
        rows = self._courses.rows_of(_selected(of), {group: only}, Span(), of.named)
        return [FirstData(name, start) for name, start in self._courses.first_windows(rows, group).items()]

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


def _equals(column: str, value: str | None) -> filters.TextFilter:
    if value is None:
        return filters.TextFilter(column, "null")
    return filters.TextFilter(column, "in", (value,))


def _condition(one: Filter) -> filters.TextFilter:
    """The same meaning as in the API: two values of a dimension with an order are a range."""
    if one.null is None:
        return filters.text_filter(one.dimension, one.values, one.ranged)
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
