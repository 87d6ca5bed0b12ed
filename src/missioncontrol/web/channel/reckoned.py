"""How the numbers of the page of a channel were computed: those of a column, and those of a breakdown.

Takes what was read and laid out; asks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from missioncontrol.query import dialect
from missioncontrol.query.hour_sums import HOUR_S, hour_after
from missioncontrol.registry.model import Registry
from missioncontrol.state.release_model import Version
from missioncontrol.web.channel.breakdown import Breakdown
from missioncontrol.web.channel.columns import Column
from missioncontrol.web.channel.source import FURTHEST
from missioncontrol.web.channel.table import Facts, Row, before_of
from missioncontrol.web.channel.view import ChannelView
from missioncontrol.web.measure.sums import counts_events
from missioncontrol.web.numerals import amount, rate
from missioncontrol.web.reckoning import (
    MOST_OTHERS,
    Reckoning,
    Rows,
    Sums,
    grouped_query,
    measures_query,
    rate_of_query,
    rows_of,
    users_query,
)
from missioncontrol.web.verdicts.words import length, times

_DOC = "/docs/reference/pages#a-channel"
_DAY = timedelta(hours=24)


def columns_of(
    view: ChannelView, facts: Facts, versions: Sequence[Version], registry: Registry, listed: Sequence[Row]
) -> list[Reckoning]:
    """Of all numbers of each column; `listed`: the rows of the table."""
    return [_column(n, view, facts, versions, registry, listed) for n in range(len(view.table.heads))]


def _column(
    place: int,
    view: ChannelView,
    facts: Facts,
    versions: Sequence[Version],
    registry: Registry,
    listed: Sequence[Row],
) -> Reckoning:
    shown, head = facts.shown[place], view.table.heads[place]
    rows = _rows(view, shown.column, facts, versions, shown.hours)
    sums = [
        Sums(one.name, one.per or one.name, bool(one.per) and counts_events(one), bool(one.per))
        for one in (registry.measures[row.measure] for row in listed)
    ]
    cells = [(row.measure, row.cells[place]) for row in listed]
    before = next((cell.before for _, cell in cells if cell.before), None)
    counted = [measure for measure, cell in cells if cell.users and cell.users.number >= 1]
    inputs, users = [], ""
    if counted and facts.end:
        day = _rows(view, shown.column, facts, versions, 0, facts.end)
        inputs.append(("Users by SQL", users_query(counted, day)))
        users = " Users: clients of the last day with at least one, estimated by sketches."
    change = f" Change: the rate ÷ that of {before}" if before else ""
    change += " over as many hours of its life." if before and view.age == "equal" else "." if before else ""
    age = "its first" if view.age == "equal" else "all"
    return Reckoning(
        f"numbers of {head.name}",
        f"Rate: 1,000 × count ÷ usage hours (or what the measure is per), over {age} {length(head.hours)}",
        [
            ("Versions", _named(head.versions)),
            ("Usage hours", amount(head.usage_hours)),
            rows_of("sums of 5 minutes", rows.start, rows.end),
        ],
        measures_query(sums, rows.conditions()) if sums else "",
        f"{change}{users}".strip(),
        inputs,
        _DOC,
    )


def whole_of(
    view: ChannelView, facts: Facts, versions: Sequence[Version], registry: Registry
) -> Reckoning | None:
    """Of the rates of all users above a breakdown; None where there is no breakdown."""
    found = view.breakdown
    if found is None:
        return None
    sums, own, before = _eras(found, view, facts, versions, registry)
    ratio = found.whole.ratio_before
    return Reckoning(
        "rate of all users",
        f"1,000 × {found.measure} ÷ {found.per} = {rate(found.whole.rate)}",
        [
            ("Count", amount(round(found.whole.count))),
            ("Per", amount(round(found.whole.per))),
            rows_of("sums of 5 minutes", own.start, own.end),
        ],
        rate_of_query(sums, own.conditions()),
        f"Its ratio to {found.before}: the one rate ÷ the other = {times(ratio)}."
        if ratio is not None
        else "",
        [(f"{found.before} by SQL", rate_of_query(sums, before.conditions()))] if before else [],
    )


def values_of(
    view: ChannelView, facts: Facts, versions: Sequence[Version], registry: Registry
) -> Reckoning | None:
    """Of count, share and rate of each value of a breakdown; None where there is none."""
    found = view.breakdown
    if found is None:
        return None
    sums, own, before = _eras(found, view, facts, versions, registry)
    by = [(name, dialect.name(name)) for name in found.dimensions]
    pooled = any(one.pooled for one in found.values)
    return Reckoning(
        "rates by value",
        f"1,000 × {found.measure} ÷ {found.per}, of the users with the value. Share: their {found.per} ÷ those of all",
        [rows_of("sums of 5 minutes", own.start, own.end)],
        grouped_query(sums, by, own.conditions()),
        "The SQL has each of the others by itself." if pooled else "",
        [(f"{found.before} by SQL", grouped_query(sums, by, before.conditions()))] if before else [],
    )


def ratios_of(
    view: ChannelView, facts: Facts, versions: Sequence[Version], registry: Registry
) -> Reckoning | None:
    """Of the ratios of a breakdown with their intervals; None where there is none."""
    found, values = view.breakdown, values_of(view, facts, versions, registry)
    if found is None or values is None:
        return None
    change = (
        f" Change against others’ change: the same ratio, over what it was in {found.before}."
        if found.before
        else ""
    )
    return Reckoning(
        "ratios by value",
        f"Count of the value ÷ what the rate of all others makes of its {found.per}.{change}",
        [
            ("Interval", "95 %, at every look"),
            ("Variance", f"{amount(found.dispersion)} times that of chance alone"),
            ("Comparisons", amount(found.looked_at)),
        ],
        note="A value that moved is none of the others.",
        inputs=[("Rates by value by SQL", values.query), *values.inputs],
        doc=_DOC,
    )


def _eras(
    found: Breakdown, view: ChannelView, facts: Facts, versions: Sequence[Version], registry: Registry
) -> tuple[Sums, Rows, Rows | None]:
    """The measure, and the rows of the version and of the one before it."""
    one, other = before_of(facts.shown, found.version)
    sums = Sums(found.measure, found.per, counts_events(registry.measures[found.measure]))
    own = _rows(view, one.column, facts, versions, found.hours)
    before = _rows(view, other.column, facts, versions, found.hours) if other and found.before else None
    return sums, own, before


def _rows(
    view: ChannelView,
    column: Column,
    facts: Facts,
    versions: Sequence[Version],
    hours: int,
    last_day: datetime | None = None,
) -> Rows:
    """The rows of a column over its first hours, or over the day before `last_day`."""
    since = datetime.fromtimestamp(column.start_hour * HOUR_S, UTC)
    end = since + timedelta(hours=hours)
    if facts.end:
        # What is older is not read.
        since = max(since, datetime.fromtimestamp(hour_after(facts.end) * HOUR_S, UTC) - FURTHEST)
    if last_day:
        since, end = last_day - _DAY, last_day
    builds = tuple(build for one in column.versions for build in one.build_ids if build)
    names = tuple(column.names)
    others = tuple(build for one in versions if one.version not in names for build in one.build_ids if build)
    return Rows(
        view.application,
        view.channel,
        names[0],
        since,
        end,
        view.platform,
        builds,
        others[-MOST_OTHERS:],
        more_versions=names[1:],
    )


def _named(versions: Sequence[str]) -> str:
    return ", ".join(versions[-6:]) + (f" and {len(versions) - 6} older" if len(versions) > 6 else "")
