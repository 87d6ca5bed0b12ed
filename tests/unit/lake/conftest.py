"""A small registry and a lake: in a temporary folder, and on an S3 server where that can run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deploy.local.s3 import S3Server
from tests.support.s3 import BUCKET, running_s3, s3_environment

from missioncontrol.config import LakePlace
from missioncontrol.lake.delta import options
from missioncontrol.lake.place import data_objects, fetch, uri
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

    place: LakePlace
    root: Path
    """Where its files really are: the S3 server of the tests keeps an object as a file."""
    cache: Path
    registry: Registry
    writer: LakeWriter
    reader: LakeReader

    @property
    def path(self) -> Path:
        """The folder: all of the lake, or what is at hand of one on S3."""
        return self.place.folder

    @property
    def tables(self) -> dict[str, LakeTable]:
        return lake_tables(self.registry)

    def rows(self, table: str = "error_aggregates") -> pa.Table:
        """All rows of the newest version: what a file lacks is null, partition columns from the log."""
        snapshot = self.reader.snapshot(table)
        assert snapshot is not None
        parts = []
        fetch(snapshot.files)
        for file in snapshot.files:
            part = pq.ParquetFile(file.path).read()
            for name, value in file.partition:
                part = part.append_column(name, pa.array([value] * part.num_rows, pa.string()))
            parts.append(part)
        return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})

    def on_disk(self, table: str = "error_aggregates") -> set[str]:
        if self.place.url:
            return {f"{self.path}/{table}/{found.path}" for found in data_objects(self.place, table)}
        return {str(p) for p in (self.path / table).rglob("part-*.parquet")}

    def opened(self, table: str = "error_aggregates") -> DeltaTable:
        """The table as `deltalake` alone reads it."""
        return DeltaTable(uri(self.place, table), storage_options=options(self.place))

    def named(self, table: str = "error_aggregates") -> set[str]:
        snapshot = self.reader.snapshot(table)
        return {f.path for f in snapshot.files} if snapshot else set()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.apt)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakePlace:
    """Where the lake is."""
    if request.param == "folder":
        return LakePlace(tmp_path / "lake")
    server: S3Server = request.getfixturevalue("s3")
    for name, value in s3_environment(server).items():
        monkeypatch.setenv(name, value)
    return LakePlace(tmp_path / "lake", f"s3://{BUCKET}/{uuid.uuid4().hex}", 1 << 30)


@pytest.fixture
def lake(request: pytest.FixtureRequest, place: LakePlace, tmp_path: Path) -> Lake:
    cache, registry = tmp_path / "cache", small_registry()
    writer = LakeWriter(place)
    writer.ensure(registry)
    root = place.folder
    if place.url:
        server: S3Server = request.getfixturevalue("s3")
        root = server.folder / "data" / place.url.removeprefix("s3://")
    return Lake(place, root, cache, registry, writer, LakeReader(place, cache))


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
