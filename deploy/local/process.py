"""One server as a process of ours: started, waited for, ended by its id, and started again on the same port and data.

It writes into its folder only, and ends with the process that started it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path

from .fetch import SetupError

_PR_SET_PDEATHSIG = 1
_INTERRUPTIONS = {signal.SIGINT, signal.SIGTERM}
_STOP_S = 60


class Server(ABC):
    """A server that listens on `port` of the loopback address."""

    name: str
    owner: str | None = None
    """The user that it runs as, when that is another one."""
    start_s = 120.0
    """How long it may take until it takes requests."""
    end_by = signal.SIGTERM
    """What ends it in good order, whoever is connected."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; it must be running."""
        assert self._process is not None
        return self._process.pid

    @property
    def talk(self) -> Path:
        """The file with all that it said."""
        return self.folder / "talk"

    @abstractmethod
    def create(self) -> None:
        """Make its data when there is none. Raises `SetupError`."""

    @abstractmethod
    def command(self) -> list[str]:
        """What runs it in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes requests."""

    def environment(self) -> dict[str, str]:
        """Settings that it takes from its environment."""
        return {}

    def start(self) -> None:
        """Start it and wait until it takes requests. Raises `SetupError`."""
        self.launch()
        self.wait_until_up()

    def launch(self) -> None:
        """Start it, and wait for nothing. Raises `SetupError`."""
        if listening(self.port):
            raise SetupError(f"{self.name}: port {self.port} is taken.")
        command, environment = self.command(), {**os.environ, **self.environment()}
        # An interruption waits until the process is known here: it would not be ended otherwise.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
        try:
            with self.talk.open("ab") as talk:
                self._process = subprocess.Popen(
                    command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk,
                    start_new_session=True, preexec_fn=partial(_as_server, self.end_by), user=self.owner,
                    group=self.owner, extra_groups=[] if self.owner else None,
                )  # fmt: skip
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def wait_until_up(self) -> None:
        """Wait until it takes requests, once it was started; ends it and raises `SetupError` when it does not."""
        assert self._process is not None
        deadline = time.monotonic() + self.start_s
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise SetupError(f"{self.name} does not start. {self.talk} ends with:\n{self.last_words()}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals | None = None) -> None:
        """Send it a signal, `end_by` unless told otherwise, and wait until it is gone; nothing if it is not running."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how or self.end_by)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.stop(signal.SIGKILL)

    def last_words(self) -> str:
        """The last lines that it said."""
        lines = self.talk.read_text(errors="replace").splitlines() if self.talk.exists() else []
        return "\n".join(lines[-15:])


def listening(port: int) -> bool:
    """Whether somebody takes connections on a port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, each another."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _as_server(end_by: signal.Signals) -> None:
    """In the new process: take signals, and end with the process that started it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTIONS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, end_by)
