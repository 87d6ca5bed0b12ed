"""Calls that find the state database busy and go on at the same moment."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def at_once(database: Path, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the calls give, each in a thread of its own. Nobody can write until all had time to look."""
    barrier = threading.Barrier(len(calls) + 1, timeout=30)

    def begin(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with ThreadPoolExecutor(len(calls)) as threads:
            answers = [threads.submit(begin, call) for call in calls]
            barrier.wait()
            time.sleep(0.5)  # for those that look without the right to write
            other.execute("ROLLBACK")
            return [answer.result(60) for answer in answers]
    finally:
        other.close()
