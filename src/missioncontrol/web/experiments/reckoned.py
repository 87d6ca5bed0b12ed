"""How the numbers of experiments were computed: rates of branches by SQL, ratios in words.

Takes what is shown; asks nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from missioncontrol.clock import WINDOW_S
from missioncontrol.query import dialect
from missioncontrol.query.experiment_sums import LATELY, Experiment
from missioncontrol.query.experiments import TABLE
from missioncontrol.web.experiments.view import ExperimentView, MeasureBlock
from missioncontrol.web.numerals import amount
from missioncontrol.web.reckoning import Reckoning, Sums, between, grouped_query, rows_of

_DOC = "/docs/reference/pages#experiments"
_BRANCH = ("experiment_branch", "experiment_branch")


def rates_of(view: ExperimentView, block: MeasureBlock) -> Reckoning:
    """Of the rate, events and usage of each branch."""
    first, end = _span(view.experiment)
    return Reckoning(
        f"{block.measure.title} by branch",
        f"1,000 × {block.measure.title.lower()} ÷ {block.per_title}, of the pings that name the branch",
        [rows_of("sums of 5 minutes", first, end)],
        _query(view.experiment, Sums(block.measure.name, block.measure.per), []),
    )


def ratios_of(view: ExperimentView) -> Reckoning:
    """Of the ratios with their intervals."""
    first, end = _span(view.experiment)
    return Reckoning(
        "ratios of branches",
        f"Rate of the branch ÷ rate of {view.base}, in the same hours",
        [
            ("Intervals", f"95 % for all {amount(view.numbers.comparisons)} at once, at every look"),
            rows_of("sums of 5 minutes", first, end),
        ],
        note="The rates are behind the ƒ of each measure. How far counts scatter is measured over time and users.",
        doc=_DOC,
    )


def slices_of(view: ExperimentView) -> Reckoning | None:
    """Of the ratios among users of one value; None where there are none."""
    if view.measure is None or not view.slices:
        return None
    sums = Sums(view.measure.name, view.measure.per)
    dimensions = dict.fromkeys(row.dimension for row in view.numbers.slices)
    titles = {
        row.dimension: block.dimension for row, block in zip(view.numbers.slices, view.slices, strict=True)
    }
    return Reckoning(
        "ratios by users",
        f"Rate of the branch ÷ rate of {view.base}, of the users with the value",
        [("Intervals", "95 % for all values of a dimension at once, at every look")],
        inputs=[
            (f"{titles[name]} by SQL", _query(view.experiment, sums, [(name, dialect.name(name))]))
            for name in dimensions
        ],
        doc=_DOC,
    )


def hours_of(now: datetime) -> Reckoning:
    """Of the usage hours in the list of experiments."""
    # As the list counts: to the end of the hour.
    end = now.replace(minute=59, second=59, microsecond=0) + timedelta(seconds=1)
    first = end - LATELY - timedelta(seconds=1)
    conditions = [*between(first, end), "experiment_id IS NOT NULL"]
    by = [("experiment_id", "experiment_id"), _BRANCH]
    return Reckoning(
        "usage hours of branches",
        "Sum of usage hours of the pings that name the branch; those of an experiment are of all its branches",
        [rows_of("sums of 5 minutes", first, min(now, end))],
        grouped_query(Sums("usage_hours", "usage_hours", rate=False), by, conditions, TABLE, "1, 2"),
    )


def _span(one: Experiment) -> tuple[datetime, datetime]:
    return one.first, one.last + timedelta(seconds=WINDOW_S)


def _query(one: Experiment, sums: Sums, by: list[tuple[str, str]]) -> str:
    first, end = _span(one)
    conditions = [f"experiment_id = {dialect.text(one.name)}", *between(first, end)]
    return grouped_query(
        sums, [*by, _BRANCH], conditions, TABLE, ", ".join(str(n + 1) for n in range(len(by) + 1))
    )
