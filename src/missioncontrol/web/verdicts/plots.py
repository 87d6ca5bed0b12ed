"""The plots of a verdict over the age of its release: ratio, sums and evidence, from looks to SVG coordinates.

Pure. All have the same axis of age, and the alarm at the same place. Each has its numbers in a table under it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from missioncontrol.health.model import Account, Course, Look
from missioncontrol.web.numerals import amount
from missioncontrol.web.verdicts.axes import Axis, Tick, age_axis, area, line, linear_axis, ratio_axis
from missioncontrol.web.verdicts.words import (
    between,
    evidence_words,
    length,
    mark_of,
    power_words,
    rounded,
    times,
)

ACCEPTABLE = (1 / 1.2, 1.2)
ALARM = 2.0
"""log10 of the e-value at which worse is said."""
_COLUMNS = 60
_EARLIER_AGES = 8
_HIGHEST_EVIDENCE, _LOWEST_EVIDENCE = 8.0, -2.0
_ENOUGH = 3.0
"""Events from which on a ratio counts for the axis: before that it jumps between nothing and many."""
_ROUNDED = 1.0001
"""Ages are told with six digits: one that is the axis' end may seem to be beyond it."""
Points = list[tuple[float, float | None]]


class Shape(msgspec.Struct, frozen=True):
    """A path and what it is: the class that draws it."""

    kind: str
    path: str


class Column(msgspec.Struct, frozen=True):
    """A stretch of age: what the look there said, for the pointer."""

    at: float
    wide: float
    says: str


class Stretch(msgspec.Struct, frozen=True):
    """A time in which the verdict was the same."""

    verdict: str
    sign: str
    word: str
    at: float
    wide: float
    start_hours: float
    end_hours: float


class Plot(msgspec.Struct, frozen=True):
    """One plot. Shapes are drawn in their order; `level`: a line across, in percent from the top, or none."""

    name: str
    title: str
    says: str
    """What it shows, in words."""
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    shapes: list[Shape]
    columns: list[Column]
    alarm: float | None
    """Where worse was first given, in percent of the width."""
    level: float | None = None
    level_says: str = ""
    now: float | None = None
    """The newest point, in percent from the top."""
    stretches: list[Stretch] = []
    beyond: bool = False
    """The line goes on above the plot."""


class EarlierRow(msgspec.Struct, frozen=True):
    """A predecessor's line: its ratio at each of `Earlier.ages`."""

    version: str
    ratios: list[float | None]


class Earlier(msgspec.Struct, frozen=True):
    """The predecessors' lines of the plot of ratios as a table. ages: hours, ascending; none beyond the plot."""

    ages: list[float]
    rows: list[EarlierRow]


def plots_of(course: Course, down: bool = False) -> list[Plot]:
    """The three plots; none as long as there is nothing to compare. down: less is worse of the measure."""
    looks = course.looks
    if all(look.ratio is None for look in looks):
        return []
    x = age_axis(looks[-1].age_hours)
    alarm = _alarm(course.account, x)
    columns = _columns(looks, x)
    return [
        _ratio_plot(course, x, alarm, columns),
        _sums_plot(looks, x, alarm, columns, down),
        _evidence_plot(looks, x, alarm, columns),
    ]


def earlier_of(course: Course) -> Earlier | None:
    """The predecessors' ratios at up to eight of the ages at which any is known, spread as the plot draws ages; None
    where no line is drawn.
    """
    if not course.looks:
        return None
    ages, high = course.account.ages, age_axis(course.looks[-1].age_hours).high
    lines = [(one.version, dict(enumerate(one.ratios))) for one in course.account.predecessors if one.used]
    shown = [n for n, age in enumerate(ages) if age <= high * _ROUNDED]
    known = [n for n in shown if any(ratios.get(n) is not None for _, ratios in lines)]
    if not known:
        return None
    last = ages[known[-1]]
    places = [(n / _EARLIER_AGES) ** 2 * last for n in range(1, _EARLIER_AGES + 1)]
    kept = sorted({min(known, key=lambda n: abs(ages[n] - place)) for place in places})
    rows = [
        EarlierRow(version, [ratios.get(n) for n in kept])
        for version, ratios in lines
        if any(ratios.get(n) is not None for n in known)
    ]
    return Earlier([ages[n] for n in kept], rows)


def stretches_of(looks: Sequence[Look], x: Axis) -> list[Stretch]:
    """Runs of equal verdicts, from the first look's to the last."""
    found: list[Stretch] = []
    start = 0.0
    for n, look in enumerate(looks):
        last = n == len(looks) - 1
        if last or looks[n + 1].verdict != look.verdict:
            end = look.age_hours
            mark = mark_of(look.verdict)
            at = x.share(start)
            found.append(
                Stretch(look.verdict, mark.sign, mark.word, at, round(x.share(end) - at, 2), start, end)
            )
            start = end
    return found


