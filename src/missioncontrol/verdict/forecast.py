"""When a question will be decided: how many events it needs, and at what age there will be that many.

Each expected event tells r log r - r + 1 of a ratio r (divergence of Poisson distributions, Kullback and Leibler,
Annals of Mathematical Statistics 22(1), 1951), and a sequential test needs the logarithm of its threshold of that
(Wald, Annals of Mathematical Statistics 16(2), 1945). 222 in place of the threshold of 100 pays for the mixture over
ratios; it, and the 3.5 sds that a ratio must be apart from what is acceptable, are ours, chosen on the tuning seeds of
the evaluation (docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.baseline import Baseline
from missioncontrol.verdict.evidence import ACCEPTABLE
from missioncontrol.verdict.grid import KNOT_HOURS, at
from missioncontrol.verdict.tables import DOWN, UP, Floats

RATIOS = {UP: (1.25, 1.5, 2.0), DOWN: (0.8, 0.67, 0.5)}
"""That are told of a measure, by the direction that is bad."""
_LOG_NEEDED = float(np.log(222.0))
_SDS_APART = 3.5
_UNUSED_HOURS = 6.0


@dataclass(frozen=True)
class Forecast:
    """A ratio is decided at `age_hours`, after `usage_hours` reported hours; None: never with this history."""

    ratio: float
    age_hours: float | None
    usage_hours: float | None


def undecided(bad: int) -> list[Forecast]:
    """No ratio is ever decided."""
    return [Forecast(ratio, None, None) for ratio in RATIOS[bad]]


def events_needed(ratio: float, phi: float) -> float:
    """Expected events at which a test with a known baseline reaches e = 100 (Poisson divergence, in bursts)."""
    return phi * _LOG_NEEDED / (ratio * float(np.log(ratio)) - ratio + 1)


def forecasts(
    baseline: Baseline,
    age_hours: float,
    expected: float,
    hours: float,
    extra: Callable[[Floats, Floats], Floats] | None = None,
) -> list[Forecast]:
    """For each of `RATIOS`, going on as predecessors did from `expected` events and `hours` reported at `age_hours`.

    extra: variance that odd circumstances add to tau^2, at ages [n] (hours) when there are so many times [n] as many
    events as now. Of a version that nobody has used for hours nothing is known.
    """
    if hours <= 0 and age_hours > _UNUSED_HOURS:
        return undecided(baseline.bad)
    later = KNOT_HOURS[age_hours < KNOT_HOURS]
    ages = np.concatenate([[age_hours], later])
    events = _scaled(ages, baseline.raw.mean(axis=0), expected)
    usage = _scaled(ages, baseline.reported.mean(axis=0), hours)
    grown = np.maximum(events / max(expected, 1e-9), 1.0)
    spread = np.sqrt(at(ages, baseline.whole.tau) ** 2 + (extra(ages, grown) if extra is not None else 0.0))
    told = []
    for ratio in RATIOS[baseline.bad]:
        settled = spread < (baseline.bad * np.log(ratio) - np.log(ACCEPTABLE)) / _SDS_APART
        place = np.flatnonzero(settled & (events >= events_needed(ratio, baseline.phi)))
        found = (float(ages[place[0]]), float(usage[place[0]])) if len(place) else (None, None)
        told.append(Forecast(ratio, *found))
    return told


def _scaled(ages: Floats, curve: Floats, now: float) -> Floats:
    shape = at(ages, curve)
    if now <= 0 or shape[0] <= 0:
        return shape
    return shape * now / shape[0]
