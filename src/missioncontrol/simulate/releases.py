"""What is released when: a train of versions a channel, and how fast clients take them.

A version lasts as long as its channel's interval. Crash levels differ a little between versions, as they do
in real life; one version can be made worse by a known factor (`Regression`). Nothing here knows of sessions
or pings.
"""

from __future__ import annotations

import msgspec
import numpy as np

from missioncontrol.errors import BadRequest
from missioncontrol.simulate.population import (
    APPLICATIONS,
    CHANNELS,
    FIREFOX,
    GLEAN_NAMESPACE,
    OS_NAMES,
    Floats,
    Ints,
    Population,
)
from missioncontrol.simulate.stamps import DAY_S, HOUR_S, NS, build_stamp, instant

NEWEST_MAJOR = 103
"""Major version on the release channel: its predecessors reach below 100, where text compares wrongly."""
ESR_MAJOR = 91
_LEVEL_SD = 0.04
"""Spread of the log of crash levels between versions that have no regression."""
_LAGGARDS = 0.04
_LAGGARD_FACTOR = 25.0
_NEVER = 1e18


class Regression(msgspec.Struct, frozen=True):
    """The newest version of one train has `factor` times the main crashes of the version before it."""

    application: str = FIREFOX
    channel: str = "release"
    os_name: str = "Windows_NT"
    """Empty: on every operating system."""
    factor: float = 3.0


class Train(msgspec.Struct, frozen=True):
    """The rhythm of one channel. Ages are at the fleet's now."""

    application: str
    channel: str
    interval_days: float
    count: int
    newest_age_h: float
    build_lead_h: float
    """From build to publication."""
    lag_h: float
    """Median time from publication until a client that is offered the version runs it."""
    first_share: float = 1.0
    """Share of clients that are offered the version at once; the others `hold_h` later."""
    hold_h: float = 0.0


class Release(msgspec.Struct, frozen=True):
    """A version in the field. `level` multiplies main crashes on all systems, before a regression."""

    application: str
    channel: str
    version: str
    display_version: str
    build_id: str
    build_time_s: int
    published_ns: int
    level: float


TRAINS = (
    Train(FIREFOX, "release", 21, 8, 36, 50, 16, first_share=0.25, hold_h=24),
    Train(FIREFOX, "beta", 7, 12, 60, 26, 12),
    Train(FIREFOX, "nightly", 1, 60, 10, 3, 8),
    Train(FIREFOX, "esr", 28, 6, 240, 50, 40),
    Train(GLEAN_NAMESPACE, "release", 21, 8, 60, 50, 40),
    Train(GLEAN_NAMESPACE, "beta", 7, 12, 80, 26, 20),
)


def schedule(
    rng: np.random.Generator, trains: tuple[Train, ...], now_s: int, regression: Regression | None
) -> tuple[Release, ...]:
    """All releases, oldest first within a train, the trains in their order."""
    releases: list[Release] = []
    for train in trains:
        levels = np.exp(rng.normal(0, _LEVEL_SD, train.count))
        if regression and (train.application, train.channel) == (regression.application, regression.channel):
            levels[-1] = levels[-2]  # so that the factor is exact
        seconds = rng.integers(0, HOUR_S, train.count)
        for place in range(train.count):
            age_s = (train.newest_age_h * HOUR_S) + (train.count - 1 - place) * train.interval_days * DAY_S
            published_s = now_s - int(age_s)
            built_s = published_s - int(train.build_lead_h * HOUR_S) - int(seconds[place])
            releases.append(_release(train, place, built_s, published_s, float(levels[place])))
    return tuple(releases)


def main_levels(releases: tuple[Release, ...], regression: Regression | None) -> Floats:
    """Multiplier of main crashes by (release, operating system), the regression included."""
    levels = np.array([[release.level] * len(OS_NAMES) for release in releases])
    if regression:
        if regression.os_name not in ("", *OS_NAMES):
            known = ", ".join(OS_NAMES)
            raise BadRequest("simulated_os", f"No client runs {regression.os_name!r}.", f"Known: {known}.")
        worst = newest(releases, regression.application, regression.channel)
        for column, name in enumerate(OS_NAMES):
            if regression.os_name in ("", name):
                levels[worst, column] *= regression.factor
    return levels


def newest(releases: tuple[Release, ...], application: str, channel: str) -> int:
    """Index of the newest release of a train. Raises `BadRequest` when there is no such train."""
    found = [n for n, r in enumerate(releases) if (r.application, r.channel) == (application, channel)]
    if not found:
        raise BadRequest("simulated_train", f"The fleet has no releases of {application} on {channel}.")
    return found[-1]


