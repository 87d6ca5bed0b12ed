"""Commands of this installation as processes of their own, which give way to all others and end with the server."""

from __future__ import annotations

import os
import subprocess
import threading

from missioncontrol.processes import PARENT

_NICENESS = 10
_STOP_WAIT_S = 15.0
_HEAR_WAIT_S = 5.0


def run_command(command: list[str], stop: threading.Event) -> tuple[int, str]:
    """Run a command until it ends or `stop` is set; gives its exit code and the last line that it said on stderr."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, PARENT: str(os.getpid())},
    )
    os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    said = _Tail(process)
    while process.poll() is None:
        if stop.wait(0.2):
            process.terminate()
            try:
                process.wait(_STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return process.returncode, said.all_heard()


class _Tail:
    """Reads what a process says, so that it never waits to be heard, and keeps its last line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.last = ""
        self._process = process
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def all_heard(self) -> str:
        """The last line of a process that has ended: what it said may still be on its way."""
        self._thread.join(_HEAR_WAIT_S)  # a process of its own may keep its stderr open for ever
        return self.last

    def _listen(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.last = line.strip() or self.last
