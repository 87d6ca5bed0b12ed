"""Who the clients are: machine, place, channel, habits and how crash-prone each one is.

Shares and rates are made up in the likeness of a desktop browser's users. The draw depends on the generator
alone. Clients are columns of arrays, not objects: a fleet of 200,000 must be cheap.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from missioncontrol.simulate.stamps import uuid

FIREFOX = "Firefox"
GLEAN_NAMESPACE = "org-mozilla-fenix"
APPLICATIONS = (FIREFOX, GLEAN_NAMESPACE)
CHANNELS = ("release", "beta", "nightly", "esr")
OS_NAMES = ("Windows_NT", "Darwin", "Linux", "Android")
_CHANNEL_SHARES = {FIREFOX: (0.80, 0.10, 0.03, 0.07), GLEAN_NAMESPACE: (0.90, 0.10, 0.0, 0.0)}
_IN_EXPERIMENT = 0.12
_PROPENSITY_SHAPE = 0.6
"""Shape of the gamma distribution of crash propensity: a few clients have most of the crashes."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


class Platform(msgspec.Struct, frozen=True):
    """One kind of machine. `risk` multiplies the rate of crashes."""

    application: str
    os_name: str
    os_version: str
    architecture: str
    abi: str
    share: float
    risk: float


class Country(msgspec.Struct, frozen=True):
    """Where clients are; `offset_h` is what local time is ahead of UTC."""

    code: str
    offset_h: int
    share: float
    risk: float


PLATFORMS = (
    Platform(FIREFOX, "Windows_NT", "10.0", "x86-64", "x86_64-msvc", 0.52, 0.9),
    Platform(FIREFOX, "Windows_NT", "10.0", "x86", "x86-msvc", 0.08, 1.2),
    Platform(FIREFOX, "Windows_NT", "6.1", "x86-64", "x86_64-msvc", 0.13, 1.1),
    Platform(FIREFOX, "Windows_NT", "6.1", "x86", "x86-msvc", 0.07, 1.5),
    Platform(FIREFOX, "Windows_NT", "6.3", "x86-64", "x86_64-msvc", 0.04, 1.0),
    Platform(FIREFOX, "Darwin", "20.1.0", "x86-64", "x86_64-gcc3", 0.030, 0.6),
    Platform(FIREFOX, "Darwin", "19.6.0", "x86-64", "x86_64-gcc3", 0.030, 0.7),
    Platform(FIREFOX, "Darwin", "18.7.0", "x86-64", "x86_64-gcc3", 0.015, 0.8),
    Platform(FIREFOX, "Darwin", "20.1.0", "aarch64", "aarch64-gcc3", 0.005, 0.7),
    Platform(FIREFOX, "Linux", "5.4.0-56-generic", "x86-64", "x86_64-gcc3", 0.040, 1.0),
    Platform(FIREFOX, "Linux", "4.15.0-126-generic", "x86-64", "x86_64-gcc3", 0.020, 1.1),
    Platform(FIREFOX, "Linux", "5.9.11-arch2-1", "x86-64", "x86_64-gcc3", 0.015, 1.3),
    Platform(FIREFOX, "Linux", "4.19.0-13-686-pae", "x86", "x86-gcc3", 0.005, 1.6),
    Platform(GLEAN_NAMESPACE, "Android", "10", "arm64-v8a", "", 0.55, 1.0),
    Platform(GLEAN_NAMESPACE, "Android", "9", "arm64-v8a", "", 0.25, 1.0),
    Platform(GLEAN_NAMESPACE, "Android", "8.1.0", "armeabi-v7a", "", 0.20, 1.0),
)
COUNTRIES = (
    Country("US", -5, 0.21, 1.00),
    Country("DE", 1, 0.12, 0.90),
    Country("FR", 1, 0.07, 0.95),
    Country("IN", 5, 0.07, 1.20),
    Country("RU", 3, 0.07, 1.10),
    Country("BR", -3, 0.06, 1.15),
    Country("CN", 8, 0.06, 1.30),
    Country("PL", 1, 0.05, 0.95),
    Country("ID", 7, 0.05, 1.20),
    Country("GB", 0, 0.05, 0.95),
    Country("IT", 1, 0.05, 1.00),
    Country("ES", 1, 0.04, 1.00),
    Country("JP", 9, 0.03, 0.85),
    Country("CA", -5, 0.03, 0.95),
    Country("MX", -6, 0.02, 1.10),
    Country("AU", 10, 0.02, 0.90),
)


