"""One experiment in numbers: every measure of every branch, the course of one ratio, and where it differs.

Takes sums from the source, gives them to `verdict.branches`; knows no words and no HTML. numpy is loaded with the first
experiment that is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query.experiment_sums import Branch, Experiment, Sums
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.address import encode_part

if TYPE_CHECKING:
    from missioncontrol.verdict.branches import Difference
    from missioncontrol.verdict.tables import Floats
    from missioncontrol.web.experiments.source import ExperimentSource

BRANCHES = 12
"""So many with most usage are compared."""
_VALUES = 12
_DIMENSIONS = ("experiment_id", "experiment_branch")


class Cell(msgspec.Struct, frozen=True):
    """A measure of a branch. Rates are per one of what they are per; None: nobody reported it."""

    events: float | None
    per: float | None
    rate: float | None
    low: float | None
    high: float | None
    """95 % interval of this rate alone, at every look."""
    difference: Difference | None
    """None: it is the branch that others are compared with."""


class MeasureRow(msgspec.Struct, frozen=True):
    """A measure, with a cell for each branch."""

    measure: str
    cells: list[Cell]


class Point(msgspec.Struct, frozen=True):
    """The ratio at `hours` since the experiment began; None: not known, or the interval is open."""

    hours: float
    ratio: float | None
    low: float | None
    high: float | None


class Timeline(msgspec.Struct, frozen=True):
    """How the ratio of a branch went."""

    branch: int
    points: list[Point]


class SliceRow(msgspec.Struct, frozen=True):
    """Users of one value of a dimension: a ratio for each branch, None for the one compared with."""

    dimension: str
    value: str | None
    per: float
    ratios: list[Point | None]


class Numbers(msgspec.Struct, frozen=True):
    """All of it. `branches` are in the order of every list of cells."""

    branches: list[Branch]
    left_out: int
    base: int
    comparisons: int
    """Branches times measures: so many intervals hold at once."""
    cell_hours: int
    rows: list[MeasureRow]
    measure: str
    timelines: list[Timeline]
    slices: list[SliceRow]


def compared_measures(registry: Registry) -> list[Measure]:
    """Those that have a rate and are of pings, crashes first."""
    found = [one for one in registry.measures.values() if one.per and not one.of_reports]
    return sorted(found, key=lambda one: one.group != "crash")


def branches_of(one: Experiment) -> list[Branch]:
    """Those that are compared: the ones with most usage, by name."""
    return sorted(one.branches[:BRANCHES], key=lambda branch: (branch.name is None, branch.name or ""))


def base_of(branches: Sequence[Branch], against: str) -> int:
    """The branch of that name, written as a part of a path; -1: there is none.

    Without a name `control`, else the branch with most usage.
    """
    if against:
        return next((n for n, branch in enumerate(branches) if encode_part(branch.name) == against), -1)
    controls = [n for n, branch in enumerate(branches) if (branch.name or "").lower() == "control"]
    most = max(range(len(branches)), key=lambda n: branches[n].hours)
    return controls[0] if controls else most


def compare_experiment(
    source: ExperimentSource, registry: Registry, one: Experiment, base: int, measure: str
) -> Numbers:
    """Every measure, and the course and slices of one. Raises as the source does."""
    from missioncontrol.verdict.branches import differences

    measures = compared_measures(registry)
    branches = branches_of(one)
    places = {branch.name: n for n, branch in enumerate(branches)}
    names = tuple(dict.fromkeys(name for m in measures for name in (m.name, m.per)))
    width, by_time = source.by_time(one, names)
    users = [row for row in source.by_users(one, names) if row.branch in places]
    sums = _by_cell([row for row in by_time if row.branch in places], places, len(names))
    index = {name: n for n, name in enumerate(names)}
    totals = _totals(by_time, places, len(names))
    shown = [m for m in measures if any(total[index[m.name]] for total in totals)]
    chosen = [index[m.name] for m in shown]
    events, hours = sums[chosen], sums[[index[m.per] for m in shown]]
    groups = _by_group(users, places, len(names))[chosen]
    comparisons = max(len(shown) * (len(branches) - 1), 1)
    found = differences(events, hours, base, comparisons, groups) if shown and len(branches) > 1 else []
    rows = [
        MeasureRow(m.name, _cells(m, totals, index, found[n] if found else [None] * len(branches), base))
        for n, m in enumerate(shown)
    ]
    timelines: list[Timeline] = []
    slices: list[SliceRow] = []
    if found and measure in (m.name for m in shown):
        at = [m.name for m in shown].index(measure)
        pair = (measure, registry.measures[measure].per)
        others = [n for n in range(len(branches)) if n != base]
        timelines = _timelines(source, one, events[at], hours[at], base, comparisons, pair, places, width)
        phi = [cell.dispersion if cell else 1.0 for cell in found[at]]
        slices = _slices(source, registry, one, base, others, phi, comparisons, pair, places)
    return Numbers(
        branches,
        len(one.branches) - len(branches),
        base,
        comparisons,
        width,
        rows,
        measure,
        timelines,
        slices,
    )


def _by_cell(rows: Sequence[Sums], places: dict[str | None, int], size: int) -> Floats:
    """[measures, branches, cells]"""
    import numpy as np

    cells = 1 + max((int(row.key[-1] or 0) for row in rows), default=0)
    found = np.zeros((size, len(places), cells))
    for row in rows:
        found[:, places[row.branch], int(row.key[-1] or 0)] += [value or 0.0 for value in row.values]
    return found


def _by_group(rows: Sequence[Sums], places: dict[str | None, int], size: int) -> Floats:
    """[measures, branches, groups]"""
    import numpy as np

    groups = {key: n for n, key in enumerate(dict.fromkeys(row.key for row in rows))}
    found = np.zeros((size, len(places), max(len(groups), 1)))
    for row in rows:
        found[:, places[row.branch], groups[row.key]] += [value or 0.0 for value in row.values]
    return found


def _totals(rows: Sequence[Sums], places: dict[str | None, int], size: int) -> list[list[float | None]]:
    """For each branch the sum of each measure; None where nobody reported it."""
    found: list[list[float | None]] = [[None] * size for _ in places]
    for row in rows:
        if row.branch in places:
            own = found[places[row.branch]]
            for n, value in enumerate(row.values):
                if value is not None:
                    own[n] = (own[n] or 0.0) + value
    return found


def _cells(
    measure: Measure,
    totals: Sequence[Sequence[float | None]],
    index: dict[str, int],
    found: Sequence[Difference | None],
    base: int,
) -> list[Cell]:
    import numpy as np

    from missioncontrol.verdict.branches import number
    from missioncontrol.verdict.pairs import PRIOR_DISPERSION, rate_interval

    phi = [one.dispersion for one in found if one]
    made = []
    for n, one in enumerate(found):
        events, per = totals[n][index[measure.name]], totals[n][index[measure.per]]
        # Where there is usage and nobody sent an event, there was none.
        known = events if events is not None else 0.0 if per else None
        bursts = one.dispersion if one else max(phi, default=PRIOR_DISPERSION)
        low, high = rate_interval(np.array(known or 0.0), np.array(per or 0.0), bursts)
        rate = None if known is None or not per else known / per
        bounds = (number(float(low)), number(float(high))) if rate is not None else (None, None)
        made.append(Cell(known, per, rate, *bounds, None if n == base else one))
    return made


def _timelines(
    source: ExperimentSource,
    one: Experiment,
    events: Floats,
    hours: Floats,
    base: int,
    comparisons: int,
    pair: tuple[str, str],
    places: dict[str | None, int],
    width: int,
) -> list[Timeline]:
    """events, hours: [branches, cells] of the measure."""
    import numpy as np

    from missioncontrol.verdict.branches import course, number

    rows = [row for row in source.by_users(one, pair, cells=True) if row.branch in places]
    users = {key: n for n, key in enumerate(dict.fromkeys(row.key[:2] for row in rows))}
    groups = np.zeros((len(places), events.shape[1], max(len(users), 1)))
    for row in rows:
        cell = min(int(row.key[2] or 0), events.shape[1] - 1)
        groups[places[row.branch], cell, users[row.key[:2]]] += row.values[0] or 0.0
    groups = np.cumsum(groups, axis=1)
    made = []
    for branch in range(len(places)):
        if branch == base:
            continue
        went = course(events, hours, branch, base, comparisons, groups)
        points = [
            Point((n + 1.0) * width, *(number(float(side[n])) for side in (went.ratio, went.low, went.high)))
            for n in range(events.shape[1])
        ]
        made.append(Timeline(branch, points))
    return made


def _slices(
    source: ExperimentSource,
    registry: Registry,
    one: Experiment,
    base: int,
    others: Sequence[int],
    phi: Sequence[float],
    comparisons: int,
    pair: tuple[str, str],
    places: dict[str | None, int],
) -> list[SliceRow]:
    import numpy as np

    from missioncontrol.verdict.branches import number, slices

    made = []
    for dimension in registry.experiment_keys:
        if dimension.name in _DIMENSIONS:
            continue
        rows = [row for row in source.by_value(one, dimension.name, pair) if row.branch in places]
        used: dict[str | None, float] = {}
        for row in rows:
            value = None if row.key[0] is None else str(row.key[0])
            used[value] = used.get(value, 0.0) + (row.values[-1] or 0.0)
        values = sorted(used, key=lambda value: -used[value])[:_VALUES]
        if len(values) < 2:
            continue
        at = {value: n for n, value in enumerate(values)}
        sums = np.zeros((2, len(places), len(values)))
        for row in rows:
            value = None if row.key[0] is None else str(row.key[0])
            if value in at:
                sums[:, places[row.branch], at[value]] += (row.values[0] or 0.0, row.values[-1] or 0.0)
        found: dict[int, tuple[Floats, Floats, Floats]] = {}
        for branch in others:
            own = [branch, base]
            # Values are looked at beside all else, so they share its error once more.
            found[branch] = slices(sums[0, own], sums[1, own], phi[branch], comparisons * len(values))
        for value, n in at.items():
            ratios = [
                Point(0.0, *(number(float(side[n])) for side in found[branch])) if branch in found else None
                for branch in range(len(places))
            ]
            made.append(SliceRow(dimension.name, value, used[value], ratios))
    return made
