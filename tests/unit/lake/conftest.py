"""A small registry and a lake in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.tables import LakeTable, lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.model import Dimension, Measure, Registry

DIMENSIONS = ("channel", "application", "version", "build_id", "os_name", "country")


def small_registry(
    revision: str = "1", dimensions: tuple[str, ...] = DIMENSIONS, **more_measures: str
) -> Registry:
    """Six dimensions and two measures; `more_measures` maps further names to column types."""
    types = {"count": "int64", "usage_hours": "float64", **more_measures}
    return Registry(
        documents={},
        dimensions={
            name: Dimension(name, name, f"What {name} is.", experiments=name in ("application", "channel"))
            for name in dimensions
        },
        measures={
            name: Measure(name, name, [], f"How many {name}.", column_type=kind)  # type: ignore[arg-type]
            for name, kind in types.items()
        },
        applications={},
        revision=revision,
    )


@dataclass
class Lake:
    """The paths, and one of each of what works on them."""

    path: Path
    cache: Path
    registry: Registry
    writer: LakeWriter
    reader: LakeReader

    @property
    def tables(self) -> dict[str, LakeTable]:
        return lake_tables(self.registry)

    def rows(self, table: str = "error_aggregates") -> pa.Table:
        """All rows of the newest version: what a file lacks is null, partition columns from the log."""
        snapshot = self.reader.snapshot(table)
        assert snapshot is not None
        parts = []
        for file in snapshot.files:
            part = pq.ParquetFile(file.path).read()
            for name, value in file.partition:
                part = part.append_column(name, pa.array([value] * part.num_rows, pa.string()))
            parts.append(part)
        return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})

    def on_disk(self, table: str = "error_aggregates") -> set[str]:
        return {str(p) for p in (self.path / table).rglob("part-*.parquet")}

    def named(self, table: str = "error_aggregates") -> set[str]:
        snapshot = self.reader.snapshot(table)
        return {f.path for f in snapshot.files} if snapshot else set()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    path, cache = tmp_path / "lake", tmp_path / "cache"
    registry = small_registry()
    writer = LakeWriter(path)
    writer.ensure(registry)
    return Lake(path, cache, registry, writer, LakeReader(path, cache))


@pytest.fixture
def registry_of() -> Callable[..., Registry]:
    return small_registry


@pytest.fixture
def rows_of() -> Callable[..., pa.Table]:
    return aggregate_rows


def aggregate_rows(
    *rows: tuple[str | None, int | None, float | None], day: int = 1, minute: int = 0
) -> pa.Table:
    """Rows of error_aggregates: (channel, count, usage_hours), all of one window."""
    window = datetime(2026, 1, day, 10, minute, tzinfo=UTC)
    return pa.table(
        {
            "window_start": pa.array([window] * len(rows), pa.timestamp("us", tz="UTC")),
            "submission_date": pa.array([date(2026, 1, day)] * len(rows), pa.date32()),
            "channel": pa.array([r[0] for r in rows], pa.string()),
            "os_name": pa.array(["Linux"] * len(rows), pa.string()),
            "count": pa.array([r[1] for r in rows], pa.int64()),
            "usage_hours": pa.array([r[2] for r in rows], pa.float64()),
        }
    )
