"""Which signatures explain a rate: observed against expected at the same age, from crash_signature_counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from missioncontrol.config import load_config
from missioncontrol.query.signature_excess import (
    SignatureCount,
    Stretch,
    signature_counts,
    signature_excess,
)
from missioncontrol.services import Services

START = datetime(2026, 11, 20, 6, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """Two versions a week apart: `new` crashes in version 2 only, `old` in both; the first hours of each."""
    services = Services(load_config(tmp_path / "data", environ={}))
    rows = []
    for version, born in (("1", START - WEEK), ("2", START)):
        for hour in range(30):
            at = born + timedelta(hours=hour)
            rows.append((at, version, "parent", "old", 2, 20.0))
            rows.append((at, version, "gpu", "driver", 1, 10.0))
            if version == "2":
                rows.append((at, version, "parent", "new", 3, 30.0))
    columns = list(zip(*rows, strict=True))
    data = pa.table(
        {
            "window_start": pa.array(columns[0], pa.timestamp("us", tz="UTC")),
            "submission_date": pa.array([at.date() for at in columns[0]]),
            "application": ["Notes"] * len(rows),
            "channel": ["stable"] * len(rows),
            "version": columns[1],
            "build_id": [f"{version}00" for version in columns[1]],
            "process_type": columns[2],
            "signature": columns[3],
            "reports": columns[4],
            "crashes": columns[5],
        }
    )
    services.writer.ensure(services.registry())
    services.writer.append("crash_signature_counts", data, "tests", 1)
    return services


def stretches(hours: int, exposures: tuple[float, float] = (0, 0)) -> list[Stretch]:
    """The first hours of version 2, and of version 1 at the same age."""
    length = timedelta(hours=hours)
    return [
        Stretch("2", START, START + length, exposures[0]),
        Stretch("1", START - WEEK, START - WEEK + length, exposures[1], "100"),
    ]


def test_the_new_signature_carries_the_excess(services: Services) -> None:
    asked = stretches(10, (500.0, 1000.0))
    found = signature_excess(signature_counts(services.engine, "Notes", "stable", asked), asked)
    assert [(f.signature, f.reports, f.observed, f.expected, f.excess) for f in found] == [
        ("new", 30, 300.0, 0.0, 300.0),
        ("old", 20, 200.0, 100.0, 100.0),
        ("driver", 10, 100.0, 50.0, 50.0),
    ]


def test_without_exposure_the_excesses_are_shifts_that_add_up_to_nothing(services: Services) -> None:
    asked = stretches(10)
    found = signature_excess(signature_counts(services.engine, "Notes", None, asked), asked)
    assert found[0].signature == "new"
    assert sum(f.excess for f in found) == pytest.approx(0)
    assert {f.signature: f.expected for f in found} == pytest.approx({"new": 0, "old": 400, "driver": 200})


def test_only_the_hours_of_the_age_and_the_processes_asked_for_count(services: Services) -> None:
    asked = stretches(3)
    found = signature_counts(services.engine, "Notes", "stable", asked, ["gpu"])
    assert sorted(found, key=lambda c: c.stretch) == [
        SignatureCount(0, "driver", 3, 30.0),
        SignatureCount(1, "driver", 3, 30.0),
    ]
    assert signature_counts(services.engine, "Notes", "beta", asked) == []
    assert signature_counts(services.engine, "Notes", "stable", []) == []


def test_a_signature_that_went_away_is_less_than_nothing(services: Services) -> None:
    asked = stretches(10, (1.0, 1.0))
    turned = [asked[1], asked[0]]
    found = signature_excess(signature_counts(services.engine, "Notes", "stable", turned), turned)
    assert (found[-1].signature, found[-1].reports, found[-1].observed, found[-1].excess) == (
        "new",
        0,
        0.0,
        -300.0,
    )


def test_without_others_nothing_is_expected(services: Services) -> None:
    asked = stretches(10)[:1]
    found = signature_excess(signature_counts(services.engine, "Notes", "stable", asked), asked)
    assert {f.expected for f in found} == {0.0}
