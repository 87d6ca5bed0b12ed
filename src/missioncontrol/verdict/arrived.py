"""What came of a version by tick, and which ticks say something."""

from __future__ import annotations

from dataclasses import dataclass

from missioncontrol.verdict.gaps import BURST, Gaps, cut_gaps, gaps
from missioncontrol.verdict.outage import Health
from missioncontrol.verdict.tables import Bools, Floats


@dataclass(frozen=True)
class Arrived:
    """What came of a version by tick: weighted `hours` and `events` of all strata, and where one came alone.

    lost: ticks that say nothing, for these and other reasons: hardly a ping came, or events of all versions did not.
    """

    hours: Floats
    events: Floats
    gaps: Gaps
    lost: Bools

    @property
    def kept(self) -> Bools:
        """[ticks] what counts."""
        return ~(self.gaps.out | self.lost)


@dataclass(frozen=True)
class Trait:
    """What is known of a measure: `burst`, the variance of its events over their mean, and its usual `rate` an hour."""

    burst: float
    rate: float | None


UNKNOWN = Trait(BURST, None)


def arrived(
    hours: Floats,
    events: Floats,
    health: Health,
    elsewhere: Bools | None,
    trait: Trait,
    before: Arrived | None = None,
) -> Arrived:
    """What came, by tick [ticks]. before: as it was when fewer ticks were known; elsewhere: others' events are lost."""
    lost = health.lost if elsewhere is None else health.lost | elsewhere[: len(hours)]
    return Arrived(
        hours, events, gaps(hours, events, trait.burst, trait.rate, before.gaps if before else None), lost
    )


def cut_arrived(came: Arrived, ticks: int) -> Arrived:
    """As it was known at age `ticks`."""
    return Arrived(came.hours[:ticks], came.events[:ticks], cut_gaps(came.gaps, ticks), came.lost[:ticks])
