"""Which versions a release is compared with, and how that changes during its life.

What is judged at a look rests on the statuses that were known at that look: one that is given while a release is judged
begins an era, and looks of before keep what they were compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from missioncontrol.health.published import Version
from missioncontrol.verdict.baseline import PREDECESSORS
from missioncontrol.verdict.grid import LIFE_TICKS

_MOST_CHAIN = 2 * PREDECESSORS


@dataclass(frozen=True)
class Era:
    """From the look at tick `look` on, until that of the next era, a release is compared with `chain`.

    versions: all of its channel, as that look knows them.
    """

    look: int
    versions: tuple[Version, ...]
    chain: tuple[Version, ...]


def chain(versions: Sequence[Version], subject: Version) -> tuple[Version, ...]:
    """The versions before one, oldest first: the last 13 that may be used, and what came between them."""
    before = [each for each in versions if each.published < subject.published]
    fit = [place for place, each in enumerate(before) if not each.unfit]
    start = fit[-PREDECESSORS - 1 :][0] if fit else len(before)
    return tuple(before[max(start, len(before) - _MOST_CHAIN) :])


def known_at(versions: Iterable[Version], look: int) -> tuple[Version, ...]:
    """Versions as the look at tick `look` knows them."""
    return tuple(each.known_at(look) for each in versions)


def looked_at(subject: Version, until: int) -> tuple[int, int]:
    """Ticks of the first and the last look at a release until tick `until`; of a time before, that time."""
    last = min(until, subject.published + LIFE_TICKS)
    return min(subject.published + 1, last), last


def eras(versions: Sequence[Version], subject: Version, since: int, until: int) -> list[Era]:
    """The eras of the looks at ticks `since` to `until`, oldest first; at least one, which begins with `since`."""
    before = [each for each in versions if each.published < subject.published]
    begins = {label.look for each in before for label in each.labels if since < label.look <= until}
    found: list[Era] = []
    for look in (since, *sorted(begins)):
        known = known_at(versions, look)
        compared = chain(known, subject)
        if not found or compared != found[-1].chain:
            found.append(Era(look, known, compared))
    return found
