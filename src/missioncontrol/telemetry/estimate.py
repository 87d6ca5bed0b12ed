"""What a dimension or a measure costs: rows and bytes of `error_aggregates`, from a day that was archived.

The day's pings (or those of some whole windows) are extracted with and without what is asked about, and the rows that
come out are counted and written as Parquet in memory. Writes nothing. Rows are those after compaction has merged them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from missioncontrol.lake.merge import added
from missioncontrol.lake.parquet import ARROW_TYPES, COMPACTED_LEVEL, open_parquet
from missioncontrol.lake.snapshot import Snapshot
from missioncontrol.lake.tables import SHAPES
from missioncontrol.registry import Registry
from missioncontrol.telemetry.aggregate import Aggregator
from missioncontrol.telemetry.archive_sample import DaySample, archived_body, choose_sample, submissions
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fact import Fact
from missioncontrol.telemetry.submission import Submission

MAX_PINGS = 20_000
"""Pings that are looked at, at most: a few seconds."""
TOO_MANY = 2.0
"""From this factor of rows on it is worth a warning."""
_TABLE = "error_aggregates"
_logger = structlog.get_logger()


class Cost(msgspec.Struct, frozen=True):
    """What one declaration adds to a day, all others being in force."""

    section: Literal["dimension", "measure"]
    name: str
    rows_without: int
    rows_with: int
    bytes_without: int
    bytes_with: int
    pings_lost: int = 0
    """Pings that are not counted any more, since the dimension has a value in them that is no text."""

    @property
    def factor(self) -> float:
        """By how much it multiplies the rows."""
        return self.rows_with / self.rows_without if self.rows_without else 1.0


class Estimate(msgspec.Struct, frozen=True):
    """The costs of a day, scaled up from the windows that were looked at."""

    day: date
    windows: int
    windows_of_day: int
    pings: int
    pings_of_day: int
    is_cut: bool
    costs: list[Cost]
    together: Cost | None
    """All dimensions at once, when there are several."""


def estimate(
    archive: Snapshot | None,
    registry: Registry,
    dimensions: Iterable[str],
    measures: Iterable[str],
    *,
    today: date,
    max_inflated_bytes: int,
    max_pings: int = MAX_PINGS,
) -> Estimate | None:
    """The cost of each of these declarations of `registry`; a dimension that is off is taken as switched on.

    None when nothing is archived. Never raises for what clients sent.
    """
    sample = choose_sample(archive, today, max_pings) if archive else None
    if archive is None or sample is None:
        return None
    asked = [d for d in dimensions if d in registry.dimensions]
    full = _switched(registry, asked, True)
    rows, lost = _rows(archive, sample, full, _switched(registry, asked, False), asked, max_inflated_bytes)
    scale = sample.windows_of_day / len(sample.windows)
    costs = [_cost(rows, "dimension", name, [name], lost.get(name, 0), scale) for name in asked]
    costs += [
        _cost(rows, "measure", name, [name], 0, scale) for name in measures if name in rows.column_names
    ]
    together = _cost(rows, "dimension", " x ".join(asked), asked, lost[""], scale) if len(asked) > 1 else None
    return Estimate(
        day=sample.day,
        windows=len(sample.windows),
        windows_of_day=sample.windows_of_day,
        pings=sample.pings,
        pings_of_day=sample.pings_of_day,
        is_cut=sample.is_cut,
        costs=costs,
        together=together,
    )


def _switched(registry: Registry, names: list[str], is_on: bool) -> Registry:
    changed = {n: msgspec.structs.replace(registry.dimensions[n], enabled=is_on) for n in names}
    return msgspec.structs.replace(registry, dimensions={**registry.dimensions, **changed})


def _rows(
    archive: Snapshot,
    sample: DaySample,
    full: Registry,
    base: Registry,
    asked: list[str],
    limit: int,
) -> tuple[pa.Table, dict[str, int]]:
    """The rows under all that is asked about, and how many pings each dimension loses ("": all of them)."""
    extractor, without = Extractor(full), Extractor(base) if asked else None
    alone = {name: Extractor(_switched(base, [name], True)) for name in asked}
    aggregator = Aggregator(full, fine_days=0, broken_body_bytes=0, archive=False)
    lost: dict[str, int] = {"": 0}
    for submission in submissions(archive, sample):
        result = _result(extractor, submission, limit)
        if isinstance(result, Fact):
            aggregator.add(submission, _bare(result), result.document)
        elif without and isinstance(_result(without, submission, limit), Fact):
            lost[""] += 1
            for name, one in alone.items():
                lost[name] = lost.get(name, 0) + (not isinstance(_result(one, submission, limit), Fact))
    tables = aggregator.tables()
    none = pa.table({"window_start": pa.array([], ARROW_TYPES["timestamp"])})
    return _merged(tables.get(_TABLE, none)), lost


def _bare(fact: Fact) -> Fact:
    """What goes into the table that is looked at, alone: sketches and cells of activity take time."""
    return msgspec.structs.replace(fact, experiments=(), has_activity=False, client=None)


def _result(extractor: Extractor, submission: Submission, limit: int) -> Fact | Discard:
    try:
        body = archived_body(submission, limit)
        return body if isinstance(body, Discard) else extractor.extract(submission, body)
    except Exception:  # a fault of ours, which must not end the estimate
        _logger.exception("extraction_failed", log_offset=submission.log_offset)
        return Discard("extraction_failed")


def _cost(
    rows: pa.Table,
    section: Literal["dimension", "measure"],
    name: str,
    columns: list[str],
    pings_lost: int,
    scale: float,
) -> Cost:
    without = rows.drop_columns([c for c in columns if c in rows.column_names])
    if section == "dimension":
        without = _merged(without)
    return Cost(
        section=section,
        name=name,
        rows_without=round(without.num_rows * scale),
        rows_with=round(rows.num_rows * scale),
        bytes_without=round(_size_bytes(without) * scale),
        bytes_with=round(_size_bytes(rows) * scale),
        pings_lost=round(pings_lost * scale),
    )


def _merged(rows: pa.Table) -> pa.Table:
    """Rows of equal keys added up and sorted, as compaction leaves them: keys are what is no number."""
    sums = [f.name for f in rows.schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    return added(rows, sums, SHAPES[_TABLE].sort_by)


def _size_bytes(rows: pa.Table) -> int:
    """Bytes of the columns as the lake writes them, without the footer, which a day has once."""
    buffer = pa.BufferOutputStream()
    with open_parquet(rows.schema, buffer, COMPACTED_LEVEL) as writer:
        writer.write_table(rows)
    metadata = pq.read_metadata(pa.BufferReader(buffer.getvalue()))
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    return sum(g.column(c).total_compressed_size for g in groups for c in range(g.num_columns))