class Population(msgspec.Struct, frozen=True):
    """All clients, one array element a client. Integer columns index the tables of this module."""

    application: Ints
    channel: Ints
    platform: Ints
    country: Ints
    os: Ints
    sessions_per_day: Floats
    session_h: Floats
    """Median length of the client's sessions in hours."""
    risk: Floats
    """Rate of crashes over that of the average machine: stratum times the client's own propensity."""
    eagerness: Floats
    """Standard normal; the lower, the sooner the client takes a new version."""
    held: Floats
    """Uniform; rollouts that start with a share of the users start with those under it."""
    profile_day: Ints
    """Days from the epoch to the creation of the profile."""
    experiment: Ints
    """0: none, else a number that picks experiment and branch."""
    id_high: Words
    id_low: Words

    @property
    def size(self) -> int:
        """Number of clients."""
        return len(self.channel)

    def client_id(self, client: int) -> str:
        """The UUID that the client sends."""
        return uuid(int(self.id_high[client]), int(self.id_low[client]))


def draw_population(rng: np.random.Generator, clients: int, glean_share: float, now_day: int) -> Population:
    """Draw clients, a share of them of the Glean application; `now_day` is in days since the epoch."""
    application = (rng.random(clients) < glean_share).astype(np.int64)
    platform, channel = _machines(rng, application)
    country = rng.choice(len(COUNTRIES), size=clients, p=_shares([c.share for c in COUNTRIES]))
    activity = rng.lognormal(-0.245, 0.7, clients)  # mean 1
    stratum = np.array([p.risk for p in PLATFORMS])[platform] * np.array([c.risk for c in COUNTRIES])[country]
    propensity = rng.gamma(_PROPENSITY_SHAPE, 1 / _PROPENSITY_SHAPE, clients)
    return Population(
        application=application,
        channel=channel,
        platform=platform,
        country=country,
        os=np.array([OS_NAMES.index(p.os_name) for p in PLATFORMS])[platform],
        sessions_per_day=np.clip(2.4 * activity, 0.1, 20),
        session_h=np.where(application == 1, 0.08, 0.75) * rng.lognormal(0, 0.4, clients),
        risk=stratum * propensity,
        # Those who use the browser more come across the update sooner.
        eagerness=rng.standard_normal(clients) - 0.3 * np.log(activity),
        held=rng.random(clients),
        profile_day=now_day - (rng.exponential(500, clients).astype(np.int64) % 3000) - 1,
        experiment=np.where(rng.random(clients) < _IN_EXPERIMENT, rng.integers(1, 7, clients), 0),
        id_high=_words(rng, clients),
        id_low=_words(rng, clients),
    )


def _machines(rng: np.random.Generator, application: Ints) -> tuple[Ints, Ints]:
    platform = np.zeros(len(application), np.int64)
    channel = np.zeros(len(application), np.int64)
    for number, name in enumerate(APPLICATIONS):
        mask = application == number
        share = _shares([p.share if p.application == name else 0.0 for p in PLATFORMS])
        platform[mask] = rng.choice(len(PLATFORMS), size=int(mask.sum()), p=share)
        channel[mask] = rng.choice(len(CHANNELS), size=int(mask.sum()), p=_shares(_CHANNEL_SHARES[name]))
    return platform, channel


def _shares(values: list[float] | tuple[float, ...]) -> Floats:
    shares = np.array(values, np.float64)
    shares /= shares.sum()
    return shares


def _words(rng: np.random.Generator, count: int) -> Words:
    return rng.integers(0, 2**64, count, dtype=np.uint64)
