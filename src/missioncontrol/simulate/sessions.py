"""What clients do: sessions, the crashes in them, and when the pings about both arrive.

Sessions start at random by each client's habit, its local time of day and the day of the week. A session that
passes local midnight is reported in two parts. Most main pings come minutes after the end, some hours
later, a few a day or more. Crashes are a Poisson process per usage hour, times the client's risk and the
level of its version; one in ten brings more of its kind within minutes. Crash pings come within minutes,
mostly before the hours do. A crash does not end the session here: the browser is started again at once, and
the time goes on.

Everything is drawn for many sessions at once, into one table of `Event`s; nothing is rendered here.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from missioncontrol.simulate.population import COUNTRIES, OS_NAMES, Floats, Ints, Population
from missioncontrol.simulate.releases import Adoption
from missioncontrol.simulate.stamps import DAY_S, HOUR_S, NS

MAIN_PER_1K_HOURS = 1.6
_CONTENT_PER_1K_HOURS = 4.0
_GPU_PER_1K_HOURS = 0.5
_PLUGIN_PER_1K_HOURS = 0.3
_SHUTDOWN_SHARE = 0.2
_STARTUP_SHARE = 0.08
_BURST_SHARE = 0.1
_BURST_MORE = 3.0
"""Mean number of further crashes in a burst."""
_LENGTH_SIGMA = 1.2
_MAX_LENGTH_S = 23 * HOUR_S
_MAX_DELAY_S = 72 * HOUR_S
LONGEST_S = _MAX_LENGTH_S + _MAX_DELAY_S
"""From the start of a session until the last ping about it has arrived, at most."""

MAIN, MAIN_CRASH, CONTENT_CRASH, BASELINE = range(4)


class Event(NamedTuple):
    """One ping to be sent. Times in seconds since the epoch unless the name says ns."""

    received_ns: int
    kind: int
    client: int
    release: int
    session_start: int
    start: int
    """Of the subsession; for a crash, of the session."""
    length: int
    end: int
    """Of the subsession, or the moment of the crash."""
    part: int
    """1 for the first subsession of a session, 2 for the second."""
    last: int
    """1 for the last subsession of a session."""
    content_crashes: int
    gpu_crashes: int
    plugin_crashes: int
    gmplugin_crashes: int
    flag: int
    """Main crash: 1 at startup. Content crash: 1 when it was killed at shutdown."""
    session_high: int
    session_low: int
    ping_high: int
    ping_low: int
    noise: int
    """Random bits for the renderer's choices."""


_WORDS = ("session_high", "session_low", "ping_high", "ping_low", "noise")
EVENT = np.dtype([(name, np.uint64 if name in _WORDS else np.int64) for name in Event._fields])
Events = NDArray[np.void]


class Sessions(msgspec.Struct, frozen=True):
    """Sessions as columns; `end + delay` is when the (last) main ping arrives."""

    client: Ints
    start: Floats
    length: Floats
    delay: Floats
    release: Ints


class World(msgspec.Struct, frozen=True):
    """What sessions depend on."""

    population: Population
    adoption: Adoption
    levels: Floats
    """Multiplier of main crashes by (release, operating system)."""
    main_per_1k_hours: float
    """Main crashes per 1,000 usage hours of a client of risk 1 on a version of level 1, bursts included."""


def starts(rng: np.random.Generator, world: World, begin: float, end: float) -> Sessions:
    """The sessions that start in [begin, end)."""
    weights = _habit(world.population, begin, begin) * (end - begin) / DAY_S
    client = _choose(rng, weights, int(rng.poisson(weights.sum())))
    start = begin + rng.random(len(client)) * (end - begin)
    length, delay = _length(rng, world.population, client), _delay(rng, len(client))
    return Sessions(client, start, length, delay, world.adoption.release(client, start))


