"""A channel made by hand, in a lake: versions three days apart, rows by the hour, so that a test says what is odd."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.form import installed

from missioncontrol.config import load_config
from missioncontrol.health.asking import courses
from missioncontrol.health.model import Course
from missioncontrol.services import Services
from missioncontrol.state.releases import Release
from missioncontrol.telemetry.import_aggregates import import_aggregates

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
LIFE = timedelta(days=3)
SYSTEMS = ("Windows_NT", "Darwin", "Linux")
Row = dict[str, Any]


def published(nth: int) -> datetime:
    """When the nth version came out."""
    return START + nth * LIFE


def rows_of(
    nth: int, version: str = "", hours: int = 72, ratio: float = 1.0, seed: int = 0, **fixed: Any
) -> list[Row]:
    """Rows of a version, one an hour and system: 100 usage hours and 2 crashes to be expected (times `ratio`)."""
    rng = np.random.default_rng(100 * nth + seed)
    made = []
    for hour in range(hours):
        for system in SYSTEMS:
            row: Row = {
                "application": "Firefox",
                "channel": "release",
                "version": version or f"{nth + 1}.0",
                "build_id": f"b{nth}",
                "os_name": system,
                "window_start": published(nth) + timedelta(hours=hour),
                "usage_hours": 100.0,
                "main_crashes": int(rng.poisson(2 * ratio)),
                "count": 200,
            }
            made.append({**row, **fixed})
    return made


def release(nth: int, version: str = "", **fixed: Any) -> Release:
    """The nth version as published."""
    entry = {
        "application": "Firefox",
        "channel": "release",
        "version": version or f"{nth + 1}.0",
        "build_id": f"b{nth}",
        "published_at": published(nth),
    }
    return Release(**{**entry, **fixed})


class SmallChannel:
    """A lake and what was published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._number = 0
        self.services = Services(load_config(installed(folder / "data")))
        self.releases: list[Release] = []

    def take(self, rows: Iterable[Row], table: str = "error_aggregates") -> None:
        """Import rows."""
        self._number += 1
        path = self.folder / f"rows-{self._number}.parquet"
        pq.write_table(_table(rows), path)
        import_aggregates(self.services.registry(), self.services.writer, table, path)

    def force(self, rows: Iterable[Row], table: str = "error_aggregates") -> None:
        """Put rows into the lake that no import takes."""
        self._number += 1
        found = _table({**row, "submission_date": row["window_start"].date()} for row in rows)
        self.services.writer.ensure(self.services.registry())
        assert self.services.writer.append(table, found, f"forced-{self._number}", 1)

    def history(self, versions: int = 8) -> None:
        """Ordinary versions, numbered from 1.0 on."""
        self.take(row for nth in range(versions) for row in rows_of(nth))
        self.releases += [release(nth) for nth in range(versions)]

    def course(self, version: str, as_of: datetime | None = None, measure: str = "main_crashes") -> Course:
        """What is said of a version."""
        (found,) = courses(self.services.engine, self.releases, "Firefox", "release", version, measure, as_of)
        return found


def _table(rows: Iterable[Row]) -> pa.Table:
    listed = list(rows)
    names = dict.fromkeys(name for row in listed for name in row)
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in listed])
