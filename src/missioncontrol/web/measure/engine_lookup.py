"""The pages' questions, answered by the query engine: each is one query.

Never reads the lake itself and keeps nothing, so that an answer is as new as the tables are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from missioncontrol.errors import BadRequest
from missioncontrol.query import filters
from missioncontrol.query.aggregates import EXPERIMENT_COLUMNS, AggregateQuery
from missioncontrol.query.day_sums import DaySums
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.web.address import INTERVALS, Filter, Group, Interval
from missioncontrol.web.measure.courses import CourseReader
from missioncontrol.web.measure.lookup import (
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
        rows = self._courses.rows_of(_selected(of), {group: only}, Span(start, end - _WINDOW))
        return self._courses.read(rows, (measure, per), (group,), INTERVALS[interval])

    def course(
        self, of: Selection, measure: str, per: str, start: datetime, end: datetime, interval: Interval
    ) -> Course:
        """Sums of two measures for each interval in [start, end), all groups together."""
        rows = self._courses.rows_of(_selected(of), {}, Span(start, end - _WINDOW))
        found = self._courses.read(rows, (measure, per), (), INTERVALS[interval])
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
        rows = self._courses.rows_of(_selected(of), {group: groups}, Span(start, end - _WINDOW))
        return self._courses.read(rows, (measure, per), (group, dimension), INTERVALS[interval])

    def ages(
        self, of: Selection, measure: str, per: str, group: Group, lives: Sequence[Life], interval: Interval
    ) -> list[Course]:
        """Sums of two measures for each interval of the age of each life; no two are of one group."""
        if not lives:
            return []
        span = Span(min(one.start for one in lives), max(one.end for one in lives) - _WINDOW)
        rows = self._courses.rows_of(_selected(of), {group: [one.group for one in lives]}, span)
        return self._courses.read(rows, (measure, per), (group,), INTERVALS[interval], lives)

    def first_data(self, of: Selection, group: Group, only: Sequence[str | None]) -> list[FirstData]:
        """The first window of each of the groups; one without rows is left out."""
        if not only:
            return []
        rows = self._courses.rows_of(_selected(of), {group: only}, Span())
        sql = f"SELECT {group}, min(epoch_us(window_start)) FROM {{relation}} WHERE {rows.where} GROUP BY 1"
        columns = dict.fromkeys((group, "window_start", *rows.columns))
        found = self._engine.over_sums(tuple(columns), sql, rows.parameters)
        return [FirstData(name, datetime.fromtimestamp(us // 1_000_000, UTC)) for name, us in found]

    def _rows(
        self,
        measures: tuple[str, ...],
        dimensions: tuple[str, ...],
        conditions: Conditions,
        interval_s: int = 300,
    ) -> list[tuple[Any, ...]]:
        """Rows of (dimensions, measures), times as ISO 8601 text. Raises `BadRequest` (`range_too_long`)."""
        query = AggregateQuery(measures, dimensions, conditions, limit=_LIMIT, interval_s=interval_s)
        with self._engine.aggregate(query) as rows:
            found = [row for batch in rows.batches() for row in batch]
            if not rows.complete:
                message = f"The range holds more than {_LIMIT:,} sums."
                raise BadRequest("range_too_long", message, "Choose a shorter range, or filter.")
            return found


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
