"""The long-running stream process: batches one after the other, care of the lake beside them.

Survives what passes: a full disk or a table that another process is changing is logged, shown in the status and
tried again. Ends on the stop event after the batch under way.
"""

from __future__ import annotations

import threading
import time

import structlog

from missioncontrol.clock import system_clock
from missioncontrol.config import Config
from missioncontrol.errors import MissionControlError
from missioncontrol.telemetry.status import StatusFile
from missioncontrol.telemetry.stream import Stream, StreamLock

logger = structlog.get_logger()

LONGEST_PAUSE_S = 30.0


def run_stream(stream: Stream, config: Config, stop: threading.Event, status: StatusFile) -> None:
    """Move the log to the lake until `stop` is set."""
    settings = config.stream
    pause = 0.0
    while not stop.is_set():
        started = time.monotonic()
        try:
            report = stream.run_once()
            pause = 0.0
        except MissionControlError as error:
            pause = min(max(1.0, pause * 2), LONGEST_PAUSE_S)
            logger.error("stream_failed", code=error.code, message=error.message, retry_s=pause)
            status.failed(system_clock(), f"{error.code}: {error.message}")
            stop.wait(pause)
            continue
        if report is None:
            stop.wait(settings.poll_interval_s)
            continue
        status.batch(report)
        if report.records < settings.batch_records:
            stop.wait(max(0.0, settings.min_interval_s - (time.monotonic() - started)))


def wait_for_lock(config: Config, stop: threading.Event) -> StreamLock | None:
    """The stream lock once it is free; None when `stop` was set first."""
    lock = StreamLock(config.data)
    told = False
    while not lock.acquire():
        if not told:
            logger.info("stream_waits", reason="another process runs the stream of this data folder")
            told = True
        if stop.wait(0.2):
            lock.release()
            return None
    return lock
