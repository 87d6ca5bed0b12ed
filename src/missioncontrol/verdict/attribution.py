"""Where a release is worse: explanations of the same data compared by likelihood, never slices by their evidence.

The score is the log likelihood ratio of a Poisson scan statistic (Kulldorff, Communications in Statistics: Theory and
Methods 26(6), 1997) with a common shift, as quasi-likelihood (Wedderburn, Biometrika 61(3), 1974). What speaks against
an explanation beforehand is the logarithm of prior odds; those, and the grids, are ours, chosen on the tuning seeds of
the evaluation (docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from missioncontrol.verdict.strata import NAMELESS, Slice, is_small
from missioncontrol.verdict.tables import DOWN, UP, Floats, Strata

_THETAS = np.arange(0, 2.4001, 0.05)
_ETAS = np.arange(-0.3, 0.3001, 0.025)
_ETA = np.tile(_ETAS, len(_THETAS))
_INSIDE = {bad: np.repeat(bad * _THETAS, len(_ETAS)) + _ETA for bad in (UP, DOWN)}
"""[pairs] eta, and theta + eta, of all pairs: theta goes in the direction that is bad."""
_AGAINST_SYSTEM, _AGAINST_ALONE, _AGAINST_EACH_MORE = 2.0, 3.0, 0.5
_USUAL = ("os_name", "os_version", "country", "architecture")
_USUAL_RIVALS = 8
# Dimensions that may be named together, beside each alone; an os_version is named with its os_name.
_TOGETHER = (("os_name", "architecture"), ("os_name", "os_version", "architecture"))


@dataclass(frozen=True)
class Explanation:
    """Users `where` have `ratio` times what was expected, the rest `rest` times; `share` of what is bad is theirs."""

    where: tuple[tuple[str, str], ...]
    level: int
    score: float
    ratio: float
    rest: float
    share: float


def hypotheses(strata: Strata, hours: Floats) -> list[Slice]:
    """Everywhere; every value of a dimension; OS versions and OS with architecture; OS version with architecture.

    Of declared dimensions also each value with each OS: drivers, stores and the like are of a system.
    """
    total, used = max(hours.sum(), 1e-9), hours > 0
    found: dict[bytes, Slice] = {}
    for part in _named(strata):
        share, members = hours[part.members].sum() / total, part.members[used]
        names = [name for name, _ in part.where]
        if part.level and (share <= 0 or members.all() or is_small(names, share)):
            continue
        found.setdefault(members.tobytes(), part)  # the same users by another name are no other explanation
    return list(found.values())


@lru_cache(maxsize=32)
def _named(strata: Strata) -> tuple[Slice, ...]:
    """All that can be named of these strata; the same for every look."""
    found = [Slice((), np.ones(len(strata.values), bool), 0)]
    named: list[tuple[str, ...]] = []
    for name in strata.dimensions:
        named.append(("os_name", "os_version") if name == "os_version" else (name,))
    if "os_name" in strata.dimensions:
        named += [("os_name", name) for name in strata.dimensions if name not in _USUAL]
    named += [names for names in _TOGETHER if all(name in strata.dimensions for name in names)]
    for names in named:
        places = [strata.dimensions.index(name) for name in names]
        keys = [tuple(stratum[place] for place in places) for stratum in strata.values]
        for values in sorted(set(keys)):
            members = np.array([key == values for key in keys])
            if not any(value in NAMELESS for value in values):
                found.append(Slice(tuple(zip(names, values, strict=True)), members, len(names)))
    return tuple(found)


def attribute(
    counts: Floats,
    expected: Floats,
    total_expected: float,
    tau: float,
    phi: float,
    possible: list[Slice],
    bad: int = UP,
) -> list[Explanation]:
    """Explanations, best first, by score less what speaks against them beforehand (`_against`).

    counts, expected: [strata]; expectations are scaled to `total_expected`. The score is the log likelihood ratio of a
    ratio e^theta inside and a common harmless shift e^eta everywhere (eta ~ N(0, tau^2)), in bursts of phi. Where fewer
    are bad (`bad` is `DOWN`) theta is at most 0, and the excess is what is missing.
    """
    m = expected * total_expected / max(expected.sum(), 1e-12)
    members = np.stack([part.members for part in possible])
    o1, m1 = (members * counts).sum(axis=1), (members * m).sum(axis=1)
    o2, m2 = counts.sum() - o1, m.sum() - m1
    inside = o1[:, None] * _INSIDE[bad] - m1[:, None] * np.expm1(_INSIDE[bad])
    rest = o2[:, None] * _ETA - m2[:, None] * np.expm1(_ETA)
    score = ((inside + rest) / phi - _ETA**2 / (2 * tau**2)).max(axis=1)
    excess = max(bad * float((counts - m).sum()), 1e-9)
    told = [
        Explanation(
            part.where,
            part.level,
            float(score[i]),
            float(o1[i] / max(m1[i], 1e-9)),
            float(o2[i] / m2[i]) if m2[i] > 0 else 1.0,
            float(min(max(bad * (o1[i] - m1[i]) / excess, 0.0), 1.0)),
        )
        for i, part in enumerate(possible)
    ]
    rivals = Counter(_names(part.where) for part in possible)
    return sorted(told, key=lambda each: (_against(_names(each.where), rivals) - each.score, each.level))


def _names(where: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(name for name, _ in where)


def _against(names: tuple[str, ...], rivals: Counter[tuple[str, ...]]) -> float:
    """Log of how much less likely an explanation is beforehand than "everywhere".

    Half of all regressions are everywhere, a fifth on one of some three systems, a tenth in one of some eight
    countries, and so on: what is named more finely has more rivals that fit by chance. Of a declared dimension it is
    counted how many they are.
    """
    if not names:
        return 0.0
    if names == ("os_name",):
        return _AGAINST_SYSTEM
    against = _AGAINST_ALONE + _AGAINST_EACH_MORE * (len(names) - 1)
    if all(name in _USUAL for name in names):
        return against
    return against + math.log(max(rivals[names] / _USUAL_RIVALS, 1.0))
