"""Lost pings: what share of the pings that should have come did come, and how the rest is weighted for it.

The forecast is a seasonal naive one (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 2021, 5.2) times
growth; hours stand for those that were lost by inverse probability (Horvitz and Thompson, Journal of the American
Statistical Association 47(260), 1952). Windows and limits are ours, chosen on the tuning seeds of the evaluation
(docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from missioncontrol.verdict.tables import TICKS_PER_HOUR, Bools, Channel, Floats, running

_WINDOW = TICKS_PER_HOUR // 2
_WEEK = 7 * 24 * TICKS_PER_HOUR
_REFERENCE = (27 * TICKS_PER_HOUR, 3 * TICKS_PER_HOUR)
_SHORTEST_REFERENCE = 6 * TICKS_PER_HOUR
_IMPAIRED = 0.75
_LEAST_SHARE = 0.1
_FEWEST = 25.0
# A channel does not grow or shrink so much in a week: pings were lost then or now.
_FARTHEST = 5.0


@dataclass(frozen=True)
class Health:
    """By tick: `weights` for hours that arrive in it (1 when all is well), and whether it is `impaired`.

    share: pings of the last half hour over what was forecast; NaN where that cannot be told.
    """

    weights: Floats
    impaired: Bools
    share: Floats

    @property
    def lost(self) -> Bools:
        """[ticks] so few pings came that those that did cannot stand for the rest."""
        with np.errstate(invalid="ignore"):
            return self.share < _LEAST_SHARE


# Every measure of a version asks the same.
@lru_cache(maxsize=32)
def ping_health(channel: Channel, start: int, end: int) -> Health:
    """How complete pings were from tick `start` to `end`.

    Forecast: the same 30 minutes one week before, times how much the channel grew (window from 27 h to 3 h ago against
    the week before, where neither has more than 5 times the other's pings: a server that did not run says nothing of
    growth). Without a week of history, or with less than 6 h to compare, nothing can be said, and all counts as well.
    """
    reach = _WEEK + _REFERENCE[0] + _WINDOW
    counts = channel.between(start - reach, end)
    sums = running(counts)
    now = np.arange(reach + 1, reach + 1 + end - start)

    halves = np.concatenate([np.zeros(_WINDOW - 1), sums[_WINDOW:] - sums[:-_WINDOW]])
    both = np.zeros(len(counts))
    both[_WEEK:] = (halves[_WEEK:] * _FARTHEST > halves[:-_WEEK]) & (
        halves[:-_WEEK] * _FARTHEST > halves[_WEEK:]
    )
    week_before = np.concatenate([np.zeros(_WEEK), counts[:-_WEEK]])
    totals = np.cumsum(np.stack([both, both * counts, both * week_before]), axis=1)
    totals = np.concatenate([np.zeros((3, 1)), totals], axis=1)
    compared, recent, before = totals[:, now - _REFERENCE[1]] - totals[:, now - _REFERENCE[0]]
    growth = recent / np.maximum(before, 1e-9)
    forecast = (sums[now - _WEEK] - sums[now - _WEEK - _WINDOW]) * growth
    seen = sums[now] - sums[now - _WINDOW]
    told = (compared >= _SHORTEST_REFERENCE) & (forecast >= _FEWEST)
    share = np.where(told, seen / np.maximum(forecast, 1e-9), 1.0)
    impaired = share < _IMPAIRED
    weights = np.where(impaired, 1 / np.maximum(share, _LEAST_SHARE), 1.0)
    return Health(weights, impaired, np.where(told, share, np.nan))


def cut_health(health: Health, ticks: int) -> Health:
    """As it was known at age `ticks`."""
    return Health(health.weights[:ticks], health.impaired[:ticks], health.share[:ticks])


def joined_health(before: Health, more: Health) -> Health:
    """One after the other."""
    return Health(
        np.concatenate([before.weights, more.weights]),
        np.concatenate([before.impaired, more.impaired]),
        np.concatenate([before.share, more.share]),
    )
