"""The long-running driver: starts the stream again after what passes, and ends where that cannot help."""

from __future__ import annotations

import threading

import structlog

from missioncontrol.clock import system_clock
from missioncontrol.errors import ConfigError, MissionControlError
from missioncontrol.lake.writer import UNFIT
from missioncontrol.spark.stream import SparkStream
from missioncontrol.telemetry.status import StatusFile

_LONGEST_PAUSE_S = 30.0
_FINAL = ("log_gap", "log_behind_lake", "lake_conflict", "lake_of_another_state", "spark_gone")
"""Trying again in this process changes nothing: whoever runs the stream has to decide, or to start it again."""

logger = structlog.get_logger()


def run_stream(stream: SparkStream, stop: threading.Event, status: StatusFile) -> None:
    """Move the topic to the lake until `stop` is set.

    A registry that does not fit the lake is waited for to be mended, as the embedded stream does. Raises `ConfigError`
    for other settings, and `StorageError` (`log_gap`, `log_behind_lake`, `lake_conflict`, `lake_of_another_state`,
    `spark_gone`).
    """
    pause = 0.0
    while not stop.is_set():
        moved = stream.batches
        try:
            stream.run(stop)
        except MissionControlError as error:
            status.failed(system_clock(), f"{error.code}: {error.message}")
            if error.code in _FINAL or (isinstance(error, ConfigError) and error.code != UNFIT):
                raise
            pause = 1.0 if stream.batches > moved else min(max(1.0, pause * 2), _LONGEST_PAUSE_S)
            logger.error("stream_failed", code=error.code, message=error.message, retry_s=pause)
            stop.wait(pause)
