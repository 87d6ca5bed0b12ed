"""Rows by arrival and activity from elsewhere: their intervals by name, what no table keeps passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.lake import rows

from missioncontrol.errors import BadRequest
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.import_aggregates import import_aggregates

KEYS = {"channel": "release", "version": "60.0", "build_id": "20260101000000", "os_name": "Linux"}


def taken(folder: Path, table: str, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    path = folder / "rows.ndjson"
    path.write_text("".join(json.dumps({**KEYS, **line}) + "\n" for line in lines))
    import_aggregates(load_registry(), LakeWriter(folder / "lake"), table, path)
    return sorted(rows(folder / "lake", table), key=lambda row: str(row["arrival"]))


def test_an_interval_is_known_by_its_name(tmp_path: Path) -> None:
    hour, window = taken(
        tmp_path,
        "usage_by_activity",
        {"arrival_hour": "2026-01-01T10:00:00Z", "activity_hour": "2026-01-01T09:00:00Z", "usage_hours": 1.5, "starts": 2, "count": 3},
        {"arrival_window": "2026-01-01T10:05:00Z", "activity_hour": "2026-01-01T09:00:00Z", "usage_hours": 0.5, "starts": 1},
    )  # fmt: skip
    assert (hour["arrival_length_s"], hour["activity_length_s"], hour["usage_hours"]) == (3600, 3600, 1.5)
    assert (window["arrival_length_s"], window["starts"], window["application"]) == (300, 1, None)
    assert (hour["arrival"].hour, window["arrival"].minute, hour["activity"].hour) == (10, 5, 9)


def test_crashes_by_activity_have_every_measure(tmp_path: Path) -> None:
    (row,) = taken(
        tmp_path,
        "crashes_by_activity",
        {"arrival_window": "2026-01-01T10:05:00Z", "activity_hour": "2026-01-01T09:00:00Z", "main_crashes": 2, "count": 3, "starts": 1},
    )  # fmt: skip
    assert (row["main_crashes"], row["content_crashes"], row["count"]) == (2, None, 3)
    assert str(row["submission_date"]) == "2026-01-01"


def test_a_row_that_says_no_arrival_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="row 2: `arrival` is empty"):
        taken(
            tmp_path,
            "usage_by_activity",
            {"arrival_hour": "2026-01-01T10:00:00Z", "usage_hours": 1.0},
            {"arrival_hour": None, "usage_hours": 1.0},
        )
    with pytest.raises(BadRequest, match="`arrival` is missing"):
        taken(tmp_path, "usage_by_activity", {"usage_hours": 1.0})
