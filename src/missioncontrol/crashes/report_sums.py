"""Sums over crash reports: the rows that they are in error_aggregates and in crash_signature_counts.

A report stands for 1 / throttle_rate crashes. Weights are rounded to a multiple of 2^-20, so that sums are exact in
binary64 up to 2^33 crashes a row, hence the same in whatever order (as ADR 4 has it for hours). Never reads a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from missioncontrol.clock import WINDOW_S
from missioncontrol.crashes.counted_rows import SECOND
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.tables import lake_tables
from missioncontrol.registry.model import Registry
from missioncontrol.registry.reports import ReportPlan

AGGREGATES = "error_aggregates"
SIGNATURES = "crash_signature_counts"
RATE, SIGNATURE, PROCESS = "throttle_rate", "signature", "process_type"
_KEYS = ("application", "channel", "version", "build_id", "os_name")
"""Dimensions of crash_signature_counts."""
_GRID = 2.0**20
_COUNT = "count_all"
HOUR_S = 3600


class _Hour:
    """Sums of one hour."""

    def __init__(self) -> None:
        self.sums: dict[tuple[int, tuple[str | None, ...]], list[float | None]] = {}
        """(second of the window's start, dimensions) -> measures."""
        self.signatures: dict[tuple[Any, ...], list[float]] = {}
        """Dimensions, process type, signature -> reports, crashes."""


def weight(rate: float | None) -> float:
    """How many crashes a report stands for of which this share is kept."""
    return round(_GRID / rate) / _GRID if rate is not None and 0 < rate <= 1 else 1.0


class ReportSums:
    """Adds up the reports of a day, by hour."""

    def __init__(self, registry: Registry, plan: ReportPlan, day: date) -> None:
        """`plan` was made with `RATE`, `SIGNATURE` and `PROCESS` as further paths."""
        self._plan, self._registry = plan, registry
        self._start = datetime.combine(day, time(), UTC)
        self._rate, self._signature, self._process = map(plan.paths.index, (RATE, SIGNATURE, PROCESS))
        names = [d.name for d in plan.dimensions]
        self._kept = [names.index(name) if name in names else None for name in _KEYS]
        self._hours: dict[int, _Hour] = {}

    def add(self, rows: pa.Table) -> None:
        """Add reports: a table of `second` and the plan's paths."""
        for second, count, values in _distinct(rows, self._plan.paths):
            self._add(self._hours.setdefault(second // HOUR_S, _Hour()), second, count, values)

    def _add(self, hour: _Hour, window_s: int, count: int, values: tuple[Any, ...]) -> None:
        key = self._plan.key(values)
        crashes = count * weight(values[self._rate])
        sums = hour.sums.get((window_s, key))
        if sums is None:
            sums = hour.sums[window_s, key] = [None] * len(self._plan.measures)
        for place in self._plan.counted(values):
            sums[place] = (sums[place] or 0.0) + crashes
        dimensions = tuple(None if i is None else key[i] for i in self._kept)
        total = hour.signatures.setdefault(
            (*dimensions, values[self._process], values[self._signature]), [0, 0.0]
        )
        total[0] += count
        total[1] += crashes

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """(table, rows of one hour without the submission date); hours without reports have none."""
        for number, hour in self._hours.items():
            yield AGGREGATES, self._aggregates(hour)
            yield SIGNATURES, self._signature_counts(number, hour)

    def _aggregates(self, hour: _Hour) -> pa.Table:
        windows = [self._start + timedelta(seconds=second) for second, _ in hour.sums]
        columns: dict[str, list[Any]] = {"window_start": windows}
        for i, dimension in enumerate(self._plan.dimensions):
            columns[dimension.name] = [key[i] for _, key in hour.sums]
        for i, measure in enumerate(self._plan.measures):
            columns[measure.name] = [sums[i] for sums in hour.sums.values()]
        return _table(AGGREGATES, columns, self._registry)

    def _signature_counts(self, number: int, hour: _Hour) -> pa.Table:
        start = self._start + timedelta(hours=number)
        columns: dict[str, list[Any]] = {"window_start": [start] * len(hour.signatures)}
        for i, name in enumerate((*_KEYS, PROCESS, SIGNATURE)):
            columns[name] = [key[i] for key in hour.signatures]
        columns["reports"] = [total[0] for total in hour.signatures.values()]
        columns["crashes"] = [total[1] for total in hour.signatures.values()]
        return _table(SIGNATURES, columns, self._registry)


def _distinct(rows: pa.Table, paths: tuple[str, ...]) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Each combination of values in a window: the second it starts with, how many reports have it, and the values."""
    names = [f"v{i}" for i in range(len(paths))]  # no path is then taken for another column
    window = pc.multiply(pc.divide(rows[SECOND], WINDOW_S), WINDOW_S)
    renamed = pa.table([window, *(_plain(rows[path]) for path in paths)], names=[SECOND, *names])
    grouped = renamed.group_by([SECOND, *names], use_threads=False).aggregate([([], _COUNT)])
    values = zip(*(grouped[name].to_pylist() for name in names), strict=True)
    yield from zip(grouped[SECOND].to_pylist(), grouped[_COUNT].to_pylist(), values, strict=True)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Arrow cannot group by a column that is null in every row of a file."""
    return values.cast(pa.string()) if pa.types.is_null(values.type) else values


def _table(name: str, columns: dict[str, list[Any]], registry: Registry) -> pa.Table:
    types = {c.name: ARROW_TYPES[c.type] for c in lake_tables(registry)[name].columns}
    return pa.table({column: pa.array(values, types[column]) for column, values in columns.items()})
