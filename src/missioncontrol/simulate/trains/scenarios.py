"""What may be wrong with a candidate, or only look wrong, by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from missioncontrol.simulate.trains.usage import Rollout
from missioncontrol.simulate.trains.world import DIMENSIONS, STRATA, TICKS_PER_HOUR, Floats


@dataclass(frozen=True)
class Scenario:
    """A candidate's story.

    factor: of its crashes, for users `where` (all when empty), from `from_hours` of age on; common: factor of all
    versions' crashes from an age drawn in `when_hours` on, for `lasts_hours`; lost: share of pings lost in such a time;
    adopters: factor that fades with age (e-folding `adopters_hours`); rollout: what differs in how it is offered;
    bad_predecessor: factor of one of the predecessors.
    """

    name: str
    factor: float = 1.0
    where: dict[str, str] = field(default_factory=dict)
    from_hours: float = 0.0
    common: float = 1.0
    lost: float = 0.0
    when_hours: tuple[float, float] = (3.0, 40.0)
    lasts_hours: float = 0.0
    adopters: float = 1.0
    adopters_hours: float = 48.0
    rollout: str = ""
    bad_predecessor: float = 1.0

    @property
    def harmless(self) -> bool:
        """Whether a verdict of worse would be wrong."""
        return self.factor <= 1.0 and self.adopters <= 1.0

    def members(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """[strata] who is hit by `factor`."""
        places = {DIMENSIONS.index(name): value for name, value in self.where.items()}
        return np.array([all(values[place] == value for place, value in places.items()) for values in STRATA])

    def field(self, ticks: int) -> Floats:
        """[ticks, strata] factors of the candidate's expected crashes."""
        ages = np.arange(ticks) / TICKS_PER_HOUR
        hit = np.where(ages >= self.from_hours, self.factor, 1.0)
        by_age = 1 + (self.adopters - 1) * np.exp(-ages / self.adopters_hours)
        return np.where(self.members()[None, :], hit[:, None], 1.0) * by_age[:, None]

    def offered(self, rollout: Rollout) -> Rollout:
        """The rollout of this scenario in place of an ordinary one."""
        if self.rollout == "fast":
            return replace(rollout, share=1.0, haste=2.5)
        if self.rollout == "first_country":
            return replace(rollout, first_country=1, share=1.0)
        return rollout


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("clean"),
        *(Scenario(f"x{factor:g}", factor=factor) for factor in (1.1, 1.25, 1.5, 2.0, 5.0)),
        *(Scenario(f"x{factor:.2g}", factor=factor) for factor in (0.8, 1 / 1.5)),
        Scenario("shock", common=1.5, lasts_hours=48.0),
        Scenario("calm", common=1 / 1.5, lasts_hours=48.0),
        Scenario("outage", lost=0.7, lasts_hours=3.0),
        Scenario("no_hours", lost=1.0, lasts_hours=24.0),
        Scenario("no_crashes", common=0.0, lasts_hours=18.0),
        Scenario("fast", rollout="fast"),
        Scenario("first_country", rollout="first_country"),
        Scenario("adopters", adopters=1.1),
        Scenario("calm_adopters", adopters=0.9),
        Scenario("shock_x1.5", common=1.5, lasts_hours=48.0, factor=1.5),
        Scenario("outage_x1.5", lost=0.7, lasts_hours=3.0, factor=1.5),
        Scenario("no_hours_x1.5", lost=1.0, lasts_hours=24.0, factor=1.5),
        Scenario("no_crashes_x1.5", common=0.0, lasts_hours=18.0, factor=1.5),
        Scenario("fast_x1.5", rollout="fast", factor=1.5),
        Scenario("first_country_x1.5", rollout="first_country", factor=1.5),
        Scenario("late", factor=2.0, from_hours=30.0),
        Scenario("bad_predecessor", bad_predecessor=2.0),
        Scenario("bad_predecessor_x1.5", bad_predecessor=2.0, factor=1.5),
        Scenario("linux_x2", factor=2.0, where={"os_name": "Linux"}),
        Scenario("windows_x1.5", factor=1.5, where={"os_name": "Windows_NT"}),
        Scenario("x86_x2", factor=2.0, where={"architecture": "x86"}),
        Scenario("country_x3", factor=3.0, where={"country": "BR"}),
        Scenario(
            "old_windows_x5",
            factor=5.0,
            where={"os_name": "Windows_NT", "os_version": "6.1", "architecture": "x86"},
        ),
    )
}


def said(scenario: Scenario) -> str:
    """A scenario in words."""
    who = " ".join(scenario.where.values()) or "everyone"
    parts = []
    if scenario.factor != 1:
        since = f" from {scenario.from_hours:g} h of age on" if scenario.from_hours else ""
        parts.append(f"{scenario.factor:.3g}x the crashes for {who}{since}")
    if scenario.common == 0:
        parts.append(f"no crash of any version arrives for {scenario.lasts_hours:g} h")
    elif scenario.common != 1:
        parts.append(f"all versions crash {scenario.common:.3g}x as often for {scenario.lasts_hours:g} h")
    if scenario.lost:
        parts.append(f"{scenario.lost:.0%} of all main pings are lost for {scenario.lasts_hours:g} h")
    if scenario.adopters != 1:
        parts.append(f"those who come first crash {scenario.adopters:g}x as often")
    if scenario.rollout == "fast":
        parts.append("offered to everyone at once and taken 2.5 times as fast")
    if scenario.rollout == "first_country":
        parts.append("one country has it a day before the others")
    if scenario.bad_predecessor != 1:
        parts.append(f"one predecessor crashed {scenario.bad_predecessor:g}x as often")
    return "; ".join(parts) or "nothing is wrong"
