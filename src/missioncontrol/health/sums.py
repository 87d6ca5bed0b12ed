"""From the tables of the lake to the tables that verdicts read: the sums of a channel, known at some time.

A row is known when its window has ended. All versions that a verdict needs are read at once, for all measures, so that
many pairs of release and measure share them; strata are chosen for each release by what was known when it came out.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.health.activity import ActivityRows, activity_of, read_activity
from missioncontrol.health.cells import (
    PLACE,
    TABLE,
    TICK,
    Asked,
    Cells,
    Range,
    of_channel,
    read_cells,
    scale_of,
    units_of,
)
from missioncontrol.health.chains import Era, chain, eras, looked_at
from missioncontrol.health.keys import numbers
from missioncontrol.health.picking import Picked, pick
from missioncontrol.health.published import Version, moment_of, tick_of, versions_of
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.state.releases import Release as Published
from missioncontrol.verdict.grid import LIFE_TICKS
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Activity, Channel, Floats, Ints, Release

_DAY = 24 * TICKS_PER_HOUR
_EARLY_TICKS = 14 * _DAY
_HISTORY_TICKS = 9 * _DAY
_LONGEST_TICKS = 60 * _DAY


@dataclass(frozen=True)
class ChannelSums:
    """The sums of a channel as far as they were known at the start of tick `until`.

    versions: all that are known, oldest first; pings, hours: of all versions together, by tick; measures: those that
    can be judged. left_out: versions that are no predecessors here, and why. Ticks count from the epoch.
    """

    application: str
    channel: str
    until: int
    newest: int | None
    versions: tuple[Version, ...]
    measures: dict[str, Measure]
    pings: Channel
    hours: Channel
    cells: Cells
    activity: dict[str, ActivityRows]
    scales: dict[str, float]
    left_out: dict[str, str] = field(default_factory=dict)
    _dense: dict[tuple[str, str, str], Floats] = field(default_factory=dict, compare=False, repr=False)

    def version(self, name: str) -> Version:
        """A version of the channel; raises `NotFound` (`no_release`)."""
        return find_version(self.versions, name, self.application, self.channel)

    def chain(self, subject: Version) -> tuple[Version, ...]:
        """The versions published before one, oldest first: as many as its baseline is learned from."""
        return chain(self.versions, subject)

    def known_in(self, era: Era) -> ChannelSums:
        """The same sums, with the versions as the looks of an era know them."""
        return replace(self, versions=era.versions)

    def picked(self, subject: Version, measure: Measure) -> Picked:
        """The strata of a verdict on a release, chosen by what was known at publication."""
        per = measure.per or "usage_hours"
        hours, events = (self.before(subject, name) for name in (per, measure.name))
        return pick(self.cells, subject.version, per, hours, events)

    def before(self, subject: Version, name: str) -> Ints:
        """[versions, strata] units of a quantity that each of the versions before one had in its absence."""
        before = self.chain(subject)
        units = np.zeros((len(before), len(self.cells.strata)), np.int64)
        for own, each in zip(units, before, strict=True):
            rows = self.cells.rows.get((name, each.version))
            if rows is not None:
                here = (rows.tick >= each.published) & (rows.tick < subject.published)
                np.add.at(own, rows.stratum[here], rows.units[here])
        return units

    def release(
        self, version: Version, measure: Measure, picked: Picked, until: int, nowcast: bool
    ) -> Release:
        """A version's sums by tick and stratum, before tick `until`."""
        ticks = max(0, min(until, self._end(version)) - version.published)
        per = measure.per or "usage_hours"
        hours, counts = (self._table(version, name, picked)[:ticks] for name in (per, measure.name))
        activity: Activity | None = None
        rows = self.activity.get(version.version)
        if nowcast and per == "usage_hours":
            activity = activity_of(rows, version.published, until) if rows else _no_activity()
        return Release(version.version, version.published, hours, counts, activity)

    def has_activity(self, version: Version, before: int) -> bool:
        """Whether anything of a version's activity was known at the start of tick `before`."""
        rows = self.activity.get(version.version)
        return rows is not None and bool((rows.units[rows.known <= before] > 0).any())

    def early_hours(self, version: Version, measure: Measure) -> float:
        """What of the denominator a version had in the two weeks before its publication."""
        per = measure.per or "usage_hours"
        rows = self.cells.rows.get((per, version.version))
        if rows is None:
            return 0.0
        return float(rows.units[rows.tick < version.published].sum()) / self.scales[per]

    def has(self, version: Version, name: str, start: int, end: int) -> bool:
        """Whether a version has any of a quantity in the ticks [start, end), however many these are."""
        rows = self.cells.rows.get((name, version.version))
        return rows is not None and bool((rows.units[(rows.tick >= start) & (rows.tick < end)] > 0).any())

    def by_tick(self, version: Version, name: str, start: int, end: int) -> Floats:
        """[end - start] sums of a quantity of a version, all strata together."""
        rows = self.cells.rows.get((name, version.version))
        if rows is None:
            return np.zeros(max(end - start, 0))
        here = (rows.tick >= start) & (rows.tick < end)
        sums = np.zeros(max(end - start, 0), np.int64)
        np.add.at(sums, rows.tick[here] - start, rows.units[here])
        return sums / self.scales[name]

    def _end(self, version: Version) -> int:
        return min(self.until, ends(self.versions, version))

    def _table(self, version: Version, name: str, picked: Picked) -> Floats:
        """[ticks, strata]; kept, since measures share their hours."""
        known = self._dense.get((picked.key, version.version, name))
        if known is not None:
            return known
        ticks, width = max(0, self._end(version) - version.published), len(picked.strata.values)
        sums = np.zeros(ticks * width, np.int64)
        rows = self.cells.rows.get((name, version.version))
        if rows is not None:
            age = rows.tick.astype(np.int64) - version.published
            here = (age >= 0) & (age < ticks)
            np.add.at(sums, age[here] * width + picked.code[rows.stratum[here]], rows.units[here])
        table: Floats = (sums / self.scales[name]).reshape(ticks, width)
        if name == "usage_hours":
            self._dense[picked.key, version.version, name] = table
        return table


