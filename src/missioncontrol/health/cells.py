"""Rows of the lake for verdicts, as columns of integers: by version, tick of arrival and stratum.

Usage hours are whole multiples of 2^-40 h (`docs/adr/0004`), so that every sum is one of integers and no order of rows,
files or imports can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from missioncontrol.health.keys import Source, read_keys
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
TICK = "CAST(epoch_us(window_start) // 300000000 AS INTEGER)"

Codes = npt.NDArray[np.int32]
_Piece = tuple[Codes, Codes, Ints]


@dataclass(frozen=True)
class Range:
    """A version, and the ticks [first, end) of arrival in which its rows are wanted."""

    version: Version
    first: int
    end: int


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


def of_channel(application: str, channel: str) -> tuple[str, list[Parameter]]:
    """Condition of the rows of a channel; rows from elsewhere may not say their application."""
    return "channel = ? AND (application = ? OR application IS NULL)", [channel, application]


def of_versions(ranges: Sequence[Range], moment: str) -> tuple[str, list[Parameter]]:
    """Condition of the rows of these versions, by name or by build, `moment` (a column) before each one's end."""
    parts: list[str] = []
    values: list[Parameter] = []
    for each in ranges:
        names = ["version = ?"]
        values.append(each.version.version)
        if each.version.builds:
            names.append(f"build_id IN ({', '.join('?' * len(each.version.builds))})")
            values += each.version.builds
        values.append(moment_of(each.end))
        parts.append(f"(({' OR '.join(names)}) AND {moment} < ?)")
    return " OR ".join(parts), values


def read_cells(
    engine: Engine,
    application: str,
    channel: str,
    ranges: Sequence[Range],
    versions: Sequence[Version],
    measures: Sequence[Measure],
) -> Cells:
    """The rows of the versions in `ranges`; `versions` are all that the channel is known to have.

    A row belongs to the version that its build was published as, whatever it says itself; a row whose build is not
    known counts for the version that it names.
    """
    dimensions = dimensions_of(engine.registry())
    first, end = min(each.first for each in ranges), max(each.end for each in ranges)
    relation = engine.relation(TABLE, Span(moment_of(first), moment_of(end - 1)))
    mine, values = of_channel(application, channel)
    wanted, more = of_versions(ranges, "window_start")
    where = f"{mine} AND window_start >= ? AND window_start < ? AND ({wanted})"
    source = Source(relation, where, (*values, moment_of(first), moment_of(end), *more))
    counted = [f"count({dialect.name(m.name)})" for m in measures]
    keys = read_keys(engine, source, ("version", "build_id", *dimensions), counted)
    owner = owner_of(versions)
    codes = {each.version.version: code for code, each in enumerate(ranges)}
    of_key = np.array([codes.get(owner(key[0], key[1]), -1) for key in keys.values], np.int16)
    told = [tuple(value or "" for value in key[2:]) for key in keys.values]
    strata = tuple(sorted(set(told)))
    place = {stratum: code for code, stratum in enumerate(strata)}
    stratum_of_key = np.array([place[stratum] for stratum in told], np.int32)
    measured: dict[str, set[str]] = {}
    for key, counts in zip(keys.values, keys.sums, strict=True):
        had = (m.name for m, n in zip(measures, counts, strict=True) if n)
        measured.setdefault(owner(key[0], key[1]), set()).update(had)
    parts: dict[tuple[str, str], list[_Piece]] = {}
    names = [m.name for m in measures]
    for found, (ticks, *units) in keys.rows(engine, source, [TICK, *map(units_of, measures)]):
        # Files are sorted by version: a batch has one or two, and is better cut here than all rows at the end.
        of_row, strata_of = of_key[found], stratum_of_key[found]
        for code in (np.flatnonzero(np.bincount(of_row + 1)) - 1).tolist():
            if code < 0:
                continue
            each = ranges[code]
            inside = (of_row == code) & (ticks >= each.first) & (ticks < each.end)
            for name, amounts in zip(names, units, strict=True):
                some = np.flatnonzero(inside & (amounts != 0))
                piece = (ticks[some], strata_of[some], amounts[some])
                parts.setdefault((name, each.version.version), []).append(piece)
    rows = {which: Rows(*map(np.concatenate, zip(*pieces, strict=True))) for which, pieces in parts.items()}
    return Cells(dimensions, strata, rows, {version: frozenset(had) for version, had in measured.items()})
