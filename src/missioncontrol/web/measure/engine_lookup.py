"""The pages' questions, answered by the query engine: each is one aggregate query, the first data of groups
two.

Never reads the lake itself and keeps nothing, so that an answer is as new as the tables are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

from missioncontrol.query import filters
from missioncontrol.query.aggregates import AggregateQuery
from missioncontrol.query.engine import Engine
from missioncontrol.web.address import INTERVALS, Filter, Group, Interval
from missioncontrol.web.measure.lookup import (
    ChannelRef,
    FirstData,
    GroupTotal,
    Point,
    Selection,
    VersionTotal,
)

_LIMIT = 500_000
_WINDOW = timedelta(minutes=5)
Conditions = tuple[filters.Filter, ...]


class EngineLookup:
    """See `Lookup` for what each method promises."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def channels(self, start: datetime, end: datetime) -> list[ChannelRef]:
        """The channels with rows in [start, end), the busiest first."""
        rows = self._rows(("count",), ("application", "channel"), _within(start, end))
        rows.sort(key=lambda row: row[2] or 0, reverse=True)
        return [ChannelRef(application, channel) for application, channel, _ in rows]

    def versions(self, measures: Sequence[str], start: datetime, end: datetime) -> list[VersionTotal]:
        """Sums for each application, channel and version with rows in [start, end)."""
        rows = self._rows(tuple(measures), ("application", "channel", "version"), _within(start, end))
        return [VersionTotal(row[0], row[1], row[2], tuple(row[3:])) for row in rows]

    def totals(
        self, of: Selection, measure: str, per: str, group: Group, start: datetime, end: datetime
    ) -> list[GroupTotal]:
        """Sums of two measures for each group with rows in [start, end)."""
        names = tuple(dict.fromkeys((measure, per)))
        rows = self._rows(names, ("submission_date", group), (*_selected(of), *_within(start, end)))
        totals: dict[str | None, GroupTotal] = {}
        for day, name, *sums in rows:
            one = GroupTotal(name, sums[0], sums[-1], date.fromisoformat(day), date.fromisoformat(day))
            totals[name] = _joined(totals[name], one) if name in totals else one
        return list(totals.values())

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
    ) -> list[Point]:
        """Sums of two measures for each interval and each of the groups `only`, in [start, end)."""
        names = tuple(dict.fromkeys((measure, per)))
        conditions = (*_selected(of), *_within(start, end))
        width_s = int(INTERVALS[interval].total_seconds())
        found = []
        for chosen in _memberships(group, only):
            rows = self._rows(names, ("window_start", group), (*conditions, chosen), width_s)
            found += [Point(datetime.fromisoformat(at), name, sums[0], sums[-1]) for at, name, *sums in rows]
        return found

    def first_data(self, of: Selection, group: Group, only: Sequence[str | None]) -> list[FirstData]:
        """The first window of each of the groups; one without rows is left out."""
        days: dict[str | None, date] = {}
        for chosen in _memberships(group, only):
            for day, name in self._rows((), ("submission_date", group), (*_selected(of), chosen)):
                days[name] = min(days.get(name, date.max), date.fromisoformat(day))
        return [FirstData(name, self._first_window(of, group, name, day)) for name, day in days.items()]

    def _first_window(self, of: Selection, group: Group, name: str | None, day: date) -> datetime:
        conditions = (*_selected(of), *_memberships(group, [name]), filters.DateFilter("in", (day,)))
        return datetime.fromisoformat(self._rows((), ("window_start",), conditions)[0][0])

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


def _selected(of: Selection) -> Conditions:
    fixed = (_equals("application", of.application), _equals("channel", of.channel))
    return (*fixed, *(_condition(one) for one in of.filters))


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


def _memberships(group: Group, only: Sequence[str | None]) -> list[filters.TextFilter]:
    """One condition for all groups with a name, and one for null if it is among them."""
    named = tuple(name for name in only if name is not None)
    found = [filters.TextFilter(group, "in", named)] if named else []
    return [*found, *([filters.TextFilter(group, "null")] if None in only else [])]


def _joined(one: GroupTotal, other: GroupTotal) -> GroupTotal:
    return GroupTotal(
        one.group,
        _add(one.value, other.value),
        _add(one.per, other.per),
        min(one.first, other.first),
        max(one.last, other.last),
    )


def _add(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other
