"""Builds day by day: is a build worse than the one of the day before was at the same age?

Pure. Cells are hours of age since the build was made, so what makes first hours run high is on both sides; a day is
compared with the build day before it, and with up to seven before that together. How far harmless builds of successive
days differ is learned from earlier days at the same age (DerSimonian and Laird, Controlled Clinical Trials 7(3), 1986,
drawn to a prior) and added to what a ratio must exceed; how the ratio itself is told: `verdict.pairs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from missioncontrol.verdict import pairs
from missioncontrol.verdict.tables import Bools, Floats

Answer = Literal["worse", "better", "same", "too-early"]
EARLIER_DAYS = 7
ALARM = 100.0
"""The e-value from which on a build is called worse or better: at most one harmless day in 100 ever is."""
TELLING = 1.5
"""The ratio for which it is told how much more usage is needed."""
_ACCEPTABLE = float(np.log(1.2))
_LENGTHS = (1, 3, 12)
_PRIOR_DAYS = 4.0
_SETTLED, _YOUNG, _YOUNG_HOURS = 0.06, 0.25, 4.0
_FLOOR = 0.03
_ODD = (0.30, 4 * 1.4826)


class Against(msgspec.Struct, frozen=True):
    """One day against others at the same age. Ratios are of events per hour; None: there is nothing to tell it from."""

    answer: Answer
    ratio: float | None
    low: float | None
    high: float | None
    """95 % interval that holds at every look; no upper end: None."""
    evidence: float
    """log10 of the e-value against a ratio of 1."""
    events: float
    hours: float
    base_events: float
    base_hours: float
    dispersion: float
    """So many events come of one cause, by what the two scatter."""
    spread: float
    """sd of the log ratio of harmless builds at this age."""
    within: float
    """`same` means: no further apart than this factor."""
    hours_needed: float | None
    """More usage hours until a ratio of 1.5 would be told; 0: it would be by now, None: never, by what is usual."""


class Compared(msgspec.Struct, frozen=True):
    """What is known of a day's builds."""

    rate_low: float | None
    rate_high: float | None
    """95 % interval of the events per hour, at every look."""
    before: Against | None
    earlier: Against | None


def compare_days(events: Floats, hours: Floats, ages: Sequence[int]) -> list[Compared]:
    """One answer for each day, the oldest first.

    events, hours: [days, hours of age] of days that have builds. ages: how many hours of age of each day are over.
    """
    days, length = hours.shape
    known = np.arange(length)[None, :] < np.asarray(ages, dtype=np.int64)[:, None]
    events, hours = np.where(known, events, 0.0), np.where(known, hours, 0.0)
    sums = [_sums(events, hours, known, day, day - 1, day) for day in range(1, days)]
    before = _against(events, hours, ages, sums, 1)
    sums = [
        _sums(events, hours, known, day, max(0, day - 1 - EARLIER_DAYS), day - 1) for day in range(2, days)
    ]
    earlier = _against(events, hours, ages, sums, 2)
    phi = [before[day].dispersion if day in before else pairs.PRIOR_DISPERSION for day in range(days)]
    low, high = pairs.rate_interval(events.sum(axis=1), hours.sum(axis=1), np.array(phi))
    return [
        Compared(_number(low[day]), _number(high[day]), before.get(day), earlier.get(day))
        for day in range(days)
    ]


def _sums(
    events: Floats, hours: Floats, known: Bools, day: int, first: int, last: int
) -> tuple[Floats, Floats]:
    """[hours of age] events and hours of the days from first to before last, up to the age of `day`."""
    return (
        np.where(known[day], events[first:last].sum(axis=0), 0.0),
        np.where(known[day], hours[first:last].sum(axis=0), 0.0),
    )


