"""Which strata a verdict tells apart: the largest by what was known at publication, the others taken together.

Users are told apart by four dimensions that are always judged, and by those that were declared beside them. The latter
are only as fine as the number of strata allows, so that what is declared never blurs what was judged without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from missioncontrol.health.cells import DIMENSIONS, Cells
from missioncontrol.verdict.strata import POOLED
from missioncontrol.verdict.tables import Ints, Strata

MOST_STRATA = 256
MOST_POOLS = 64
"""Pools beside the strata where dimensions are declared: of users whose declared values are new, by all others; and of
what is too small for a stratum of its own, by system and declared values. So many of each."""
_MOSTLY, _LEAST_USED = 0.8, 1e-4
# Share of the hours that a value of a declared dimension needs; a larger one is tried when strata would be too many.
_LEAST_SHARES = (0.02, 0.05, 0.10, 0.20)
_Values = tuple[str, ...]


@dataclass(frozen=True)
class Picked:
    """The strata of one release's verdict on a measure; `code` [strata of the sums] is where each goes.

    version: whose verdict; key: names the choice, which measures share.
    """

    version: str
    key: str
    strata: Strata
    code: Ints


def pick(cells: Cells, version: str, per: str, hours: Ints, events: Ints) -> Picked:
    """The strata with most hours of the versions before, as known at publication; the others are taken together.

    per: what `hours` are; hours, events: [versions before, strata of the cells] units, oldest version first. One pool
    for each operating system and one for all other users, also of what is new with the release. A dimension that the
    measure's events do not share with the hours (crash reports name no country) is left out.
    """
    used, seen = hours.sum(axis=0), events.sum(axis=0)
    shared = [_is_shared(cells, place, used, seen) for place in range(len(cells.dimensions))]
    always = [name in DIMENSIONS for name in cells.dimensions]
    plain = [a and s for a, s in zip(always, shared, strict=True)]
    declared = [
        s and not a and _is_told(cells, place, hours)
        for place, (a, s) in enumerate(zip(always, shared, strict=True))
    ]
    declared, values = _refined(cells, plain, declared, used)
    kept, _ = _largest(values, used)
    told = [a or d for a, d in zip(always, declared, strict=True)]
    dimensions = tuple(name for name, t in zip(cells.dimensions, told, strict=True) if t)
    pools = _pools(cells, kept, values, used, declared)
    strata = Strata(dimensions, tuple(dict.fromkeys(_cut((*kept, *pools), told))))
    key = "\0".join(
        (
            version,
            per,
            *(n for n, p, d in zip(cells.dimensions, plain, declared, strict=True) if not (p or d)),
        )
    )
    return Picked(version, key, strata, places_of(strata, cells))


def places_of(strata: Strata, cells: Cells) -> Ints:
    """[strata of the cells] which stratum of a verdict each goes to: its own, the pool of its system, or all others'.

    A value of a declared dimension that has none of its own counts among the dimension's other values.
    """
    where = [cells.dimensions.index(name) for name in strata.dimensions]
    told = [{values[i] for values in strata.values} for i in range(len(where))]
    always = [name in DIMENSIONS for name in strata.dimensions]
    system = [name == "os_name" for name in strata.dimensions]
    finer = [s or not a for s, a in zip(system, always, strict=True)]
    shared = [known != {POOLED} for known in told]
    place_of = {stratum: place for place, stratum in enumerate(strata.values)}
    places = np.empty(len(cells.strata), np.int64)
    for i, each in enumerate(cells.strata):
        values = [each[place] for place in where]
        own = tuple(
            value if keep and (a or value in known) else POOLED
            for value, keep, a, known in zip(values, shared, always, told, strict=True)
        )
        found = place_of.get(own)
        if found is None:
            pools = (_only(own, kept) for kept in (finer, always, system))
            found = next((place_of[pool] for pool in pools if pool in place_of), len(place_of) - 1)
        places[i] = found
    return places


def _pools(
    cells: Cells, kept: Sequence[_Values], values: Sequence[_Values], used: Ints, declared: Sequence[bool]
) -> list[_Values]:
    """Where all go that are not kept: by system and declared values as far as there is room, by system, all others."""
    pools: list[_Values] = []
    by_system = [name == "os_name" for name in cells.dimensions]
    if any(declared):
        # Users whose declared value is new, or is not told any more, stay what they are otherwise.
        pools += _largest([_only(each, [not d for d in declared]) for each in values], used, MOST_POOLS)[0]
        finer = [s or d for s, d in zip(by_system, declared, strict=True)]
        own = set(kept)
        left = [_only(each, finer) for each in values]
        rest = np.array(
            [0 if each in own else hours for each, hours in zip(values, used.tolist(), strict=True)]
        )
        pools += _largest(left, rest, MOST_POOLS)[0]
    if any(by_system):
        place = by_system.index(True)
        for system in sorted({stratum[place] for stratum in kept}):
            pools.append(tuple(system if own else POOLED for own in by_system))
    return [*pools, (POOLED,) * len(cells.dimensions)]


def _largest(values: Sequence[_Values], hours: Ints, most: int = MOST_STRATA) -> tuple[list[_Values], int]:
    """Those with most hours, sorted, and the hours that they hold."""
    units: dict[_Values, int] = {}
    for code in np.flatnonzero(hours).tolist():
        units[values[code]] = units.get(values[code], 0) + int(hours[code])
    kept = sorted(sorted(units, key=lambda value: (-units[value], value))[:most])
    return kept, sum(units[value] for value in kept)


def _refined(
    cells: Cells, plain: Sequence[bool], declared: list[bool], used: Ints
) -> tuple[list[bool], list[_Values]]:
    """Which declared dimensions are told, and [strata of the cells] the values.

    The strata that are kept hold nearly as many hours as they would without those dimensions: else only larger values
    are told, and where that is not enough, the dimension that was declared last is not.
    """
    values = [_only(stratum, plain) for stratum in cells.strata]
    held = _largest(values, used)[1]
    declared = list(declared)
    while any(declared):
        for least in _LEAST_SHARES:
            finer = _finer(cells, plain, declared, used, least)
            if _largest(finer, used)[1] >= _MOSTLY * held:
                return declared, finer
        declared[len(declared) - 1 - declared[::-1].index(True)] = False
    return declared, values


def _finer(
    cells: Cells, plain: Sequence[bool], declared: Sequence[bool], used: Ints, least: float
) -> list[_Values]:
    """[strata of the cells] values; of declared dimensions only those with a share `least` of the hours."""
    total = int(used.sum())
    named: list[set[str] | None] = []
    for place, (keep, own) in enumerate(zip(plain, declared, strict=True)):
        hours = _by_value(cells, place, used) if own else {}
        large = {value for value, units in hours.items() if units >= least * total}
        named.append(large if own else None if keep else set())
    return [
        tuple(
            value if known is None or value in known else POOLED
            for value, known in zip(stratum, named, strict=True)
        )
        for stratum in cells.strata
    ]


def _is_shared(cells: Cells, place: int, hours: Ints, events: Ints) -> bool:
    """Whether most events are of values of a dimension that hours are of too."""
    used, seen = _by_value(cells, place, hours), _by_value(cells, place, events)
    least = _LEAST_USED * sum(used.values())
    known = sum(units for value, units in seen.items() if used.get(value, 0) > least)
    return known >= _MOSTLY * sum(seen.values())


def _is_told(cells: Cells, place: int, hours: Ints) -> bool:
    """Whether a declared dimension tells the predecessors' users apart as it will tell the release's.

    It does where most of their hours are of versions that say it (as often, by half, as the one that says it most): of
    those that came before the declaration nothing is known. And where the newest of them has the values of those before
    it: a number that changes with each version, as a version's name does, tells of no users.
    """
    totals = hours.sum(axis=1)
    by_version = [_by_value(cells, place, own) for own, total in zip(hours, totals, strict=True) if total > 0]
    shares = [1 - units.get("", 0) / sum(units.values()) for units in by_version]
    if not shares or max(shares) <= 0:
        return False
    said = [
        sum(units.values())
        for units, share in zip(by_version, shares, strict=True)
        if share >= max(shares) / 2
    ]
    if sum(said) < _MOSTLY * int(totals.sum()):
        return False
    if len(by_version) < 2:
        return True
    *before, newest = by_version
    known = {value for units in before for value in units}
    return sum(n for value, n in newest.items() if value in known) >= _MOSTLY * sum(newest.values())


def _by_value(cells: Cells, place: int, units: Ints) -> dict[str, int]:
    """Units by value of a dimension; none of values without any."""
    sums: dict[str, int] = {}
    for code in np.flatnonzero(units).tolist():
        value = cells.strata[code][place]
        sums[value] = sums.get(value, 0) + int(units[code])
    return sums


def _only(values: _Values, kept: Sequence[bool]) -> _Values:
    """Values of the dimensions that are kept."""
    return tuple(value if keep else POOLED for value, keep in zip(values, kept, strict=True))


def _cut(strata: Iterable[_Values], told: Sequence[bool]) -> Iterable[_Values]:
    """Strata without the dimensions that are not told."""
    return (tuple(value for value, keep in zip(stratum, told, strict=True) if keep) for stratum in strata)
