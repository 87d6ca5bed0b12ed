"""Commands of the product on a real terminal: a pseudo terminal of the system, where progress bars are drawn.

terminal = Terminal(["backfill", "--table", "all"], environment, folder)
code, shown = terminal.finish()
"""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command whose stdin and stderr are a terminal, as the leader of a group of processes of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        self._shown = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "missioncontrol", *arguments],
            cwd=folder, env={**environment, "TERM": "xterm", "COLUMNS": "200"}, start_new_session=True,
            stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs)

    @property
    def text(self) -> str:
        """All that was shown so far, without what moves the cursor and colours."""
        return _CONTROL.sub("", self._shown.decode(errors="replace"))

    def wait_for(self, text: str, timeout_s: float = 60) -> None:
        """Wait until this is shown."""
        ends = time.monotonic() + timeout_s
        while text not in self.text:
            assert time.monotonic() < ends and self._read(), f"never shown: {text!r}\n{self.text}"

    def interrupt(self) -> None:
        """Press Ctrl-C: all processes of the terminal hear it."""
        os.killpg(self._process.pid, signal.SIGINT)

    def finish(self, timeout_s: float = 120) -> tuple[int, str]:
        """(exit code, all that was shown), once the command has ended."""
        ends = time.monotonic() + timeout_s
        while self._read():
            assert time.monotonic() < ends, self.text
        code = self._process.wait(30)
        os.close(self._ours)
        return code, self.text

    def _read(self) -> bool:
        """Read what is there; False when all ends of the terminal are closed."""
        if not select.select([self._ours], [], [], 0.5)[0]:
            return True
        try:
            found = os.read(self._ours, 65536)
        except OSError as error:
            assert error.errno == errno.EIO
            return False
        self._shown += found
        return bool(found)