def arrivals(rng: np.random.Generator, world: World, begin: float, end: float, count: int) -> Sessions:
    """`count` sessions whose last ping arrives in [begin, end), whenever they started."""
    client = _choose(rng, _habit(world.population, begin, begin - LONGEST_S), count)
    arrival = begin + rng.random(count) * (end - begin)
    length, delay = _length(rng, world.population, client), _delay(rng, count)
    start = arrival - delay - length
    return Sessions(client, start, length, delay, world.adoption.release(client, start))


def events(rng: np.random.Generator, world: World, sessions: Sessions) -> Events:
    """All pings about the sessions, in no order. Shape (pings,), type `EVENT`."""
    words = rng.integers(0, 2**64, (2, len(sessions.client)), dtype=np.uint64)
    glean = world.population.application[sessions.client] == 1
    firefox = np.flatnonzero(~glean)
    parts = _parts(rng, world.population, sessions, words)
    main_expected = _expected(world, sessions) * world.levels[sessions.release, _os(world, sessions)]
    main = _crashes(rng, sessions, words, world.main_per_1k_hours * main_expected, firefox, MAIN_CRASH)
    content_rate = _CONTENT_PER_1K_HOURS * _expected(world, sessions)
    content = _crashes(rng, sessions, words, content_rate, firefox, CONTENT_CRASH)
    _count_subprocesses(rng, world, sessions, parts, content)
    table = np.concatenate([parts, main, content])
    for name in ("ping_high", "ping_low", "noise"):
        table[name] = rng.integers(0, 2**64, len(table), dtype=np.uint64)
    return table


