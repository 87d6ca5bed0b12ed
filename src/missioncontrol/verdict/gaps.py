"""Ticks in which one of hours and events arrived without the other: they say nothing of a rate, and are left out.

A version is its own control. Its hours (or events) of a trailing window are compared with the least that such a window
held before: that holds for day and night and for rows that arrive in batches. An answer for a tick rests on what had
arrived by its end alone.

The rules and their numbers are ours, chosen on the tuning seeds of the evaluation (docs/adr/0019-verdict-method.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from missioncontrol.verdict.tables import TICKS_PER_HOUR, Bools, Floats, running

_HOURS_WINDOWS = (1, 3, 12, 48, 120)
_EVENTS_WINDOWS = (12, 48, 192)
_HOURS_REACH, _EVENTS_REACH = 12 * TICKS_PER_HOUR, 24 * TICKS_PER_HOUR
"""How far back the usual rate is taken from, in ticks."""
_SHORTEST_REACH = TICKS_PER_HOUR
_LOST = 0.3
"""Of the least that such a window held before."""
_LEAST_HOURS = 20.0
"""Below that a window may be empty by chance: hours come in sessions."""
_GOES_ON, _FEWEST_EVENTS = 0.6, 4.0
"""Of the usual events per tick, and how many at least: events go on while hours do not."""
_EVENTS_LOST, _EVENTS_DUE, _EVENTS_BEFORE = 0.1, 20.0, 5.0
"""Of 20 bursts that are due at most 2 came, and no such window of the day before had fewer than 5."""
_SILENT_BURSTS, _SILENT_FACTOR, _SILENT_EVENTS, _ONE = 10.0, 3.0, 3.0, 1e-9
"""Not one of 10 bursts that are due came, in 3 times as many hours as without any before; one event ends it."""
_BACK, _SAME_RATE = 0.5, 2.5
"""A gap ends when half of what came before comes again, or hours and events go together again."""
_LONGEST = 48 * TICKS_PER_HOUR
"""What lasts longer is no gap: it is how things are now."""
_FLOOD, _FLOOD_UNTIL, _FLOOD_BURSTS = 3.0, 24 * TICKS_PER_HOUR, 10.0
"""So many times the rate, or less than its part, within a day of a gap: what was missed arrives all at once."""
_BIRTH = TICKS_PER_HOUR // 2
_BIRTH_EVENTS = 3.0
"""Later than that the first hours are late, when so many events came before them."""
BURST = 4.0
"""Events of a burst, where it is not known: more than of most measures, so that silence is not found where none is."""


_Kind = tuple[bool, int]
"""Whether hours are what is missed, and the width of the window in ticks that misses them."""
_KINDS: tuple[_Kind, ...] = (*((True, w) for w in _HOURS_WINDOWS), *((False, w) for w in _EVENTS_WINDOWS))


@dataclass(frozen=True)
class _Time:
    """A time of the data from tick `since` on, looked at to tick `until`.

    usual: what windows held at least before it, while too few are known of it; rate, pace: events per hour and per tick
    before it, while less than an hour of it is known.
    """

    since: int
    until: int
    usual: dict[_Kind, float]
    rate: float = 0.0
    pace: float = 0.0


@dataclass(frozen=True)
class Gaps:
    """By tick: `no_hours` were reported, though events were; or `no_events`, though hours were.

    revoked: ticks before a gap that belong to it, as is known from its first tick on; time: where looking goes on.
    """

    no_hours: Bools
    no_events: Bools
    revoked: Bools
    time: _Time | None = None

    @property
    def out(self) -> Bools:
        """[ticks] what is left out."""
        return self.no_hours | self.no_events


def cut_gaps(found: Gaps, ticks: int) -> Gaps:
    """As it was known at age `ticks`."""
    if ticks >= len(found.no_hours):
        return found
    return Gaps(found.no_hours[:ticks], found.no_events[:ticks], found.revoked[:ticks])


@dataclass(frozen=True)
class _Series:
    """Running sums of hours and events, from 0 on."""

    hours: Floats
    events: Floats

    @property
    def ticks(self) -> int:
        return len(self.hours) - 1

    def windows(self, since: int, width: int) -> tuple[Floats, Floats]:
        """Hours and events of the windows of `width` ticks that begin with tick `since` or later."""
        return (
            self.hours[since + width :] - self.hours[since : max(self.ticks + 1 - width, since)],
            self.events[since + width :] - self.events[since : max(self.ticks + 1 - width, since)],
        )


@dataclass(frozen=True)
class _Gap:
    """Found at tick `start`, begun at tick `begin`. least: what a window held before; rate: events per hour before."""

    start: int
    begin: int
    kind: _Kind
    least: float
    rate: float
    pace: float


def gaps(
    hours: Floats,
    events: Floats,
    burst: float = BURST,
    usual_rate: float | None = None,
    before: Gaps | None = None,
) -> Gaps:
    """The gaps of a version; hours, events: [ticks] since its publication, burst: variance of events over their mean.

    Events that come before the first hours do are left out when they are a few: they happened in hours nobody knows of.
    usual_rate: events per hour that versions usually have, while little is known of this one's own; before: what was
    found when fewer ticks were known; they are not looked at again.
    """
    series = _Series(running(hours), running(events))
    no_hours, no_events, revoked = (np.zeros(len(hours), bool) for _ in range(3))
    if before is not None and before.time is not None:
        time = before.time
        for now, then in zip(
            (no_hours, no_events, revoked), (before.no_hours, before.no_events, before.revoked), strict=True
        ):
            now[: time.until] = then[: time.until]
    else:
        born = int(np.argmax(hours > 0)) if (hours > 0).any() else len(hours)
        if born > _BIRTH and series.events[born] >= _BIRTH_EVENTS:
            no_hours[:born] = True
        if born == len(hours):
            return Gaps(no_hours, no_events, revoked)
        time = _Time(born, born, {})
    found: list[tuple[_Time, int]] = []
    while True:
        least = {kind: _least(series, time, kind) for kind in _KINDS}
        gap = _first(series, time, least, burst, usual_rate)
        if gap is None:
            again = _open(found, len(hours))
            return Gaps(no_hours, no_events, revoked, again or replace(time, until=len(hours)))
        end, over = _end(series, gap)
        out = no_hours if gap.kind[0] else no_events
        out[gap.start : end] = True
        revoked[gap.begin : gap.start] = True
        found.append((replace(time, until=gap.start), end))
        if not over:
            flood = _flood(series, gap, end, burst)
            out[end:] |= flood
            end += len(flood) if flood.all() else int(flood.argmin())
        usual = {} if over else {kind: float(each[gap.start - time.until]) for kind, each in least.items()}
        time = _Time(end, end, usual, gap.rate, gap.pace)


def _open(found: list[tuple[_Time, int]], known: int) -> _Time | None:
    """Where looking goes on when what comes next decides how a gap ends.

    found: for each gap the time in which it was found, looked at to its first tick, and its end.
    """
    again: _Time | None = None
    for time, end in reversed(found):
        # What came late after one gap may lie in the next.
        if end + _FLOOD_UNTIL > (known if again is None else again.until):
            again = time
    return again


def _reach(kind: _Kind) -> int:
    return max(_SHORTEST_REACH, kind[1]) if kind[0] else _EVENTS_REACH


def _few(kind: _Kind) -> int:
    """So many windows are enough to compare with."""
    return _SHORTEST_REACH if kind[0] else max(_SHORTEST_REACH, kind[1])


def _least(series: _Series, time: _Time, kind: _Kind) -> Floats:
    """[ticks from `time.until` on] the least that windows before the one that ends with the tick held; NaN: unknown."""
    of_hours, width = kind
    out = np.full(series.ticks - time.until, time.usual.get(kind, np.nan))
    few, reach = _few(kind), _reach(kind)
    since = max(time.since, time.until - 2 * width - few - reach)
    held = series.windows(since, width)[0 if of_hours else 1]
    if len(held) < width + few:
        return out
    trailing = _least_of_last(held, reach)
    # held[i] ends with tick since + width - 1 + i; windows that do not touch it end `width` ticks earlier.
    first = since + 2 * width + few - 2
    known = trailing[few - 1 : len(held) - width]
    if first >= time.until:
        out[first - time.until :] = known
    else:
        out[:] = known[time.until - first :]
    return out


def _least_of_last(values: Floats, width: int) -> Floats:
    """[n] the least of the last `width` values up to each of `values` [n]; a library's filter takes longer to load."""
    least, reached = np.concatenate([np.full(width - 1, np.inf), values]), 1
    while reached < width:
        step = min(reached, width - reached)
        least = np.minimum(least[step:], least[: len(least) - step])
        reached += step
    return least


