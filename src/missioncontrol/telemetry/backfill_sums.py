"""Who reads the archive for a backfill and sums a day: processes of this machine, or Spark's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from missioncontrol.config import Config
from missioncontrol.registry import Registry
from missioncontrol.telemetry import backfill_worker
from missioncontrol.telemetry.archive import Part
from missioncontrol.telemetry.backfill_worker import Day, Finish, Read, Sums
from missioncontrol.telemetry.workers import WorkerProcess

_DIED = "No day was left half replaced. Start the backfill again: days that are done are not repeated."


class Summing(Protocol):
    """Reads parts of the archive under one registry."""

    def sums(self, asked: Day, parts: Sequence[Part], read: Callable[[int], None]) -> list[Sums]:
        """The sums of a day, each of some of the parts; `read` is told how many pings were read since the last call.

        Raises `StorageError`.
        """

    def end(self) -> None:
        """Give up whatever is being read; the next day begins anew."""

    def close(self) -> None:
        """Nothing more is asked for now."""


class Workers:
    """Processes of this machine, `count` (at least one) at most; started with the first day."""

    def __init__(self, config: Config, registry: Registry, count: int) -> None:
        self._config, self._registry, self._count = config, registry, max(1, count)
        self._workers: list[WorkerProcess] = []

    def sums(self, asked: Day, parts: Sequence[Part], read: Callable[[int], None]) -> list[Sums]:
        """See `Summing`; raises `StorageError` (`backfill_worker_died`)."""
        workers = self._started(min(self._count, max(1, len(parts))))
        for worker in workers:
            worker.send(asked)
        busy: list[WorkerProcess] = []
        waiting = sorted(parts, key=lambda part: part.rows)
        free = list(workers)
        while waiting or busy:
            while waiting and free:
                busy.append(free.pop())
                busy[-1].send(waiting.pop())
            for worker in WorkerProcess.answered(busy):
                read(worker.receive(Read).pings)
                busy.remove(worker)
                free.append(worker)
        for worker in workers:
            worker.send(Finish())
        return [worker.receive(Sums) for worker in workers]

    def end(self) -> None:
        """End the processes in the middle of whatever they read: their answers would be taken for the next day's."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def close(self) -> None:
        """End the processes; the next day starts others."""
        for worker in self._workers:
            worker.close()
        self._workers = []

    def _started(self, count: int) -> list[WorkerProcess]:
        while len(self._workers) < count:
            self._workers.append(
                WorkerProcess(
                    backfill_worker.run, self._config, self._registry, code="backfill_worker_died", hint=_DIED
                )
            )
        return self._workers[:count]
