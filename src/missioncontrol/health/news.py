"""What arrived since the turn before, read for all channels at once: asking costs more than reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from missioncontrol.health.activity import ActivityRows, read_activity
from missioncontrol.health.cells import (
    PLACE,
    TABLE,
    TICK,
    Asked,
    Cells,
    any_of,
    read_cells,
    scale_of,
    units_of,
)
from missioncontrol.health.published import moment_of
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.registry.model import Measure
from missioncontrol.verdict.tables import Channel


@dataclass(frozen=True)
class Wanted:
    """What a channel wants to know from tick `since` on: rows of `asked`, and all activity of its `young` versions."""

    since: int
    asked: Asked
    young: Asked
    measures: Sequence[Measure]


@dataclass(frozen=True)
class News:
    """What a channel came to know; pings, hours: of all versions together, by tick."""

    cells: Cells | None
    activity: dict[str, ActivityRows]
    pings: Channel
    hours: Channel


def read_news(engine: Engine, wanted: Sequence[Wanted], until: int) -> list[News]:
    """What arrived before tick `until`, for each channel.

    Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
    """
    cells, activity = dict[int, Cells](), dict[int, dict[str, ActivityRows]]()
    some = [place for place, each in enumerate(wanted) if each.asked.ranges]
    if some:
        measures = {measure.name: measure for place in some for measure in wanted[place].measures}
        found = read_cells(engine, [wanted[place].asked for place in some], list(measures.values()))
        cells = dict(zip(some, found, strict=True))
    young = [place for place, each in enumerate(wanted) if each.young.ranges]
    if young:
        active = read_activity(engine, [wanted[place].young for place in young], until)
        activity = dict(zip(young, active, strict=True))
    everyone = _of_all(engine, wanted, until)
    return [News(cells.get(i), activity.get(i, {}), *everyone[i]) for i in range(len(wanted))]


def _of_all(engine: Engine, wanted: Sequence[Wanted], until: int) -> list[tuple[Channel, Channel]]:
    """For each channel, pings and usage hours of all versions together by tick, from the first tick with a row on."""
    registry = engine.registry()
    measures = [registry.measures.get(name) for name in ("count", "usage_hours")]
    sums = ", ".join(f"sum({units_of(m)})" if m else "0" for m in measures)
    first, end = min(each.since for each in wanted), moment_of(until)
    where, parameters = any_of(
        ("channel = ? AND window_start >= ?", [each.asked.channel, moment_of(each.since)]) for each in wanted
    )
    rows = engine.over(
        TABLE,
        f"SELECT application, channel, {TICK}, {sums} FROM {{relation}} "
        f"WHERE window_start < ? AND ({where}) GROUP BY ALL",
        (end, *parameters),
        Span(moment_of(first), moment_of(until - 1)),
        (*PLACE, "window_start", *(m.name for m in measures if m)),
    )
    scales = [scale_of(m) if m else 1.0 for m in measures]
    found = []
    for each in wanted:
        mine = [row[2:] for row in rows if each.asked.has(row[:2]) and row[2] >= each.since]
        pings, hours = (
            _by_tick([(tick, units[i]) for tick, *units in mine], until, scale)
            for i, scale in enumerate(scales)
        )
        found.append((pings, hours))
    return found


def _by_tick(sums: Sequence[tuple[int, int]], until: int, scale: float) -> Channel:
    """Sums of integers of any size, added before any is rounded."""
    if not sums:
        return Channel(until, np.zeros(0))
    first, last = min(sums)[0], max(sums)[0]
    units = [0] * (last - first + 1)
    for tick, amount in sums:
        units[tick - first] += amount
    return Channel(first, np.array([float(amount) / scale for amount in units]))
