"""Groups of users: rates of the finest ones, steadied by their main effects, and the slices that are judged.

Main effects by iterative proportional fitting (Deming and Stephan, Annals of Mathematical Statistics 11(4), 1940), a
stratum's own rate drawn to them as the mean of a gamma-Poisson (empirical Bayes, Clayton and Kaldor, Biometrics 43(3),
1987), indirect standardisation after Breslow and Day (Statistical Methods in Cancer Research II, 1987). Numbers of
pseudo-events and rounds, the limit of 30 times and that of 2 % are ours, chosen on the tuning seeds of the evaluation
(docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from missioncontrol.verdict.tables import Bools, Floats, Ints, Strata

_ROUNDS = 8
_PSEUDO_EFFECT = 5.0
_PSEUDO_RATE = 25.0
_SMALL = 0.02
_OF_ANY_SIZE = ("os_name", "os_version", "architecture")
_FARTHEST = 30.0
POOLED = "(other)"
"""Value of strata that hold what was too small, or too new, for one of their own."""
NAMELESS = (POOLED, "")
"""Values that name no users: of pools, and of rows that do not say."""


@dataclass(frozen=True)
class Slice:
    """Users whose dimensions have these values (empty: all users); `level` is how fine a cut it is."""

    where: tuple[tuple[str, str], ...]
    members: Bools
    level: int = 1

    @cached_property
    def places(self) -> Ints:
        """Which strata are its `members`."""
        return np.flatnonzero(self.members)


def stratum_rates(counts: Floats, hours: Floats, strata: Strata, phi: float) -> Floats:
    """[strata] events per hour: own rate drawn to the product of main effects as 25 pseudo-events would.

    counts, hours: [strata] of the predecessors. Main effects by 8 rounds of proportional fitting with 5 pseudo-events;
    os_version stands with its os_name. Indirect standardisation (SMR) needs no more of small strata.
    """
    total = counts.sum() / max(hours.sum(), 1e-9)
    effect = np.full(len(hours), total)
    factors = [_codes(strata, dimensions) for dimensions in _effects(strata)]
    for _ in range(_ROUNDS):
        for codes in factors:
            seen = np.bincount(codes, counts)
            wanted = np.bincount(codes, effect * hours)
            effect = effect * ((seen + _PSEUDO_EFFECT) / (wanted + _PSEUDO_EFFECT))[codes]
        # Events of users who have next to no hours say nothing of a rate.
        effect = np.clip(effect, total / _FARTHEST, total * _FARTHEST)
    rate: Floats = effect * (counts / phi + _PSEUDO_RATE) / (hours * effect / phi + _PSEUDO_RATE)
    return rate


def slices(strata: Strata, hours: Floats) -> tuple[Slice, ...]:
    """The whole, then each value of each dimension; of those that may have many, values with 2 % of the hours.

    A value that holds everyone, or nobody's hours, is no slice of its own; nor is one that names nobody.
    """
    found = [Slice((), np.ones(len(strata.values), bool), 0)]
    total = max(hours.sum(), 1e-9)
    for place, dimension in enumerate(strata.dimensions):
        for value in sorted({values[place] for values in strata.values}):
            members = np.array([values[place] == value for values in strata.values])
            share = hours[members].sum() / total
            if value in NAMELESS or members[hours > 0].all() or share <= 0 or is_small((dimension,), share):
                continue
            where = ((dimension, value),)
            if dimension == "os_version":
                system = strata.dimensions.index("os_name")
                owners = {values[system] for values in strata.values if values[place] == value}
                for owner in sorted(owners):
                    of_owner = members & np.array([values[system] == owner for values in strata.values])
                    found.append(Slice((("os_name", owner), *where), of_owner, 2))
            else:
                found.append(Slice(where, members, 1))
    return tuple(found)


def is_small(dimensions: Iterable[str], share: float) -> bool:
    """Whether users of a `share` of the hours are too few to be told by these dimensions.

    Systems, their versions and architectures are few, whatever their shares; countries and what users of this software
    declare may have any number of values.
    """
    return share < _SMALL and any(name not in _OF_ANY_SIZE for name in dimensions)


def _effects(strata: Strata) -> list[tuple[str, ...]]:
    alone: list[tuple[str, ...]] = [
        (name,) for name in strata.dimensions if name not in ("os_name", "os_version")
    ]
    system = tuple(name for name in ("os_name", "os_version") if name in strata.dimensions)
    return [system, *alone] if system else alone


def _codes(strata: Strata, dimensions: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    places = [strata.dimensions.index(name) for name in dimensions]
    keys = [tuple(values[place] for place in places) for values in strata.values]
    order = {key: code for code, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys], np.int64)
