"""Child processes of `serve`: they end with the process that started them, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import structlog

from missioncontrol.errors import MissionControlError

logger = structlog.get_logger()

PARENT = "MC_PARENT_PID"
_PR_SET_PDEATHSIG = 1
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


def is_child() -> bool:
    """Whether this process was started as a `Child`."""
    return PARENT in os.environ


def end_with_parent(end: Callable[[], None]) -> None:
    """In a `Child`: call `end` when the parent is gone (on Linux SIGTERM may come first). Else does nothing."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1)
        end()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def end_with_stdin() -> None:
    """In a process that was given one question on stdin: end it when stdin is closed, as its parent is gone then."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(3)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def call_on_end(end: Callable[[], None]) -> None:
    """Call `end`, in a thread of its own, at each SIGTERM and SIGINT from now on.

    A handler runs in the middle of whatever the main thread does, also while that holds a lock or handles the signal
    before: it may take no lock itself, as `Event.set` does. So it only writes to a pipe.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def note(number: int, frame: object) -> None:
        try:
            os.write(writing, b".")
        except BlockingIOError:
            pass  # so many were noted before that one more says nothing

    def wait() -> None:
        while os.read(reading, 64):
            end()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, note)


class Child:
    """A command of ours kept running: started again, with growing pauses, when it ends by itself."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = [sys.executable, "-m", "missioncontrol", *arguments]
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep, name=f"child {arguments[-1]}", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Process id of the running child."""
        return self._process.pid

    def stop(self, timeout_s: float = 20.0) -> None:
        """Ask the child to finish and wait for it; kill it when it does not."""
        with self._starting:
            self._stop.set()
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, PARENT: str(os.getpid())}
        try:
            return subprocess.Popen(
                self._arguments, env=environment, stdin=subprocess.DEVNULL, start_new_session=False
            )
        except OSError as error:
            raise MissionControlError("child_not_started", f"{' '.join(self._arguments)}: {error}") from None

    def _keep(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            code = self._process.wait()
            if self._stop.is_set():
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - started > 60 else min(pause * 2, _LONGEST_PAUSE_S)
            if self._stop.wait(
                _FIRST_PAUSE_S
            ):  # whoever stops all processes at once may reach the child first
                return
            logger.error("child_ended", command=self._arguments[3:], code=code, restart_s=pause)
            while not self._again(pause):
                if self._stop.is_set():
                    return
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _again(self, pause_s: float) -> bool:
        """Start the child after a pause; False when that failed, or when it shall stay stopped."""
        self._stop.wait(pause_s)
        with self._starting:  # a child that started behind the back of `stop()` would be left alone
            if self._stop.is_set():
                return False
            try:
                self._process = self._start()
            except MissionControlError as error:
                logger.error("child_not_started", command=self._arguments[3:], message=error.message)
                return False
        return True
