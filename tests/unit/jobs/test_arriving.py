"""A running server looks for builds that nobody named, only when pings came."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from missioncontrol.clock import system_clock, utc
from missioncontrol.config import Config, Jobs
from missioncontrol.jobs.arriving import Arriving, pause_s
from missioncontrol.jobs.scheduler import command_of
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.tables import lake_tables
from missioncontrol.services import Services


def add(services: Services, newest: datetime, hours: int, version: int) -> None:
    """Pings of one build in each window of the hours before `newest`."""
    services.writer.ensure(services.registry())
    columns = lake_tables(services.registry())["error_aggregates"].columns
    schema = pa.schema([(c.name, ARROW_TYPES[c.type]) for c in columns])
    names = {"application": "Notes", "channel": "stable", "version": f"{version}.0", "build_id": str(version)}
    times = [newest - n * timedelta(minutes=5) for n in range(hours * 12)]
    rows = [{"window_start": at, "submission_date": at.date(), "count": 9, **names} for at in times]
    table = pa.Table.from_pylist([{c.name: r.get(c.name) for c in columns} for r in rows], schema)
    assert services.writer.append("error_aggregates", table, "test", version)


def window(now: datetime) -> datetime:
    return datetime.fromtimestamp(now.timestamp() // 300 * 300, UTC)


def test_it_looks_when_pings_came_and_keeps_what_arrives_steadily(tmp_path: Path) -> None:
    services, stop = Services(Config(data=tmp_path)), threading.Event()
    arriving = Arriving(services, command_of(str(tmp_path), None))
    now = utc(system_clock())
    assert not arriving.look(now, stop), "an empty lake"
    add(services, window(now) - timedelta(days=2), 4, 1)
    assert not arriving.look(now, stop), "nothing lately"
    add(services, window(now) - timedelta(minutes=5), 3, 2)
    assert arriving.look(now, stop)
    [release] = services.releases.list()
    assert (release.version, release.origin) == ("2.0", "inferred")
    assert not arriving.look(now, stop), "nothing since"
    services.close()


def test_a_setting_switches_it_off(tmp_path: Path) -> None:
    services = Services(Config(data=tmp_path, jobs=Jobs(infer_releases=False)))
    Arriving(services, ["false"]).run(threading.Event())  # or it would never return


@pytest.mark.parametrize(("second", "pause"), [(0, 315), (14, 301), (299.5, 15.5), (300, 315)])
def test_it_waits_until_a_window_is_over_and_its_pings_are_there(second: float, pause: float) -> None:
    assert pause_s(datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=second)) == pause


def test_a_look_that_failed_is_made_again(tmp_path: Path) -> None:
    services, stop = Services(Config(data=tmp_path)), threading.Event()
    arriving = Arriving(services, [sys.executable, "-c", "raise SystemExit(1)"])
    now = utc(system_clock())
    add(services, window(now) - timedelta(minutes=5), 1, 1)
    assert [arriving.look(now, stop) for _ in range(2)] == [True, True]
    services.close()
