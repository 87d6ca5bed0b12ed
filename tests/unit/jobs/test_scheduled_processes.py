"""What the scheduler notes of processes that could not say themselves how it went."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from missioncontrol.clock import system_clock, utc
from missioncontrol.config import Config
from missioncontrol.jobs.scheduler import Scheduler
from missioncontrol.services import Services
from missioncontrol.telemetry.backfill_plan import JOB, TABLES, Plan, arguments

PLAN = Plan(TABLES, date(2026, 11, 1), date(2026, 11, 1))
BEGUN = """
import sys, time
from datetime import UTC, datetime, timedelta
from missioncontrol.state.database import Database
from missioncontrol.state.runs import Runs

url, job, arguments, wait_s = sys.argv[1:5]
Runs(Database(url)).start(job, arguments, "page", datetime.now(UTC) - timedelta(minutes=2))
time.sleep(float(wait_s))
raise SystemExit(3)
"""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services(Config(data=tmp_path))
    services.runs.want(JOB, arguments(PLAN), "page", utc(system_clock()))
    yield services
    services.close()


def scheduler(services: Services, wait_s: int) -> Scheduler:
    """Its processes say at once that they run, were seen last two minutes ago, and end with code 3 after a while."""
    url = services.config.state_url
    return Scheduler(services, [sys.executable, "-c", BEGUN, url, JOB, arguments(PLAN), str(wait_s)])


def status(services: Services) -> str:
    return services.runs.list(utc(system_clock()))[0].status


def test_a_run_that_was_not_seen_lately_is_put_back_when_the_server_ends(services: Services) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=scheduler(services, 60).run_waiting, args=(stop,), daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while status(services) == "waiting" and time.monotonic() < until:
        time.sleep(0.02)
    assert status(services) == "stopped", "as others see it"
    stop.set()
    thread.join(30)
    assert status(services) == "waiting"


def test_a_run_that_was_not_seen_lately_has_failed_with_its_process(services: Services) -> None:
    scheduler(services, 0).run_waiting(threading.Event())
    [run] = services.runs.list(utc(system_clock()))
    assert (run.status, run.message) == ("failed", "The process ended with code 3.")
