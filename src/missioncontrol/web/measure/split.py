"""Small charts by a dimension: the same lines on the same axes, once for each of its values with the most usage.

What is left is pooled in the last. Paths are made here, so that they are there without any script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.web.address import INTERVALS, Filter, Interval
from missioncontrol.web.measure.lines import group_of
from missioncontrol.web.measure.lookup import MOST_PARTS, Course
from missioncontrol.web.measure.question import ceil, floor
from missioncontrol.web.measure.series import Axis, axis_of_ages, lives_of, longest_age, skipped_s
from missioncontrol.web.measure.sums import Values, add, aligned, rate, total
from missioncontrol.web.measure.table import age_label
from missioncontrol.web.measure.view import Series, SmallChart, SmallCharts

if TYPE_CHECKING:
    from missioncontrol.registry.model import Registry
    from missioncontrol.web.measure.lookup import Lookup
    from missioncontrol.web.measure.question import Question
    from missioncontrol.web.measure.view import Line

MOST_CHARTS = 12
WIDTH, HEIGHT = 240.0, 90.0
_HOURS_UP_TO = timedelta(days=3)
_MOMENT = timedelta(seconds=1)
_ENOUGH = 0.2
"""Intervals with a smaller share of their usual usage do not stretch the axes of all: their rates are noise."""
Sums = dict[str | None, tuple[Values, Values]]
"""Group -> values and per, interval by interval."""


class _Part(msgspec.Struct, frozen=True):
    label: str
    href: str
    sums: Sums


def small_charts(
    question: Question, registry: Registry, lookup: Lookup, drawn: Sequence[Line]
) -> SmallCharts:
    """Up to twelve, the most usage first; by the hour, or by the day of more than three days.

    The axis ends above all values that rest on enough usage; what is above it is marked at its end.
    """
    dimension = question.state.split
    found, axis, interval, times = _read(question, lookup, drawn)
    by_value: dict[str | None, Sums] = {}
    for one in found:
        by_value.setdefault(one.part, {})[one.group] = aligned(
            one, question.measure, axis.x0, axis.step_s, axis.count
        )
    values = sorted(by_value, key=lambda value: _weight(by_value[value]), reverse=True)
    pooled = values[MOST_CHARTS - 1 :] if len(values) > MOST_CHARTS else []
    parts = [
        _Part("unknown" if value is None else value or "(empty)", _alone(question, value), by_value[value])
        for value in values[: len(values) - len(pooled)]
    ]
    if pooled:
        more = " of the most used" if len(found) == MOST_PARTS else ""
        parts.append(
            _Part(f"{len(pooled):,} others{more}", "", _added([by_value[value] for value in pooled]))
        )
    shown = [_shown(part.sums, question, drawn) for part in parts]
    top = _top(
        value
        for part, lines in zip(parts, shown, strict=True)
        for line, values in zip(drawn, lines, strict=True)
        for value in _firm(values, part.sums.get(group_of(line), ([], []))[1])
    )
    names = {key.name: key.title for key in registry.keys}
    return SmallCharts(
        dimension,
        names.get(dimension, dimension),
        [_small(part, lines, question, drawn, top) for part, lines in zip(parts, shown, strict=True)],
        [(HEIGHT - HEIGHT * share, _tick(top * share)) for share in (0.0, 0.5, 1.0)],
        times,
        len(pooled),
        interval,
        any(value is not None and value > top for lines in shown for values in lines for value in values),
        axis.x0,
        axis.step_s,
        axis.count,
    )


def _read(
    question: Question, lookup: Lookup, drawn: Sequence[Line]
) -> tuple[list[Course], Axis, Interval, tuple[str, str]]:
    """Courses by value and line, their axis, its interval, and its first and last instant or age in words."""
    state, of, measure, per = question.state, question.of, question.measure.name, question.per
    if state.time == "release":
        span = longest_age(question, [line.started for line in drawn if line.started])
        x0 = skipped_s(question)
        interval = _interval(span - timedelta(seconds=x0))
        step = INTERVALS[interval]
        lives = lives_of(drawn, span, step, question.now)
        found = lookup.age_parts(of, measure, per, state.split, state.group, lives, interval)
        axis = axis_of_ages(found, x0, int(step.total_seconds()))
        return found, axis, interval, (age_label(x0), age_label(x0 + axis.count * axis.step_s))
    interval = _interval(question.end - question.start)
    step = INTERVALS[interval]
    start, end = floor(question.start, step), ceil(question.end, step)
    groups = [group_of(line) for line in drawn]
    found = lookup.parts(of, measure, per, state.split, state.group, groups, start, end, interval)
    axis = Axis(int(start.timestamp()), int(step.total_seconds()), int((end - start) / step))
    last = end - _MOMENT
    return found, axis, interval, (f"{start:%b} {start.day}", f"{last:%b} {last.day}")


def _interval(length: timedelta) -> Interval:
    return "hour" if length <= _HOURS_UP_TO else "day"


def _alone(question: Question, value: str | None) -> str:
    """The page of this value alone, without small charts."""
    dimension = question.state.split
    others = tuple(one for one in question.state.filters if one.dimension != dimension)
    own = Filter(dimension, (), True) if value is None else Filter(dimension, (value,))
    return question.state.url(filters=(*others, own), split="") if value != "" else ""


def _shown(sums: Sums, question: Question, drawn: Sequence[Line]) -> list[Values]:
    """What is drawn of each line."""
    found: list[Values] = []
    for line in drawn:
        values, per = sums.get(group_of(line), ([], []))
        if question.shows_rate:
            found.append([rate(value, of) for value, of in zip(values, per, strict=True)])
        else:
            found.append(values)
    return found


def _firm(values: Sequence[float | None], per: Sequence[float | None]) -> list[float | None]:
    """The values that rest on enough usage."""
    used = sorted(of for of in per if of)
    least = _ENOUGH * used[len(used) // 2] if used else 0.0
    return [value for value, of in zip(values, per, strict=True) if (of or 0.0) >= least]


def _weight(sums: Sums) -> tuple[float, float]:
    """Usage, and the measure where there is none."""
    return (
        sum(total(per) or 0.0 for _, per in sums.values()),
        sum(total(values) or 0.0 for values, _ in sums.values()),
    )


def _added(parts: Sequence[Sums]) -> Sums:
    """The sums of all parts."""
    found: Sums = {}
    for part in parts:
        for group, (values, per) in part.items():
            if group in found:
                values = [add(one, other) for one, other in zip(found[group][0], values, strict=True)]
                per = [add(one, other) for one, other in zip(found[group][1], per, strict=True)]
            found[group] = (values, per)
    return found


def _small(
    part: _Part, shown: Sequence[Values], question: Question, drawn: Sequence[Line], top: float
) -> SmallChart:
    cells = []
    usage = 0.0
    for line in drawn:
        values, per = part.sums.get(group_of(line), ([], []))
        value, of = total(values), total(per)
        usage += of or 0.0
        cells.append((rate(value, of) if question.shows_rate else value, of))
    paths = [(line.index, path_of(values, top)) for line, values in zip(drawn, shown, strict=True)]
    series = [
        Series(line.key, line.label, *part.sums[group_of(line)])
        for line in drawn
        if group_of(line) in part.sums
    ]
    return SmallChart(part.label, part.label, part.href, paths, cells, usage, series)


def path_of(values: Sequence[float | None], top: float) -> str:
    """An SVG path of the values over the whole width; a gap lifts the pen, a point between two gaps is a dot, and one
    above the top is an arrow there.
    """
    step = WIDTH / max(1, len(values) - 1)
    found, down = [], False
    for i, value in enumerate(values):
        if value is None:
            down = False
            continue
        lonely = not down and (i + 1 >= len(values) or values[i + 1] is None)
        height = HEIGHT - HEIGHT * min(value / top, 1.0)
        found.append(f"{'L' if down else 'M'}{i * step:.1f} {height:.1f}")
        found += ["h0"] if lonely else []
        found += ["l-2 3m2 -3l2 3m-2 -3"] if value > top else []
        down = True
    return "".join(found)


def _top(values: Iterable[float | None]) -> float:
    """A round number that no value is above; 1 where there is none."""
    highest = max((value for value in values if value is not None), default=0.0)
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(factor * power for factor in (1, 2, 4, 6, 8, 10) if factor * power >= highest)


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"
