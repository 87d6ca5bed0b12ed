"""Rows of the lake for verdicts, as columns of integers: by version, tick of arrival and stratum.

Usage hours are whole multiples of 2^-40 h (`docs/adr/0004`), so that every sum is one of integers and no order of rows,
files or imports can show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from missioncontrol.health.keys import Keys, Places, Source, read_keys
from missioncontrol.health.published import Version, moment_of, owner_of
from missioncontrol.query import dialect
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.verdict.tables import Ints

TABLE = "error_aggregates"
UNITS = 2.0**40
"""Of an hour."""
_MOST_HOURS = 8e6  # the most that a 64-bit integer holds of such units
_MOST_EVENTS = 2**52
DIMENSIONS = ("os_name", "os_version", "country", "architecture")
"""By which users are always told apart; the others that are declared come after them."""
_OF_RELEASES = ("application", "channel", "version", "display_version", "build_id")
PLACE = ("application", "channel")
_OWNER = ("version", "build_id")
TICK = "CAST(epoch_us(window_start) // 300000000 AS INTEGER)"

Codes = npt.NDArray[np.int32]
Condition = tuple[str, list[Parameter]]
"""SQL of a condition, and the values of its parameters."""
_Piece = tuple[Codes, Codes, Ints]


@dataclass(frozen=True)
class Range:
    """A version, and the ticks [first, end) of arrival in which its rows are wanted."""

    version: Version
    first: int
    end: int


@dataclass(frozen=True)
class Asked:
    """Versions whose rows are wanted of a channel; `versions` are all that it is known to have."""

    application: str
    channel: str
    ranges: Sequence[Range]
    versions: Sequence[Version]

    def has(self, place: Sequence[str | None]) -> bool:
        """Whether rows of that application and channel are its own; without a place all are."""
        return not place or (place[1] == self.channel and place[0] in (self.application, None))

    def where(self) -> Condition:
        """Condition of its rows in error_aggregates."""
        first, end = min(each.first for each in self.ranges), max(each.end for each in self.ranges)
        mine, values = of_channel(self.application, self.channel)
        wanted, more = of_versions(self.ranges)
        where = f"{mine} AND window_start >= ? AND window_start < ? AND ({wanted})"
        return where, [*values, moment_of(first), moment_of(end), *more]


@dataclass(frozen=True)
class Rows:
    """Where one version has something of one quantity: tick of arrival, stratum and units, [rows] each."""

    tick: Codes
    stratum: Codes
    units: Ints


@dataclass(frozen=True)
class Cells:
    """What was read: rows by quantity and version, the strata of their codes, and which measures a version has."""

    dimensions: tuple[str, ...]
    strata: tuple[tuple[str, ...], ...]
    rows: dict[tuple[str, str], Rows]
    measured: dict[str, frozenset[str]]


def dimensions_of(registry: Registry) -> tuple[str, ...]:
    """The dimensions of error_aggregates that tell users apart, not releases."""
    names = [dimension.name for dimension in registry.keys if dimension.name not in _OF_RELEASES]
    always = [name for name in DIMENSIONS if name in names]
    return (*always, *(name for name in names if name not in always))


def scale_of(measure: Measure) -> float:
    """Units of one of the measure: fractions are kept to 2^-20, hours to 2^-40."""
    if measure.name == "usage_hours":
        return UNITS
    return 2.0**20 if measure.column_type == "float64" else 1.0


def units_of(measure: Measure) -> str:
    """SQL of a measure's value in whole units, never negative; 0 where a row has none."""
    name, scale = dialect.name(measure.name), scale_of(measure)
    if scale == 1.0:
        return f"least(greatest(coalesce({name}, 0), 0), {_MOST_EVENTS})"
    most = _MOST_HOURS if scale == UNITS else _MOST_EVENTS / scale
    return f"CAST(round(least(greatest(coalesce({name}, 0), 0), {most}) * {scale:.0f}) AS BIGINT)"


def of_channel(application: str, channel: str) -> Condition:
    """Condition of the rows of a channel; rows from elsewhere may not say their application."""
    return "channel = ? AND (application = ? OR application IS NULL)", [channel, application]


def any_of(conditions: Iterable[Condition]) -> tuple[str, tuple[Parameter, ...]]:
    """Condition of the rows that hold any of some."""
    parts, values = zip(*conditions, strict=True)
    return " OR ".join(f"({part})" for part in parts), tuple(chain.from_iterable(values))


