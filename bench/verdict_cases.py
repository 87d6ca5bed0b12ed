"""One case of the evaluation of verdicts: a candidate, a story, a size of fleet; what was said of it, look by look.

Beside the method stand the oracle of the simulator, which knows the true expected counts and their dispersion, and the
rules in use elsewhere (`verdict_naive`).
"""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import numpy as np

from missioncontrol.simulate.trains.history import Told, Version
from missioncontrol.simulate.trains.oracle import oracle
from missioncontrol.simulate.trains.scenarios import SCENARIOS
from missioncontrol.simulate.trains.world import DIMENSIONS, LIFE_TICKS, STRATA, TICKS_PER_HOUR
from missioncontrol.verdict.baseline import Baseline, learn
from missioncontrol.verdict.controls import control
from missioncontrol.verdict.evidence import THRESHOLD
from missioncontrol.verdict.grid import looks
from missioncontrol.verdict.judge import WORSE, Verdict, judge
from missioncontrol.verdict.lives import live
from missioncontrol.verdict.replay import Looks, replay
from missioncontrol.verdict.tables import Activity, Channel, Floats, Ints, Release, Strata
from verdict_naive import Naive, naive

# The last 12 are used; one more tells how the oldest of them was surrounded.
PREDECESSORS = 13
TABLE = Strata(DIMENSIONS, STRATA)
WIDTH_HOURS = (6, 24, 48, 144)
KIND_HOURS = (1, 3, 6, 12, 24, 48, 96, 168, 336)


class Case(msgspec.Struct, frozen=True):
    """What became of one candidate in one story.

    Hours are ages. largest: highest log10 e of the life; missed: age of the first look whose interval did not hold the
    truth, and whether the interval lay `above` it; widths: high less low in the logarithm at `WIDTH_HOURS`; error:
    log of ratio over truth at 48 h; named: what was named so many hours after the alarm; kinds: verdicts at
    `KIND_HOURS`; first: age of the first verdict of each kind; flagged: share of looks with each reason.
    """

    seed: int
    place: int
    weight: int
    scenario: str
    activity: str
    alarm: float | None
    oracle: float | None
    slice_oracle: float | None
    largest: float
    largest_at: float
    missed: float | None
    above: bool
    widths: list[float]
    error: float
    named: dict[str, str]
    kinds: list[str]
    first: dict[str, float]
    flagged: dict[str, float]
    phi: float
    left_out: int
    learn_s: float
    replay_s: float
    naive: Naive | None = None


def run(
    told: Told,
    place: int,
    name: str,
    known: Baseline | None = None,
    activity: str = "fine",
    with_naive: bool = False,
) -> tuple[Case, Baseline]:
    """Tell and judge one story; `known` is the baseline when the story leaves the predecessors as they were."""
    scenario = SCENARIOS[name]
    story = told.story(place, scenario, PREDECESSORS)
    channel = Channel(0, story.pings)
    predecessors = [released(version, activity) for version in story.predecessors]
    candidate = released(story.candidate, activity)
    began = time.process_time()
    baseline = known or learn(predecessors, channel, TABLE, candidate.published)
    learned = time.process_time()
    before = live(predecessors[-1], channel, None, baseline.trait)
    others = [control(before, baseline.rates, candidate.published)]
    ticks = looks()
    seen = replay(baseline, candidate, channel, others, ticks)
    verdicts = judge(baseline, seen)
    ended = time.process_time()
    truth = oracle(story, ticks)
    missed, above = _missed(seen, truth.log_ratio)
    best = int(np.argmax(seen.evidence))
    case = Case(
        seed=told.used.seed,
        place=place,
        weight=told.weight,
        scenario=name,
        activity=activity,
        alarm=_first(np.array([each.verdict == WORSE for each in verdicts]), ticks),
        oracle=_first(truth.whole >= THRESHOLD, ticks),
        slice_oracle=_first(truth.hit >= THRESHOLD, ticks),
        largest=float(np.log10(max(seen.evidence[best], 1e-300))),
        largest_at=float(ticks[best]) / TICKS_PER_HOUR,
        missed=missed,
        above=above,
        widths=[float((seen.high - seen.low)[_look(ticks, hours)]) for hours in WIDTH_HOURS],
        error=_error(seen, truth.log_ratio, _look(ticks, 48)),
        named=_named(verdicts, ticks),
        kinds=[verdicts[_look(ticks, hours)].verdict for hours in KIND_HOURS],
        first=_firsts(verdicts, ticks),
        flagged=_flagged(verdicts),
        phi=baseline.phi,
        left_out=len(baseline.left_out),
        learn_s=learned - began,
        replay_s=ended - learned,
        naive=naive(story, ticks) if with_naive else None,
    )
    return case, baseline