def _first(
    series: _Series, time: _Time, least: dict[_Kind, Floats], burst: float, usual_rate: float | None
) -> _Gap | None:
    """The gap that begins first."""
    found: _Gap | None = None
    for kind, usual in least.items():
        of_hours, width = kind
        # Windows end with a tick that was not looked at, and lie in the time that is looked at.
        since = max(time.until, time.since + width - 1)
        usual = usual[since - time.until :]
        missed = usual >= (_LEAST_HOURS if of_hours else _EVENTS_BEFORE * burst)
        if not missed.any():
            continue
        hours, events = series.windows(since - width + 1, width)
        if of_hours:
            missed &= hours < _LOST * usual
            if not missed.any():
                continue
        first = np.arange(since - width + 1, series.ticks - width + 1)
        start = np.maximum(first - (_HOURS_REACH if of_hours else _EVENTS_REACH), time.since)
        events_before = series.events[first] - series.events[start]
        known = first - start >= _SHORTEST_REACH
        hours_before = np.maximum(series.hours[first] - series.hours[start], 1e-9)
        rate = np.where(known, events_before / hours_before, time.rate)
        pace = np.where(known, events_before / np.maximum(first - start, 1), time.pace)
        if of_hours:
            missed &= events >= np.maximum(_FEWEST_EVENTS, _GOES_ON * width * pace)
        else:
            due = rate * hours
            missed &= (due >= _EVENTS_DUE * burst) & (events <= _EVENTS_LOST * due)
        if missed.any():
            place = int(missed.argmax())
            if found is None or since + place < found.start:
                at = (since + place, int(first[place]))
                found = _Gap(*at, kind, float(usual[place]), float(rate[place]), float(pace[place]))
    for silence in (_no_event(series, time, burst, usual_rate), _no_hour(series, time)):
        if silence is not None and (found is None or silence.start < found.start):
            found = silence
    return found


