"""The rows of crash_aggregates: facts under a rule set, summed by day of activity and all dimensions.

Each statistic but the number of pings comes with the sum of its squares, so that a standard deviation can be had as
sqrt(sum(x^2) / N - mean^2). Sums are on an exact grid (see `fact.grid`): their order does not show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from missioncontrol.lake.merge import added
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.registry import Registry
from missioncontrol.registry.rules import ACTIVITY_DATE
from missioncontrol.telemetry.fact import Fact, grid

NOT_SQUARED = "ping_count"


def stat_names(rules: Registry) -> list[str]:
    """The statistics that a rule set has, each followed by its squares."""
    return [
        stat
        for name in rules.measures
        for stat in ([name] if name == NOT_SQUARED else [name, f"{name}_squared"])
    ]


class CrashSums:
    """Collects the sums of one submission date. What no ping says is 0, as the predecessor has it."""

    def __init__(self, rules: Registry) -> None:
        self._dimensions = [d.name for d in rules.keys]
        self._stats = stat_names(rules)
        self._places = [self._stats.index(name) for name in rules.measures]
        self._squared = [name != NOT_SQUARED for name in rules.measures]
        self._rows: defaultdict[tuple[str | None, ...], list[float]] = defaultdict(
            [0.0].__mul__(len(self._stats)).copy
        )

    def add(self, fact: Fact) -> None:
        """Take in one ping that counts under the rules."""
        sums = self._rows[fact.key]
        for index, value in fact.values:
            if value:
                place = self._places[index]
                sums[place] += value
                if self._squared[index]:
                    sums[place + 1] += grid(float(value) * value)

    def table(self) -> pa.Table:
        """One row a key: a text column for each dimension and a float64 column for each statistic."""
        keys = list(zip(*self._rows, strict=True)) or [()] * len(self._dimensions)
        sums = list(zip(*self._rows.values(), strict=True)) or [()] * len(self._stats)
        columns = {
            name: pa.array(values, pa.string()) for name, values in zip(self._dimensions, keys, strict=True)
        }
        columns |= {
            name: pa.array(values, pa.float64()) for name, values in zip(self._stats, sums, strict=True)
        }
        return pa.table(columns)


def crash_rows(parts: Sequence[pa.Table], rules: Registry, submission_date: date) -> pa.Table:
    """The parts, added, as rows of crash_aggregates: one a key, with maps, sorted."""
    stats = stat_names(rules)
    dimensions = [d.name for d in rules.keys if d.name != ACTIVITY_DATE]
    order = [
        ACTIVITY_DATE,
        *(n for n in ("channel", "application", "os_name", "build_version") if n in dimensions),
    ]
    rows = added(pa.concat_tables(parts).combine_chunks(), stats, order)
    return pa.table(
        {
            ACTIVITY_DATE: rows[ACTIVITY_DATE].cast(pa.date32()),
            "submission_date": pa.array([submission_date] * rows.num_rows, pa.date32()),
            "dimensions": _maps(rows, dimensions, ARROW_TYPES["text_map"]),
            "stats": _maps(rows, stats, ARROW_TYPES["number_map"]),
        }
    )


def _maps(rows: pa.Table, names: Sequence[str], kind: pa.MapType) -> pa.MapArray:
    """One map a row of the columns' names to their values, without those that are null."""
    count, width = rows.num_rows, len(names)
    if not count:
        return pa.array([], kind)
    in_rows = pa.array(np.arange(count * width).reshape(width, count).T.ravel())
    values = pa.chunked_array([rows[name].combine_chunks() for name in names]).combine_chunks().take(in_rows)
    keys = pa.DictionaryArray.from_arrays(np.tile(np.arange(width, dtype=np.int32), count), list(names)).cast(
        pa.string()
    )
    present = pc.is_valid(values)
    sizes = present.to_numpy(zero_copy_only=False).reshape(count, width).sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), keys.filter(present), values.filter(present)).cast(kind)
