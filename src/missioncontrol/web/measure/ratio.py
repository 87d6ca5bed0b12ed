"""How many times one rate is another, with an interval that rests on how both vary over time.

Pure functions of sums by interval. Crashes of one client come together, and a rate has its hours and days; so a count
alone says too little of how uncertain a rate is. The range is cut into blocks of whole intervals instead, and what the
blocks tell apart from each other is the measure of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from missioncontrol.web.measure.view import Ratio

MOST_BLOCKS = 48
LEAST_BLOCKS = 8
LEAST_EVENTS = 10
_DAY_S = 86_400
_LEVEL = 0.975
Side = tuple[Sequence[float | None], Sequence[float | None]]
"""Values and per, interval by interval."""


def ratio_of(a: Side, b: Side, interval_s: int, same_times: bool) -> Ratio:
    """The ratio of the two ratios of sums, and its 95 % interval.

    Delta method for the logarithm of a ratio of sums over blocks (Cochran, Sampling Techniques, 3rd ed., sections 6.3
    and 6.4), with Student's t. `same_times`: blocks of both are of the same instants, so that what both have in common
    cancels; else their variances add. Then an interval that one side lacks counts for neither.
    """
    width = _block_width(len(a[0]), interval_s)
    blocks_a, blocks_b = (
        _blocks(a, width, b if same_times else None),
        _blocks(b, width, a if same_times else None),
    )
    totals = [
        tuple(map(sum, zip(*blocks, strict=True))) if blocks else (0.0, 0.0)
        for blocks in (blocks_a, blocks_b)
    ]
    (value_a, per_a), (value_b, per_b) = totals
    if not per_a or not per_b:
        side = "A" if not per_a else "B"
        return Ratio(None, None, None, f"No ratio: {side} has no usage here{_both(same_times)}.")
    if not value_b:
        return Ratio(None, None, None, "No ratio: nothing was counted for B.")
    ratio = (value_a / per_a) / (value_b / per_b)
    n = min(len(blocks_a), len(blocks_b))
    length = _length(width * interval_s)
    if n < LEAST_BLOCKS:
        note = f"No interval: {n} blocks of {length} are too few to see how the rates vary; {LEAST_BLOCKS} are needed."
        return Ratio(ratio, None, None, note)
    if min(value_a, value_b) < LEAST_EVENTS:
        return Ratio(
            ratio, None, None, f"No interval: less than {LEAST_EVENTS} were counted for one of the two."
        )
    shares_a, shares_b = _shares(blocks_a, value_a, per_a), _shares(blocks_b, value_b, per_b)
    if same_times:
        variance = _spread([one - other for one, other in zip(shares_a, shares_b, strict=True)])
    else:
        variance = _spread(shares_a) + _spread(shares_b)
    half = _student(n - 1) * math.sqrt(variance)
    if not half:
        return Ratio(
            ratio, None, None, "No interval: the two do not vary against each other; are they the same rows?"
        )
    note = (
        f"95 % interval, from how the two vary over {n} blocks of {length}"
        + (" at the same times" if same_times else "")
        + ". It holds for one look at dates that were chosen before; not for the most striking of many, nor for"
        " differences between those who use A and B. Verdicts hold at every look."
    )
    return Ratio(ratio, ratio * math.exp(-half), ratio * math.exp(half), note)


def _both(same_times: bool) -> str:
    return " at the times of the other" if same_times else ""


def _block_width(count: int, interval_s: int) -> int:
    """Intervals in a block: whole days where there are enough of them, since hours of a day are alike; else as few as
    make no more than `MOST_BLOCKS`, and at least an hour.
    """
    day = max(1, _DAY_S // interval_s)
    if count >= LEAST_BLOCKS * day:
        return day
    return max(1, -(-count // MOST_BLOCKS), 3600 // interval_s)


def _blocks(side: Side, width: int, other: Side | None) -> list[tuple[float, float]]:
    """(value, per) of each block that has usage; `other` must have usage in it too."""
    found = []
    for at in range(0, len(side[0]), width):
        places = [i for i in range(at, min(at + width, len(side[0]))) if _known(side, i)]
        if other is not None:
            places = [i for i in places if i < len(other[0]) and _known(other, i)]
        if places:
            found.append((sum(side[0][i] or 0.0 for i in places), sum(side[1][i] or 0.0 for i in places)))
    return found


def _known(side: Side, i: int) -> bool:
    return side[0][i] is not None and bool(side[1][i])


def _shares(blocks: Sequence[tuple[float, float]], value: float, per: float) -> list[float]:
    """How much each block moves the logarithm of the ratio of sums."""
    return [v / value - p / per for v, p in blocks]


def _spread(shares: Sequence[float]) -> float:
    """The variance of a sum of so many alike; their mean is 0."""
    n = len(shares)
    return n / (n - 1) * sum(share * share for share in shares)


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, _LEVEL))


def _length(length_s: int) -> str:
    if length_s % _DAY_S == 0:
        return "a day" if length_s == _DAY_S else f"{length_s // _DAY_S} days"
    return "an hour" if length_s == 3600 else f"{length_s / 3600:g} h"
