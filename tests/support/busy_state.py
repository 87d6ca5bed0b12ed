"""Calls that find the state database busy and go on at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa


def at_once(url: str, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the calls give, each in a thread of its own. Nobody can write until all had time to look."""
    barrier = threading.Barrier(len(calls) + 1, timeout=30)

    def begin(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with ThreadPoolExecutor(len(calls)) as threads, engine.connect() as other:
        tables = ", ".join(sa.inspect(other).get_table_names())
        other.rollback()
        other.exec_driver_sql(
            "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else f"LOCK TABLE {tables} IN EXCLUSIVE MODE"
        )
        answers = [threads.submit(begin, call) for call in calls]
        barrier.wait()
        time.sleep(0.5)  # for those that look without the right to write
        other.rollback()
        return [answer.result(60) for answer in answers]
