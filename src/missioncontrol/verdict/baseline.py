"""All that is learned from a release's predecessors, once, when it is published.

A level is far from the others' by their median absolute deviation, 1.4826 of which is an sd of a normal (Hampel,
Journal of the American Statistical Association 69(346), 1974). What is left of the age is a mean of log ratios with
weights by inverse variance, counting noise and a spread of releases (DerSimonian and Laird, Controlled Clinical Trials
7, 1986), smoothed by a kernel (Nadaraya, Theory of Probability and its Applications 9(1), 1964). Four such deviations,
20 %, the spread of 0.08, pseudo-events and the numbers of predecessors are ours, chosen on the tuning seeds of the
evaluation (docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from missioncontrol.verdict.arrived import Trait
from missioncontrol.verdict.controls import Control, Leaving, control, leaving, surroundings
from missioncontrol.verdict.grid import KNOT_HOURS, KNOTS, smooth
from missioncontrol.verdict.lives import Curves, Life, curves, live
from missioncontrol.verdict.nowcast import FINE, Complete, complete
from missioncontrol.verdict.spread import dispersion, release_spread, settled_prior, slice_spread
from missioncontrol.verdict.strata import Slice, slices, stratum_rates
from missioncontrol.verdict.tables import TICKS_PER_HOUR, UP, Bools, Channel, Floats, Ints, Release, Strata

PREDECESSORS = 12
FEWEST = 6
_PHI_START = 1.5
_LEVEL_SD = 0.08
_PSEUDO_SLICE = 20.0
_DAY = 24 * TICKS_PER_HOUR
_PHI_HOURS = (6, 48)
_PHI_CELL = 3 * TICKS_PER_HOUR
_FAR, _FAR_MADS = 0.20, 4 * 1.4826
RECENT_TICKS = _DAY
_RECENT_PRIOR, _RECENT_FLOOR = 0.06, 0.04


@dataclass(frozen=True)
class Shape:
    """What a measure over age looks like: growth g [knots], tau [knots]."""

    growth: Floats
    tau: Floats


@dataclass(frozen=True)
class Baseline:
    """What is to be expected of a release. Curves are kept at `grid.KNOTS`.

    used, left_out: versions of predecessors, and why some were not used; rates: [strata] events per hour; bias:
    [slices]; whole, recent: `Shape` of all of a life, and of its last half; slice_tau: [knots, slices]; adoption:
    [predecessors, knots] log of hours over the channel's pings of the day before (of those that have any); mix:
    [predecessors, knots, countries] shares of hours; hours: [strata] of all of them at the end; pooled_rate: events per
    hour, all strata together; seen, expected, known: [predecessors, knots] events, what is to be expected of them, and
    1 where a release had that age; by_slice: [predecessors, knots, slices] what is to be expected of each slice, in 32
    bits; bad: the direction that is bad of the measure, `UP` or `DOWN`.
    """

    strata: Strata
    slices: tuple[Slice, ...]
    used: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    rates: Floats
    bias: Floats
    phi: float
    whole: Shape
    recent: Shape
    slice_tau: Floats
    history: Complete | None
    leaving: Leaving
    adoption: Floats
    mix: Floats
    countries: Floats
    reported: Floats
    recent_reported: Floats
    raw: Floats
    hours: Floats
    pooled_rate: float
    seen: Floats
    expected: Floats
    known: Floats
    by_slice: Floats
    bad: int = UP

    @property
    def trait(self) -> Trait:
        """Of the measure."""
        return Trait(self.phi, self.pooled_rate)

    @cached_property
    def usual_mix(self) -> tuple[Floats, Floats]:
        """[knots, countries] mean `mix`, and [knots] a predecessor's largest distance from it (total variation)."""
        mean = self.mix.mean(axis=0)
        return mean, 0.5 * np.abs(self.mix - mean).sum(axis=2).max(axis=0)

    @property
    def releases(self) -> int:
        """How many predecessors it rests on."""
        return len(self.used)