def read_sums(
    engine: Engine,
    known: Sequence[Published],
    application: str,
    channel: str,
    until: datetime,
    versions: Collection[str] | None = None,
    measures: Collection[str] | None = None,
) -> ChannelSums:
    """The sums of a channel from windows that had ended by `until`.

    versions: those to be judged (None: the newest published); all that they are compared with is read too. measures:
    names (None: all that have a denominator). Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`,
    `query_memory`), `TooSlow` and `StorageError`.
    """
    end = tick_of(until)
    published = versions_of(known, application, channel)
    judged = measured(engine.registry(), measures)
    subjects = _subjects(published, application, channel, end, versions)
    ranges = _ranges(published, subjects, end)
    needed = list({m.name: m for m in _with_denominators(engine.registry(), judged)}.values())
    if ranges:
        asked = Asked(application, channel, ranges, published)
        (cells,) = read_cells(engine, [asked], needed)
        (activity,) = read_activity(engine, [asked], end)
    else:
        cells, activity = Cells((), (), {}, {}), {}
    first = min([each.published for each in subjects] + [each.first for each in ranges], default=end)
    pings, hours = of_all(engine, application, channel, first - _HISTORY_TICKS, end)
    newest = pings.first + len(pings.counts) if len(pings.counts) else None
    scales = {m.name: scale_of(m) for m in needed}
    return ChannelSums(
        application, channel, end, newest, published, {m.name: m for m in judged}, pings, hours, cells, activity, scales
    )  # fmt: skip


def measured(registry: Registry, names: Collection[str] | None = None) -> list[Measure]:
    """The measures that can be judged: those with a denominator and a bad direction, crashes of the main process first.

    Raises `BadRequest` (`not_judged`) for a name that is none of them.
    """
    able = {m.name: m for m in registry.measures.values() if m.per in registry.measures and m.worse}
    for name in names or ():
        if name not in able:
            close = difflib.get_close_matches(name, list(able), 1)
            hint = (
                f"Did you mean `{close[0]}`?"
                if close
                else "`missioncontrol registry list` shows what is counted."
            )
            raise BadRequest("not_judged", f"There are no verdicts on `{name}`.", hint)
    found = [m for m in able.values() if names is None or m.name in names]
    return sorted(found, key=lambda m: m.name != "main_crashes")


