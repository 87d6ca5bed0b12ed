"""The rules in use elsewhere, as they would have judged the same candidate: they set the scale of false alarms."""

from __future__ import annotations

import msgspec
import numpy as np
from scipy.special import pdtrc

from missioncontrol.simulate.trains.history import Story
from missioncontrol.simulate.trains.world import LIFE_TICKS, TICKS_PER_HOUR
from missioncontrol.verdict.grid import cumulative
from missioncontrol.verdict.tables import Floats, Ints

LIMIT = 1.2
LEVEL = 0.01
FEWEST = 20
_DAY = 24 * TICKS_PER_HOUR
_KEPT = 0.999
_VERSIONS = 3


class Naive(msgspec.Struct, frozen=True):
    """Age in hours at which each rule called the candidate worse.

    raw: its crashes per hour so far are over 1.2 times its predecessor's (at least 20 crashes); poisson: one-sided
    Poisson test of its crashes so far against the predecessor's rate, p < 0.01; summary: Mission Control's adjusted
    rate is over 1.2 times the mean of the last three versions'.
    """

    raw: float | None
    poisson: float | None
    summary: float | None


def naive(story: Story, ticks: Ints) -> Naive:
    """Each rule at each look (the summary every 2 hours: it moves slowly)."""
    candidate, before = story.candidate, story.predecessors[-1]
    counts = cumulative(candidate.counts, ticks).sum(axis=1)
    hours = cumulative(candidate.hours, ticks).sum(axis=1)
    rate = before.counts[:LIFE_TICKS].sum() / before.hours[:LIFE_TICKS].sum(dtype=np.float64)
    raw = (counts >= FEWEST) & (counts > LIMIT * rate * hours)
    poisson = (counts > 0) & (pdtrc(np.maximum(counts - 1, 0), np.maximum(rate * hours, 1e-12)) < LEVEL)
    every = ticks[ticks % (2 * TICKS_PER_HOUR) == 0]
    mine = _summary(candidate.counts, candidate.hours, every)
    theirs = np.mean(
        [_summary(each.counts, each.hours, every) for each in story.predecessors[-_VERSIONS:]], axis=0
    )
    return Naive(_age(raw, ticks), _age(poisson, ticks), _age(mine > LIMIT * theirs, every))


def _summary(counts: Floats, hours: Floats, ends: Ints) -> Floats:
    """[ends] rate of the 5-minute sums whose rate is not among the highest 0.1 %, without the first day after two.

    As `etl/measuresummary.py` of Mission Control: past 24 h of field time the window begins 24 h later.
    """
    events, used = counts.sum(axis=1), hours.sum(axis=1, dtype=np.float64)
    rates = np.empty(len(ends))
    for i, end in enumerate(ends):
        start = _DAY if end > _DAY else 0
        some = used[start:end] > 0
        o, h = events[start:end][some], used[start:end][some]
        kept = np.argsort(o / h, kind="stable")[: int(np.ceil(_KEPT * len(o)))]
        rates[i] = o[kept].sum() / max(h[kept].sum(), 1e-9)
    return rates


def _age(hits: np.ndarray[tuple[int], np.dtype[np.bool_]], ticks: Ints) -> float | None:
    return float(ticks[int(hits.argmax())]) / TICKS_PER_HOUR if hits.any() else None
