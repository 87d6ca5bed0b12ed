"""Whether another report may come is known without counting the queue each time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from missioncontrol.ingest.crash.admission import Admission
from missioncontrol.ingest.crash.reasons import CrashRefused


class Queue:
    """How many wait, how often that was counted, and the time."""

    def __init__(self) -> None:
        self.waiting = self.counted = 0
        self.now_s = 0.0
        self.loop = asyncio.Runner()

    def count(self, most: int) -> int:
        self.counted += 1
        return min(self.waiting, most)


def let_in(admission: Admission, queue: Queue, number: int) -> int:
    """Try so many reports at once; how many came in."""

    async def one() -> bool:
        try:
            await admission.require()
        except CrashRefused as refused:
            assert refused.code == "crash_backlog_full"
            return False
        return True

    async def several() -> list[bool]:
        return await asyncio.gather(*(one() for _ in range(number)))

    came = sum(queue.loop.run(several()))
    queue.waiting += came
    return came


@pytest.mark.parametrize("there", [True, False], ids=["folder", "no folder yet"])
def test_the_queue_is_counted_at_the_bound_and_once_in_a_while(tmp_path: Path, there: bool) -> None:
    queue = Queue()
    folder = tmp_path if there else tmp_path / "not" / "there"
    admission = Admission(folder, 0, 1000, queue.count, lambda: queue.now_s)
    assert let_in(admission, queue, 999) == 999
    assert queue.counted == 1
    assert let_in(admission, queue, 5) == 1
    assert queue.counted == 1, "full, and just counted"
    queue.now_s += 1
    assert let_in(admission, queue, 500) == 0
    assert queue.counted == 2
    queue.waiting, queue.now_s = 990, queue.now_s + 1
    assert let_in(admission, queue, 500) == 10
    assert queue.counted == 3
    queue.waiting, queue.now_s = 0, queue.now_s + 60
    assert let_in(admission, queue, 500) == 500
    assert queue.counted == 4
    queue.loop.close()
