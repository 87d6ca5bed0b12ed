"""One measure of one version by the values of a dimension: which of its users differ, and which moved otherwise.

Pure. The statistics are `verdict.contrasts`; they are loaded with the first breakdown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from missioncontrol.query.version_slices import SliceSum
from missioncontrol.web.channel.sums import Floats

if TYPE_CHECKING:
    from missioncontrol.verdict.contrasts import Contrast

FEWEST = 5.0
"""A value of which fewer events are to be expected is one of the others."""
MOST_VALUES = 300
_MOST_DIFFER = 20


class Against(msgspec.Struct, frozen=True):
    """A ratio with its 95 % interval that holds at every look; `differs`: beyond noise. high None: no end is known."""

    ratio: float | None
    low: float | None
    high: float | None
    evidence: float | None
    """log10 of the e-value."""
    differs: bool


NOTHING = Against(None, None, None, None, False)


class Value(msgspec.Struct, frozen=True):
    """Users with a value of the dimension; `values` empty: all who are too few for a line of their own."""

    values: tuple[str | None, ...]
    pooled: int
    """So many values are in it; 0: it is one."""
    count: float
    per: float
    share: float | None
    """Of what rates are per."""
    rate: float | None
    rate_before: float | None
    ratio_before: float | None
    """Its rate over its own rate in the version before, at the same age."""
    rest: Against
    """Over the rate of all others."""
    since: Against
    """How much it moved since the version before, over how much all others did."""

    @property
    def differs(self) -> bool:
        """Whether anything of it is beyond noise."""
        return self.rest.differs or self.since.differs


class Whole(msgspec.Struct, frozen=True):
    """All users together."""

    count: float
    per: float
    rate: float | None
    rate_before: float | None
    ratio_before: float | None


class Breakdown(msgspec.Struct, frozen=True):
    """All of it. `dimensions`: whose values they are; `looked_at`: how many comparisons were made."""

    dimensions: tuple[str, ...]
    measure: str
    per: str
    version: str
    before: str | None
    hours: int
    whole: Whole
    values: list[Value]
    """Those that differ first, by evidence, then by share; the others together last."""
    looked_at: int
    dispersion: float

    @property
    def differing(self) -> list[Value]:
        """Those beyond noise, at most as many as can be read."""
        return [one for one in self.values if one.differs][:_MOST_DIFFER]


class _Grid(msgspec.Struct, frozen=True):
    """Counts and what they are per, [stretches, values]."""

    counts: Floats
    per: Floats


def build_breakdown(
    sums: Sequence[SliceSum],
    dimensions: tuple[str, ...],
    measure: tuple[str, str],
    versions: tuple[str, str | None],
    hours: int,
    zero: bool,
) -> Breakdown:
    """Lay sums out. measure: its name and what it is per; zero: that nobody reported it means 0."""
    from missioncontrol.verdict.contrasts import burstiness, contrasts

    keys = _keys(sums, zero)
    pooled = {one.values for one in sums} - set(keys)
    columns = [*keys, *([()] if pooled else [])]
    places = {key: n for n, key in enumerate(keys)} | {key: len(keys) for key in pooled}
    own = _grid([one for one in sums if one.era == 0], places, len(columns))
    before = _grid([one for one in sums if one.era == 1], places, len(columns)) if versions[1] else None
    phi = burstiness(own.counts, own.per) if columns else 1.0
    counts, per = own.counts.sum(axis=0), own.per.sum(axis=0)
    counts_before = before.counts.sum(axis=0) if before is not None and before.per.sum() > 0 else None
    per_before = before.per.sum(axis=0) if before is not None and counts_before is not None else None
    rest, since = contrasts(counts, per, counts_before, per_before, phi)
    values = []
    for n, key in enumerate(columns):
        rate = _rate(counts[n], per[n])
        rate_before = (
            _rate(counts_before[n], per_before[n])
            if counts_before is not None and per_before is not None
            else None
        )
        values.append(
            Value(
                values=key,
                pooled=len(pooled) if pooled and n == len(keys) else 0,
                count=float(counts[n]),
                per=float(per[n]),
                share=float(per[n] / per.sum()) if per.sum() > 0 else None,
                rate=rate,
                rate_before=rate_before,
                ratio_before=rate / rate_before if rate is not None and rate_before else None,
                rest=_against(rest, n),
                since=_against(since, n) if since is not None else NOTHING,
            )
        )
    whole_before = (
        None if counts_before is None or per_before is None else _rate(counts_before.sum(), per_before.sum())
    )
    whole = _rate(counts.sum(), per.sum())
    return Breakdown(
        dimensions=dimensions,
        measure=measure[0],
        per=measure[1],
        version=versions[0],
        before=versions[1] if counts_before is not None else None,
        hours=hours,
        whole=Whole(
            float(counts.sum()),
            float(per.sum()),
            whole,
            whole_before,
            whole / whole_before if whole is not None and whole_before else None,
        ),
        values=sorted(values, key=_place),
        looked_at=sum(one.evidence is not None for v in values for one in (v.rest, v.since)),
        dispersion=phi,
    )


def _keys(sums: Sequence[SliceSum], zero: bool) -> list[tuple[str | None, ...]]:
    """The values that have a line of their own: of which enough events are to be expected, the most used first."""
    per: dict[tuple[str | None, ...], float] = {}
    count = 0.0
    for one in sums:
        if one.era == 0 and (zero or one.count is not None):
            per[one.values] = per.get(one.values, 0.0) + (one.per or 0.0)
            count += one.count or 0.0
    total = sum(per.values())
    ordered = sorted(per, key=lambda key: -per[key])
    return [key for key in ordered if total > 0 and count * per[key] / total >= FEWEST][:MOST_VALUES]


def _grid(sums: Iterable[SliceSum], places: dict[tuple[str | None, ...], int], width: int) -> _Grid:
    held = list(sums)
    length = max((one.stretch for one in held), default=0) + 1
    grid = _Grid(np.zeros((length, width)), np.zeros((length, width)))
    for one in held:
        place = places[one.values]
        grid.counts[one.stretch, place] += one.count or 0.0
        grid.per[one.stretch, place] += one.per or 0.0
    return grid


def _rate(count: float, per: float) -> float | None:
    return float(1000 * count / per) if per > 0 else None


def _against(found: Contrast, place: int) -> Against:
    ratio, low, high, evidence = (
        None if np.isnan(numbers[place]) else float(numbers[place])
        for numbers in (found.ratio, found.low, found.high, found.evidence)
    )
    return Against(ratio, low, high, evidence, bool(found.told[place]))


def _place(one: Value) -> tuple[bool, bool, float, float]:
    """What moved first, then what differs otherwise; within both the strongest evidence."""
    if one.pooled:
        return True, False, 0.0, 0.0
    told = [each.evidence or 0.0 for each in (one.since, one.rest) if each.differs]
    return False, not one.since.differs, -max(told, default=-9.0), -(one.share or 0.0)