def _no_event(series: _Series, time: _Time, burst: float, usual_rate: float | None) -> _Gap | None:
    """The first gap without one event, in far more hours of use than any silence before it."""
    if (np.diff(series.events[time.until :]) > 0).all():
        return None
    begins = np.concatenate(
        [[time.since], time.since + 1 + np.flatnonzero(np.diff(series.events[time.since :]) > 0)]
    )
    start = np.maximum(begins - _EVENTS_REACH, time.since)
    events = series.events[begins] - series.events[start]
    hours = series.hours[begins] - series.hours[start]
    if usual_rate:
        events, hours = events + _SILENT_BURSTS * burst, hours + _SILENT_BURSTS * burst / usual_rate
    rate = events / np.maximum(hours, 1e-9)
    pace = (series.events[begins] - series.events[start]) / np.maximum(begins - start, 1)
    # Each silence goes on to the next event, or to the end of what is known.
    ends = np.concatenate([begins[1:] - 1, [series.ticks]])
    used = series.hours[ends] - series.hours[begins]
    before = np.concatenate([[0.0], np.maximum.accumulate(used)[:-1]])
    needed = np.maximum(_SILENT_BURSTS * burst / np.maximum(rate, 1e-12), _SILENT_FACTOR * before)
    for place in np.flatnonzero((events >= _SILENT_BURSTS * burst) & (used >= needed) & (ends > time.until)):
        begin = int(begins[place])
        due = series.hours[begin + 1 : ends[place] + 1] - series.hours[begin]
        tick = max(begin + int(np.searchsorted(due, needed[place])), time.until)
        if tick < ends[place]:
            return _Gap(tick, begin, (False, 1), _ONE, float(rate[place]), float(pace[place]))
    return None


