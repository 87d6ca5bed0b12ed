"""Sums of days on Spark: each task reads some parts of the archive, and hands over what they sum to.

Of a lake on S3 a task asks for its row groups alone, and nobody keeps a file of the archive on disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from pyspark.errors import PySparkException

from missioncontrol.config import Config
from missioncontrol.registry.model import Registry
from missioncontrol.spark.session import spark_failure, told_to_driver
from missioncontrol.telemetry.archive import Part
from missioncontrol.telemetry.backfill_worker import Day, DayWork, Sums

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import SparkSession

_TASKS_A_CORE = 3
"""So that one that ends early takes another's part."""
_TOLD_EVERY_S = 1.0


class SparkSums:
    """The `Summing` of a session."""

    def __init__(self, session: SparkSession, config: Config, registry: Registry) -> None:
        self._context = session.sparkContext
        self._config, self._registry = config, registry

    def sums(self, asked: Day, parts: Sequence[Part], read: Callable[[int], None]) -> list[Sums]:
        """See `Summing`; raises `StorageError` (`spark_failed`). One task's sums are a few MB at most."""
        if not parts:
            return []
        most = self._context.defaultParallelism * _TASKS_A_CORE
        # The large ones are dealt out first, one to each task.
        dealt = sorted(parts, key=lambda part: -part.rows)
        tasks = [dealt[n::most] for n in range(min(most, len(dealt)))]
        pings = self._context.accumulator(0)
        work = _Summing(asked, self._config, self._registry, pings)
        with _told(pings, read):
            try:
                found: list[Sums] = self._context.parallelize(tasks, len(tasks)).map(work).collect()
            except PySparkException as error:
                raise spark_failure(error) from error
        return found

    def end(self) -> None:
        """Give up what is being read."""
        self._context.cancelAllJobs()

    def close(self) -> None:
        """The session stays: others may use it."""


class _Summing(msgspec.Struct):
    """The function of a task; is sent to executors whole."""

    asked: Day
    config: Config
    registry: Registry
    pings: Accumulator[int]

    def __call__(self, parts: list[Part]) -> Sums:
        with told_to_driver():
            work = DayWork(self.asked, self.config, self.registry)
            for part in parts:
                self.pings.add(work.take(part))
            return work.sums()


@contextmanager
def _told(pings: Accumulator[int], read: Callable[[int], None]) -> Iterator[None]:
    """Tell how many pings were read, as tasks end, and the rest at the end."""
    ended = threading.Event()
    told = 0

    def tell() -> None:
        nonlocal told
        while not ended.wait(_TOLD_EVERY_S):
            now = pings.value
            read(now - told)
            told = now

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        read(pings.value - told)