def _ratio_plot(course: Course, x: Axis, alarm: float | None, columns: list[Column]) -> Plot:
    looks, last = course.looks, course.looks[-1]
    enough = [look for look in looks if look.expected >= _ENOUGH or look.observed >= _ENOUGH] or looks[-1:]
    y = ratio_axis([*(look.ratio for look in enough), last.low, last.high])
    ages = course.account.ages
    earlier = [
        Shape("earlier", _earlier(x, y, ages, one.ratios)) for one in course.account.predecessors if one.used
    ]
    low, high = (y.share(edge) * 10 for edge in ACCEPTABLE)
    shapes = [
        Shape("acceptable", f"M0 {high:.1f}H1000V{low:.1f}H0Z"),
        *(shape for shape in earlier if shape.path),
        Shape("interval", area(x, y, [(look.age_hours, look.low, look.high) for look in looks])),
        Shape("edge", line(x, y, [(look.age_hours, look.low) for look in looks])),
        Shape("edge", line(x, y, [(look.age_hours, look.high) for look in looks])),
        Shape("main", line(x, y, [(look.age_hours, look.ratio) for look in looks])),
    ]
    says = (
        f"At {length(last.age_hours)} of age the ratio is {times(last.ratio)}, its 95 % interval "
        f"{between(last.low, last.high)}; acceptable is 0.83× to 1.2×. {_alarm_words(course.account)}"
    )
    return Plot(
        "ratio",
        "Ratio to what predecessors had at the same age",
        says,
        x.ticks,
        y.ticks,
        shapes,
        columns,
        alarm,
        level=y.share(1.0),
        now=y.share(last.ratio) if last.ratio is not None else None,
        stretches=stretches_of(looks, x),
    )


def _sums_plot(
    looks: Sequence[Look], x: Axis, alarm: float | None, columns: list[Column], down: bool
) -> Plot:
    last = looks[-1]
    y = linear_axis(0.0, max(1.0, *(max(look.observed, look.expected) for look in looks)) * 1.04, amount)
    seen: Points = [(look.age_hours, look.observed) for look in looks]
    wanted: Points = [(look.age_hours, look.expected) for look in looks]
    both: list[tuple[float, float | None, float | None]] = [
        (look.age_hours, min(look.observed, look.expected), look.expected)
        if down
        else (look.age_hours, look.expected, max(look.observed, look.expected))
        for look in looks
    ]
    shapes = [
        Shape("excess", area(x, y, both)),
        Shape("expected", line(x, y, wanted)),
        Shape("main", line(x, y, seen)),
    ]
    says = (
        f"So far {amount(last.observed)} were seen and {amount(rounded(last.expected))} were to be expected."
    )
    return Plot("sums", "Seen and expected so far", says, x.ticks, y.ticks, shapes, columns, alarm)


def _evidence_plot(looks: Sequence[Look], x: Axis, alarm: float | None, columns: list[Column]) -> Plot:
    values = [look.evidence for look in looks]
    most, last = max(values), looks[-1]
    low = min(max(min(values), _LOWEST_EVIDENCE), -1.0)
    high = min(max(most, ALARM) + 0.5, _HIGHEST_EVIDENCE)
    scale = linear_axis(low, high, str)
    whole = [Tick(round(scale.place(n) / 10, 2), power_words(n)) for n in _whole(low, high)]
    kept: Points = [(look.age_hours, min(max(look.evidence, low), high)) for look in looks]
    says = (
        f"The evidence that it is worse stands at {evidence_words(last.evidence)}; it was at most "
        f"{evidence_words(most)}. Worse is said from 100 on.{' The plot ends at 10⁸.' if most > high else ''}"
    )
    return Plot(
        "evidence",
        "Evidence that it is worse",
        says,
        x.ticks,
        whole,
        [Shape("main", line(x, scale, kept))],
        columns,
        alarm,
        level=scale.share(ALARM),
        level_says="alarm: 100",
        beyond=most > high,
        now=scale.share(last.evidence),
    )


def _whole(low: float, high: float) -> list[int]:
    """Powers of ten to label: each, or every second where there are many."""
    found = [n for n in range(-2, int(_HIGHEST_EVIDENCE) + 1) if low <= n <= high]
    return [n for n in found if n % 2 == 0] if len(found) > 5 else found


def _earlier(x: Axis, y: Axis, ages: Sequence[float], ratios: Sequence[float | None]) -> str:
    """A predecessor's line, up to the age of the release."""
    points: Points = [
        (age, ratio) for age, ratio in zip(ages, ratios, strict=False) if age <= x.high * _ROUNDED
    ]
    return line(x, y, points)


def _columns(looks: Sequence[Look], x: Axis) -> list[Column]:
    """Stretches of equal width with the last look in each."""
    found: dict[int, Look] = {}
    for look in looks:
        found[min(int(x.share(look.age_hours) / 100 * _COLUMNS), _COLUMNS - 1)] = look
    wide = 100 / _COLUMNS
    return [Column(round(n * wide, 2), round(wide, 2), look_words(look)) for n, look in found.items()]


def look_words(look: Look) -> str:
    """A look in a line."""
    return (
        f"{length(look.age_hours)}: {mark_of(look.verdict).word.lower()}, {times(look.ratio)} "
        f"({between(look.low, look.high)}), seen {amount(look.observed)}, expected {amount(rounded(look.expected))}, "
        f"evidence {evidence_words(look.evidence)}"
    )


def _alarm(account: Account, x: Axis) -> float | None:
    since = account.look.since
    if since is None:
        return None
    return x.share((since - account.published_at).total_seconds() / 3600)


def _alarm_words(account: Account) -> str:
    since = account.look.since
    return (
        f"Worse was first given on {since:%Y-%m-%d at %H:%M} UTC." if since else "It was never called worse."
    )
