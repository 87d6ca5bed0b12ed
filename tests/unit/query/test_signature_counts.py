"""Crashes by signature in the same hours of age of several versions, from crash_signature_counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from missioncontrol.config import load_config
from missioncontrol.query.signature_counts import SignatureCount, Stretch, signature_counts
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
            rows.append((at, version, "Linux", "parent", "old", 2, 20.0))
            rows.append((at, version, "Darwin", "gpu", "driver", 1, 10.0))
            if version == "2":
                rows.append((at, version, "Linux", None, "new", 3, 30.0))
    columns = list(zip(*rows, strict=True))
    data = pa.table(
        {
            "window_start": pa.array(columns[0], pa.timestamp("us", tz="UTC")),
            "submission_date": pa.array([at.date() for at in columns[0]]),
            "application": ["Notes"] * len(rows),
            "channel": ["stable"] * len(rows),
            "version": columns[1],
            "build_id": [f"{version}00" for version in columns[1]],
            "os_name": columns[2],
            "process_type": columns[3],
            "signature": columns[4],
            "reports": columns[5],
            "crashes": columns[6],
        }
    )
    services.writer.ensure(services.registry())
    services.writer.append("crash_signature_counts", data, "tests", 1)
    return services


def stretches(hours: int) -> list[Stretch]:
    """The first hours of version 2, and of build 100 at the same age, whatever version it names."""
    length = timedelta(hours=hours)
    return [
        Stretch("2", (), START, START + length),
        Stretch("1.0", ("100",), START - WEEK, START - WEEK + length),
    ]


def test_crashes_are_summed_by_stretch_signature_version_and_build(services: Services) -> None:
    found = signature_counts(services.engine, "Notes", "stable", stretches(10))
    first, second = (int(at.timestamp() * 1e6) for at in (START, START - WEEK))
    assert sorted(found, key=lambda c: (c.stretch, c.signature or "")) == [
        SignatureCount(0, "driver", "2", "200", 10, 100.0, first),
        SignatureCount(0, "new", "2", "200", 30, 300.0, first),
        SignatureCount(0, "old", "2", "200", 20, 200.0, first),
        SignatureCount(1, "driver", "1", "100", 10, 100.0, second),
        SignatureCount(1, "old", "1", "100", 20, 200.0, second),
    ]


@pytest.mark.parametrize(
    ("processes", "where", "names"),
    [
        (["gpu"], {}, ["driver"]),
        (["parent", None], {}, ["new", "old"]),
        (["parent"], {}, ["old"]),
        ((), {"os_name": "Darwin"}, ["driver"]),
        (["gpu"], {"os_name": "Linux"}, []),
    ],
)
def test_only_the_processes_and_users_asked_for_count(
    services: Services, processes: list[str | None], where: dict[str, str], names: list[str]
) -> None:
    found = signature_counts(services.engine, "Notes", "stable", stretches(3)[:1], processes, where)
    assert sorted((c.signature or "", c.reports) for c in found) == [
        (name, {"new": 9, "old": 6, "driver": 3}[name]) for name in names
    ]


def test_elsewhere_or_of_nothing_there_are_none(services: Services) -> None:
    assert signature_counts(services.engine, "Notes", "beta", stretches(10)) == []
    assert signature_counts(services.engine, "Notes", "stable", []) == []
