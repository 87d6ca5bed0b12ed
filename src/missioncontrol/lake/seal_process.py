"""The process that seals: one child at a time, of the lowest priority, beside the stream.

To seal a ping takes a core for most of a millisecond, and a large day of them for many minutes. In a thread of
the stream's process that would cost freshness (the threads share Python's lock, and the cores); a child waits
for whatever core nobody else wants. It can be killed at any moment: what it has sealed so far stays, and what
it has not is as it was.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec

from missioncontrol.config import LakePlace
from missioncontrol.errors import MissionControlError
from missioncontrol.lake.compaction import Compacted

_RETRY_S = 600.0
"""After a failure the next attempt waits this long."""
_LOWEST_PRIORITY = 19


class SealReport(msgspec.Struct, frozen=True):
    """What one child did."""

    done: tuple[Compacted, ...] = ()
    code: str = ""
    """Of the error that hindered it; empty: none."""
    message: str = ""


class SealProcess:
    """Starts the child when there is something to seal, and hears what it did. Not thread-safe."""

    def __init__(self, lake: LakePlace | Path, cache_path: Path, target_file_bytes: int) -> None:
        self._arguments = (lake, cache_path, target_file_bytes)
        self._process: BaseProcess | None = None
        self._reports: Connection | None = None
        self._not_before = 0.0

    @property
    def running(self) -> bool:
        """Whether a child is at work, or has a report that was not taken yet."""
        return self._process is not None

    def start(self) -> None:
        """Start a child, unless one runs or the last one failed a moment ago."""
        if self.running or time.monotonic() < self._not_before:
            return
        spawn = multiprocessing.get_context("spawn")
        self._reports, theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(
            target=_run, args=(theirs, os.getpid(), *self._arguments), name="seal", daemon=True
        )
        self._process.start()
        theirs.close()

    def report(self) -> SealReport | None:
        """What the child did, once it has ended; None while it runs, or when there is none."""
        if self._process is None or self._process.is_alive():
            return None
        report = self._received()
        self._process.join()
        self._forget()
        if report.code:
            self._not_before = time.monotonic() + _RETRY_S
        return report

    def stop(self) -> None:
        """End the child at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._forget()

    def _received(self) -> SealReport:
        assert self._reports is not None
        try:
            if self._reports.poll():
                report: SealReport = self._reports.recv()
                return report
        except (EOFError, OSError):
            pass
        assert self._process is not None
        return SealReport(code="seal_ended", message=f"Sealing ended by itself ({self._process.exitcode}).")

    def _forget(self) -> None:
        if self._reports is not None:
            self._reports.close()
        self._process = self._reports = None


def _run(
    reports: Connection, parent: int, lake: LakePlace | Path, cache_path: Path, target_file_bytes: int
) -> None:
    os.nice(_LOWEST_PRIORITY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from missioncontrol.lake.seal import seal

    done: list[Compacted] = []
    code = message = ""
    try:
        seal(lake, cache_path, target_file_bytes, progress=lambda one, *_: done.append(one))
    except MissionControlError as error:
        code, message = error.code, error.message
    with contextlib.suppress(OSError):  # whoever would hear it may have been killed
        reports.send(SealReport(tuple(done), code, message))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
