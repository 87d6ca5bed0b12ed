"""The verdict at each look, in the order in which questions are asked, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.attribution import Explanation, attribute, hypotheses
from missioncontrol.verdict.baseline import FEWEST, Baseline
from missioncontrol.verdict.evidence import SAME_THRESHOLD, THRESHOLD
from missioncontrol.verdict.forecast import Forecast, forecasts
from missioncontrol.verdict.grid import at
from missioncontrol.verdict.oddities import variance_later
from missioncontrol.verdict.replay import Looks
from missioncontrol.verdict.strata import Slice
from missioncontrol.verdict.tables import TICKS_PER_HOUR, UP, Bools, Ints

WORSE, BETTER, SAME = "worse", "better", "same"
TOO_EARLY, ENVIRONMENT, DATA_PROBLEM = "too-early", "environment", "data-problem"
WITHDRAWN = "withdrawn"
"""Reason: `worse` was given, and a person accepted the release after that."""

_MOVED = float(np.log(1.1))
_FEW_RATIO = 2.0
_GROUND = 200.0
"""Other versions of which fewer events are due say too little of a shock to frighten people with it."""
REFRESH_TICKS = 12 * TICKS_PER_HOUR
_SILENT_TICKS = 2 * TICKS_PER_HOUR
_SILENT_COUNTS = 10.0
_LEAST_EXPECTED = 1e-9


@dataclass(frozen=True)
class Verdict:
    """What is said at one look.

    age_ticks: age in 5-minute ticks; ratio, low, high: adjusted ratio and its 95 % interval, None when unknown;
    evidence: log10 of the e-value; where: None for everywhere; first: the verdict `worse` was first given at this age;
    reasons: codes of what made it so; claim: the evidence that a threshold for `worse` meets at this look, 0 where the
    ratio is too small for a short history; None where no `worse` can be said, whatever comes.
    """

    age_ticks: int
    verdict: str
    ratio: float | None
    low: float | None
    high: float | None
    evidence: float
    observed: float
    expected: float
    where: tuple[tuple[str, str], ...] | None = None
    explanations: tuple[Explanation, ...] = ()
    forecast: tuple[Forecast, ...] = ()
    first: int | None = None
    reasons: tuple[str, ...] = ()
    claim: float | None = None


@dataclass(frozen=True)
class Said:
    """What earlier looks leave to those that follow.

    age_ticks: age of the newest of them (0: there was none); first, explanations: as in `Verdict`; odd_rollout: the
    rollout was odd, and stays so.
    """

    age_ticks: int = 0
    first: int | None = None
    explanations: tuple[Explanation, ...] = ()
    odd_rollout: bool = False


def judge(
    baseline: Baseline,
    looks: Looks,
    may_alarm: Bools | None = None,
    problems: tuple[tuple[str, Bools], ...] = (),
    before: Said = Said(),
    accepted: Ints | None = None,
) -> list[Verdict]:
    """The verdict at each look of a life after those `before`; `worse` stays once it was given.

    may_alarm: [looks] False where no new `worse` may be given (a version that has all but ended); problems: codes of
    further faults of the data, each with the looks [looks] at which it stands; accepted: [looks] age from which on a
    person's acceptance that holds at the look was known, 0 where none holds: a `worse` that was first given before is
    withdrawn, and not given again while it holds. Looks that are not after those before
    are only looked back at: `looked_back()` says which are needed.
    """
    silent = _silent(looks)
    told: list[Verdict] = []
    first, explained = before.first, before.explanations
    possible: list[Slice] = []
    for i, tick in enumerate(int(tick) for tick in looks.ticks):
        if tick <= before.age_ticks:
            continue
        observed, expected = float(looks.counts[i, 0]), float(looks.expected[i, 0])
        known = expected > _LEAST_EXPECTED and baseline.releases > 0
        faults = tuple(code for code, stands in problems if stands[i])
        reasons = tuple(dict.fromkeys((*_reasons(baseline, looks, i, bool(silent[i])), *faults)))
        settling = bool(looks.settling[i])
        held = settling or (may_alarm is not None and not may_alarm[i])
        enough = baseline.releases >= FEWEST or (
            baseline.releases > 0 and _is_far(observed, expected, baseline.bad)
        )
        disturbed = bool(looks.impaired[i] or looks.no_events[i] or silent[i] or faults)
        is_open = known and not held and not disturbed
        if first is None and is_open and enough and looks.evidence[i] >= THRESHOLD:
            first = tick
        withdrawn = first is not None and accepted is not None and bool(accepted[i] > first)
        if first is not None and tick <= first + REFRESH_TICKS:
            possible = possible or hypotheses(baseline.strata, baseline.hours)
            explained = _explain(baseline, looks, i, possible)
        if first is not None and not withdrawn:
            verdict = WORSE
        elif disturbed:
            verdict = DATA_PROBLEM
        elif known and looks.calm[i] >= THRESHOLD and abs(np.log(looks.life.factor[i])) > _MOVED:
            verdict = ENVIRONMENT
        elif known and enough and not settling and looks.better[i] >= THRESHOLD:
            verdict = BETTER
        elif known and enough and looks.same[i] >= SAME_THRESHOLD:
            verdict = SAME
        else:
            verdict = TOO_EARLY
        told.append(
            Verdict(
                age_ticks=tick,
                verdict=verdict,
                ratio=observed / expected if known else None,
                low=float(np.exp(looks.low[i])) if known else None,
                high=float(np.exp(looks.high[i])) if known else None,
                evidence=_log10(looks.evidence[i]) if known else 0.0,
                observed=observed,
                expected=expected if known else 0.0,
                where=(explained[0].where or None) if verdict == WORSE and explained else None,
                explanations=explained if first is not None else (),
                forecast=_forecast(baseline, looks, i) if verdict == TOO_EARLY else (),
                first=first,
                reasons=(*reasons, WITHDRAWN) if withdrawn else reasons,
                claim=(_log10(looks.evidence[i]) if enough else 0.0) if is_open else None,
            )
        )
    return told


def looked_back(ticks: Ints) -> Ints:
    """Ages of the looks that judging looks at `ticks` needs: these and what they look back at."""
    every = np.concatenate([ticks - _SILENT_TICKS, ticks])
    return np.unique(every[every > 0])


def said(verdict: Verdict) -> Said:
    """What a look leaves to those that follow."""
    return Said(verdict.age_ticks, verdict.first, verdict.explanations, "odd_rollout" in verdict.reasons)


def _log10(e_value: float) -> float:
    return float(np.log10(max(e_value, 1e-300)))


def _is_far(observed: float, expected: float, bad: int) -> bool:
    """Whether it is so far in the direction that is bad that a short history can tell."""
    if bad == UP:
        return observed >= _FEW_RATIO * expected
    return _FEW_RATIO * observed <= expected


def _silent(looks: Looks) -> Bools:
    """[looks] no hours came in two hours while events did, or hours have a gap."""
    before = np.searchsorted(looks.ticks, looks.ticks - _SILENT_TICKS, side="right") - 1
    ready = before >= 0
    start = np.maximum(before, 0)
    hours = looks.hours - looks.hours[start]
    counts = looks.counts[:, 0] - looks.counts[start, 0]
    return looks.no_hours | ready & (hours <= 0) & (counts >= _SILENT_COUNTS)


def _explain(baseline: Baseline, looks: Looks, i: int, possible: list[Slice]) -> tuple[Explanation, ...]:
    age = looks.ticks[i : i + 1] / TICKS_PER_HOUR
    return tuple(
        attribute(
            looks.life.counts[i],
            looks.life.hours[i] * baseline.rates,
            float(looks.expected[i, 0]),
            float(at(age, baseline.whole.tau)[0]),
            baseline.phi,
            possible,
            baseline.bad,
        )[:5]
    )


def _forecast(baseline: Baseline, looks: Looks, i: int) -> tuple[Forecast, ...]:
    age_hours = float(looks.ticks[i]) / TICKS_PER_HOUR
    factor = float(looks.life.factor[i])
    return tuple(
        forecasts(
            baseline,
            age_hours,
            float(looks.expected[i, 0]),
            float(looks.hours[i]),
            lambda ages, grown: variance_later(looks.odd, i, factor, ages - age_hours, ages, grown),
        )
    )


def _reasons(baseline: Baseline, looks: Looks, i: int, silent: bool) -> tuple[str, ...]:
    said = {
        "no_history": baseline.releases == 0,
        "short_history": 0 < baseline.releases < FEWEST,
        "pings_lost": bool(looks.impaired[i]),
        "no_hours": silent,
        "no_events": bool(looks.no_events[i]),
        "after_gap": bool(looks.settling[i]) and not silent and not looks.no_events[i],
        "shock": bool(looks.odd.shock[i] > 0 and looks.ground[i] >= _GROUND),
        "odd_rollout": bool(looks.odd.odd_rollout[i]),
        "odd_mix": bool(looks.odd.odd_mix[i]),
    }
    return tuple(code for code, holds in said.items() if holds)