def of_versions(ranges: Sequence[Range]) -> Condition:
    """Condition of the rows of these versions, by name or by build. Times of each would cost as much as the rows."""
    names: list[Parameter] = [each.version.version for each in ranges]
    builds: list[Parameter] = [build for each in ranges for build in each.version.builds]
    where = f"version IN ({', '.join('?' * len(names))})"
    if builds:
        where += f" OR build_id IN ({', '.join('?' * len(builds))})"
    return where, [*names, *builds]


def read_cells(engine: Engine, asked: Sequence[Asked], measures: Sequence[Measure]) -> list[Cells]:
    """The rows of some channels, read at once: for each of `asked`, those of its versions.

    A row belongs to the version that its build was published as, whatever it says itself; a row whose build is not
    known counts for the version that it names.
    """
    dimensions = dimensions_of(engine.registry())
    every = [each for channel in asked for each in channel.ranges]
    span = Span(moment_of(min(each.first for each in every)), moment_of(max(each.end for each in every) - 1))
    place = PLACE if len(asked) > 1 else ()
    needed = (*PLACE, *_OWNER, "window_start", *dimensions, *(m.name for m in measures))
    where, parameters = any_of(each.where() for each in asked)
    source = Source(engine.relation(TABLE, span, needed), where, parameters)
    counted = [f"count({dialect.name(m.name)})" for m in measures]
    keys = read_keys(engine, source, (*place, *_OWNER, *dimensions), counted)
    channels = [_Channel(each, len(place), keys) for each in asked]
    names = [m.name for m in measures]
    for found, (ticks, *units) in keys.rows(engine, source, [TICK, *map(units_of, measures)]):
        for channel in channels:
            channel.take(found, ticks, dict(zip(names, units, strict=True)))
    return [channel.cells(dimensions, names) for channel in channels]


class _Channel:
    """What of some rows is of the versions of a channel."""

    def __init__(self, asked: Asked, skipped: int, keys: Keys) -> None:
        owner = owner_of(asked.versions)
        mine = [asked.has(key[:skipped]) for key in keys.values]
        owners = [owner(*key[skipped : skipped + 2]) for key in keys.values]
        codes = {each.version.version: code for code, each in enumerate(asked.ranges)}
        of_key = [codes.get(of, -1) if is_mine else -1 for of, is_mine in zip(owners, mine, strict=True)]
        told = [tuple(value or "" for value in key[skipped + 2 :]) for key in keys.values]
        self._strata = tuple(sorted({each for each, is_mine in zip(told, mine, strict=True) if is_mine}))
        place = {stratum: code for code, stratum in enumerate(self._strata)}
        self._ranges = asked.ranges
        self._of_key = np.array(of_key, np.int16)
        self._stratum_of_key = np.array([place.get(stratum, -1) for stratum in told], np.int32)
        self._counted = [
            (of, sums) for of, is_mine, sums in zip(owners, mine, keys.sums, strict=True) if is_mine
        ]
        self._parts: dict[tuple[str, str], list[_Piece]] = {}

    def take(self, found: Places, ticks: Codes, units: dict[str, Ints]) -> None:
        """Some rows: the place of each one's key, its tick and units of each quantity."""
        # Files are sorted by version: a batch has one or two, and is better cut here than all rows at the end.
        of_row, strata_of = self._of_key[found], self._stratum_of_key[found]
        for code in (np.flatnonzero(np.bincount(of_row + 1)) - 1).tolist():
            if code < 0:
                continue
            each = self._ranges[code]
            inside = (of_row == code) & (ticks >= each.first) & (ticks < each.end)
            for name, amounts in units.items():
                some = np.flatnonzero(inside & (amounts != 0))
                piece = (ticks[some], strata_of[some], amounts[some])
                self._parts.setdefault((name, each.version.version), []).append(piece)

    def cells(self, dimensions: tuple[str, ...], names: Sequence[str]) -> Cells:
        """All of them."""
        rows = {
            which: Rows(*map(np.concatenate, zip(*pieces, strict=True)))
            for which, pieces in self._parts.items()
        }
        measured: dict[str, set[str]] = {}
        for version, counts in self._counted:
            had = (name for name, n in zip(names, counts, strict=True) if n)
            measured.setdefault(version, set()).update(had)
        return Cells(
            dimensions, self._strata, rows, {version: frozenset(had) for version, had in measured.items()}
        )
