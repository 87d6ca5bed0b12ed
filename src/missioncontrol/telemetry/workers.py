"""Worker processes that are asked and answer, one question at a time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from missioncontrol.errors import StorageError

T = TypeVar("T")


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that are started here never see Ctrl-C, which a terminal sends to all: their parent decides."""
    resource_tracker.ensure_running()  # starting it would let interrupts in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerProcess:
    """A process that runs `target(connection, *arguments)` until the connection is closed.

    When it dies, whoever asks gets a `StorageError` with `code` and `hint`.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any, code: str, hint: str) -> None:
        self._code, self._hint = code, hint
        context = multiprocessing.get_context("spawn")
        self._connection: Connection
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        with _without_interrupts():
            self._process.start()
        theirs.close()

    def send(self, message: object) -> None:
        """Ask; raises `StorageError` when the process has died."""
        try:
            self._connection.send(message)
        except OSError:
            raise self._died() from None

    def receive(self, kind: type[T]) -> T:
        """Wait for an answer of this kind; raises `StorageError` when the process has died."""
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        assert isinstance(answer, kind)
        return answer

    def close(self) -> None:
        """End the process: at its next look for a question."""
        self._connection.close()
        self._process.join(30)
        if self._process.is_alive():
            self._process.terminate()

    def end(self) -> None:
        """End the process now, whatever it does; only for one that writes nothing."""
        self._process.terminate()
        self._process.join()
        self._connection.close()

    def _died(self) -> StorageError:
        self._process.join(5)
        return StorageError(self._code, f"A worker ended with code {self._process.exitcode}.", self._hint)

    @staticmethod
    def answered(workers: Sequence[WorkerProcess]) -> list[WorkerProcess]:
        """Wait until some of these have answered, or died; which."""
        ready = wait([worker._connection for worker in workers])
        return [worker for worker in workers if worker._connection in ready]
