"""A Spark session under our settings."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from missioncontrol.config import Spark
from missioncontrol.errors import ConfigError, MissionControlError, StorageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def open_session(settings: Spark, name: str) -> SparkSession:
    """The session of this process: spark-submit's, or one that is started here.

    Raises `ConfigError` (`spark_missing`, `spark_unavailable`).
    """
    try:
        from pyspark import SparkConf
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError(
            "spark_missing", "PySpark is not installed.", "pip install 'missioncontrol[scale]', and Java 17."
        ) from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    given = SparkConf()  # what spark-submit said
    builder = SparkSession.builder.appName(name)
    for key, value in {**_defaults(settings), **settings.settings}.items():
        if not given.contains(key):
            builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except (PySparkException, OSError, RuntimeError) as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            "spark_unavailable",
            f"Spark cannot be started: {text}",
            "It needs Java 17; see [spark] in the settings.",
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    return session


class TaskFailed(Exception):
    """What failed in a task of Spark's, of which only the text reaches the driver."""


@contextmanager
def told_to_driver() -> Iterator[None]:
    """In a task: let the driver know the error of the house that is raised inside."""
    try:
        yield
    except MissionControlError as error:
        raise TaskFailed(f"{error.code}: {error.message}") from None


_TOLD = re.compile(rf"\b{TaskFailed.__name__}: (\w+): (.+)")


def spark_failure(error: BaseException) -> StorageError:
    """What Spark gave up, in one sentence: our own error where a task raised one."""
    told = _TOLD.search(str(error))
    if told:
        return StorageError(told[1], told[2].strip(), "It is tried again.")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return StorageError(
        "spark_failed", f"Spark gave up: {lines[0] if lines else type(error).__name__}", "It is tried again."
    )


def gone() -> StorageError:
    """Java has ended, and no session can be had again in this process."""
    return StorageError(
        "spark_gone",
        "Spark's Java process has ended.",
        "Start the stream again; was it killed for lack of memory?",
    )


def _defaults(settings: Spark) -> dict[str, str]:
    found = {
        "spark.master": settings.master,
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        # A table of Arrow holds so many messages at once; with bodies of 8 MB they are still to fit.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
        # Two attempts of one task would stage the same rows twice; one of them is thrown away, for nothing.
        "spark.speculation": "false",
    }
    if settings.packages:
        found["spark.jars.packages"] = ",".join(settings.packages)
    return found