def learn(
    predecessors: list[Release],
    channel: Channel,
    strata: Strata,
    published: int,
    phi0: float = _PHI_START,
    excluded: tuple[tuple[str, str], ...] = (),
    bad: int = UP,
) -> Baseline:
    """The baseline for a release published at tick `published`, from its accepted predecessors, oldest first.

    At most the last 12 are used. One whose level after the first day is far from the others' median is left out, as are
    the `excluded` ones (version, why), which serve as controls of those that followed them. bad: `UP` or `DOWN`.
    """
    lives = [live(release, channel, published) for release in predecessors]
    lives = [life for life in lives if life.ticks > 0]
    unfit = {version for version, _ in excluded}
    fit = [place for place, life in enumerate(lives) if life.release.version not in unfit]
    lives = lives[max(fit[-PREDECESSORS:][0] - 1, 0) :]
    used, left_out = _plausible(
        [life for life in lives if life.release.version not in unfit][-PREDECESSORS:], strata, phi0
    )
    settled = _settled(used)
    rates = stratum_rates(*settled, strata, phi0)
    followed = [life for life in used if life.ticks >= 2 * FINE]
    # One of whose first days no hours are known says nothing of how late hours come.
    cells = [life.cells for life in followed if life.cells is not None and life.cells[0].any()]
    history = complete(cells) if cells else None

    controls = [control(life, rates, lives[place + 1].published) for place, life in enumerate(lives[:-1])]
    successors = [life.published for life in lives[1:]]
    phi = dispersion([_cells(life, rates) for life in used], phi0)
    gone = leaving(list(zip(controls, successors, strict=True)), phi)
    before: dict[str, Control] = {
        lives[place + 1].release.version: each for place, each in enumerate(controls)
    }
    at_knots = [
        _curves(life, rates, history, before.get(life.release.version), gone, phi, KNOTS) for life in used
    ]
    halves = [
        _curves(life, rates, history, before.get(life.release.version), gone, phi, np.maximum(KNOTS // 2, 1))
        for life in used
    ]
    known = np.stack([(life.ticks >= KNOTS).astype(float) for life in used])

    hours_of_all = np.sum([each.hours[-1] for each in at_knots], axis=0)
    parts = slices(strata, hours_of_all)
    members = np.stack([part.members for part in parts])
    counts = np.stack([_by_slice(each.counts, members) for each in at_knots])
    raw = np.stack([_raw_by_slice(each, rates, members) for each in at_knots])
    bias = (counts[:, -1].sum(axis=0) + _PSEUDO_SLICE) / (raw[:, -1].sum(axis=0) + _PSEUDO_SLICE)
    whole = _shape(counts[:, :, 0], raw[:, :, 0] * bias[0], known, phi, settled_prior(KNOT_HOURS), None)
    expected = raw * bias * whole.growth[None, :, None]
    level = (counts[:, :, :1] + 0.5) / (expected[:, :, :1] + 0.5)
    slice_tau = slice_spread(counts, expected * level, known, phi)
    recent_counts = counts[:, :, 0] - np.stack([each.counts.sum(axis=1) for each in halves])
    recent_raw = np.maximum(raw[:, :, 0] - np.stack([each.raw for each in halves]), 0.0) * bias[0]
    recent = _shape(
        recent_counts,
        recent_raw,
        known * (KNOTS >= RECENT_TICKS),
        phi,
        np.full(len(KNOTS), _RECENT_PRIOR),
        np.full(len(KNOTS), _RECENT_FLOOR),
    )
    countries = _countries(strata)
    hours = np.stack([each.reported for each in at_knots])
    return Baseline(
        strata=strata,
        slices=parts,
        used=tuple(life.release.version for life in used),
        left_out=(*excluded, *left_out),
        rates=rates,
        bias=bias,
        phi=phi,
        whole=whole,
        recent=recent,
        slice_tau=slice_tau,
        history=history,
        leaving=gone,
        adoption=_adoption(hours, np.array([_pings_before(channel, life.published) for life in used])),
        mix=np.stack([shares(each.hours, countries) for each in at_knots]),
        countries=countries,
        reported=hours,
        recent_reported=hours - np.stack([each.reported for each in halves]),
        raw=raw[:, :, 0],
        hours=hours_of_all,
        pooled_rate=float(settled[0].sum() / max(settled[1].sum(), 1e-9)),
        seen=counts[:, :, 0],
        expected=expected[:, :, 0],
        known=known,
        by_slice=expected.astype(np.float32),
        bad=bad,
    )


def shares(hours: Floats, groups: Floats) -> Floats:
    """[ages, groups] shares of hours [ages, strata] by group; groups: [groups, strata] of 0 and 1."""
    by_group = np.stack([hours[:, group > 0].sum(axis=1) for group in groups], axis=1)
    return by_group / np.maximum(by_group.sum(axis=1, keepdims=True), 1e-9)


def _pings_before(channel: Channel, published: int) -> float:
    return float(channel.between(published - _DAY, published).sum())


def _adoption(hours: Floats, pings: Floats) -> Floats:
    """[predecessors, knots] log of hours over pings; without those that came before the channel was known at all."""
    known = pings >= 1 if (pings >= 1).any() else np.ones(len(pings), bool)
    return np.log(np.maximum(hours[known], 1e-9) / np.maximum(pings[known, None], 1.0))


def _countries(strata: Strata) -> Floats:
    if "country" not in strata.dimensions:
        return np.ones((1, len(strata.values)))
    place = strata.dimensions.index("country")
    names = sorted({values[place] for values in strata.values})
    return np.array([[float(values[place] == name) for values in strata.values] for name in names])


def _by_slice(table: Floats, members: Bools) -> Floats:
    """[ages, slices] sums of [ages, strata]."""
    return np.stack([table[:, part].sum(axis=1) for part in members], axis=1)


def _raw_by_slice(each: Curves, rates: Floats, members: Bools) -> Floats:
    return _by_slice(each.hours * rates, members) * (each.inflation * each.factor)[:, None]


def _curves(
    life: Life,
    rates: Floats,
    history: Complete | None,
    before: Control | None,
    gone: Leaving,
    phi: float,
    ticks: Ints,
) -> Curves:
    around = surroundings([before], life.published, life.ticks, gone, phi) if before else None
    return curves(life, rates, history, around, np.minimum(ticks, life.ticks))


def _settled(lives: list[Life]) -> tuple[Floats, Floats]:
    """[strata] counts and hours at ages over 24 h (of all ages when there are no others)."""
    counts = sum(life.counts[_DAY:].sum(axis=0, dtype=np.float64) for life in lives)
    hours = sum(life.hours[_DAY:].sum(axis=0, dtype=np.float64) for life in lives)
    return np.asarray(counts, float), np.asarray(hours, float)


def _plausible(
    lives: list[Life], strata: Strata, phi: float
) -> tuple[list[Life], tuple[tuple[str, str], ...]]:
    rates = stratum_rates(*_settled(lives), strata, phi)
    levels = np.array(
        [
            np.log(
                (life.counts[_DAY:].sum(dtype=np.float64) + 0.5)
                / ((life.hours[_DAY:].sum(axis=0, dtype=np.float64) * rates).sum() + 0.5)
            )
            for life in lives
        ]
    )
    off = np.abs(levels - np.median(levels))
    limit = max(_FAR, _FAR_MADS * float(np.median(off)))
    kept = [life for life, far in zip(lives, off > limit, strict=True) if not far]
    left = tuple(
        (life.release.version, f"its level is {np.exp(level - np.median(levels)):.2f}x the others'")
        for life, far, level in zip(lives, off > limit, levels, strict=True)
        if far
    )
    return kept, left


def _cells(life: Life, rates: Floats) -> tuple[Floats, Floats]:
    """Counts and expectations [3 hours of age from 6 to 48, strata]."""
    start, end = (hours * TICKS_PER_HOUR for hours in _PHI_HOURS)
    end = start + max(0, min(end, life.ticks) - start) // _PHI_CELL * _PHI_CELL
    if end <= start:
        return np.zeros((0, len(rates))), np.zeros((0, len(rates)))
    edges = np.arange(start, end, _PHI_CELL)
    counts = np.add.reduceat(life.counts[:end], edges, axis=0).astype(float)
    hours = np.add.reduceat(life.hours[:end], edges, axis=0, dtype=np.float64)
    return counts, hours * rates


def _shape(
    counts: Floats, raw: Floats, known: Floats, phi: float, prior: Floats, floor: Floats | None
) -> Shape:
    """g, the level over age that is left, and tau around it."""
    logs = np.log((counts + 0.5) / (raw + 0.5))
    weights = known / (phi / (counts + 1) + _LEVEL_SD**2)
    total = weights.sum(axis=0)
    growth = np.exp(smooth((weights * logs).sum(axis=0) / np.maximum(total, 1e-12), total))
    return Shape(growth, release_spread(counts, raw * growth, known, phi, prior, floor))
