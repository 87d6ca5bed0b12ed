"""A lake to publish, and what of it must stand in PostgreSQL, worked out without the product's own code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from tests.support.lake import rows as lake_rows

from missioncontrol.lake.publishing.days import DayRange
from missioncontrol.lake.publishing.publisher import PAUSES_S, Publisher
from missioncontrol.lake.publishing.report import Progress, TablePublished
from missioncontrol.lake.publishing.server import Server
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.lake.tables import CRASH_STATS, lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.load import load_registry

SOURCES = Path(__file__).parents[2] / "src"
TABLES = ("crash_aggregates", "error_aggregates")
NEVER = DayRange(date(1999, 1, 1), date(1999, 1, 1))
_MEASURES = ("count", "usage_hours", "main_crashes")


class Crash(msgspec.Struct, frozen=True):
    """A row of crash_aggregates; a stat that is not given is no key."""

    day: str
    dimensions: dict[str, str] | None
    stats: dict[str, float] | None
    activity: str | None = None


class Sum(msgspec.Struct, frozen=True):
    """A row of error_aggregates; a dimension or measure that is not given is null."""

    day: str
    dimensions: dict[str, str]
    measures: dict[str, float | None]
    minute: int = 0


class PublishedLake:
    """A data folder with a lake, filled by hand."""

    def __init__(self, data: Path) -> None:
        self.data = data
        data.mkdir()
        self.path = data / "lake"
        self._version = 0
        self.declare()

    def declare(self, toml: str = "") -> None:
        """Take the shipped registry, and more of the user's own."""
        (self.data / "registry.toml").write_text(toml)
        self.registry = load_registry([self.data / "registry.toml"])
        self.writer = LakeWriter(self.path)
        self.writer.ensure(self.registry)
        self.reader = LakeReader(self.path, self.data / "cache")

    def add(self, *rows: Crash | Sum) -> None:
        """Append rows, one commit a table."""
        crashes = [row for row in rows if isinstance(row, Crash)]
        sums = [row for row in rows if isinstance(row, Sum)]
        for table, data in (("crash_aggregates", _crashes(crashes)), ("error_aggregates", _sums(sums))):
            if data.num_rows:
                self.append(table, data)

    def append(self, table: str, data: pa.Table) -> None:
        self._version += 1
        assert self.writer.append(table, data, "test", self._version)

    def replace(self, table: str, day: str, *rows: Crash | Sum) -> None:
        """Put the rows in the place of all that the day had, in one commit."""
        snapshot = self.reader.snapshot(table)
        assert snapshot is not None
        old = [file for file in snapshot.files if dict(file.partition)["submission_date"] == day]
        crashes = [row for row in rows if isinstance(row, Crash)]
        sums = [row for row in rows if isinstance(row, Sum)]
        data = _crashes(crashes) if table == "crash_aggregates" else _sums(sums)
        staged = self.writer.stage(table, data) if data.num_rows else []
        self._version += 1
        assert self.writer.commit(table, staged, "test", self._version, removed=old)

    def publisher(
        self,
        dsn: str,
        schema: str = "public",
        tables: Iterable[str] = TABLES,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> Publisher:
        declared = lake_tables(self.registry)
        return Publisher(self.reader, [declared[name] for name in tables], Server(dsn), schema, pauses_s)

    def publish(
        self, dsn: str, progress: Progress = lambda step: None, **options: Any
    ) -> dict[str, TablePublished]:
        """Publish all that has changed; what was done by table."""
        prune, within = options.pop("prune", False), options.pop("within", DayRange())
        done = self.publisher(dsn, **options).run(within, prune, progress)
        return {table.table: table for table in done}

    def command(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """`missioncontrol lake publish-postgres` in a process of its own."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MC_", "PG"))}
        return subprocess.Popen(
            [sys.executable, "-m", "missioncontrol", "lake", "publish-postgres", "--data", str(self.data), *arguments],
            cwd=self.data, env={**inherited, "PYTHONPATH": str(SOURCES), **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command's exit code and what it said."""
        child = self.command(*arguments, **environment)
        out, err = child.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    def expected(self, table: str) -> list[tuple[Any, ...]]:
        """The rows that must be published, in the columns of `columns()`, in any order."""
        found = lake_rows(self.path, table)
        return _crash_tuples(found) if table == "crash_aggregates" else self._sum_tuples(found)

    def columns(self, table: str) -> list[str]:
        if table == "crash_aggregates":
            return ["submission_date", "activity_date", "dimensions", *CRASH_STATS]
        snapshot = self.reader.snapshot(table)
        assert snapshot is not None
        return [column.name for column in snapshot.columns]

    def _sum_tuples(self, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        names = self.columns("error_aggregates")
        measures = set(self.registry.measures)
        sums: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in rows:
            key = tuple(_clean(row[name]) for name in names if name not in measures)
            total = sums.setdefault(key, dict.fromkeys(measures))
            for name in measures:
                if row[name] is not None:
                    total[name] = row[name] if total[name] is None else total[name] + row[name]
        keys = [name for name in names if name not in measures]
        return [
            tuple(total[name] if name in measures else key[keys.index(name)] for name in names)
            for key, total in sums.items()
        ]


def _crash_tuples(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            row["submission_date"],
            row["activity_date"],
            None
            if row["dimensions"] is None
            else {_clean(name): _clean(value) for name, value in row["dimensions"]},
            *(dict(row["stats"] or []).get(stat) for stat in CRASH_STATS),
        )
        for row in rows
    ]


def _clean(value: Any) -> Any:
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


def ordered(rows: Iterable[tuple[Any, ...]]) -> list[str]:
    """Rows in a form that can be compared whatever their order; NaN equals NaN, -0.0 is not 0.0."""
    return sorted(repr(tuple(_plain(value) for value in row)) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return sorted(value.items()) if isinstance(value, Mapping) else value


def _crashes(rows: list[Crash]) -> pa.Table:
    days = [date.fromisoformat(row.day) for row in rows]
    activity = [date.fromisoformat(row.activity or row.day) for row in rows]
    dimensions = [None if row.dimensions is None else list(row.dimensions.items()) for row in rows]
    stats = [None if row.stats is None else list(row.stats.items()) for row in rows]
    return pa.table(
        {
            "activity_date": pa.array(activity, pa.date32()),
            "submission_date": pa.array(days, pa.date32()),
            "dimensions": pa.array(dimensions, pa.map_(pa.string(), pa.string())),
            "stats": pa.array(stats, pa.map_(pa.string(), pa.float64())),
        }
    )


def _sums(rows: list[Sum]) -> pa.Table:
    days = [date.fromisoformat(row.day) for row in rows]
    windows = [
        datetime(day.year, day.month, day.day, 10, row.minute, tzinfo=UTC)
        for day, row in zip(days, rows, strict=True)
    ]
    names = sorted({name for row in rows for name in row.dimensions})
    measures = sorted({name for row in rows for name in row.measures})
    return pa.table(
        {
            "window_start": pa.array(windows, pa.timestamp("us", tz="UTC")),
            "submission_date": pa.array(days, pa.date32()),
            **{name: pa.array([row.dimensions.get(name) for row in rows], pa.string()) for name in names},
            **{
                name: pa.array(
                    [row.measures.get(name) for row in rows],
                    pa.float64() if name == "usage_hours" else pa.int64(),
                )
                for name in measures
            },
        }
    )
