"""Threads of a server go on after failures that nobody thought of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.unit.jobs.test_arriving import add

from missioncontrol.clock import system_clock, utc
from missioncontrol.config import Config
from missioncontrol.crashes.pool import WorkerPool
from missioncontrol.jobs.judging import Judges
from missioncontrol.lake.care import LakeCare
from missioncontrol.services import Services
from missioncontrol.state.crash_jobs import Upload

IMPOSSIBLE = ["\0"]
"""Arguments with which no process can be started; what is raised is none of this project's errors."""


def failing_crash_workers(services: Services) -> Callable[[threading.Event], None]:
    services.crash_queue.accept([Upload(b"a", "id-a")], utc(system_clock()))
    now = lambda: utc(system_clock())  # noqa: E731
    return WorkerPool(services.crash_queue, services.crash_recounts, IMPOSSIBLE, 1, now).run


def failing_judges(services: Services) -> Callable[[threading.Event], None]:
    add(services, utc(system_clock()).replace(minute=0, second=0, microsecond=0), 1, 1)
    return Judges(services, IMPOSSIBLE).run


def failing_care(services: Services) -> Callable[[threading.Event], None]:
    config = services.config
    settings = config.lake.__class__(compact_interval_s=0.01)
    return LakeCare(Path("\0"), config.cache_path, services.registry, settings).run


@pytest.mark.parametrize("failing", [failing_crash_workers, failing_judges, failing_care])
def test_a_failure_that_nobody_thought_of_is_told_and_the_thread_goes_on(
    failing: Callable[[Services], Callable[[threading.Event], None]], tmp_path: Path
) -> None:
    services, stop = Services(Config(data=tmp_path)), threading.Event()
    told: list[Any]
    with capture_logs() as told:
        thread = threading.Thread(target=failing(services), args=(stop,), daemon=True)
        thread.start()
        while thread.is_alive() and not any(entry["log_level"] == "error" for entry in told):
            thread.join(0.01)
        assert thread.is_alive() and told[0]["exc_info"]
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    services.close()