def _against(
    events: Floats, hours: Floats, ages: Sequence[int], sums: list[tuple[Floats, Floats]], first: int
) -> dict[int, Against]:
    """For each day from `first` on what it is against its sums."""
    if not sums or not hours.shape[1]:
        return {}
    base_events, base_hours = (np.array([pair[n] for pair in sums]) for n in (0, 1))
    sides = (events[first:], hours[first:], base_events, base_hours)
    # Bursts are much the same from day to day, so earlier days tell what to begin with.
    prior = pairs.dispersion_of(*sides, _LENGTHS)[:-1, None]
    course = pairs.looks(*sides, _LENGTHS, prior=prior)
    at = [max(min(age, hours.shape[1]) - 1, 0) for age in ages[first:]]
    log_ratios, variances = course.log_ratio, course.variance
    spreads = np.empty(len(sums))
    for row in range(len(sums)):
        older = [n for n in range(row) if ages[n + first] > at[row]]
        spreads[row] = spread_of(log_ratios[older, at[row]], variances[older, at[row]], at[row] + 1.0)
    totals = np.array([side.sum(axis=1) for side in sides])
    answers = _answers(course.at((np.arange(len(sums)), np.array(at))), spreads, totals)
    return {row + first: answer for row, answer in enumerate(answers)}


def spread_of(log_ratios: Floats, variances: Floats, age_hours: float) -> float:
    """sd of the log ratio of harmless pairs: by earlier pairs, of which odd ones are left out, and a prior.

    log_ratios, variances: [pairs], those of counting alone. The prior (0.06, and 0.25 more at birth, fading in 4 hours)
    stands for 4 pairs, and the result is that of a next pair, so it is wider the fewer there are.
    """
    told = np.isfinite(log_ratios) & (variances < 1)
    ratios, noise = log_ratios[told], variances[told]
    if len(ratios):
        usual = max(_ODD[0], _ODD[1] * float(np.median(np.abs(ratios))))
        ratios, noise = ratios[np.abs(ratios) <= usual], noise[np.abs(ratios) <= usual]
    prior = _SETTLED**2 + (_YOUNG * np.exp(-age_hours / _YOUNG_HOURS)) ** 2
    weights = (prior / (prior + noise)) ** 2
    degrees = _PRIOR_DAYS + float(weights.sum())
    excess = max(float((weights * (ratios**2 - noise)).sum()), 0.0)
    variance = max((_PRIOR_DAYS * prior + excess) / degrees, _FLOOR**2)
    return float(np.sqrt(variance * degrees / (degrees - 2)))


def _answers(seen: pairs.Looks, spreads: Floats, totals: Floats) -> list[Against]:
    """[days] looks and spreads, [4, days] totals of events and hours of both sides: one answer a day."""
    low, high = (np.exp(end) for end in pairs.interval(seen, 0.05, spreads))
    near, far = pairs.interval(seen)
    evidence = pairs.log_evidence(seen, 0.0, spreads)
    log_ratio = seen.log_ratio
    within = np.maximum(_ACCEPTABLE, np.minimum(2 * spreads, 2 * _ACCEPTABLE))
    more = pairs.factor_needed(seen, float(np.log(TELLING)), ALARM, spreads) - 1
    found = []
    for n, (events, hours, base_events, base_hours) in enumerate(totals.T.tolist()):
        both = hours > 0 and base_hours > 0
        answer: Answer = "too-early"
        if evidence[n] >= np.log(ALARM):
            answer = "worse" if log_ratio[n] > 0 else "better"
        elif max(-near[n], far[n]) <= within[n]:
            answer = "same"
        found.append(
            Against(
                answer=answer,
                ratio=_number(np.exp(log_ratio[n])) if both else None,
                low=_number(low[n]) if both else None,
                high=_number(high[n]) if both else None,
                evidence=float(evidence[n] / np.log(10)),
                events=events,
                hours=hours,
                base_events=base_events,
                base_hours=base_hours,
                dispersion=float(seen.dispersion[n]),
                spread=float(spreads[n]),
                within=float(np.exp(within[n])),
                hours_needed=_number(more[n] * hours) if both else None,
            )
        )
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
