"""The view of one signature, or of any crashes that a search finds: course, breakdowns, reports.

Asks the table `crashes` through `CrashReports`. Comments are asked for only where the reader may see them.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.query.crash_reports import Comment, CrashReports, Part, ReportRow, Totals
from missioncontrol.web.crashes.address import TEXT_FIELDS, CrashState
from missioncontrol.web.crashes.charts import MOST_LAYERS, TimeChart, intervals_of, time_chart

ON_A_PAGE = 50
_MOST_VALUES = 10
_MOST_COMMENTS = 50
BREAKDOWNS = (
    "version", "os", "process type", "uptime", "install age", "reason", "address", "architecture", "build",
    "proto signature",
)  # fmt: skip
FACETS = (
    "signature",
    "product",
    "version",
    "os",
    "process type",
    "channel",
    "reason",
    "address",
    "architecture",
    "uptime",
)
_TITLES = {
    "os": "System",
    "proto signature": "Stacks (proto signatures)",
    "uptime": "Uptime",
    "architecture": "Architecture",
}
_PARAMETERS = {"version": "version", "product": "product", "channel": "channel", "process type": "process"}
_FIELDS = {
    "os": "os_pretty_version",
    "reason": "reason",
    "address": "address",
    "architecture": "cpu_arch",
    "build": "build",
}


class Value(msgspec.Struct, frozen=True):
    """A value of a breakdown."""

    value: str | None
    count: float
    share: float
    href: str
    """The crashes with this value; empty where an address cannot say it."""


class Breakdown(msgspec.Struct, frozen=True):
    """How the crashes are spread over the values of one field."""

    name: str
    title: str
    values: list[Value]
    more: bool
    """There are more values than these."""


class CrashesView(msgspec.Struct, frozen=True):
    """All that a page shows of many crashes."""

    totals: Totals
    chart: TimeChart
    breakdowns: list[Breakdown]
    reports: list[ReportRow]
    newest: ReportRow | None
    """Of all of them, whichever page is shown."""
    comments: list[Comment]
    first_seen: datetime | None
    start: datetime
    end: datetime
    page: int
    pages: int
    table: bool
    """Whether the numbers of the chart fit a table."""


def build_signature(state: CrashState, reports: CrashReports, now: datetime, protected: bool) -> CrashesView:
    """The view of the signature that the address names."""
    view = _view(state, reports, now, "version", BREAKDOWNS)
    comments = reports.comments(state.selection(now), _MOST_COMMENTS) if protected else []
    seen = reports.first_seen([state.signature], state.product or None).get(state.signature)
    return msgspec.structs.replace(view, comments=comments, first_seen=seen)


def build_search(state: CrashState, reports: CrashReports, now: datetime) -> CrashesView:
    """The view of what the form asks for, cut up by the facet that it chooses; raises `BadRequest` for another."""
    facet = state.facet or FACETS[0]
    if facet not in FACETS:
        hint = f"Known: {', '.join(FACETS)}. /api/SuperSearch/ counts by any field."
        raise BadRequest("bad_parameter", f"`facet` cannot be `{facet[:60]}`.", hint)
    others = [name for name in ("product", "version", "os") if name != facet]
    return _view(state, reports, now, facet, (facet, *others))


def _view(
    state: CrashState, reports: CrashReports, now: datetime, over_time: str, names: tuple[str, ...]
) -> CrashesView:
    selection = state.selection(now)
    totals = reports.totals(selection)
    intervals = intervals_of(selection)
    course = reports.over_time(selection, over_time, intervals, most=MOST_LAYERS)
    chart = time_chart(selection, course, intervals)
    found = reports.breakdowns(selection, names, _MOST_VALUES + 1)
    broken = [_breakdown(name, found[name], totals.count, state) for name in names]
    listed = reports.reports(selection, ON_A_PAGE, (state.page - 1) * ON_A_PAGE)
    first = listed if state.page == 1 else reports.reports(selection, 1)
    return CrashesView(
        totals, chart, [b for b in broken if b.values], listed, next(iter(first), None), [], None,
        selection.start, selection.end,
        state.page, -(-totals.reports // ON_A_PAGE), intervals.number <= 62,
    )  # fmt: skip


def _breakdown(name: str, parts: list[Part], total: float, state: CrashState) -> Breakdown:
    values = [
        Value(p.value, p.count, p.count / total if total else 0.0, _href(name, p.value, state))
        for p in parts[:_MOST_VALUES]
    ]
    title = _TITLES.get(name, name.capitalize())
    return Breakdown(name, title, values, len(parts) > _MOST_VALUES)


def _href(name: str, value: str | None, state: CrashState) -> str:
    """The same crashes with this value alone."""
    if value is None:
        return state.url(path="/signature", signature=None) if name == "signature" else ""
    if name == "signature":
        return state.url(path="/signature", signature=value, facet="")
    if name in _PARAMETERS:
        parameter = _PARAMETERS[name]
        return state.url(**({"versions": (value,)} if parameter == "version" else {parameter: value}))
    field = _FIELDS.get(name, "")
    if field in TEXT_FIELDS:
        return state.url(path="/search", field=field, text=value, operator="is")
    return ""