def _no_hour(series: _Series, time: _Time) -> _Gap | None:
    """The first gap without hours that is far longer than any before it, while some events came."""
    if (np.diff(series.hours[time.until :]) > 0).all():
        return None
    begins = time.since + 1 + np.flatnonzero(np.diff(series.hours[time.since :]) > 0)
    if not len(begins):
        return None
    ends = np.concatenate([begins[1:] - 1, [series.ticks]])
    before = np.concatenate([[0], np.maximum.accumulate(ends - begins)[:-1]])
    needed = np.maximum(_BIRTH, _SILENT_FACTOR * before)
    lately = series.events[ends] - series.events[begins]
    for place in np.flatnonzero((ends - begins >= needed) & (lately >= _SILENT_EVENTS) & (ends > time.until)):
        begin = int(begins[place])
        third = int(
            np.searchsorted(series.events[begin + 1 : ends[place] + 1], series.events[begin] + _SILENT_EVENTS)
        )
        tick = max(begin + third, begin + int(needed[place]) - 1, time.until)
        if tick < ends[place]:
            start = max(begin - _HOURS_REACH, time.since)
            came = float(series.events[begin] - series.events[start])
            rate = came / float(series.hours[begin] - series.hours[start])
            return _Gap(tick, begin, (True, 1), _ONE, rate, came / (begin - start))
    return None


def _end(series: _Series, gap: _Gap) -> tuple[int, bool]:
    """The first tick after a gap, and whether it lasted so long that what was before says nothing more."""
    of_hours, width = gap.kind
    longest = min(gap.start + _LONGEST, series.ticks)
    ends = [longest]
    for wide in {_SHORTEST_REACH, max(width, _BIRTH)}:
        hours, events = series.windows(gap.start, wide)  # that lie in the gap alone
        due = gap.rate * hours
        alike = (events <= _SAME_RATE * due) if of_hours else (events * _SAME_RATE >= due)
        # One event in an hour says nothing of sixteen hours in which hardly one came.
        least = max(_BACK * gap.least * wide / width, 0.0 if of_hours or wide >= width else 2.0)
        back = ((hours if of_hours else events) >= least) | (alike & (events >= _FEWEST_EVENTS) & (hours > 0))
        # In the first tick that is back there is what came late.
        ends += [gap.start + wide + int(place) for place in np.flatnonzero(back)[:1]]
    end = min(ends)
    return end, end == gap.start + _LONGEST


def _flood(series: _Series, gap: _Gap, end: int, burst: float) -> Bools:
    """[ticks from `end` on] what was missed arrives late and all at once."""
    of_hours, width = gap.kind
    wide = max(width, _BIRTH)
    out = np.zeros(series.ticks - end, bool)
    first = max(end + 1 - wide, gap.start)  # of the first window
    hours, events = series.windows(first, wide)
    due = gap.rate * hours
    flooded = (events * _FLOOD < due) if of_hours else (events > _FLOOD * due)
    flooded &= (due if of_hours else events) >= _FLOOD_BURSTS * burst
    place = first + wide - 1 - end
    flooded = flooded[: max(min(_FLOOD_UNTIL, len(out)) - place, 0)]
    out[place : place + len(flooded)] = flooded
    return out
