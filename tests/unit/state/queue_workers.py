"""A process with four workers of a crash queue: `python queue_workers.py URL`, until its stdin ends.

Prints `took <crash id>` for each crash that a worker has, and `done <crash id>` once the queue has said so.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from missioncontrol.errors import MissionControlError
from missioncontrol.state.crash_queue import CrashQueue
from missioncontrol.state.database import Database

LEASE_S = 5.0


def work(queue: CrashQueue, stop: threading.Event, say: Callable[[str], None]) -> None:
    name = uuid.uuid4().hex
    while not stop.is_set():
        try:
            leased = [crash.crash_id for crash in queue.lease(name, 3, LEASE_S, datetime.now(UTC))]
            for crash_id in leased:
                say(f"took {crash_id}")
            time.sleep(0.005)
            if leased:
                queue.done(leased, name, datetime.now(UTC))
            for crash_id in leased:
                say(f"done {crash_id}")
        except MissionControlError as error:
            print(error.code, error.message, file=sys.stderr)
            leased = []
        if not leased:
            stop.wait(0.05)


def main() -> None:
    queue, stop, lock = CrashQueue(Database(sys.argv[1])), threading.Event(), threading.Lock()

    def say(line: str) -> None:
        with lock:
            print(line, flush=True)

    workers = [threading.Thread(target=work, args=(queue, stop, say)) for _ in range(4)]
    for worker in workers:
        worker.start()
    sys.stdin.read()
    stop.set()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
