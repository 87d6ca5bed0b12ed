"""What the stream is doing, for other processes to read: a small file written after each batch."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.file_lock import try_lock
from missioncontrol.small_file import replace_file

if TYPE_CHECKING:
    from missioncontrol.telemetry.batch import BatchReport

KEPT = 120
"""Batches that lags are taken from."""
LOCK = "stream.lock"
"""File in the data folder that the process which runs the stream holds locked."""


class StreamStatus(msgspec.Struct, frozen=True):
    """State after the newest batch. Lags in seconds, from receipt of a batch's oldest ping to its commit."""

    pid: int
    written_ns: int
    through: int
    batches: int
    records: int
    counted: int
    discarded: int
    lag_p50_s: float
    lag_p99_s: float
    error: str = ""
    """Why the newest attempt failed, empty when it did not."""


class StatusFile:
    """Keeps `stream-status.json` in the data folder."""

    def __init__(self, data: Path, pid: int) -> None:
        self._path = data / "stream-status.json"
        self._pid = pid
        self._lags: deque[float] = deque(maxlen=KEPT)
        self._totals = [0, 0, 0, 0]
        self._through = 0

    def batch(self, report: BatchReport) -> None:
        """Take in a batch and write the file."""
        self._lags.append(max(0, report.visible_ns - report.oldest_received_ns) / 1e9)
        for index, count in enumerate((1, report.records, report.counted, report.discarded)):
            self._totals[index] += count
        self._through = report.through
        self._write(report.visible_ns, "")

    def failed(self, now_ns: int, error: str) -> None:
        """Say that the stream could not commit."""
        self._write(now_ns, error)

    def _write(self, now_ns: int, error: str) -> None:
        lags = sorted(self._lags) or [0.0]
        batches, records, counted, discarded = self._totals
        status = StreamStatus(
            self._pid,
            now_ns,
            self._through,
            batches=batches,
            records=records,
            counted=counted,
            discarded=discarded,
            lag_p50_s=lags[len(lags) // 2],
            lag_p99_s=lags[min(len(lags) - 1, int(len(lags) * 0.99))],
            error=error,
        )
        replace_file(self._path, msgspec.json.encode(status))


def stream_runs(data: Path) -> bool:
    """Whether a process of this machine runs the stream of this data folder."""
    try:
        with (data / LOCK).open() as file:
            return not try_lock(file, shared=True)
    except OSError:
        return False


def read_status(data: Path) -> StreamStatus | None:
    """The newest status; None when the stream never ran here."""
    try:
        return msgspec.json.decode((data / "stream-status.json").read_bytes(), type=StreamStatus)
    except (OSError, msgspec.DecodeError):
        return None