def find_version(versions: Sequence[Version], name: str, application: str, channel: str) -> Version:
    """The version of that name; raises `NotFound` (`no_release`)."""
    for each in versions:
        if each.version == name:
            return each
    shown = ", ".join(each.version for each in versions[-5:])
    raise NotFound(
        "no_release",
        f"No version {name!r} of {application} is known to have been published on {channel}.",
        f"The last ones: {shown}."
        if shown
        else "Say what was published: missioncontrol import releases FILE.",
    )


def _subjects(
    published: Sequence[Version], application: str, channel: str, end: int, names: Collection[str] | None
) -> list[Version]:
    if names is not None:
        return [find_version(published, name, application, channel) for name in sorted(names)]
    out = [each for each in published if each.published < end]
    return out[-1:]


def _ranges(published: Sequence[Version], subjects: Sequence[Version], end: int) -> list[Range]:
    """Of each version that is needed, the ticks in which its rows are."""
    needed = {
        each.version: each
        for subject in subjects
        for era in eras(published, subject, *looked_at(subject, end))
        for each in (*era.chain, subject)
    }
    judged = {each.version for each in subjects}
    ranges = [
        Range(
            each,
            each.published - (_EARLY_TICKS if each.version in judged else 0),
            min(end, ends(published, each)),
        )
        for each in needed.values()
    ]
    return sorted(
        (each for each in ranges if each.first < each.end),
        key=lambda each: (each.first, each.version.version),
    )


def ends(published: Sequence[Version], version: Version) -> int:
    """Until when a version is followed: two weeks, or two into the life of whatever came after it within 46 days."""
    later = [each.published for each in published if each.published > version.published]
    within = [tick for tick in later if tick - version.published <= _LONGEST_TICKS - LIFE_TICKS]
    return max([version.published, *within[:_FOLLOWED]]) + LIFE_TICKS


_FOLLOWED = 3


def _with_denominators(registry: Registry, judged: Sequence[Measure]) -> list[Measure]:
    hours = [registry.measures["usage_hours"]] if "usage_hours" in registry.measures else []
    return [*hours, *(registry.measures[m.per] for m in judged), *judged]


def _no_activity() -> Activity:
    none = np.zeros(0, np.int64)
    return activity_of(ActivityRows(none, none, none, none, none), 0, 0)


def of_all(engine: Engine, application: str, channel: str, first: int, end: int) -> tuple[Channel, Channel]:
    """Pings and usage hours of all versions by tick, from the first tick with a row on."""
    mine, values = of_channel(application, channel)
    registry = engine.registry()
    wanted = [registry.measures.get("count"), registry.measures.get("usage_hours")]
    sums = ", ".join(f"CAST(sum({units_of(m)}) AS DOUBLE) / {scale_of(m)}" if m else "0.0" for m in wanted)
    needed = (*PLACE, "window_start", *(m.name for m in wanted if m))
    relation = engine.relation(TABLE, Span(moment_of(first), moment_of(end - 1)), needed)
    sql = (
        f"SELECT {TICK} AS tick, {sums} FROM {relation} "
        f"WHERE {mine} AND window_start >= ? AND window_start < ? GROUP BY tick ORDER BY tick"
    )
    batches = list(engine.arrow(sql, [*values, moment_of(first), moment_of(end)]))
    columns = [
        np.concatenate([numbers(batch.column(i)) for batch in batches]) if batches else np.zeros(0)
        for i in range(3)
    ]
    if not len(columns[0]):
        return Channel(end, np.zeros(0)), Channel(end, np.zeros(0))
    place = columns[0].astype(np.int64)
    tables = np.zeros((2, int(place[-1] - place[0]) + 1))
    tables[:, place - place[0]] = columns[1], columns[2]
    return Channel(int(place[0]), tables[0]), Channel(int(place[0]), tables[1])
