"""The fleet: clients, releases and everything they send, in the order in which it is received.

`history()` and `live()` are pure functions of the seed and of time: any stretch of time gives the same
pings whether it is asked for alone or as part of a longer one, so live traffic goes on where the history
ended. Nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from missioncontrol.errors import BadRequest
from missioncontrol.simulate import sessions as draw
from missioncontrol.simulate.pings import DEFAULT_SIZES, Renderer
from missioncontrol.simulate.population import PLATFORMS, Platform, draw_population
from missioncontrol.simulate.releases import TRAINS, Regression, Release, Train, adopt, main_levels, schedule
from missioncontrol.simulate.sessions import EVENT, Event, Events, Sessions, World
from missioncontrol.simulate.stamps import DAY_S, HOUR_S, NS, instant
from missioncontrol.simulate.submission import Submission
from missioncontrol.simulate.truth import Truth, truth_of

_CHUNK_S = HOUR_S
_LIVE_CHUNK_PINGS = 500.0
_RENDERED_AT_ONCE = 10_000
_CALIBRATION_SESSIONS = 20_000
# Keys of the independent streams of random numbers.
_WHO, _WHAT, _WHEN, _TEXT, _STARTS, _ARRIVALS, _CALIBRATION = range(7)


class MainCrash(NamedTuple):
    """A crash of the main process, about which a crash ping is sent too."""

    received_ns: int
    start_s: int
    """Of the session."""
    crash_s: int
    release: Release
    platform: Platform
    startup: int
    """1: while it started."""
    id_high: int
    """128 random bits, with `id_low`."""
    id_low: int
    noise: int


class Fleet:
    """`clients` clients and the releases up to `now_ns`, from a seed.

    `trains` is the rhythm of releases; there must be one for each application and channel of `TRAINS`.
    `regression` makes the newest version of one train worse (None: all is well); `glean_share` of the
    clients use a Glean application instead of Firefox; `main_per_1k_hours` is the rate of main crashes of an
    average machine; `sizes` are the bytes of the smallest and largest full main ping.
    """

    def __init__(
        self,
        seed: int,
        clients: int,
        now_ns: int,
        *,
        trains: tuple[Train, ...] = TRAINS,
        regression: Regression | None = Regression(),
        glean_share: float = 0.08,
        main_per_1k_hours: float = draw.MAIN_PER_1K_HOURS,
        sizes: tuple[int, int] = DEFAULT_SIZES,
    ) -> None:
        if clients < 1:
            raise BadRequest("simulated_clients", "A fleet needs at least one client.")
        self._seed = seed
        self.now_ns = now_ns
        now_s = now_ns // NS
        population = draw_population(self._rng(_WHO), clients, glean_share, now_s // DAY_S)
        self.releases: tuple[Release, ...] = schedule(self._rng(_WHAT), trains, now_s, regression)
        levels = main_levels(self.releases, regression)
        adoption = adopt(self._rng(_WHEN), trains, population, self.releases)
        self._world = World(population, adoption, levels, main_per_1k_hours)
        self.truth: Truth = truth_of(population, self.releases, levels, main_per_1k_hours, regression)
        self._renderer = Renderer(self._rng(_TEXT), population, self.releases, sizes)

    @property
    def sessions_per_s(self) -> float:
        """Mean sessions a second of the whole fleet."""
        return float(self._world.population.sessions_per_day.sum()) / DAY_S

    @property
    def pings_per_session(self) -> float:
        """Mean pings about one session, from a fixed sample."""
        rng = self._rng(_CALIBRATION)
        begin = self.now_ns / NS
        sample = draw.arrivals(rng, self._world, begin, begin + HOUR_S, _CALIBRATION_SESSIONS)
        return len(draw.events(rng, self._world, sample)) / _CALIBRATION_SESSIONS

    @property
    def earliest_ns(self) -> int:
        """From when on every train has a release; there is no history before it."""
        first: dict[tuple[str, str], int] = {}
        for release in self.releases:
            first.setdefault((release.application, release.channel), release.published_ns)
        return max(first.values())

    def history(self, start_ns: int, end_ns: int, light: bool = True) -> Iterator[Submission]:
        """What is received in [start, end), in order. `light`: small main pings.

        Raises `BadRequest` for a start before `earliest_ns`.
        """
        self._check_start(start_ns)
        return self._rendered(self._received(start_ns, end_ns), light)

    def last(self, count: int, light: bool = False) -> Iterator[Submission]:
        """The last `count` pings received before `now_ns`, in order. Raises `BadRequest` as `history` does."""
        span_s = count / (self.sessions_per_s * self.pings_per_session)
        while True:
            span_s *= 1.2
            start_ns = self.now_ns - int(span_s * NS)
            self._check_start(start_ns)
            found = np.concatenate([np.zeros(0, EVENT), *self._received(start_ns, self.now_ns)])
            if len(found) >= count:
                tables = np.array_split(found[len(found) - count :], count // _RENDERED_AT_ONCE + 1)
                return self._rendered(iter(tables), light)

    def main_crashes(self, start_ns: int, end_ns: int) -> Iterator[MainCrash]:
        """The crashes of main processes behind the crash pings that `history` has of this time."""
        self._check_start(start_ns)
        return self._main_crashes(self._received(start_ns, end_ns))

    def live_main_crashes(self, start_ns: int, rate_per_s: float) -> Iterator[MainCrash]:
        """The crashes of main processes behind the crash pings that `live` has, without end."""
        self._check_start(start_ns)
        return self._main_crashes(self._rushed(start_ns, rate_per_s))

    def _main_crashes(self, tables: Iterator[Events]) -> Iterator[MainCrash]:
        platforms = self._world.population.platform
        for table in tables:
            for row in table[table["kind"] == draw.MAIN_CRASH].tolist():
                event = Event(*row)
                yield MainCrash(
                    event.received_ns,
                    event.start,
                    event.end,
                    self.releases[event.release],
                    PLATFORMS[platforms[event.client]],
                    event.flag,
                    event.ping_low,  # not the ping's own id
                    event.ping_high ^ event.session_low,
                    event.noise,
                )

    def live(
        self, start_ns: int, rate_per_s: float | None = None, light: bool = False
    ) -> Iterator[Submission]:
        """What is received from `start_ns` on, in order, without end.

        Without `rate_per_s` it is the continuation of `history()`. With it, about that many pings a second
        are sent by the same clients, more busily than in their history: the rates per usage hour stay what
        `truth` says, but crash pings no longer come before the hours do, and a session's pings all arrive
        within a moment. Raises `BadRequest` for a start before `earliest_ns`.
        """
        self._check_start(start_ns)
        tables = self._received(start_ns, None) if rate_per_s is None else self._rushed(start_ns, rate_per_s)
        return self._rendered(tables, light)

    def _check_start(self, start_ns: int) -> None:
        if start_ns < self.earliest_ns:
            raise BadRequest(
                "simulated_past",
                f"The fleet has no history before {instant(self.earliest_ns)}.",
                "Start later, take more clients, or give it trains with more releases.",
            )

    def _rendered(self, tables: Iterator[Events], light: bool) -> Iterator[Submission]:
        for table in tables:
            for row in table.tolist():
                yield self._renderer.render(Event(*row), light)

    def _received(self, start_ns: int, end_ns: int | None) -> Iterator[Events]:
        """Tables of events in the order of receipt, from the sessions that can still matter on."""
        first = (start_ns // NS - draw.LONGEST_S) // _CHUNK_S - 1
        pending = np.zeros(0, EVENT)
        chunk = first
        while end_ns is None or chunk * _CHUNK_S * NS < end_ns:
            rng = self._rng(_STARTS, chunk)
            begin = float(chunk * _CHUNK_S)
            table = self._events(rng, draw.starts(rng, self._world, begin, begin + _CHUNK_S))
            pending = np.concatenate([pending, table[table["received_ns"] >= start_ns]])
            chunk += 1
            ready = pending["received_ns"] < min(chunk * _CHUNK_S * NS, end_ns or chunk * _CHUNK_S * NS)
            yield _in_order(pending[ready])
            pending = pending[~ready]

    def _rushed(self, start_ns: int, rate_per_s: float) -> Iterator[Events]:
        if not rate_per_s > 0:
            raise BadRequest("simulated_rate", "The rate must be above 0 pings a second.")
        length_ns = int(min(60.0, _LIVE_CHUNK_PINGS / rate_per_s) * NS) or 1
        mean = rate_per_s * length_ns / NS / self.pings_per_session
        key = math.ceil(rate_per_s * 1000)
        chunk = 0
        while True:
            begin_ns = start_ns + chunk * length_ns
            rng = self._rng(_ARRIVALS, begin_ns, key)
            begin, end = begin_ns / NS, (begin_ns + length_ns) / NS
            table = self._events(rng, draw.arrivals(rng, self._world, begin, end, int(rng.poisson(mean))))
            early = table["received_ns"] < begin_ns
            table["received_ns"][early] = begin_ns + rng.integers(0, length_ns, int(early.sum()))
            np.clip(table["received_ns"], begin_ns, begin_ns + length_ns - 1, out=table["received_ns"])
            yield _in_order(table)
            chunk += 1

    def _events(self, rng: np.random.Generator, sessions: Sessions) -> Events:
        return draw.events(rng, self._world, sessions)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, *key])))


def _in_order(table: Events) -> Events:
    """By receipt; equal times by the ping's own random id, whatever stretch of time was asked for."""
    return table[np.lexsort((table["ping_low"], table["received_ns"]))]
