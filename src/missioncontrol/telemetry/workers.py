"""Worker processes that are asked and answer, one question at a time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import msgspec

from missioncontrol.errors import MissionControlError, StorageError

T = TypeVar("T")


class _Refused(msgspec.Struct, frozen=True):
    """Why a process ended, in words: the error with which it did."""

    kind: type[MissionControlError]
    code: str
    message: str
    hint: str

    def error(self) -> MissionControlError:
        return self.kind(self.code, self.message, self.hint)


def _run(target: Callable[..., None], connection: Connection, *arguments: Any) -> None:
    """Run `target` in the process; an error of ours is told to whoever asks, and is no traceback."""
    try:
        target(connection, *arguments)
    except MissionControlError as error:
        connection.send(_Refused(type(error), error.code, error.message, error.hint))


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

    When it ends with an error of ours, whoever asks gets that; when it dies, a `StorageError` with `code` and `hint`.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any, code: str, hint: str) -> None:
        self._code, self._hint = code, hint
        context = multiprocessing.get_context("spawn")
        self._connection: Connection
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(target, theirs, *arguments), daemon=True)
        with _without_interrupts():
            self._process.start()
        theirs.close()

    def send(self, message: object) -> None:
        """Ask; raises the process's error when it has ended, `StorageError` when it has died."""
        try:
            self._connection.send(message)
        except OSError:
            raise self._ended() from None

    def receive(self, kind: type[T]) -> T:
        """Wait for an answer of this kind; raises the process's error when it ends, `StorageError` when it dies."""
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(answer, _Refused):
            raise answer.error()
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

    def _ended(self) -> MissionControlError:
        """Why it takes no question any more."""
        try:
            while self._connection.poll():
                answer = self._connection.recv()
                if isinstance(answer, _Refused):
                    return answer.error()
        except (EOFError, OSError):
            pass
        return self._died()

    def _died(self) -> StorageError:
        self._process.join(5)
        return StorageError(self._code, f"A worker ended with code {self._process.exitcode}.", self._hint)

    @staticmethod
    def answered(workers: Sequence[WorkerProcess]) -> list[WorkerProcess]:
        """Wait until some of these have answered, or died; which."""
        ready = wait([worker._connection for worker in workers])
        return [worker for worker in workers if worker._connection in ready]