def released(version: Version, activity: str) -> Release:
    """A version as verdicts read it, with activity tables that are fine, by the hour of arrival, or missing."""
    table: Activity | None = Activity(version.activity_hours, version.activity_starts)
    if activity == "hourly" and table is not None:
        table = replace(table, hours=_hourly(table.hours), starts=_hourly(table.starts))
    elif activity == "none":
        table = None
    return Release(version.name, version.published, version.hours, version.counts, table)


def _hourly(table: Floats) -> Floats:
    """What arrived within an hour is known when the hour has ended."""
    fine = 72 * TICKS_PER_HOUR
    out = table.copy()
    by_hour = table[:fine].reshape(72, TICKS_PER_HOUR, -1)
    out[:fine] = 0
    out[TICKS_PER_HOUR - 1 : fine : TICKS_PER_HOUR] = by_hour.sum(axis=1)
    return out


def _missed(seen: Looks, truth: Floats) -> tuple[float | None, bool]:
    """Age of the first look whose interval does not hold the truth."""
    above, below = seen.low > truth + 1e-9, seen.high < truth - 1e-9
    known = seen.expected[:, 0] > 0
    age = _first((above | below) & known, seen.ticks)
    return age, bool((above & known).any())


def _error(seen: Looks, truth: Floats, look: int) -> float:
    return float(np.log((seen.counts[look, 0] + 0.5) / (seen.expected[look, 0] + 0.5)) - truth[look])


def _named(verdicts: list[Verdict], ticks: Ints) -> dict[str, str]:
    """What is named at the alarm, and 12 hours later (when it is frozen)."""
    first = verdicts[-1].first
    if first is None:
        return {}
    named = {}
    for hours in (0, 6, 12):
        look = int(np.searchsorted(ticks, first + hours * TICKS_PER_HOUR))
        named[str(hours)] = where_text(verdicts[min(look, len(ticks) - 1)].where)
    return named


def where_text(where: tuple[tuple[str, str], ...] | None) -> str:
    """A slice as text, the same for every order of its dimensions."""
    return ",".join(sorted(f"{name}={value}" for name, value in where or ()))


def _firsts(verdicts: list[Verdict], ticks: Ints) -> dict[str, float]:
    found: dict[str, float] = {}
    for each, tick in zip(verdicts, ticks, strict=True):
        found.setdefault(each.verdict, float(tick) / TICKS_PER_HOUR)
    return found


def _flagged(verdicts: list[Verdict]) -> dict[str, float]:
    counts: dict[str, float] = {}
    for each in verdicts:
        for reason in each.reasons:
            counts[reason] = counts.get(reason, 0) + 1 / len(verdicts)
    return counts


def _first(hits: np.ndarray[tuple[int], np.dtype[np.bool_]], ticks: Ints) -> float | None:
    return float(ticks[int(hits.argmax())]) / TICKS_PER_HOUR if hits.any() else None


def _look(ticks: Ints, hours: float) -> int:
    return int(np.searchsorted(ticks, min(hours * TICKS_PER_HOUR, LIFE_TICKS)))
