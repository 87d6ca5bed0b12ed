"""The page of a measure: from a state to lines, table rows and the data of the two charts.

State and answers of the `Lookup` go in, a `MeasureView` comes out. Nothing here knows HTML. The table, the
charts and the legend are made of the same numbers. An interval without rows is None in all of them, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from missioncontrol.query.versions import version_key
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.address import (
    MAX_SERIES,
    SPANS,
    MeasureState,
    decode_part,
    encode_part,
)
from missioncontrol.web.measure.lookup import GroupTotal, Lookup, Point, Selection
from missioncontrol.web.measure.question import WINDOW, Question, ask, ceil, floor
from missioncontrol.web.measure.view import ChartData, Line, MeasureView, Row, Series

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release

DEFAULT_SERIES = 5
SMALL_SHARE = 0.02
"""A group with less than this share of the usage in the range is not drawn unless asked for."""
RELEASE_LOOKBACK = timedelta(days=180)
"""How old the data of a version may be for it to be offered when time counts from the release."""
MAX_TABLE_ROWS = 200
Releases = Callable[[str | None, str | None], "Sequence[Release]"]


def build_view(
    state: MeasureState, registry: Registry, lookup: Lookup, releases: Releases, now: datetime
) -> MeasureView:
    """Look up and lay out the view that `state` asks for at the instant `now` (UTC).

    Raises `NotFound` for a measure that is not declared, `BadRequest` for a range of too many intervals.
    """
    question = ask(state, registry, now)
    lines = _lines(question, lookup)
    no_per = _without(question, registry, lines)
    if no_per:
        question = msgspec.structs.replace(question, shows_rate=False)
    if state.time == "release":
        lines = _with_starts(lines, question, lookup, releases)
    drawn = sorted((line for line in lines if line.drawn), key=lambda line: line.index)
    if state.time == "release":
        found, x = _since_release(question, lookup, drawn)
        lines = [_summed(line, question, found) for line in lines]
    else:
        found, x = _by_clock(question, lookup, drawn)
    chart = _chart(question, registry, drawn, found, x)
    if no_per:
        chart = msgspec.structs.replace(chart, per_title="")
    rows = _rows(question, chart)
    return MeasureView(
        measure=question.measure,
        shows_rate=question.shows_rate,
        unit=chart.unit,
        per_title=chart.per_title,
        start=question.start,
        end=question.end,
        lines=lines,
        chart=chart,
        rows=rows[:MAX_TABLE_ROWS],
        cut_rows=max(0, len(rows) - MAX_TABLE_ROWS),
        no_per=no_per,
        csv_url=_api_url(question, drawn, "csv"),
        json_url=_api_url(question, drawn, "json"),
    )


def _lines(question: Question, lookup: Lookup) -> list[Line]:
    """Every group with data, newest first; the asked-for or else the usual of them drawn."""
    state = question.state
    start = question.now - RELEASE_LOOKBACK if state.time == "release" else question.start
    end = ceil(question.now, WINDOW) if state.time == "release" else question.end
    totals = lookup.totals(question.of, question.measure.name, question.per, state.group, start, end)
    totals = [total for total in totals if total.value or total.per]
    if question.measure.of_reports and not any(total.value for total in totals):
        return []  # usage without any report is no rate of 0: reports may not be sent here, or not say what is filtered
    totals.sort(key=lambda total: (total.group is not None, version_key(total.group or "")), reverse=True)
    wanted = [total.group for total in totals if total.group in state.series][:MAX_SERIES]
    usual = _usual(totals)
    return [_line(total, question, wanted or usual, total.group in usual) for total in totals]


def _without(question: Question, registry: Registry, lines: Sequence[Line]) -> str:
    """The title of what rates are per, if none of the lines has any; else the empty text."""
    per = registry.measures.get(question.measure.per)
    return per.title if per and lines and not any(line.per for line in lines) else ""


def _usual(totals: Sequence[GroupTotal]) -> list[str | None]:
    """The newest groups, but of those with hardly any usage only the very newest: their rates are noise."""
    enough = SMALL_SHARE * sum(total.per or 0 for total in totals)
    busy = [total.group for total in totals[1:] if (total.per or 0) >= enough]
    return [total.group for total in totals[:1]] + busy[: DEFAULT_SERIES - 1]


def _line(total: GroupTotal, question: Question, wanted: Sequence[str | None], usual: bool) -> Line:
    drawn = total.group in wanted
    value = observed(total.value, total.per, question.measure)
    return Line(
        key=encode_part(total.group),
        label="unknown" if total.group is None else total.group or "(empty)",
        value=value,
        per=total.per,
        rate=_rate(value, total.per) if question.measure.per else None,
        first=total.first,
        last=total.last,
        drawn=drawn,
        usual=usual,
        index=wanted.index(total.group) if drawn else -1,
    )


def _with_starts(lines: Sequence[Line], question: Question, lookup: Lookup, releases: Releases) -> list[Line]:
    """The lines with their time of release or else of their first data, filters aside."""
    state = question.state
    published = releases(state.application, state.channel)
    drawn = [_group_of(line) for line in lines if line.drawn]
    of = Selection(state.application, state.channel)
    first = {found.group: found.start for found in lookup.first_data(of, state.group, drawn)} if drawn else {}
    return [_started(line, state.group, published, first.get(_group_of(line))) for line in lines]


def _started(line: Line, group: str, published: Sequence[Release], first: datetime | None) -> Line:
    if not line.drawn:
        return line
    of_line = [r for r in published if (r.version if group == "version" else r.build_id) == line.label]
    said = [r.published_at for r in of_line if r.origin != "inferred"]
    # An inferred one that is excluded has a time that nobody could see.
    inferred = [r.published_at for r in of_line if r.origin == "inferred" and r.status == "accepted"]
    if said or inferred:
        started = floor(min(said or inferred), WINDOW)
        by = "release" if said else "inferred release"
        return msgspec.structs.replace(line, started=started, started_by=by)
    return msgspec.structs.replace(line, started=first, started_by="first data" if first else "")


def _group_of(line: Line) -> str | None:
    return decode_part(line.key)


Found = dict[tuple[str, int], Point]
"""(key of a line, place on the time axis in seconds) -> sums."""


def _by_clock(question: Question, lookup: Lookup, drawn: Sequence[Line]) -> tuple[Found, list[int]]:
    step = int(question.step.total_seconds())
    x = list(range(int(question.start.timestamp()), int(question.end.timestamp()), step))
    if not drawn:
        return {}, x
    points = lookup.points(
        question.of,
        question.measure.name,
        question.per,
        question.state.group,
        [_group_of(line) for line in drawn],
        question.start,
        question.end,
        question.state.interval,
    )
    return {(encode_part(p.group), int(p.start.timestamp())): p for p in points}, x


def _since_release(question: Question, lookup: Lookup, drawn: Sequence[Line]) -> tuple[Found, list[int]]:
    """Each line from its own start on: 5-minute sums, added up by age.

    Lines are compared at equal ages, so an interval that has not ended is left out, unless it is the first.
    """
    step = int(question.step.total_seconds())
    found: Found = {}
    for line in drawn:
        if line.started is None:
            continue
        age_now = int((question.now - line.started).total_seconds())
        ended_s = max(age_now // step * step, step)
        span = min(SPANS[question.state.range], timedelta(seconds=ended_s))
        for point in _five_minutes(question, lookup, line, line.started, line.started + span):
            age = int((point.start - line.started).total_seconds()) // step * step
            found[line.key, age] = _plus(found.get((line.key, age)), point)
    last = max((age for _, age in found), default=0)
    return found, list(range(0, last + step, step))


def _summed(line: Line, question: Question, found: Found) -> Line:
    """The line with the sums of what is drawn: the same ages for all lines, as far as each has come."""
    value: float | None = None
    per: float | None = None
    for (key, _), point in found.items():
        if key == line.key:
            value, per = _add(value, point.value), _add(per, point.per)
    value = observed(value, per, question.measure)
    rate = _rate(value, per) if question.measure.per else None
    return msgspec.structs.replace(line, value=value, per=per, rate=rate)


def _five_minutes(
    question: Question, lookup: Lookup, line: Line, start: datetime, end: datetime
) -> list[Point]:
    if end <= start:
        return []
    measure, per, group = question.measure.name, question.per, question.state.group
    return lookup.points(question.of, measure, per, group, [_group_of(line)], start, end, "5min")


def _plus(one: Point | None, other: Point) -> Point:
    if one is None:
        return other
    return Point(one.start, one.group, _add(one.value, other.value), _add(one.per, other.per))


def _add(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _rate(value: float | None, per: float | None) -> float | None:
    return None if value is None or not per else 1000 * value / per


def counts_events(measure: Measure) -> bool:
    """Whether it counts pings of a kind, such as crashes: then no ping at all means 0, not unknown."""
    return all(source.kind == "predicate" and source.absent is None for source in measure.sources)


def observed(value: float | None, per: float | None, measure: Measure) -> float | None:
    """The sum, with 0 for an event that did not happen while there was usage; otherwise null stays null.

    Leaving those intervals out would draw a line only through the bad ones.
    """
    return 0.0 if value is None and per and measure.per and counts_events(measure) else value


def _chart(
    question: Question, registry: Registry, drawn: Sequence[Line], found: Found, x: list[int]
) -> ChartData:
    measure = question.measure
    per = registry.measures.get(question.per)
    title = per.title if per and per.name != measure.name else ""
    unit = f"{measure.unit} per 1,000 {per.title.lower()}" if question.shows_rate and per else measure.unit
    by_clock = question.state.time == "clock"
    filling = int(floor(question.now, question.step).timestamp()) if by_clock else None
    return ChartData(
        time=question.state.time,
        interval_s=int(question.step.total_seconds()),
        title=measure.title,
        unit=unit,
        per_title=title,
        x=x,
        open_x=filling if filling is not None and filling in x[-2:] else None,
        series=[_series(line, question, found, x) for line in drawn],
    )


def _series(line: Line, question: Question, found: Found, x: Sequence[int]) -> Series:
    shown: list[float | None] = []
    per: list[float | None] = []
    for place in x:
        point = found.get((line.key, place))
        value = observed(point.value, point.per, question.measure) if point else None
        shown.append(_short(_rate(value, point.per) if point and question.shows_rate else value))
        per.append(_short(point.per if point else None))
    return Series(line.key, line.label, shown, per)


def _short(value: float | None) -> float | None:
    """Nine significant digits: less to send, more than anyone reads."""
    return None if value is None else float(f"{value:.9g}")


def _rows(question: Question, chart: ChartData) -> list[Row]:
    """The intervals with any data; newest first by the clock, youngest first by age."""
    rows = []
    for i, place in enumerate(chart.x):
        cells = [(series.shown[i], series.per[i]) for series in chart.series]
        if any(cell != (None, None) for cell in cells):
            rows.append(Row(*_time_labels(place, question.state), place == chart.open_x, cells))
    return rows if question.state.time == "release" else rows[::-1]


def _time_labels(place: int, state: MeasureState) -> tuple[str, str]:
    if state.time == "release":
        days, seconds = divmod(place, 86400)
        clock = f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"
        return (f"+{days} d {clock}" if days else f"+{clock}"), ""
    instant = datetime.fromtimestamp(place, UTC)
    pattern = "%Y-%m-%d" if state.interval == "day" else "%Y-%m-%d %H:%M"
    return instant.strftime(pattern), instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _api_url(question: Question, drawn: Sequence[Line], form: str) -> str:
    """The same rows from the API: same filters, groups and interval."""
    state, of = question.state, question.of
    measurements = dict.fromkeys((question.measure.name, question.per))
    pairs = [("measurements", name) for name in measurements]
    pairs += [("dimensions", "window_start"), ("dimensions", state.group)]
    for name, value in (("application", of.application), ("channel", of.channel)):
        pairs.append((f"{name}__isnull", "true") if value is None else (name, value))
    pairs += [pair for one in of.filters for pair in one.pairs]
    pairs += _group_pairs(question, drawn)
    start, end = _covered(question, drawn)
    pairs += [("window_start", f"{t:%Y-%m-%dT%H:%M:%SZ}") for t in (start, end - WINDOW)]
    pairs += [
        ("interval", "5min" if state.time == "release" else state.interval),
        ("per", question.measure.per),
    ]
    return "/api/v1/aggregates?" + urlencode([*pairs, ("format", form)])


def _group_pairs(question: Question, drawn: Sequence[Line]) -> list[tuple[str, str]]:
    """The groups in the charts. Two values would be a range: one said twice makes three, which are a list."""
    groups = [group for group in map(_group_of, drawn) if group]
    return [(question.state.group, group) for group in (groups + groups[:1] if len(groups) == 2 else groups)]


def _covered(question: Question, drawn: Sequence[Line]) -> tuple[datetime, datetime]:
    starts = [line.started for line in drawn if line.started]
    if question.state.time == "clock" or not starts:
        return question.start, question.end
    return min(starts), max(starts) + SPANS[question.state.range]
