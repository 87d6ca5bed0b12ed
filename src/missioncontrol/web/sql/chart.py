"""A quick chart of a query's answer: the first column that is like a time, or a number, against the numeric ones.

Pure functions of columns and rows to places in percent of an SVG, so that it needs no script. What would not be
honest as lines (several values at one place) becomes dots.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from missioncontrol.web.numerals import amount
from missioncontrol.web.verdicts.axes import Axis, Tick, flat, line, linear_axis

Row = Sequence[Any]
NUMERIC = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*|BIGNUM)")
_TIMES = re.compile(r"DATE|TIMESTAMP.*")
_TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|\d{14}", re.ASCII)
_MOST_LINES = 12
_MOST_DOTTED = 8
"""Of a chart of dots: beyond these two would look the same."""
_PLACES = 2
"""As many different ones are needed at least."""


_MOST_DOTS = 80
"""Of a line: beyond these only points without neighbours have one."""
_STEPS_S = (
    1,
    10,
    60,
    300,
    900,
    3600,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
    2_592_000,
    7_776_000,
)
_TICKS = 7
_FIRST_YEAR, _LAST_YEAR = 2, 9998
"""Beyond these a time zone, or rounding, leads out of what a time can be."""


class Series(msgspec.Struct, frozen=True):
    """Values at places, both from the rows."""

    label: str
    values: list[float | None]


class Dot(msgspec.Struct, frozen=True):
    """A point, in percent of the box from its upper left."""

    x: float
    y: float
    says: str


class Line(msgspec.Struct, frozen=True):
    """A series as it is drawn."""

    label: str
    path: str
    """Data of an SVG path in a box of 1000 x 1000; empty for a chart of dots."""
    dots: list[Dot]


class Chart(msgspec.Struct, frozen=True):
    """What is drawn."""

    x_title: str
    y_title: str
    time: bool
    """Places are times, UTC."""
    dotted: bool
    """Dots alone: several rows are at one place."""
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    left_out: int = 0
    """Lines that there is no room for."""


def quick_chart(names: Sequence[str], types: Sequence[str], rows: Sequence[Row]) -> Chart | None:
    """The chart of these rows; None where no column fits or there is too little to draw."""
    numeric = [i for i, kind in enumerate(types) if NUMERIC.fullmatch(kind)]
    time = next((i for i, kind in enumerate(types) if _is_time(kind, [row[i] for row in rows])), None)
    place = time if time is not None else (numeric[0] if len(numeric) > 1 else None)
    measured = [i for i in numeric if i != place]
    if place is None or not measured:
        return None
    placed = [(_at(row[place], time is not None), row) for row in rows]
    known = sorted(((at, row) for at, row in placed if at is not None), key=lambda pair: pair[0])
    if len({at for at, _ in known}) < _PLACES:
        return None
    texts = [i for i in range(len(types)) if i not in (*numeric, place)]
    repeated = len({at for at, _ in known}) < len(known)
    if repeated and len(texts) == 1 and _is_once(known, texts[0]):
        x, series, title = (
            *_by_text(known, texts[0], measured[0]),
            f"{names[measured[0]]} by {names[texts[0]]}",
        )
        repeated = False
    else:
        x = [at for at, _ in known]
        series = [Series(names[i], [_number(row[i]) for _, row in known]) for i in measured]
        title = ""
    return _drawn(names[place], title, time is not None, repeated, x, series)


def _drawn(
    x_title: str, y_title: str, time: bool, dotted: bool, x: list[float], series: list[Series]
) -> Chart | None:
    """The chart of these series; without a title of its own it has their names."""
    series = [one for one in series if any(value is not None for value in one.values)]
    shown = series[: _MOST_DOTTED if dotted else _MOST_LINES]
    values = [value for one in shown for value in one.values if value is not None]
    if not values or not all(map(math.isfinite, (x[-1] - x[0], max(0.0, *values) - min(0.0, *values)))):
        return None
    across = _time_axis(x[0], x[-1]) if time else flat(linear_axis(x[0], x[-1], amount))
    # From zero: small changes must not look like large ones.
    up = linear_axis(min(0.0, min(values)), max(0.0, max(values)) or 1.0, amount)
    if not y_title:
        y_title = ", ".join(one.label for one in series[:3]) + (", ..." if len(series) > 3 else "")
    lines = [
        Line(
            one.label,
            "" if dotted else line(across, up, list(zip(x, one.values, strict=True))),
            _dots(one, x, across, up, time, every=dotted or len(x) <= _MOST_DOTS),
        )
        for one in shown
    ]
    left_out = len(series) - len(shown)
    return Chart(x_title, y_title, time, dotted, lines, across.ticks, up.ticks, left_out)


def _dots(one: Series, x: list[float], across: Axis, up: Axis, time: bool, every: bool) -> list[Dot]:
    """A dot for each value, or only for those between two gaps, which no line shows."""
    padded = [None, *one.values, None]
    dots = []
    for i, (at, value) in enumerate(zip(x, one.values, strict=True)):
        if value is not None and (every or (padded[i] is None and padded[i + 2] is None)):
            where = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}" if time else amount(at)
            dots.append(Dot(across.share(at), up.share(value), f"{one.label}, {where}: {amount(value)}"))
    return dots


def _time_axis(first: float, last: float) -> Axis:
    """Left to right, with ticks at round times."""
    span = last - first
    step = next((step for step in _STEPS_S if span / step <= _TICKS), span / _TICKS)
    axis = flat(linear_axis(first, last, amount))
    begins = -(-first // step) * step
    times = [begins + n * step for n in range(int((last - begins) // step) + 1)] if begins <= last else []
    style = "%Y-%m-%d" if step >= 86_400 else "%m-%d %H:%M" if span > 86_400 else "%H:%M"
    ticks = [Tick(axis.share(t), f"{datetime.fromtimestamp(t, UTC):{style}}") for t in times]
    return Axis(first, last, axis.place, ticks)


def _is_time(kind: str, values: Sequence[Any]) -> bool:
    if _TIMES.fullmatch(kind):
        return True
    texts = [v for v in values if v is not None]
    return kind == "VARCHAR" and bool(texts) and all(_at(v, True) is not None for v in texts)


def _is_once(known: Sequence[tuple[float, Row]], text: int) -> bool:
    """Whether place and text together name one row."""
    return len({(at, str(row[text])) for at, row in known}) == len(known)


def _by_text(known: Sequence[tuple[float, Row]], text: int, measure: int) -> tuple[list[float], list[Series]]:
    x = sorted({at for at, _ in known})
    index = {at: i for i, at in enumerate(x)}
    lines: dict[str, list[float | None]] = {}
    for at, row in known:
        label = "null" if row[text] is None else str(row[text])[:60]
        lines.setdefault(label, [None] * len(x))[index[at]] = _number(row[measure])
    return x, [Series(label, values) for label, values in sorted(lines.items())]


def _at(value: Any, is_time: bool) -> float | None:
    if not is_time or value is None:
        return _number(value)
    text = str(value)
    if not _TIME_TEXT.fullmatch(text):
        return None
    try:
        if len(text) == 14 and text.isdigit():
            moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(value: Any) -> float | None:
    """What can be drawn of a value; None: it is no number, or one without a place."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
