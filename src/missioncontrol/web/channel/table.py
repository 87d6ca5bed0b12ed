"""The table of measures by version: rows, cells and what is said of each.

Takes facts, gives Structs for template, CSV and JSON; knows no HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

from missioncontrol.health.crossing import doubted, guilty_of, now_of
from missioncontrol.health.model import Account
from missioncontrol.query.hour_sums import HOUR_S
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.channel.address import ChannelState
from missioncontrol.web.channel.columns import Column
from missioncontrol.web.channel.sums import Floats
from missioncontrol.web.home.said import compared, said_of, still_words
from missioncontrol.web.measure.sums import counts_events
from missioncontrol.web.verdicts.view import verdict_path
from missioncontrol.web.verdicts.words import Mark, mark_of

CRASH_ORDER = (
    "main_crashes",
    "content_crashes",
    "startup_crashes",
    "gpu_crashes",
    "content_shutdown_crashes",
    "gmplugin_crashes",
    "plugin_crashes",
)
_HEADINGS = {"crash": "Crash measures", "crash_report": "Crash reports", "usage": "Usage"}
_FEWEST = 5.0
"""Of fewer events than this the ratio to the version before says too little."""
_EVEN = 0.005


class Users(msgspec.Struct, frozen=True):
    """Clients of the last day that had at least one, with bounds; `of`: all clients of the version."""

    number: float
    low: float
    high: float
    of: float


UsersOf = Mapping[tuple[str | None, str, str], Users]
"""(version, platform, measure) -> users; platform empty: all."""


class Shown(msgspec.Struct, frozen=True):
    """A column with the numbers that it is made of. hours: of age that are added up."""

    column: Column
    hours: int
    sums: Floats | None


class Facts(msgspec.Struct, frozen=True):
    """What the table is made of. names: of the measures in `Shown.sums`; end: of what arrived."""

    names: tuple[str, ...]
    shown: Sequence[Shown]
    accounts: Sequence[Account]
    users: UsersOf
    end: datetime | None
    cut_days: int = 0
    """Only so many days back were read, where some column is older."""


class Head(msgspec.Struct, frozen=True):
    """The head of a column."""

    name: str
    versions: list[str]
    published_at: datetime | None
    inferred: bool
    excluded: bool
    since: datetime
    """Start of the hour from which on it is counted."""
    hours: int
    """So many hours of its life are added up."""
    usage_hours: float | None


class Said(msgspec.Struct, frozen=True):
    """The verdict on a cell."""

    mark: Mark
    href: str
    ratio: float | None
    low: float | None
    high: float | None
    words: str
    """Ratio and interval, or empty."""
    sentence: str


class Cell(msgspec.Struct, frozen=True):
    """A measure of a version. `rate`: per 1,000; None where nobody reported it."""

    count: float | None
    per: float | None
    rate: float | None
    ratio_before: float | None
    """Its rate over that of the version before; None where one of both is not known or has too few events."""
    before: str | None
    said: Said | None
    users: Users | None


class Row(msgspec.Struct, frozen=True):
    """A measure."""

    measure: str
    title: str
    unit: str
    per: str
    worse: str
    cells: list[Cell]

    @property
    def nothing(self) -> bool:
        """Whether it is 0 everywhere."""
        return not any(cell.count for cell in self.cells)


class Group(msgspec.Struct, frozen=True):
    """Measures under a heading."""

    heading: str
    rows: list[Row]

    def listed(self, everything: bool) -> list[Row]:
        """Those that a page lists: crashes whatever they are, others where there are any, unless all are wanted."""
        crashes = self.heading == _HEADINGS["crash"]
        return [row for row in self.rows if everything or crashes or not row.nothing]


class Table(msgspec.Struct, frozen=True):
    """All of it; `unreported`: how many measures nobody reported, which are left out."""

    heads: list[Head]
    groups: list[Group]
    unreported: int

    @property
    def folded(self) -> int:
        """How many measures are listed only where all are wanted."""
        return sum(len(one.rows) - len(one.listed(False)) for one in self.groups)


def shown_measures(registry: Registry) -> list[Measure]:
    """All measures in the order of the page: crashes as the predecessor had them, then the others by group."""
    measures = list(registry.measures.values())
    groups = list(dict.fromkeys(["crash", *(one.group for one in measures if one.group != "usage"), "usage"]))

    def place(one: Measure) -> tuple[int, int]:
        known = CRASH_ORDER.index(one.name) if one.name in CRASH_ORDER else len(CRASH_ORDER)
        return groups.index(one.group), known

    return sorted(measures, key=place)


def build_table(registry: Registry, facts: Facts, state: ChannelState, now: datetime) -> Table:
    """Lay the table out."""
    wanted = state.q.lower()
    groups: dict[str, list[Row]] = {}
    unreported = 0
    for measure in shown_measures(registry):
        if wanted and wanted not in f"{measure.name} {measure.title}".lower():
            continue
        row = _row(measure, facts, state, now)
        if not _reported(measure, facts):
            unreported += 1
        else:
            groups.setdefault(measure.group, []).append(row)
    heads = [_head(one, facts) for one in facts.shown]
    made = [Group(heading(name), _sorted(rows, heads, state)) for name, rows in groups.items()]
    return Table(heads, made, unreported)


def _reported(measure: Measure, facts: Facts) -> bool:
    """Whether anybody did; no crash at all is a number where pings of usage come."""
    values = [_value(one.sums, facts.names, measure.name) for one in facts.shown]
    if any(value is not None for value in values):
        return True
    return measure.group == "crash" and any(
        _numbers(measure, one, facts.names)[0] == 0 for one in facts.shown
    )


def heading(group: str) -> str:
    """What a group of measures is called."""
    return _HEADINGS.get(group, group.replace("_", " ").capitalize())


def _sorted(rows: list[Row], heads: Sequence[Head], state: ChannelState) -> list[Row]:
    name, down = state.sort.removeprefix("-"), not state.sort.startswith("-")
    place = next((n for n, head in enumerate(heads) if name and head.name == name), None)
    if place is None:
        return rows

    def number(row: Row) -> float | None:
        cell = row.cells[place]
        return cell.rate if state.show == "rate" and row.per else cell.count

    known = [row for row in rows if number(row) is not None]
    known.sort(key=lambda row: number(row) or 0.0, reverse=down)
    return [*known, *(row for row in rows if number(row) is None)]


def _head(one: Shown, facts: Facts) -> Head:
    first = one.column.first
    usage = _value(one.sums, facts.names, "usage_hours")
    return Head(
        name=one.column.name,
        versions=one.column.names,
        published_at=first.published_at,
        inferred=first.inferred,
        excluded=not one.column.whole_major and first.excluded,
        since=datetime.fromtimestamp(one.column.start_hour * HOUR_S, UTC),
        hours=one.hours,
        usage_hours=usage,
    )


def _row(measure: Measure, facts: Facts, state: ChannelState, now: datetime) -> Row:
    plain = [_numbers(measure, one, facts.names) for one in facts.shown]
    cells = []
    for place, one in enumerate(facts.shown):
        count, per, rate = plain[place]
        before = _before(facts.shown, place)
        alone = one.column.versions[0].version if not one.column.whole_major else None
        cells.append(
            Cell(
                count=count,
                per=per,
                rate=rate,
                ratio_before=_ratio(plain[place], plain[before]) if before is not None else None,
                before=facts.shown[before].column.name if before is not None else None,
                said=_said(alone, measure, facts.accounts, state, now) if alone is not None else None,
                users=facts.users.get((alone, state.platform, measure.name)) if alone is not None else None,
            )
        )
    return Row(measure.name, measure.title, measure.unit, measure.per, measure.worse, cells)


def _before(shown: Sequence[Shown], place: int) -> int | None:
    """The column to compare with: the next of the same kind that has nothing in common with it."""
    own = set(shown[place].column.names)
    for other in range(place + 1, len(shown)):
        if not own & set(shown[other].column.names):
            return other
    return None


def before_of(shown: Sequence[Shown], name: str) -> tuple[Shown, Shown | None]:
    """A column by its name (empty: the first), and the one that it is compared with; raises `KeyError`."""
    places = {one.column.name: place for place, one in reversed(list(enumerate(shown)))}
    place = places[name] if name else 0
    before = _before(shown, place)
    return shown[place], None if before is None else shown[before]


def _numbers(
    measure: Measure, one: Shown, names: Sequence[str]
) -> tuple[float | None, float | None, float | None]:
    """Count, what it is divided by, and the rate."""
    count, per = _value(one.sums, names, measure.name), _value(one.sums, names, measure.per)
    if count is None and per and counts_events(measure):
        count = 0.0
    return count, per, 1000 * count / per if count is not None and per else None


def _value(sums: Floats | None, names: Sequence[str], name: str) -> float | None:
    if sums is None or name not in names:
        return None
    value = float(sums[names.index(name)])
    return None if np.isnan(value) else value


def _ratio(
    own: tuple[float | None, float | None, float | None],
    before: tuple[float | None, float | None, float | None],
) -> float | None:
    if own[2] is None or not before[2] or min(own[0] or 0.0, before[0] or 0.0) < _FEWEST:
        return None
    return own[2] / before[2]


def change_text(ratio: float | None) -> str:
    """`↑ 25 % more`, `↓ 12 % less`, `↑ 2.3 times as much`, `→ as much`; empty where it is not known."""
    if ratio is None:
        return ""
    if abs(ratio - 1) < _EVEN:
        return "→ as much"
    if ratio >= 2:
        return f"↑ {ratio:.1f} times as much" if ratio < 10 else f"↑ {ratio:,.0f} times as much"
    percent = abs(ratio - 1) * 100
    return f"{'↑' if ratio > 1 else '↓'} {percent:.0f} % {'more' if ratio > 1 else 'less'}"


def _said(
    version: str, measure: Measure, accounts: Sequence[Account], state: ChannelState, now: datetime
) -> Said | None:
    for one in accounts:
        if (one.subject.version, one.subject.measure) == (version, measure.name):
            return _of_platform(one, state.platform, now) if state.platform else _of_all(one, now)
    return None


def _of_all(one: Account, now: datetime) -> Said:
    of = now_of(one) if doubted(one) else guilty_of(one) or one.look
    words = compared(of.ratio, of.low, of.high) if of.ratio is not None else ""
    words = still_words(one, now) if doubted(one) else words
    mark = mark_of(one.look.verdict)
    return Said(mark, verdict_path(one.subject), of.ratio, of.low, of.high, words, one.sentence)


def _of_platform(one: Account, platform: str, now: datetime) -> Said:
    said = said_of(one, platform, lambda name: name, now)
    words = compared(said.ratio, said.low, said.high) if said.ratio is not None else ""
    if said.mark.verdict == "worse" and doubted(one):
        words = still_words(one, now)
    return Said(said.mark, said.href, said.ratio, said.low, said.high, words, one.sentence)