class Published(msgspec.Struct, frozen=True):
    """A release as `missioncontrol import releases` reads it."""

    application: str
    channel: str
    version: str
    build_id: str
    published_at: str
    """ISO 8601, UTC."""


def published(releases: tuple[Release, ...]) -> tuple[Published, ...]:
    """When each release was published."""
    return tuple(
        Published(r.application, r.channel, r.version, r.build_id, instant(r.published_ns)) for r in releases
    )


class Adoption(msgspec.Struct, frozen=True):
    """When each client came to run each release of its train."""

    first: Ints
    """By client: index of the first release of its train."""
    row: Ints
    """By client: its row in `times` of its train."""
    train: Ints
    """By client: its train."""
    times: tuple[Floats, ...]
    """By train: (client, release) -> seconds since the epoch at which the client runs the release."""

    def release(self, clients: Ints, at_s: Floats) -> Ints:
        """Index of the release that each client runs at each time."""
        result = np.zeros(len(clients), np.int64)
        for number, times in enumerate(self.times):
            chosen = np.flatnonzero(self.train[clients] == number)
            if len(chosen):
                has = times[self.row[clients[chosen]]] <= at_s[chosen, None]
                place = np.where(has, np.arange(times.shape[1]), 0).max(axis=1)
                result[chosen] = self.first[clients[chosen]] + place
        return result


def adopt(
    rng: np.random.Generator,
    trains: tuple[Train, ...],
    population: Population,
    releases: tuple[Release, ...],
) -> Adoption:
    """Draw when every client takes every release. The oldest of a train is everyone's from the start."""
    first = np.zeros(population.size, np.int64)
    row = np.zeros(population.size, np.int64)
    train_of = np.zeros(population.size, np.int64)
    times: list[Floats] = []
    start = 0
    for number, train in enumerate(trains):
        members = np.flatnonzero(
            (population.application == APPLICATIONS.index(train.application))
            & (population.channel == CHANNELS.index(train.channel))
        )
        first[members], train_of[members], row[members] = start, number, np.arange(len(members))
        published = np.array([r.published_ns / NS for r in releases[start : start + train.count]])
        times.append(_adoption_times(rng, train, population, members, published))
        start += train.count
    return Adoption(first, row, train_of, tuple(times))


def _adoption_times(
    rng: np.random.Generator, train: Train, population: Population, members: Ints, published: Floats
) -> Floats:
    lag_h = train.lag_h * np.exp(0.9 * population.eagerness[members])
    lag_h = np.where(rng.random(len(members)) < _LAGGARDS, lag_h * _LAGGARD_FACTOR, lag_h)
    jitter = rng.lognormal(0, 0.4, (len(members), train.count))
    hold_h = np.where(population.held[members] < train.first_share, 0.0, train.hold_h)
    times: Floats = published[None, :] + (lag_h[:, None] * jitter + hold_h[:, None]) * HOUR_S
    times[:, 0] = -_NEVER
    return times


def _release(train: Train, place: int, built_s: int, published_s: int, level: float) -> Release:
    version, display = _versions(train, place)
    build_id = build_stamp(built_s) if train.application == FIREFOX else f"2{built_s:09d}"[-10:]
    return Release(
        train.application, train.channel, version, display, build_id, built_s, published_s * NS, level
    )


def _versions(train: Train, place: int) -> tuple[str, str]:
    """Version and display version of the release at a place (0 is the oldest)."""
    back = train.count - 1 - place
    cycle = 3  # betas to a major version
    if train.channel == "esr":
        return f"{ESR_MAJOR}.{9 - back}.0", f"{ESR_MAJOR}.{9 - back}.0esr"
    if train.channel == "beta":
        major, number = NEWEST_MAJOR + 1 - back // cycle, cycle - back % cycle
        shown = f"{major}.0b{number}" if train.application == FIREFOX else f"{major}.0.0-beta.{number}"
        return (f"{major}.0", shown) if train.application == FIREFOX else (shown, shown)
    if train.channel == "nightly":
        version = f"{NEWEST_MAJOR + 2 - back // 21}.0a1"
        return version, version
    version = f"{NEWEST_MAJOR - back}.0" if train.application == FIREFOX else f"{NEWEST_MAJOR - back}.1.0"
    return version, version