def _habit(population: Population, at: float, known_by: float) -> Floats:
    """Sessions per day of each client at this time of its day and week; 0 without a profile by `known_by`."""
    offset = np.array([c.offset_h for c in COUNTRIES])[population.country]
    local_h = (at / HOUR_S + offset) % 24
    weekend = int(at // DAY_S + 4) % 7 in (0, 6)
    rhythm = 1 + 0.75 * np.cos((local_h - 16) / 24 * 2 * np.pi)
    exists = population.profile_day * DAY_S <= known_by
    habit: Floats = population.sessions_per_day * rhythm * exists * (0.85 if weekend else 1.06)
    return habit


def _choose(rng: np.random.Generator, weights: Floats, count: int) -> Ints:
    edges = np.cumsum(weights)
    place = np.searchsorted(edges, rng.random(count) * edges[-1], side="right")
    chosen: Ints = np.minimum(place, len(weights) - 1)
    return chosen


def _length(rng: np.random.Generator, population: Population, client: Ints) -> Floats:
    length = population.session_h[client] * HOUR_S * rng.lognormal(0, _LENGTH_SIGMA, len(client))
    return np.clip(length, 5, _MAX_LENGTH_S)


def _delay(rng: np.random.Generator, count: int) -> Floats:
    """Seconds from the end of a session to the arrival of its ping."""
    kind = rng.random(count)
    soon = 5 + rng.exponential(150, count)
    hours = rng.lognormal(np.log(4 * HOUR_S), 0.7, count)
    days = 6 * HOUR_S + rng.exponential(20 * HOUR_S, count)
    delay: Floats = np.minimum(np.select([kind < 0.82, kind < 0.96], [soon, hours], days), _MAX_DELAY_S)
    return delay


def _os(world: World, sessions: Sessions) -> Ints:
    return world.population.os[sessions.client]


def _expected(world: World, sessions: Sessions) -> Floats:
    """Thousands of hours of each session, times the client's risk."""
    return sessions.length / HOUR_S / 1000 * world.population.risk[sessions.client]


def _parts(
    rng: np.random.Generator, population: Population, sessions: Sessions, words: NDArray[np.uint64]
) -> Events:
    """A ping for each subsession: one a session, two when it passes local midnight."""
    end = sessions.start + sessions.length
    offset = np.array([c.offset_h for c in COUNTRIES])[population.country[sessions.client]] * HOUR_S
    midnight = ((sessions.start + offset) // DAY_S + 1) * DAY_S - offset
    glean = population.application[sessions.client] == 1
    split = (end > midnight) & ~glean
    everyone, late = np.arange(len(end)), np.flatnonzero(split)
    index = np.concatenate([everyone, late])
    table = _blank(sessions, words, index)
    begin = np.concatenate([sessions.start, midnight[late]])
    until = np.concatenate([np.where(split, midnight, end), end[late]])
    daily = until + 5 + rng.exponential(60, len(index))
    first = np.concatenate([split, np.zeros(len(late), bool)])
    arrival = np.where(first, daily, until + sessions.delay[index])
    table["received_ns"] = (arrival * NS).astype(np.int64)
    table["kind"] = np.where(glean[index], BASELINE, MAIN)
    table["start"], table["end"] = begin.astype(np.int64), until.astype(np.int64)
    table["length"] = table["end"] - table["start"]
    table["part"] = np.concatenate([np.ones(len(end), np.int64), np.full(len(late), 2)])
    table["last"] = ~first
    return table


def _crashes(
    rng: np.random.Generator,
    sessions: Sessions,
    words: NDArray[np.uint64],
    expected: Floats,
    firefox: Ints,
    kind: int,
) -> Events:
    """Crash pings: `expected` crashes by session, of the sessions of `firefox`."""
    anchors = rng.poisson(expected[firefox] / (1 + _BURST_SHARE * _BURST_MORE))
    index = np.repeat(firefox, anchors)
    moment = sessions.start[index] + rng.random(len(index)) * sessions.length[index]
    more = np.where(rng.random(len(index)) < _BURST_SHARE, rng.geometric(1 / _BURST_MORE, len(index)), 0)
    index, moment = np.repeat(index, 1 + more), np.repeat(moment, 1 + more)
    moment = np.minimum(
        moment + rng.exponential(60, len(index)), sessions.start[index] + sessions.length[index]
    )
    late = np.where(rng.random(len(index)) < 0.04, rng.exponential(5 * HOUR_S, len(index)), 0)
    arrival = np.minimum(moment + 15 + rng.exponential(120, len(index)) + late, moment + _MAX_DELAY_S)
    table = _blank(sessions, words, index)
    table["received_ns"] = (arrival * NS).astype(np.int64)
    table["kind"], table["end"] = kind, moment.astype(np.int64)
    table["start"] = table["session_start"]
    share = _STARTUP_SHARE if kind == MAIN_CRASH else _SHUTDOWN_SHARE
    table["flag"] = rng.random(len(index)) < share
    return table


def _count_subprocesses(
    rng: np.random.Generator, world: World, sessions: Sessions, parts: Events, content: Events
) -> None:
    """Fill in the crashes that main pings count themselves, in the last part of each session."""
    windows = _os(world, sessions) == OS_NAMES.index("Windows_NT")
    expected = _expected(world, sessions)
    count = len(sessions.client)
    last = np.flatnonzero(parts["last"])
    session = np.concatenate([np.arange(count), np.flatnonzero(parts["last"][:count] == 0)])[last]
    for name, rate in (
        ("gpu_crashes", _GPU_PER_1K_HOURS * windows),
        ("plugin_crashes", _PLUGIN_PER_1K_HOURS),
        ("gmplugin_crashes", _PLUGIN_PER_1K_HOURS / 2),
    ):
        parts[name][last] = rng.poisson(expected * rate)[session]
    by_session = _content_by_session(sessions, parts[:count], content)
    parts["content_crashes"][last] = by_session[session]


def _content_by_session(sessions: Sessions, firsts: Events, content: Events) -> Ints:
    """Content crashes of each session; the two are matched by the random session id."""
    order = np.argsort(firsts["session_low"], kind="stable")
    place = np.searchsorted(firsts["session_low"][order], content["session_low"])
    return np.bincount(order[place], minlength=len(sessions.client))


def _blank(sessions: Sessions, words: NDArray[np.uint64], index: Ints) -> Events:
    table = np.zeros(len(index), EVENT)
    table["client"], table["release"] = sessions.client[index], sessions.release[index]
    table["session_start"] = sessions.start[index].astype(np.int64)
    table["session_high"], table["session_low"] = words[0][index], words[1][index]
    return table
