"""Branches of an experiment against one of them: every measure, with intervals that hold at once and at every look.

Pure. Clients are given to branches by chance, so whatever moves usage and crashes in time moves all branches, and
their ratio stays; how a ratio is told from counts: `verdict.pairs`. The error of 5 % is shared by all comparisons of an
experiment (Bonferroni 1936), so in at most one experiment of 20 any of its intervals ever misses, however the measures
hang together and whenever one looks.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from missioncontrol.verdict import pairs
from missioncontrol.verdict.tables import Floats

Answer = Literal["more", "less", "same", "too-early"]
ERROR = 0.05
_LENGTHS = (1, 3, 12)
_SAME = float(np.log(1.2))


class Difference(msgspec.Struct, frozen=True):
    """One branch against another in one measure, at one look. Ratios are of rates; None: not known, or no end."""

    answer: Answer
    ratio: float | None
    low: float | None
    high: float | None
    """Interval that holds at every look, for all comparisons at once."""
    evidence: float
    """log10 of the e-value against a ratio of 1; told from log10(comparisons / 0.05) on."""
    dispersion: float


class Course(msgspec.Struct, frozen=True, eq=False):
    """The same at the end of each cell: [cells]. Ends are 0 or inf where an interval is open; nan before any event."""

    ratio: Floats
    low: Floats
    high: Floats


def differences(
    events: Floats, hours: Floats, base: int, comparisons: int, groups: Floats
) -> list[list[Difference | None]]:
    """For each measure the newest look at each branch; None for the one at `base`.

    events, hours: [measures, branches, cells]. groups: [measures, branches, groups] events by group of users.
    """
    one = slice(base, base + 1)
    sides = (
        events,
        hours,
        np.broadcast_to(events[:, one], events.shape),
        np.broadcast_to(hours[:, one], hours.shape),
    )
    users = (groups[:, :, None], groups[:, one, None])
    now = pairs.looks(*sides, _LENGTHS, users, last=True).at((..., 0))
    low, high = pairs.interval(now, ERROR / comparisons)
    evidence = pairs.log_evidence(now) / np.log(10)
    used = hours.sum(axis=2)
    both = (used > 0) & (used[:, one] > 0)
    return [
        [
            None
            if branch == base
            else _difference(
                now.at((measure, branch)),
                low[measure, branch],
                high[measure, branch],
                evidence[measure, branch],
                bool(both[measure, branch]),
            )
            for branch in range(events.shape[1])
        ]
        for measure in range(events.shape[0])
    ]


def course(events: Floats, hours: Floats, branch: int, base: int, comparisons: int, groups: Floats) -> Course:
    """How the ratio of a branch went.

    events, hours: [branches, cells]. groups: [branches, cells, groups] events, summed up to each cell.
    """
    sides = (events[branch], hours[branch], events[base], hours[base])
    seen = pairs.looks(*sides, _LENGTHS, (groups[branch], groups[base]))
    low, high = pairs.interval(seen, ERROR / comparisons)
    return Course(np.exp(seen.log_ratio), np.exp(low), np.exp(high))


def slices(
    events: Floats, hours: Floats, dispersion: float, comparisons: int
) -> tuple[Floats, Floats, Floats]:
    """[values] ratio, low and high of a branch within each value of a dimension.

    events, hours: [2, values] of the branch and of what it is compared with; dispersion: that of all users together.
    """
    share = np.divide(
        hours[0], hours.sum(axis=0), out=np.full(hours.shape[1], np.nan), where=hours.min(axis=0) > 0
    )
    known = np.nan_to_num(share, nan=0.5)
    seen = pairs.Looks(events[0], events[1], known, np.full(known.shape, dispersion))
    low, high = pairs.interval(seen, ERROR / comparisons)
    out = (np.exp(seen.log_ratio), np.exp(low), np.exp(high))
    ratio, low, high = (np.where(np.isnan(share), np.nan, one) for one in out)
    return ratio, low, high


def _difference(seen: pairs.Looks, low: float, high: float, evidence: float, known: bool) -> Difference:
    answer: Answer = "too-early"
    if known and (low > 0 or high < 0):
        answer = "more" if low > 0 else "less"
    elif known and max(-low, high) <= _SAME:
        answer = "same"
    ratio, low, high = (float(np.exp(one)) for one in (float(seen.log_ratio), low, high))
    return Difference(
        answer,
        number(ratio) if known else None,
        number(low) if known else None,
        number(high) if known else None,
        float(evidence),
        float(seen.dispersion),
    )


def number(value: float) -> float | None:
    """A number for the page; None for nan and infinite ones."""
    return float(value) if np.isfinite(value) else None
