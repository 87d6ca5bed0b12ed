"""The rows of the page: those that it prints, all of them as a file, and the same from the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from missioncontrol.web.address import SPANS, MeasureState
from missioncontrol.web.measure.lines import group_of
from missioncontrol.web.measure.question import WINDOW, Question
from missioncontrol.web.measure.sums import rate
from missioncontrol.web.measure.view import ChartData, Line, MeasureView, Row, Series

MAX_TABLE_ROWS = 200


def page_rows(chart: ChartData, state: MeasureState) -> tuple[list[Row], int]:
    """The first intervals with any data, and how many more there are; newest first by the clock, youngest by age."""
    sums = [values for one in chart.series for values in (one.value, one.per)]
    nothing = (None,) * len(sums)
    held = [i for i, at in enumerate(zip(*sums, strict=True)) if at != nothing]
    if chart.time == "clock":
        held.reverse()
    rows = []
    for i in held[:MAX_TABLE_ROWS]:
        place = chart.x0 + i * chart.interval_s
        cells = [(shown(one, i, chart), one.per[i]) for one in chart.series]
        rows.append(Row(*_time_labels(place, chart, state), place == chart.open_x, cells))
    return rows, max(0, len(held) - MAX_TABLE_ROWS)


def shown(series: Series, i: int, chart: ChartData) -> float | None:
    """What is drawn of an interval: a rate, or the sum."""
    return rate(series.value[i], series.per[i]) if chart.rate else series.value[i]


def file_rows(view: MeasureView) -> Iterator[Sequence[Any]]:
    """All intervals of all lines, the head first: as they are drawn, so smoothed if they are.

    Where there are small charts, theirs: a column says which value of the dimension each is of.
    """
    chart, small = view.chart, view.small
    named = view.measure.name
    first = "start" if chart.time == "clock" else "age_s"
    per = view.measure.per or "usage_hours"
    yield (
        first,
        *([small.dimension] if small else []),
        "line",
        named,
        *([per] if per != named else []),
        *([f"{named}_per_1000_{per}"] if chart.rate else []),
    )
    if small:
        parts = [([part.label], one) for part in small.charts for one in part.series]
        x0, interval_s, count = small.x0, small.interval_s, small.count
    else:
        parts = [([], one) for one in chart.series]
        x0, interval_s, count = chart.x0, chart.interval_s, chart.count
    for i in range(count):
        place = x0 + i * interval_s
        at = f"{datetime.fromtimestamp(place, UTC):%Y-%m-%dT%H:%M:%SZ}" if chart.time == "clock" else place
        for of_part, one in parts:
            value, of = one.value[i], one.per[i]
            if value is None and of is None:
                continue
            yield (
                at, *of_part, one.label, _plain(value), *([_plain(of)] if per != named else []),
                *([_plain(rate(value, of))] if chart.rate else []),
            )  # fmt: skip


def _plain(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value


def _time_labels(place: int, chart: ChartData, state: MeasureState) -> tuple[str, str]:
    if chart.time == "release":
        return age_label(place), ""
    instant = datetime.fromtimestamp(place, UTC)
    pattern = "%Y-%m-%d" if state.interval == "day" else "%Y-%m-%d %H:%M"
    return instant.strftime(pattern), instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def age_label(age_s: int) -> str:
    """`+00:25`, `+2 d 14:00`."""
    days, seconds = divmod(age_s, 86400)
    clock = f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"
    return f"+{days} d {clock}" if days else f"+{clock}"


def api_url(question: Question, drawn: Sequence[Line], form: str) -> str:
    """The sums from the API: same filters, groups and interval; never smoothed. Empty where the lines are what builds
    were published as, which it does not know.
    """
    state, of = question.state, question.of
    if of.named and "version" in (state.group, state.split, *(one.dimension for one in of.filters)):
        return ""
    measurements = dict.fromkeys((question.measure.name, question.per))
    pairs = [("measurements", name) for name in measurements]
    pairs += [("dimensions", name) for name in ("window_start", state.group, state.split) if name]
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
    groups = [group for group in map(group_of, drawn) if group]
    return [(question.state.group, group) for group in (groups + groups[:1] if len(groups) == 2 else groups)]


def _covered(question: Question, drawn: Sequence[Line]) -> tuple[datetime, datetime]:
    starts = [line.started for line in drawn if line.started]
    if question.state.time == "clock" or not starts:
        return question.start, question.end
    length = SPANS.get(question.state.range, question.now - max(starts))
    return min(starts), max(starts) + max(length, WINDOW)
