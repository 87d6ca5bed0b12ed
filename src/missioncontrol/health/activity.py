"""usage_by_activity for verdicts: hours and starts of a version by when they arrived and when they happened.

A row is known at the end of its interval of arrival. Activity in cells that do not begin with the publication is spread
evenly over the half hours of the release's life that it covers; what such a cell holds of the time before publication
cannot have been and counts for the time after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from missioncontrol.clock import WINDOW_S
from missioncontrol.health.cells import PLACE, UNITS, Asked, Condition, any_of, of_channel, of_versions
from missioncontrol.health.keys import Keys, Places, Source, read_keys
from missioncontrol.health.published import moment_of, owner_of
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.verdict.grid import LIFE_HOURS
from missioncontrol.verdict.nowcast import FINE, HOURS
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Activity, Floats, Ints

TABLE = "usage_by_activity"
_COLUMNS = (
    *(*PLACE, "version", "build_id", "arrival", "arrival_length_s"),
    *("activity", "activity_length_s", "usage_hours", "starts"),
)
_CELL_TICKS = TICKS_PER_HOUR // 2
_CELLS = 2 * HOURS
_ROWS = FINE + LIFE_HOURS - HOURS
_UNITS = f"CAST(round(least(greatest(coalesce(usage_hours, 0), 0), 8000000) * {UNITS:.0f}) AS BIGINT)"


@dataclass(frozen=True)
class ActivityRows:
    """Rows of one version, [rows] each: tick at whose start the row is known, ticks of activity, units and starts."""

    known: Ints
    first: Ints
    length: Ints
    units: Ints
    starts: Ints


def read_activity(engine: Engine, asked: Sequence[Asked], until: int) -> list[dict[str, ActivityRows]]:
    """For each channel, the rows of each version asked for of which anything is known before tick `until`.

    No rows: no entry.
    """
    first = min(_first(each) for each in asked)
    relation = engine.relation(TABLE, Span(moment_of(first), moment_of(until)), _COLUMNS)
    ends = f"epoch_us(arrival) // 1000000 + greatest(coalesce(arrival_length_s, {WINDOW_S}), 0)"
    known = f"CAST(({ends} + {WINDOW_S - 1}) // {WINDOW_S} AS BIGINT)"
    wanted, parameters = any_of(_where(each) for each in asked)
    where = f"activity IS NOT NULL AND {known} <= ? AND ({wanted})"
    source = Source(relation, where, (until, *parameters))
    selected = [
        known,
        f"CAST(epoch_us(activity) // {WINDOW_S * 1_000_000} AS BIGINT)",
        f"CAST(greatest(coalesce(activity_length_s, 1800) // {WINDOW_S}, 1) AS BIGINT)",
        _UNITS,
        "CAST(greatest(coalesce(starts, 0), 0) AS BIGINT)",
    ]
    keys = read_keys(engine, source, (*PLACE, "version", "build_id"))
    pieces = [(found, *columns) for found, columns in keys.rows(engine, source, selected)]
    if not pieces:
        return [{} for _ in asked]
    found, *columns = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return [_of_channel(each, keys, found, columns) for each in asked]


def _first(asked: Asked) -> int:
    return min(each.version.published for each in asked.ranges)


def _where(asked: Asked) -> Condition:
    mine, values = of_channel(asked.application, asked.channel)
    wanted, more = of_versions(asked.ranges)
    return f"{mine} AND arrival >= ? AND ({wanted})", [*values, moment_of(_first(asked)), *more]


def _of_channel(asked: Asked, keys: Keys, found: Places, columns: Sequence[Ints]) -> dict[str, ActivityRows]:
    """Of some rows, with the place of each one's key, those of a channel."""
    owner = owner_of(asked.versions)
    codes = {each.version.version: code for code, each in enumerate(asked.ranges)}
    of_key = [codes.get(owner(*key[2:]), -1) if asked.has(key[:2]) else -1 for key in keys.values]
    of_row = np.array(of_key, np.int16)[found]
    order = np.argsort(of_row, kind="stable")
    edges = np.searchsorted(of_row[order], np.arange(len(asked.ranges) + 1))
    return {
        version: ActivityRows(*(column[order[edges[code] : edges[code + 1]]] for column in columns))
        for version, code in codes.items()
        if edges[code] < edges[code + 1]
    }


def activity_of(rows: ActivityRows, published: int, until: int) -> Activity:
    """The tables of a release published at tick `published`, of rows that were known at the start of tick `until`."""
    start = rows.first - published
    end = start + rows.length
    start = np.maximum(start, 0)
    arrival = np.maximum(rows.known - 1 - published, 0)
    place = np.where(arrival < FINE, arrival, FINE + (arrival - FINE) // TICKS_PER_HOUR)
    kept = (rows.known <= until) & (end > 0) & (start < FINE) & (place < _ROWS)
    place, start, end = place[kept], start[kept], end[kept]
    return Activity(
        _spread(place, start, end, rows.units[kept]) / UNITS, _spread(place, start, end, rows.starts[kept])
    )


def _spread(place: Ints, start: Ints, end: Ints, amount: Ints) -> Floats:
    """[_ROWS, _CELLS] of amounts spread evenly over [start, end): integers are summed, then divided by the length."""
    total = np.zeros((_ROWS, _CELLS))
    length = end - start
    for ticks in np.unique(length):
        mine = length == ticks
        parts = np.zeros((_ROWS, _CELLS), np.int64)
        first = start[mine] // _CELL_TICKS
        for more in range(int((ticks + _CELL_TICKS - 2) // _CELL_TICKS) + 1):
            cell = first + more
            low = np.maximum(start[mine], cell * _CELL_TICKS)
            overlap = np.minimum(end[mine], (cell + 1) * _CELL_TICKS) - low
            fits = (overlap > 0) & (cell < _CELLS)
            np.add.at(parts, (place[mine][fits], cell[fits]), amount[mine][fits] * overlap[fits])
        total += parts / ticks
    return total
