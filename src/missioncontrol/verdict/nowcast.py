"""Hours that were used and not yet reported: a ramp over the predecessors' hours by activity time.

What is not reported yet, by shares that had arrived of predecessors at the same delay, after Lawless (Canadian Journal
of Statistics 22(1), 1994); the ramp by quasi-likelihood (Wedderburn, Biometrika 61(3), 1974) with normal priors, at the
mode, by Newton's method. The form of the ramp, its priors, the scale of 4 mean sessions, half the weight for each view
and the fading after 72 h are ours, chosen on the tuning seeds of the evaluation (docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from missioncontrol.verdict.tables import TICKS_PER_HOUR, Activity, Bools, Floats, Ints

HOURS = 72
FINE = HOURS * TICKS_PER_HOUR
_PRIOR = (1 / 1.5**2, 1 / 0.5**2)
_STEPS = 7
_SESSION_SCALE = 4.0
_LOG_LOW, _LOG_HIGH = -1.0, 4.0
# Half hours of activity are taken together as they age: 0.5 h to 12 h, 1 h to 36 h, 2 h to 72 h.
_EDGES = np.concatenate([np.arange(0, 24, 1), np.arange(24, 72, 2), np.arange(72, 145, 4)])
_ENDS_TICKS: Ints = _EDGES[1:] * (TICKS_PER_HOUR // 2)
_MIDDLE_HOURS: Floats = (_EDGES[1:] + _EDGES[:-1]) / 4


@dataclass(frozen=True)
class Complete:
    """What predecessors' cells came to.

    hours, starts: [cells] final ones; hours_in, starts_in: [ticks to 72 h, cells] shares that had arrived.
    """

    hours: Floats
    starts: Floats
    hours_in: Floats
    starts_in: Floats

    @property
    def scale(self) -> float:
        """Dispersion of hours: 4 x mean hours per start."""
        return _SESSION_SCALE * float(self.hours.sum() / max(self.starts.sum(), 1e-9))


def by_cell(activity: Activity, weights: Floats) -> tuple[Floats, Floats]:
    """Hours and starts [arrivals, cells], cumulative over arrival; `weights` [ticks] of arrival."""
    rows = len(activity.hours)
    of_row = np.ones(rows)
    fine = min(FINE, rows, len(weights))
    of_row[:fine] = weights[:fine]
    return _cells(activity.hours, of_row), _cells(activity.starts, of_row)


def cells_on(
    before: tuple[Floats, Floats] | None, activity: Activity, weights: Floats, known: int
) -> tuple[Floats, Floats]:
    """`by_cell()` of a life that went on, to 72 h of age; `before`: as it was when `known` ticks were."""
    if before is None:
        return by_cell(activity, weights)
    end = min(FINE, len(weights), len(activity.hours))
    known = min(known, FINE, len(before[0]))
    if known >= end:
        return before
    grown = []
    for table, cells in zip((activity.hours, activity.starts), before, strict=True):
        more = _cells(table[known:end], weights[known:end])
        grown.append(np.concatenate([cells[:known], more + (cells[known - 1] if known else 0.0)]))
    return grown[0], grown[1]


def _cells(table: Floats, of_row: Floats) -> Floats:
    together = np.add.reduceat(np.asarray(table, np.float64), _EDGES[:-1], axis=1)
    return np.cumsum(together * of_row[:, None], axis=0)


def complete(predecessors: list[tuple[Floats, Floats]]) -> Complete:
    """Learn from predecessors' `by_cell` tables (each followed to the end of its life)."""
    hours: Floats = np.sum([table[0] for table in predecessors], axis=0)
    starts: Floats = np.sum([table[1] for table in predecessors], axis=0)
    return Complete(
        hours[-1] / len(predecessors),
        starts[-1] / len(predecessors),
        np.clip(hours[:FINE] / np.maximum(hours[-1], 1e-9), 1e-4, 1),
        np.clip(starts[:FINE] / np.maximum(starts[-1], 1e-9), 1e-4, 1),
    )


def inflation(
    history: Complete, cells: tuple[Floats, Floats], reported: Floats, ticks: Ints, then: float
) -> Floats:
    """[looks] factor from reported hours to used ones, at `ticks` of age with `reported` hours (both [looks]).

    then: hours that were reported at 72 h. Two views, hours and starts, half of each in the logarithm; past 72 h it
    fades as 72 h / age.
    """
    young = ticks <= FINE
    log_inflation = np.zeros(len(ticks))
    if young.any():
        log_inflation[young] = _log_used(history, cells, ticks[young]) - np.log(
            np.maximum(reported[young], 1e-9)
        )
    if not young.all():
        end = np.array([FINE])
        log_then = np.log(max(then, 1e-9))
        log_inflation[~young] = (_log_used(history, cells, end)[0] - log_then) * FINE / ticks[~young]
    return np.exp(np.clip(log_inflation, _LOG_LOW, _LOG_HIGH))


def _log_used(history: Complete, cells: tuple[Floats, Floats], ticks: Ints) -> Floats:
    """[looks] logarithm of the hours used in the cells that lie wholly in the past."""
    past = _ENDS_TICKS[None, :] <= ticks[:, None]
    log_place = np.log(_MIDDLE_HOURS[None, :] * TICKS_PER_HOUR / ticks[:, None])
    row = np.minimum(ticks, len(cells[0])) - 1
    hours, starts = cells[0][row], cells[1][row]
    shares, start_shares = history.hours_in[ticks - 1], history.starts_in[ticks - 1]
    ramp = _ramp(hours, history.hours * shares * past, log_place, past, history.scale)
    start_ramp = _ramp(starts, history.starts * start_shares * past, log_place, past, 1.0)
    by_hours = ((hours + (1 - shares) * history.hours * ramp) * past).sum(axis=1)
    by_starts = (history.hours * start_ramp * past).sum(axis=1)
    return 0.5 * np.log(np.maximum(by_hours, 1e-9)) + 0.5 * np.log(np.maximum(by_starts, 1e-9))


def _ramp(seen: Floats, wanted: Floats, log_place: Floats, past: Bools, scale: float) -> Floats:
    """exp(alpha + beta log(u/a)) of the quasi-Poisson fit of `seen` to `wanted`, [looks, cells], by Newton steps."""
    alpha, beta = np.zeros(len(seen)), np.zeros(len(seen))
    x = log_place * past
    counted = seen * past
    for _ in range(_STEPS):
        mean = wanted * np.exp(alpha[:, None] + beta[:, None] * x)
        off = (counted - mean) / scale
        slope = mean * x / scale
        g0 = off.sum(axis=1) - _PRIOR[0] * alpha
        g1 = (off * x).sum(axis=1) - _PRIOR[1] * beta
        h00 = mean.sum(axis=1) / scale + _PRIOR[0]
        h01 = slope.sum(axis=1)
        h11 = (slope * x).sum(axis=1) + _PRIOR[1]
        det = h00 * h11 - h01 * h01
        alpha = alpha + np.minimum(np.maximum((h11 * g0 - h01 * g1) / det, -1), 1)
        beta = beta + np.minimum(np.maximum((h00 * g1 - h01 * g0) / det, -1), 1)
    return np.exp(alpha[:, None] + beta[:, None] * log_place)
