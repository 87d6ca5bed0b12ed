"""From which window on rows are others than they were, as the log of a table says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from missioncontrol.config import load_config
from missioncontrol.lake.changes import changed_from
from missioncontrol.lake.compaction import compact
from missioncontrol.lake.tables import lake_tables
from missioncontrol.services import Services

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TABLE = "error_aggregates"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services(load_config(tmp_path / "data", environ={}))
    services.writer.ensure(services.registry())
    yield services
    services.close()


def add(services: Services, minutes: list[int], number: int) -> None:
    windows = [NOON + timedelta(minutes=m) for m in minutes]
    rows = pa.table(
        {
            "window_start": pa.array(windows, pa.timestamp("us", tz="UTC")),
            "submission_date": pa.array([w.date() for w in windows]),
            "channel": ["release"] * len(windows),
            "version": ["1.0"] * len(windows),
            "count": [1] * len(windows),
        }
    )
    services.writer.append(TABLE, rows, "tests", number)


def changed(services: Services, since: int) -> datetime | None:
    snapshot = services.reader.snapshot(TABLE)
    assert snapshot is not None
    return changed_from(services.config.lake_path, snapshot, since)


def version(services: Services) -> int:
    snapshot = services.reader.snapshot(TABLE)
    assert snapshot is not None
    return snapshot.version


def test_the_earliest_window_of_what_was_added_since(services: Services) -> None:
    before = version(services)
    assert changed(services, before) is None
    add(services, [30, 35], 1)
    between = version(services)
    add(services, [60, 40], 2)
    assert changed(services, before) == NOON + timedelta(minutes=30)
    assert changed(services, between) == NOON + timedelta(minutes=40)
    assert changed(services, version(services)) is None


def test_merged_files_change_nothing(services: Services) -> None:
    for number in range(1, 12):
        add(services, [number * 5], number)
    before = version(services)
    table = lake_tables(services.registry())[TABLE]
    compact(services.config.lake_path, services.config.cache_path, table, 1 << 20, full=True)
    assert version(services) > before
    assert changed(services, before) is None


def test_a_day_that_leaves_changes_all_of_it(services: Services) -> None:
    add(services, [0], 1)
    before = version(services)
    snapshot = services.reader.snapshot(TABLE)
    assert snapshot is not None
    services.writer.commit(TABLE, [], "tests", 2, removed=snapshot.files)
    assert changed(services, before) == datetime(2026, 11, 20, tzinfo=UTC)


def test_a_log_that_was_cleaned_says_that_anything_may_have_changed(services: Services) -> None:
    before = version(services)
    add(services, [0], 1)
    add(services, [5], 2)
    snapshot = services.reader.snapshot(TABLE)
    assert snapshot is not None
    log = services.config.lake_path / TABLE / "_delta_log"
    (log / f"{before + 1:020}.json").unlink()
    found = changed_from(services.config.lake_path, snapshot, before)
    assert found is not None
    assert found.year == 1970
