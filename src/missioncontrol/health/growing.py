"""The sums of a channel that is followed: of the versions that are judged, grown by what arrives.

What baselines were learned from is not kept. Rows that change (late data) are read again from the first of them on;
where that is before the publication of a version that is judged, what was learned from it is wrong too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from missioncontrol.health.activity import ActivityRows, activity_of
from missioncontrol.health.case import Case
from missioncontrol.health.cells import Asked, Cells, Range, Rows
from missioncontrol.health.news import News, Wanted, read_news
from missioncontrol.health.picking import Picked, places_of
from missioncontrol.health.published import Version
from missioncontrol.health.sums import ChannelSums, ends
from missioncontrol.query.engine import Engine
from missioncontrol.registry.model import Measure
from missioncontrol.verdict.nowcast import FINE
from missioncontrol.verdict.tables import Activity, Bools, Channel, Floats, Ints, Release

HOURS = "usage_hours"


@dataclass
class _Table:
    """[ticks, strata] of a version from age `first` on; as it grows, rows beyond `known` wait for what arrives."""

    first: int
    known: int
    rows: npt.NDArray[Any]

    def grow(self, more: Floats) -> None:
        end = self.known - self.first + len(more)
        if end > len(self.rows):
            room = np.zeros((max(2 * len(self.rows), end), self.rows.shape[1]), self.rows.dtype)
            room[: self.known - self.first] = self.rows[: self.known - self.first]
            self.rows = room
        self.rows[self.known - self.first : end] = more
        self.known += len(more)

    def get(self) -> Floats:
        return self.rows[: self.known - self.first]


class Growing:
    """The sums that further looks need. `sums` has pings, hours and versions as of now, and no rows of the past."""

    def __init__(self, engine: Engine, sums: ChannelSums) -> None:
        self._engine = engine
        self._whole: ChannelSums | None = sums
        self.sums = sums
        self._tables: dict[tuple[str, str, str], _Table] = {}
        self._picked: dict[str, Picked] = {}
        self._measures: dict[str, Measure] = {}
        self._versions: dict[str, Version] = {}
        self._activity: dict[str, ActivityRows] = {}
        self._active: dict[str, Activity] = {}

    def follow(self, case: Case) -> None:
        """Keep what looks at a case will need; only before `settle()`."""
        assert self._whole is not None
        version, per = case.version, case.measure.per or HOURS
        self._picked[case.picked.key] = case.picked
        for each, is_subject in ((version, True), (case.replaced, False)):
            if each is None:
                continue
            self._versions[each.version] = each
            until = self._whole.until
            release = self._whole.release(each, case.measure, case.picked, until, False)
            for name, rows in ((per, release.hours), (case.measure.name, release.counts)):
                key = case.picked.key, each.version, name
                if key in self._tables:
                    continue
                self._measures[name] = self.sums.measures.get(name) or self._engine.registry().measures[name]
                known = max(until - each.published, 0)
                # Whole numbers are exact in half the room.
                kind = np.float32 if self.sums.scales[name] == 1.0 else np.float64
                table = _Table(0, 0, np.zeros((1, rows.shape[1]), kind))
                if is_subject:
                    table.grow(rows)
                    if known > len(rows):
                        table.grow(np.zeros((known - len(rows), rows.shape[1])))
                else:
                    table.first = table.known = known
                self._tables[key] = table
        self._activity.update(
            {name: rows for name, rows in self._whole.activity.items() if name == version.version}
        )

    def settle(self) -> None:
        """Forget what only baselines needed: of the past only usage hours by tick are kept."""
        cells = self.sums.cells
        rows = {key: _by_tick(each) for key, each in cells.rows.items() if key[0] == HOURS}
        slim = Cells(cells.dimensions, (("",) * len(cells.dimensions),), rows, {})
        self.sums = replace(self.sums, cells=slim, activity={}, _dense={})
        self._whole = None

    def forget(self, versions: Collection[str]) -> None:
        """These versions are judged no longer."""
        self._picked = {key: each for key, each in self._picked.items() if each.version not in versions}
        self._tables = {key: table for key, table in self._tables.items() if key[0] in self._picked}
        for version in versions:
            self._active.pop(version, None)
        kept = {name for _, name, _ in self._tables}
        self._versions = {name: each for name, each in self._versions.items() if name in kept}

    def before(self, case: Case) -> Release | None:
        """The replaced version from its publication on; only before `settle()`."""
        if case.replaced is None or self._whole is None:
            return None
        until = self._whole.until
        return self._whole.release(case.replaced, case.measure, case.picked, until, False)

    def release(self, case: Case) -> Release:
        """The version of a case as it is known now."""
        version = case.version
        hours, counts = self._pair(case, version)
        activity: Activity | None = None
        if case.nowcast:
            activity = self._activity_of(version)
        return Release(version.version, version.published, hours.get(), counts.get(), activity)

    def other(self, case: Case) -> tuple[Release, int] | None:
        """What is kept of the replaced version, and the age at which that begins."""
        if case.replaced is None:
            return None
        hours, counts = self._pair(case, case.replaced)
        each = case.replaced
        return Release(each.version, each.published, hours.get(), counts.get()), hours.first

    def rewind(self, tick: int) -> None:
        """Forget what arrived from tick `tick` on."""
        for (_, name, _), table in self._tables.items():
            known = max(0, tick - self._versions[name].published)
            if known < table.known:
                table.known = known
                if known < table.first:
                    table.first, table.rows = known, table.rows[:1]
        sums = self.sums
        rows = {
            key: _kept(each, each.tick < tick) if key[1] in self._versions else each
            for key, each in sums.cells.rows.items()
        }
        self.sums = replace(
            sums,
            until=tick,
            cells=replace(sums.cells, rows=rows),
            pings=_until(sums.pings, tick),
            hours=_until(sums.hours, tick),
        )

    def wanted(self, until: int) -> Wanted:
        """What is to be read to go on to tick `until`, which is later than what is known."""
        sums = self.sums
        ranges = [
            Range(each, sums.until, min(until, ends(sums.versions, each))) for each in self._versions.values()
        ]
        young = [Range(each, each.published, until) for each in self._young(until)]
        asked, active = (
            Asked(sums.application, sums.channel, some, sums.versions)
            for some in ([each for each in ranges if each.first < each.end], young)
        )
        return Wanted(sums.until, asked, active, self._quantities())

    def go_on(self, until: int, news: News | None = None) -> None:
        """Take in what arrived before tick `until`: `news`, or what is read now.

        Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
        """
        sums = self.sums
        if until <= sums.until:
            return
        if news is None:
            (news,) = read_news(self._engine, [self.wanted(until)], until)
        if news.cells is not None:
            places = {key: places_of(each.strata, news.cells) for key, each in self._picked.items()}
            for (key, name, quantity), table in self._tables.items():
                table.grow(self._more(news.cells, places[key], name, quantity, table, until))
            self._take_activity(news, until)
            sums = replace(sums, cells=replace(sums.cells, rows=_more_hours(sums.cells, news.cells)))
        self.sums = replace(
            sums, until=until, pings=_joined(sums.pings, news.pings), hours=_joined(sums.hours, news.hours)
        )

    def _quantities(self) -> list[Measure]:
        hours = self._engine.registry().measures.get(HOURS)
        names = {**({HOURS: hours} if hours is not None else {}), **self._measures}
        return list(names.values())

    def _pair(self, case: Case, version: Version) -> tuple[_Table, _Table]:
        key, per = case.picked.key, case.measure.per or HOURS
        return (
            self._tables[key, version.version, per],
            self._tables[key, version.version, case.measure.name],
        )

    def _more(self, cells: Cells, code: Ints, name: str, quantity: str, table: _Table, until: int) -> Floats:
        """[new ticks, strata] of a table; code: the stratum of it in which each of the cells is."""
        published, width = self._versions[name].published, table.rows.shape[1]
        ticks = max(until - published - table.known, 0)
        sums = np.zeros(ticks * width, np.int64)
        rows = cells.rows.get((quantity, name))
        if rows is not None and len(rows.tick):
            age = rows.tick.astype(np.int64) - published - table.known
            here = (age >= 0) & (age < ticks)
            np.add.at(sums, age[here] * width + code[rows.stratum[here]], rows.units[here])
        more: Floats = (sums / self.sums.scales[quantity]).reshape(ticks, width)
        return more

    def _take_activity(self, news: News, until: int) -> None:
        """Of versions that are young enough for it to matter, all that is known of their activity now."""
        for each in self._young(until):
            if each.version in news.activity:
                self._activity[each.version] = news.activity[each.version]
            self._active.pop(each.version, None)

    def _young(self, until: int) -> Collection[Version]:
        judged = {picked.version for picked in self._picked.values()}
        return [
            each
            for each in self._versions.values()
            if each.version in judged and until - each.published <= FINE + 24
        ]

    def _activity_of(self, version: Version) -> Activity:
        known = self._active.get(version.version)
        if known is None:
            none = np.zeros(0, np.int64)
            rows = self._activity.get(version.version) or ActivityRows(none, none, none, none, none)
            known = self._active[version.version] = activity_of(rows, version.published, self.sums.until)
        return known


def _by_tick(rows: Rows) -> Rows:
    """The same sums by tick alone, of one stratum."""
    if not len(rows.tick):
        return rows
    first = int(rows.tick.min())
    units = np.zeros(int(rows.tick.max()) - first + 1, np.int64)
    np.add.at(units, rows.tick - first, rows.units)
    some = np.flatnonzero(units)
    return Rows((some + first).astype(np.int32), np.zeros(len(some), np.int32), units[some])


def _kept(rows: Rows, here: Bools) -> Rows:
    return Rows(rows.tick[here], rows.stratum[here], rows.units[here])


def _more_hours(before: Cells, more: Cells) -> dict[tuple[str, str], Rows]:
    """Usage hours by tick, with those that arrived."""
    rows = dict(before.rows)
    for key, found in more.rows.items():
        if key[0] == HOURS and len(found.tick):
            new, old = _by_tick(found), rows.get(key)
            rows[key] = (
                new
                if old is None
                else Rows(
                    np.concatenate([old.tick, new.tick]),
                    np.concatenate([old.stratum, new.stratum]),
                    np.concatenate([old.units, new.units]),
                )
            )
    return rows


def _until(channel: Channel, tick: int) -> Channel:
    return Channel(channel.first, channel.counts[: max(tick - channel.first, 0)])


def _joined(before: Channel, more: Channel) -> Channel:
    if not len(before.counts) or not len(more.counts):
        return before if len(before.counts) else more
    end = more.first + len(more.counts)
    return Channel(
        before.first,
        np.concatenate([before.between(before.first, more.first), more.between(more.first, end)]),
    )
