"""A fleet's clients: where they live, how much they use, how often they crash, how soon they update."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

TICKS_PER_HOUR = 12
TICKS_PER_DAY = 24 * TICKS_PER_HOUR
LIFE_DAYS = 14
LIFE_TICKS = LIFE_DAYS * TICKS_PER_DAY

# (os_name, os_version, architecture): share of clients, relative crash rate, relative time until an update.
_MACHINES: dict[tuple[str, str, str], tuple[float, float, float]] = {
    ("Windows_NT", "10.0", "x86-64"): (0.51, 1.0, 1.0),
    ("Windows_NT", "10.0", "x86"): (0.08, 1.5, 1.1),
    ("Windows_NT", "6.3", "x86-64"): (0.06, 1.1, 1.2),
    ("Windows_NT", "6.3", "x86"): (0.02, 1.6, 1.3),
    ("Windows_NT", "6.1", "x86-64"): (0.06, 1.3, 1.3),
    ("Windows_NT", "6.1", "x86"): (0.06, 1.9, 1.5),
    ("Darwin", "24.0", "aarch64"): (0.07, 0.55, 0.8),
    ("Darwin", "24.0", "x86-64"): (0.03, 0.8, 0.9),
    ("Darwin", "23.0", "x86-64"): (0.03, 0.9, 1.0),
    ("Linux", "6.1", "x86-64"): (0.08, 0.8, 1.6),
}
# country: share, relative crash rate, hours east of UTC.
_COUNTRIES: dict[str, tuple[float, float, float]] = {
    "US": (0.24, 0.9, -6.0),
    "DE": (0.13, 0.85, 1.0),
    "IN": (0.11, 1.35, 5.5),
    "BR": (0.09, 1.2, -3.0),
    "FR": (0.08, 0.9, 1.0),
    "RU": (0.07, 1.1, 3.0),
    "CN": (0.06, 1.4, 8.0),
    "other": (0.22, 1.1, 0.0),
}
STRATA: tuple[tuple[str, str, str, str], ...] = tuple(
    (os_name, os_version, country, architecture)
    for os_name, os_version, architecture in _MACHINES
    for country in _COUNTRIES
)
DIMENSIONS = ("os_name", "os_version", "country", "architecture")


@dataclass(frozen=True)
class Settings:
    """What a world is drawn from. Rates are per hour of use, spreads are standard deviations of logarithms."""

    crashes_per_hour: float = 0.002
    propensity_spread: float = 1.5
    sessions_per_day: float = 1.2
    sessions_spread: float = 0.7
    session_hours: float = 0.8
    session_spread: float = 1.0
    stratum_spread: float = 0.2
    update_hours: float = 10.0
    update_spread: float = 1.0
    release_spread: float = 0.045
    release_os_spread: float = 0.025
    swell_spread: float = 0.025
    swell_hours: float = 24.0


@dataclass(frozen=True)
class World:
    """Clients as columns, one row each; `weight` is how many clients a row stands for."""

    settings: Settings
    weight: int
    stratum: Ints
    tz_hours: Floats
    sessions_per_day: Floats
    crashes_per_hour: Floats
    update_hours: Floats

    @property
    def clients(self) -> int:
        """Rows."""
        return len(self.stratum)


def draw_world(
    rng: np.random.Generator, clients: int, weight: int = 1, settings: Settings = Settings()
) -> World:
    """`clients` distinct clients, each standing for `weight`.

    How early adopters differ is drawn for the world: they may crash more or less than those who come late, and use
    more. Every stratum has a rate of its own around the main effects of machine and country.
    """
    machines = np.array(list(_MACHINES.values()))
    countries = np.array(list(_COUNTRIES.values()))
    machine = rng.choice(len(machines), clients, p=machines[:, 0] / machines[:, 0].sum())
    country = rng.choice(len(countries), clients, p=countries[:, 0] / countries[:, 0].sum())
    stratum = machine * len(countries) + country
    base = machines[machine, 1] * countries[country, 1]
    own = np.exp(settings.stratum_spread * rng.standard_normal(len(STRATA)))[stratum]
    haste, use, luck = rng.standard_normal((3, clients))
    of_use, of_luck = rng.normal(0.25, 0.15), rng.normal(0.0, 0.08)
    latency = haste - of_use * use - of_luck * luck
    mean_shift = settings.propensity_spread**2 / 2
    return World(
        settings=settings,
        weight=weight,
        stratum=stratum.astype(np.int64),
        tz_hours=countries[country, 2],
        sessions_per_day=settings.sessions_per_day
        * np.exp(settings.sessions_spread * use - settings.sessions_spread**2 / 2),
        crashes_per_hour=settings.crashes_per_hour
        * base
        * own
        * np.exp(settings.propensity_spread * luck - mean_shift),
        update_hours=settings.update_hours * machines[machine, 2] * np.exp(settings.update_spread * latency),
    )
