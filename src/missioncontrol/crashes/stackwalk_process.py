"""The process behind `stackwalk`: started, spoken to with a deadline, ended with all that belongs to it.

Knows lines and exit codes, not what is in the lines. Never waits for the process longer than it is told to.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from missioncontrol.errors import MissionControlError

EXIT_MEMORY = 86
"""How the process says that it ran out of the memory it may use."""
_CHUNK = 1 << 18
_SAID = 2000
_PATIENCE_S = 2.0


class Ended(Exception):
    """The process ended instead of answering."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code)
        self.code = code
        self.said = said

    @property
    def out_of_memory(self) -> bool:
        """Whether it ended for want of memory."""
        return self.code == EXIT_MEMORY

    def describe(self) -> str:
        """How it ended, and the last that it said."""
        how = f"signal {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"
        return f"The process ended with {how}. {self.said}".strip()


class DeadlinePassed(Exception):
    """No answer in time."""


class WorkerProcess:
    """A process that answers lines with lines, in a process group of its own."""

    def __init__(self, command: Sequence[str]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._said.close()
            raise MissionControlError(
                "stackwalk_missing", f"{command[0]} cannot be started: {error.strerror}"
            ) from None
        self._in, self._out = self._pipes()
        self._unread = bytearray()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as is known without speaking to it."""
        return self._process.poll() is None

    def ask(self, line: bytes, timeout_s: float) -> bytes:
        """Send a line, give the line that it answers. Raises `Ended` or `DeadlinePassed`; kill it then."""
        deadline = time.monotonic() + timeout_s
        self._unread.clear()
        self._send(line, deadline)
        return self._receive(deadline)

    def tell(self, line: bytes, timeout_s: float) -> None:
        """Send a line that has no answer. Raises as `ask` does."""
        self._send(line, time.monotonic() + timeout_s)

    def resident_bytes(self) -> int:
        """Memory of the process; 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def interrupt(self) -> None:
        """End the process and what it may have started, now; whoever waits for its answer gets `Ended`."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """End the process, wait for its end and close its pipes. Nobody may be waiting for its answer."""
        self.interrupt()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                stream.close()

    def _pipes(self) -> tuple[int, int]:
        assert self._process.stdin is not None and self._process.stdout is not None
        pipes = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in pipes:
            os.set_blocking(pipe, False)
        return pipes

    def _send(self, line: bytes, deadline: float) -> None:
        left = memoryview(line)
        while left:
            self._wait(self._in, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._in, left) :]
            except BrokenPipeError:
                raise self._ended() from None
            except BlockingIOError:
                pass

    def _receive(self, deadline: float) -> bytes:
        searched = 0
        while True:
            end = self._unread.find(b"\n", searched)
            if end >= 0:
                return bytes(self._unread[:end])
            searched = len(self._unread)
            self._wait(self._out, select.POLLIN, deadline)
            try:
                chunk = os.read(self._out, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                raise self._ended()
            self._unread += chunk

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        poll = select.poll()  # not select(): a server may have more than 1,024 files open
        poll.register(pipe, event)
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            raise DeadlinePassed

    def _ended(self) -> Ended:
        try:
            code = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:  # it closed its stdout and runs on
            self._process.kill()
            code = self._process.wait()
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - _SAID))
        return Ended(code, self._said.read().decode(errors="replace").strip())
