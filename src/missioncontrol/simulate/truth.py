"""What a perfect observer of the fleet would know: expected crash rates, by version and operating system.

Computed from the population and the releases, never from what was sent.
"""

from __future__ import annotations

import msgspec
import numpy as np

from missioncontrol.errors import NotFound
from missioncontrol.simulate.population import APPLICATIONS, CHANNELS, FIREFOX, OS_NAMES, Floats, Population
from missioncontrol.simulate.releases import Regression, Release, newest


class SliceTruth(msgspec.Struct, frozen=True):
    """Expected main crashes per 1,000 usage hours of one version on one operating system."""

    application: str
    channel: str
    version: str
    display_version: str
    build_id: str
    os_name: str
    main_crashes_per_1k_hours: float
    factor: float
    """1 unless this is where the regression is."""


class Truth(msgspec.Struct, frozen=True):
    """All slices, and where the regression is (None: nowhere)."""

    slices: tuple[SliceTruth, ...]
    regression: Regression | None
    worse: Release | None
    """The version with the regression."""
    predecessor: Release | None
    """The version that `Regression.factor` is relative to."""

    def slice(self, channel: str, display_version: str, os_name: str) -> SliceTruth:
        """The slice of a Firefox version. Raises `NotFound`."""
        for found in self.slices:
            if (found.channel, found.display_version, found.os_name) == (channel, display_version, os_name):
                return found
        raise NotFound("simulated_slice", f"No {display_version} on {channel} and {os_name} in the fleet.")


def truth_of(
    population: Population,
    releases: tuple[Release, ...],
    levels: Floats,
    base_per_1k_hours: float,
    regression: Regression | None,
) -> Truth:
    """Weigh each client's risk by its expected usage. `levels` is by (release, operating system)."""
    usage = population.sessions_per_day * population.session_h
    slices = []
    for number, release in enumerate(releases):
        if release.application != FIREFOX:
            continue
        for system, os_name in enumerate(OS_NAMES):
            mask = (
                (population.application == APPLICATIONS.index(FIREFOX))
                & (population.channel == CHANNELS.index(release.channel))
                & (population.os == system)
            )
            if mask.any():
                risk = float(np.average(population.risk[mask], weights=usage[mask]))
                level = float(levels[number, system])
                slices.append(
                    _slice(release, os_name, base_per_1k_hours * risk * level, level / release.level)
                )
    if regression is None:
        return Truth(tuple(slices), None, None, None)
    worst = newest(releases, regression.application, regression.channel)
    return Truth(tuple(slices), regression, releases[worst], releases[worst - 1])


def _slice(release: Release, os_name: str, rate: float, factor: float) -> SliceTruth:
    return SliceTruth(
        release.application,
        release.channel,
        release.version,
        release.display_version,
        release.build_id,
        os_name,
        rate,
        factor,
    )
