"""Two workers that process one crash, because the first was slow and not dead: it counts once, as the later one says."""

from __future__ import annotations

import copy
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from missioncontrol.blobs.crash_keys import new_crash_id, raw_key
from missioncontrol.config import load_config
from missioncontrol.crashes.holding import Holding
from missioncontrol.crashes.worker import Worker
from missioncontrol.services import Services
from missioncontrol.state.crash_jobs import AGAIN, Upload


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(load_config(tmp_path / "data"))


def accepted(services: Services) -> str:
    crash_id = new_crash_id(datetime.now(UTC))
    raw = {"uuid": crash_id, "ProductName": "App", "Version": "1.0", "metadata": {"dump_checksums": {}}}
    services.blobs.put(raw_key(crash_id), json.dumps(raw).encode())
    services.crash_queue.accept([Upload(b"identity", crash_id)], datetime.now(UTC))
    return crash_id


def counting(services: Services) -> list[tuple[str, int]]:
    sink = io.BytesIO()
    services.sql.run("SELECT uuid, revision FROM crashes", sink)
    return [(row["uuid"], row["revision"]) for row in json.loads(sink.getvalue())]


def moments_later(worker: Worker, seconds: float) -> None:
    """This worker's clock is ahead: what others hold is due for it."""
    worker._now = lambda: datetime.now(UTC) + timedelta(seconds=seconds)


def while_it_processes(worker: Worker, meanwhile: Callable[[], int]) -> None:
    """Between a worker's processing and its writing `meanwhile` happens."""
    process = worker._work.process

    def slow(crash_id: str, attempt: int = 1) -> Any:
        made = process(crash_id, attempt)
        assert meanwhile() == 1
        return made

    worker._work.process = slow  # type: ignore[method-assign]


def test_what_another_holds_meanwhile_is_not_written(services: Services) -> None:
    crash_id = accepted(services)
    with services.crash_worker() as slow, services.crash_worker() as quick:
        moments_later(quick, 3600)
        while_it_processes(slow, quick.run_until_idle)
        assert slow.run_until_idle() == 1
    assert counting(services) == [(crash_id, 1)]
    assert services.crash_queue.entry(crash_id, datetime.now(UTC)) is None


def test_what_a_slow_worker_had_written_before_counts_no_more(services: Services) -> None:
    crash_id = accepted(services)
    with services.crash_worker() as slow, services.crash_worker() as quick:
        moments_later(quick, 3600)
        hold = slow._queue.hold

        def late(crash_ids: Any, holder: str, lease_s: float, now: datetime) -> set[str]:
            held = hold(crash_ids, holder, lease_s, now)
            if held:  # asleep for an hour right here
                assert quick.run_until_idle() == 1
            return held

        queue = copy.copy(slow._queue)
        queue.hold = late  # type: ignore[method-assign]
        slow._queue = queue
        slow.run_until_idle()
    assert [uuid for uuid, _ in counting(services)] == [crash_id]
    assert counting(services)[0][1] >= 1


def test_what_takes_longer_than_a_lease_is_held_on_to(services: Services) -> None:
    crash_id = accepted(services)
    queue = services.crash_queue

    def now() -> datetime:
        return datetime.now(UTC)

    assert [leased.crash_id for leased in queue.lease("slow", 10, 2.0, now())] == [crash_id]
    holding = Holding(queue, "slow", now, lease_s=2.0)
    holding.take([crash_id])
    with holding.renewed():
        time.sleep(4)
        assert queue.lease("quick", 10, 2.0, now()) == []
        holding.drop([crash_id])
        time.sleep(4)
        assert [leased.crash_id for leased in queue.lease("quick", 10, 2.0, now())] == [crash_id]


def test_a_worker_goes_on_after_whatever_failed(services: Services) -> None:
    crash_id = accepted(services)
    with services.crash_worker() as worker:
        add, failures = worker._index.add, [OSError("the disk is in a mood")]

        def moody(rows: Any, at: datetime) -> None:
            if failures:
                raise failures.pop()
            add(rows, at)

        worker._index.add = moody  # type: ignore[method-assign]
        with pytest.raises(OSError, match="mood"):
            worker.run_until_idle()
        assert counting(services) == []
        moments_later(worker, 3600)
        assert worker.run_until_idle() == 1
    assert [uuid for uuid, _ in counting(services)] == [crash_id]


def test_what_was_wanted_again_meanwhile_is_done_before_it_is_idle(services: Services) -> None:
    crash_id = accepted(services)

    def want() -> int:
        if not wanted:
            wanted.append(crash_id)
            services.crash_queue.want(wanted, AGAIN, datetime.now(UTC))
        return 1

    wanted: list[str] = []
    with services.crash_worker() as worker:
        while_it_processes(worker, want)
        assert worker.run_until_idle() == 2
    assert counting(services) == [(crash_id, 1)]
