"""A small registry, and real lakes written with the real writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.tables import lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.model import Application, Dimension, Measure, MeasureSource, Registry

DAY = datetime(2018, 3, 28, tzinfo=UTC)
DIMENSIONS = (
    "channel",
    "application",
    "version",
    "display_version",
    "build_id",
    "os_name",
    "os_version",
    "country",
)
MEASURES = ("main_crashes", "content_crashes", "count")
_CLIENT_DIMENSIONS = ("channel", "application", "version", "build_id", "os_name")
_EXPERIMENT_DIMENSIONS = ("channel", "version", "os_name", "country")
Row = dict[str, Any]


def measure(name: str, column_type: Any = "int64", **more: Any) -> Measure:
    title = name.replace("_", " ").capitalize()
    return Measure(
        name=name,
        title=title,
        description=f"{title}.",
        unit={"usage_hours": "hours", "count": "pings"}.get(name, "crashes"),
        sources=[MeasureSource(documents=["main"])],
        column_type=column_type,
        **more,
    )


def small_registry(*more: Measure) -> Registry:
    measures = [
        *(measure(n, per="usage_hours", worse="up") for n in MEASURES),
        measure("usage_hours", "float64"),
        *more,
    ]
    dimensions = [
        Dimension(
            n,
            n.replace("_", " ").capitalize(),
            experiments=n in _EXPERIMENT_DIMENSIONS,
            clients=n in _CLIENT_DIMENSIONS,
        )
        for n in DIMENSIONS
    ]
    return Registry(
        documents={},
        dimensions={d.name: d for d in dimensions},
        measures={m.name: m for m in measures},
        applications={"Firefox": Application(name="Firefox", title="Firefox for desktop")},
        revision=f"r{len(measures)}",
    )


def row(minute: int = 0, **values: Any) -> Row:
    """A row of the window that starts `minute` minutes into 2018-03-28, with plain defaults."""
    defaults = {
        "channel": "release",
        "application": "Firefox",
        "version": "59.0",
        "build_id": "20180301000000",
        "os_name": "Linux",
        "country": "DE",
    }
    window = DAY + timedelta(minutes=minute)
    return {"window_start": window, "submission_date": window.date(), **defaults, **values}


class SmallLake:
    """A lake in a folder, with its writer and its reader."""

    def __init__(self, folder: Path, registry: Registry | None = None) -> None:
        self.registry = registry or small_registry()
        self.folder = folder
        self.writer = LakeWriter(folder / "lake")
        self.reader = LakeReader(folder / "lake", folder / "cache")
        self._version = 0

    def add(self, rows: Sequence[Row], table: str = "error_aggregates") -> None:
        """Append the rows in one commit; columns they lack are null."""
        self.writer.ensure(self.registry)
        columns = lake_tables(self.registry)[table].columns
        schema = pa.schema([(c.name, ARROW_TYPES[c.type]) for c in columns])
        self._version += 1
        data = pa.Table.from_pylist([{c.name: r.get(c.name) for c in columns} for r in rows], schema)
        assert self.writer.append(table, data, f"test-{table}", self._version)
