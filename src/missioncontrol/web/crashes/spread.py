"""Which users a signature's crashes come from more often, or less, than other crashes of the same versions.

Pure. Each value is tested by the statistic of Mantel and Haenszel (Journal of the National Cancer Institute 22(4),
1959), version by version, so that a version which has the signature and another mix of users does not pass for a
difference; of all values tested, those are told that the procedure of Benjamini and Hochberg rejects at 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from missioncontrol.query.signature_history import Spread

NAMES = ("os name", "os", "architecture", "process type", "uptime", "install age")
_TITLES = {
    "os name": "System",
    "os": "Version of the system",
    "architecture": "Architecture",
    "process type": "Process",
    "uptime": "Uptime",
    "install age": "Age of the installation",
}
_CHANCE = 0.05
_LEAST_VARIANCE = 1.0
"""With less the statistic is not normal, and nothing could be told."""
_LEAST_RATIO = 1.2


class Difference(msgspec.Struct, frozen=True):
    """A value that is more frequent among the signature's crashes than among others, or less.

    share: of the installations with the signature; share_others: of those with other crashes, as if they were of the
    same versions.
    """

    name: str
    title: str
    value: str | None
    share: float
    share_others: float
    chance: float

    @property
    def more(self) -> bool:
        """Whether it is more frequent."""
        return self.share > self.share_others


def differences(counts: Iterable[Spread]) -> list[Difference]:
    """What differs beyond chance and by a fifth at least, the surest first."""
    tested = [one for of_name in _by_name(counts).values() for one in _tested(of_name)]
    tested.sort(key=lambda one: (one.chance, one.name, one.value or ""))
    last = max((n for n, one in enumerate(tested, 1) if one.chance * len(tested) <= _CHANCE * n), default=0)
    return [one for one in tested[:last] if _matters(one)]


def _by_name(counts: Iterable[Spread]) -> dict[str, list[Spread]]:
    found: dict[str, list[Spread]] = {}
    for one in counts:
        found.setdefault(one.name, []).append(one)
    return found


def _tested(counts: Sequence[Spread]) -> list[Difference]:
    """The values of one name that can be tested."""
    own: dict[str | None, int] = {}
    others: dict[str | None, int] = {}
    for one in counts:
        own[one.version] = own.get(one.version, 0) + one.own
        others[one.version] = others.get(one.version, 0) + one.others
    values: dict[str | None, list[Spread]] = {}
    for one in counts:
        values.setdefault(one.value, []).append(one)
    whole = sum(n for version, n in own.items() if others[version])
    found = []
    for value, parts in values.items():
        seen, due, standardised, variance = _sums(parts, own, others)
        if variance < _LEAST_VARIANCE or value is None:
            continue
        z = max(abs(seen - due) - 0.5, 0.0) / math.sqrt(variance)
        chance = math.erfc(z / math.sqrt(2))
        name = counts[0].name
        found.append(Difference(name, _TITLES[name], value, seen / whole, standardised / whole, chance))
    return found


def _sums(
    parts: Iterable[Spread], own: dict[str | None, int], others: dict[str | None, int]
) -> tuple[float, float, float, float]:
    """Over versions: seen, expected of no difference, expected of the others' share, variance."""
    seen = due = standardised = variance = 0.0
    for part in parts:
        n, m = own[part.version], others[part.version]
        total, with_value = n + m, part.own + part.others
        if not n or not m:
            continue
        seen += part.own
        due += n * with_value / total
        standardised += n * part.others / m
        variance += n * m * with_value * (total - with_value) / (total**2 * (total - 1))
    return seen, due, standardised, variance


def _matters(one: Difference) -> bool:
    least, most = sorted((one.share, one.share_others))
    return least == 0 or most / least >= _LEAST_RATIO
