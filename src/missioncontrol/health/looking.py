"""One look in the shape in which it is told: factors in place of logarithms, instants in place of ticks, few digits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from missioncontrol.health.model import Forecast, Look
from missioncontrol.health.published import Version, moment_of
from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.evidence import THETAS
from missioncontrol.verdict.forecast import Forecast as Due
from missioncontrol.verdict.forecast import forecasts, undecided
from missioncontrol.verdict.grid import KNOT_HOURS
from missioncontrol.verdict.judge import TOO_EARLY, Verdict
from missioncontrol.verdict.tables import DOWN, TICKS_PER_HOUR, UP

_HOUR_S = 3600
_ENDS = {UP: (THETAS[0], THETAS[-1]), DOWN: (-THETAS[-1], -THETAS[0])}
_GRID = {
    bad: (math.exp(least) * (1 + 1e-9), math.exp(most) * (1 - 1e-9)) for bad, (least, most) in _ENDS.items()
}


def look_of(
    version: Version, verdict: Verdict, usage_hours: float, reasons: tuple[str, ...] = (), bad: int = UP
) -> Look:
    """A verdict of the method as a look. usage_hours: reported so far; reasons: further ones; bad: the direction."""
    as_of = moment_of(version.published + verdict.age_ticks)
    age_hours = (as_of - version.published_at).total_seconds() / _HOUR_S
    low, high = bounds(verdict.ratio, verdict.low, verdict.high, bad)
    return Look(
        as_of=as_of,
        age_hours=digits(age_hours),
        verdict=verdict.verdict,
        ratio=maybe(verdict.ratio),
        low=low,
        high=high,
        evidence=round(verdict.evidence, 4) + 0.0,
        observed=digits(verdict.observed, 12),
        expected=digits(verdict.expected),
        slice=dict(verdict.where) if verdict.where else None,
        forecast=_forecast(verdict.forecast, verdict.age_ticks / TICKS_PER_HOUR, usage_hours),
        reasons=[*verdict.reasons, *reasons],
        since=None if verdict.first is None else moment_of(version.published + verdict.first),
    )


def early_look(version: Version, baseline: Baseline | None, as_of: datetime, bad: int) -> Look:
    """What is said before the first window of a release has ended."""
    age_hours = (as_of - version.published_at).total_seconds() / _HOUR_S
    due = forecasts(baseline, float(KNOT_HOURS[0]), 0.0, 0.0) if baseline is not None else undecided(bad)
    reasons = ["not_published" if age_hours < 0 else "no_data"]
    return Look(
        as_of=as_of,
        age_hours=digits(age_hours),
        verdict=TOO_EARLY,
        ratio=None,
        low=None,
        high=None,
        evidence=0.0,
        observed=0.0,
        expected=0.0,
        forecast=_forecast(due, age_hours, 0.0),
        reasons=reasons if baseline is not None else [*reasons, "no_history"],
    )


def bounds(
    ratio: float | None, low: float | None, high: float | None, bad: int = UP
) -> tuple[float | None, float | None]:
    """Ends of an interval as they are told: where the method's grid of ratios ends, nothing is known beyond.

    Below the grid the end is 0; above it the grid's end stands for itself or more, and for the ratio if that is more.
    """
    if ratio is None or low is None or high is None:
        return maybe(low), maybe(high)
    least, most = _GRID[bad]
    return 0.0 if low <= least else digits(low), digits(max(high, ratio) if high >= most else high)


def digits(value: float, significant: int = 6) -> float:
    """A number cut to as many digits as it can be trusted to, so that the last bits of a sum are not told."""
    return float(f"{value:.{significant}g}") + 0.0


def maybe(value: float | None) -> float | None:
    """As `digits()`, None staying None."""
    return None if value is None else digits(value)


def _forecast(due: Iterable[Due], age_hours: float, usage_hours: float) -> dict[str, Forecast]:
    return {
        f"{each.ratio:g}": Forecast(
            age_hours=maybe(each.age_hours),
            hours_left=None if each.age_hours is None else digits(max(each.age_hours - age_hours, 0.0), 4),
            usage_hours_left=(
                None
                if each.usage_hours is None
                else digits(max(round(each.usage_hours - usage_hours, 3), 0.0), 4)
            ),
        )
        for each in due
    }
