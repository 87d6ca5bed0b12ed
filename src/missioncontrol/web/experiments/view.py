"""The pages of experiments: from numbers to what the templates print. Pure; what is not known stays unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec

from missioncontrol.query.experiment_sums import Branch, Experiment
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.address import encode_part
from missioncontrol.web.builds.view import interval_words
from missioncontrol.web.experiments.compare import Cell, MeasureRow, Numbers, SliceRow, Timeline
from missioncontrol.web.verdicts.axes import Axis, Tick, area, line, ratio_axis
from missioncontrol.web.verdicts.bars import Bar, Scale, bar, bar_axis, scale_of
from missioncontrol.web.verdicts.plots import Column, Plot, Shape
from missioncontrol.web.verdicts.words import Mark, mark_of, times

if TYPE_CHECKING:
    from missioncontrol.verdict.branches import Difference

_MOST_PLOTS = 4
_MOST_SAID = 6
_WIDEST = 12.0
_TICKS = 4
_OPEN = 100.0
MORE = Mark("more", "▲", "Higher", "Higher than in the branch that it is compared with.")
OPEN = Mark("too-early", "⋯", "Not told apart", "Not decided: there may be a difference.")
LESS = Mark("less", "▼", "Lower", "Lower than in the branch that it is compared with.")


class ExperimentWanted(msgspec.Struct, frozen=True):
    """What the page of one experiment is asked for."""

    name: str
    measure: str = ""
    against: str = ""
    """A branch, as a part of a path is written; empty: control, or the one with most usage."""

    def url(self, **changes: str) -> str:
        """The address, with changes and further parameters."""
        asked = {"measure": self.measure, "against": self.against, **changes}
        pairs = [(name, value) for name, value in asked.items() if value]
        path = experiment_path(self.name)
        return f"{path}?{urlencode(pairs)}" if pairs else path


class CellRow(msgspec.Struct, frozen=True):
    """A measure of one branch, as a row of the table."""

    branch: str
    cell: Cell
    mark: Mark | None
    bar: Bar


class MeasureBlock(msgspec.Struct, frozen=True):
    """A measure with its branches, the one that is compared with first."""

    measure: Measure
    per_title: str
    href: str
    """The page with the course of this measure."""
    rows: list[CellRow]


class SliceCell(msgspec.Struct, frozen=True):
    """A branch among users of one value."""

    branch: str
    ratio: float | None
    low: float | None
    high: float | None
    bar: Bar


class SliceBlock(msgspec.Struct, frozen=True):
    """Users of one value."""

    dimension: str
    value: str
    per: float
    cells: list[SliceCell]


class ExperimentView(msgspec.Struct, frozen=True):
    """All that the page of one experiment shows."""

    wanted: ExperimentWanted
    experiment: Experiment
    numbers: Numbers
    base: str
    heading: str
    said: list[tuple[Mark, str, str]]
    """What differs: mark, words and where more of it is."""
    more_said: int
    blocks: list[MeasureBlock]
    scale: Scale
    measure: Measure | None
    plots: list[tuple[str, Plot]]
    slices: list[SliceBlock]
    slice_scale: Scale
    branches: list[tuple[str, str, Branch]]
    """(value, name, branch) for the menu."""


def experiment_path(name: str) -> str:
    """`/experiments/<id>`."""
    return f"/experiments/{quote(encode_part(name), safe='~')}"


def branch_title(name: str | None) -> str:
    """What a branch is called."""
    return "(no branch)" if name is None else name or "(empty)"


def build_experiment(
    wanted: ExperimentWanted, registry: Registry, one: Experiment, numbers: Numbers
) -> ExperimentView:
    """Lay out an experiment."""
    titles = [branch_title(branch.name) for branch in numbers.branches]
    order = [numbers.base, *(n for n in range(len(titles)) if n != numbers.base)]
    axis = bar_axis(_bounds((one.low, one.high) for row in numbers.rows for one in _differences(row)))
    blocks = [
        MeasureBlock(
            registry.measures[row.measure],
            _per_title(registry, registry.measures[row.measure]),
            wanted.url(measure=row.measure) + "#course",
            [_cell_row(registry.measures[row.measure], titles[n], row.cells[n], axis) for n in order],
        )
        for row in numbers.rows
    ]
    said = [
        (row.mark, _said(block, row, titles[numbers.base]), block.href)
        for block in blocks
        for row in block.rows
        if row.mark and row.cell.difference and row.cell.difference.answer in ("more", "less")
    ]
    measure = registry.measures.get(numbers.measure)
    slice_axis = bar_axis(_bounds((one.low, one.high) for row in numbers.slices for one in row.ratios if one))
    return ExperimentView(
        wanted=wanted,
        experiment=one,
        numbers=numbers,
        base=titles[numbers.base] if titles else "",
        heading=_heading(said, numbers),
        said=said[:_MOST_SAID],
        more_said=max(0, len(said) - _MOST_SAID),
        blocks=blocks,
        scale=scale_of(axis),
        measure=measure if numbers.timelines else None,
        plots=[
            (
                titles[course.branch],
                plot_of(course, titles[course.branch], titles[numbers.base], one.first, n),
            )
            for n, course in enumerate(numbers.timelines[:_MOST_PLOTS])
            if any(point.ratio is not None for point in course.points)
        ],
        slices=[_slice(registry, row, titles, slice_axis) for row in numbers.slices],
        slice_scale=scale_of(slice_axis),
        branches=[
            (encode_part(branch.name), title, branch)
            for branch, title in zip(numbers.branches, titles, strict=True)
        ],
    )


def _differences(row: MeasureRow) -> list[Difference]:
    return [cell.difference for cell in row.cells if cell.difference]


def _heading(said: Sequence[object], numbers: Numbers) -> str:
    if len(numbers.branches) < 2:
        return "One branch only: there is nothing to compare"
    if not numbers.rows:
        return "No measure has data"
    if not said:
        return "No branch is told apart"
    return f"{len(said):,} of {numbers.comparisons:,} comparisons differ"


def mark_difference(one: Difference | None, measure: Measure) -> Mark | None:
    """The mark of a branch: worse and better where the measure has a bad direction."""
    if one is None:
        return None
    if one.answer in ("more", "less"):
        if not measure.worse:
            return MORE if one.answer == "more" else LESS
        return mark_of("worse" if (one.answer == "more") == (measure.worse == "up") else "better")
    return mark_of("same") if one.answer == "same" else OPEN


def _cell_row(measure: Measure, branch: str, cell: Cell, axis: Axis) -> CellRow:
    one = cell.difference
    drawn = Bar(None, None, None)
    if one is not None and one.low is not None:
        drawn = bar(axis, one.low, _OPEN if one.high is None else one.high, one.ratio)
    return CellRow(branch, cell, mark_difference(one, measure), drawn)


def _said(block: MeasureBlock, row: CellRow, base: str) -> str:
    one = row.cell.difference
    ratio = times(one.ratio) if one else ""
    bounds = interval_words(one.low, one.high) if one else ""
    return f"{row.branch}: {block.measure.title} {ratio} of {base} ({bounds})"


def _bounds(ends: Iterable[tuple[float | None, float | None]]) -> list[float | None]:
    """What the axis must hold: all intervals but those that are open or very wide."""
    return [end for low, high in ends if low and high and high / low < _WIDEST for end in (low, high)]


def _slice(registry: Registry, row: SliceRow, titles: Sequence[str], axis: Axis) -> SliceBlock:
    dimension = registry.dimensions.get(row.dimension)
    cells = [
        SliceCell(
            titles[n],
            point.ratio,
            point.low,
            point.high,
            bar(axis, point.low, _OPEN if point.high is None else point.high, point.ratio)
            if point.low is not None
            else Bar(None, None, None),
        )
        for n, point in enumerate(row.ratios)
        if point is not None
    ]
    value = "unknown" if row.value is None else row.value or "(empty)"
    return SliceBlock(dimension.title if dimension else row.dimension, value, row.per, cells)


def plot_of(course: Timeline, branch: str, base: str, first: datetime, number: int) -> Plot:
    """The ratio of a branch over time, with the interval that narrows."""
    points = course.points
    last = points[-1]
    length = last.hours
    x = Axis(0.0, length, lambda at: 1000 * at / length, _time_ticks(first, length))
    late = [p for p in points[len(points) // 3 :] if p.low and p.high] or [last]
    y = ratio_axis([last.ratio, last.low, last.high, *(p.low for p in late[:1]), *(p.high for p in late[:1])])
    # An open end goes on beyond the picture.
    bounds = [
        (p.hours, None if p.low is None else p.low or 1e-3, _OPEN if p.high is None else p.high)
        for p in points
    ]
    low_edge, high_edge = (y.share(edge) * 10 for edge in (1 / 1.2, 1.2))
    wide = 100 / len(points)
    columns = [
        Column(
            round(n * wide, 2),
            round(wide, 2),
            f"{first + timedelta(hours=p.hours):%Y-%m-%d %H:%M} UTC: {times(p.ratio)} "
            f"({interval_words(p.low, p.high)})",
        )
        for n, p in enumerate(points)
    ]
    return Plot(
        f"course-{number}",
        f"{branch} against {base}",
        f"{branch} has {times(last.ratio)} of the rate of {base}, interval {interval_words(last.low, last.high)}.",
        x.ticks,
        y.ticks,
        [
            Shape("acceptable", f"M0 {high_edge:.1f}H1000V{low_edge:.1f}H0Z"),
            Shape("interval", area(x, y, bounds)),
            Shape("main", line(x, y, [(p.hours, p.ratio) for p in points])),
        ],
        columns,
        None,
        level=y.share(1.0),
        now=y.share(last.ratio) if last.ratio is not None else None,
    )


def _time_ticks(first: datetime, hours: float) -> list[Tick]:
    """Midnights, at most six of them; of less than two days hours."""
    if hours < 48:
        step = max(1, round(hours / _TICKS))
        return [Tick(round(100 * n / hours, 2), f"{n} h") for n in range(0, int(hours) + 1, step)]
    midnight = 24 - (first.hour + first.minute / 60)
    days = int((hours - midnight) // 24) + 1
    found = []
    for n in range(0, days, max(1, -(-days // _TICKS))):
        at = midnight + 24 * n
        day = first + timedelta(hours=at)
        found.append(Tick(round(100 * at / hours, 2), f"{day.day} {day:%b}"))
    return found


def _per_title(registry: Registry, measure: Measure) -> str:
    per = registry.measures.get(measure.per)
    return per.title.lower() if per else measure.per
