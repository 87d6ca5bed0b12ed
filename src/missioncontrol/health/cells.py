"""Rows of the lake for verdicts, as columns of integers: by version, tick of arrival and stratum.

Usage hours are whole multiples of 2^-40 h (`docs/adr/0004`), so that every sum is one of integers and no order of rows,
files or imports can show. Rows are not grouped in SQL: finding a row's stratum by the hash of its key costs a third.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from missioncontrol.health.published import Version, moment_of, owners
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query import dialect
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter
from missioncontrol.registry.model import Measure
from missioncontrol.verdict.tables import Ints

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "error_aggregates"
UNITS = 2.0**40
"""Of an hour."""
_MOST_HOURS = 8e6  # the most that a 64-bit integer holds of such units
_MOST_EVENTS = 2**52
_COUNTED = "/* counted */"
DIMENSIONS = ("os_name", "os_version", "country", "architecture")
TICK = "CAST(epoch_us(window_start) // 300000000 AS INTEGER)"

Codes = npt.NDArray[np.int32]


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
    present = {c.name for c in lake_tables(engine.registry())[TABLE].columns}
    dimensions = tuple(name for name in DIMENSIONS if name in present)
    strata_of = _dense_rank(dimensions)
    first, end = min(each.first for each in ranges), max(each.end for each in ranges)
    relation = engine.relation(TABLE, Span(moment_of(first), moment_of(end - 1)))
    mine, values = of_channel(application, channel)
    wanted, more = of_versions(ranges, "window_start")
    keys = [dialect.name(name) for name in ("version", "build_id", *dimensions)]
    read = (
        f"WITH r AS (SELECT *, hash({', '.join(keys)}) AS k FROM {relation} "
        f"WHERE {mine} AND window_start >= ? AND window_start < ? AND ({wanted})), "
        f"keys AS (SELECT k, {', '.join(keys)}, {_COUNTED} FROM r GROUP BY ALL), "
        f"codes AS (SELECT *, {strata_of} AS stratum, {_dense_rank(('version', 'build_id'))} AS build FROM keys) "
    )
    parameters = [*values, moment_of(first), moment_of(end), *more]
    counted = ", ".join(f"count({dialect.name(m.name)}) AS n{i}" for i, m in enumerate(measures))
    sums = ", ".join(f"sum(n{i})" for i in range(len(measures)))
    keyed = engine.arrow(
        read.replace(_COUNTED, counted)
        + f"SELECT stratum, build, {', '.join(keys)}, {sums} FROM codes GROUP BY ALL ORDER BY stratum, build",
        parameters,
    )
    names = owners(versions)
    version_of: dict[int, str] = {}
    strata: dict[int, tuple[str, ...]] = {}
    measured: dict[str, set[str]] = {}
    for batch in keyed:
        for stratum, build, version, build_id, *rest in zip(
            *(column.to_pylist() for column in batch.columns), strict=True
        ):
            published_as = names.get(build_id, ()) if build_id else ()
            owner = version if version in published_as or not published_as else published_as[0]
            version_of[build] = owner or ""
            strata[stratum] = tuple(value or "" for value in rest[: len(dimensions)])
            had = zip(measures, rest[len(dimensions) :], strict=True)
            measured.setdefault(version_of[build], set()).update(m.name for m, n in had if n)
    selected = ", ".join(f"{units_of(m)} AS u{i}" for i, m in enumerate(measures))
    batches = engine.arrow(
        read.replace(_COUNTED, "1")
        + f"SELECT CAST(build AS INTEGER), CAST(stratum AS INTEGER), {TICK}, {selected} FROM r JOIN codes USING (k)",
        parameters,
    )
    rows = _by_version(version_of, ranges, batches, [m.name for m in measures])
    listed = tuple(strata[code] for code in range(1, len(strata) + 1))
    return Cells(dimensions, listed, rows, {version: frozenset(had) for version, had in measured.items()})


def _by_version(
    version_of: dict[int, str],
    ranges: Sequence[Range],
    batches: Iterable[pa.RecordBatch],
    names: Sequence[str],
) -> dict[tuple[str, str], Rows]:
    parts: dict[str, list[tuple[Codes, Codes, Codes, Ints]]] = {name: [] for name in names}
    for batch in batches:
        builds, strata, ticks, *units = (column.to_numpy() for column in batch.columns)
        for name, values in zip(names, units, strict=True):
            some = np.flatnonzero(values)
            parts[name].append((builds[some], strata[some] - 1, ticks[some], values[some]))
    found = {}
    for name, pieces in parts.items():
        if not pieces:
            continue
        builds, strata, ticks, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
        for each in ranges:
            mine = [build for build, version in version_of.items() if version == each.version.version]
            here = np.isin(builds, mine) if len(mine) != 1 else builds == mine[0]
            here &= (ticks >= each.first) & (ticks < each.end)
            found[name, each.version.version] = Rows(ticks[here], strata[here], values[here])
    return found


def _dense_rank(names: Sequence[str]) -> str:
    if not names:
        return "1"
    return f"dense_rank() OVER (ORDER BY {', '.join(dialect.name(name) for name in names)})"
