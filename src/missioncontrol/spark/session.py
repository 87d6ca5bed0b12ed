"""A Spark session under our settings, on this machine or on a cluster."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.config import Config, LakePlace, Spark
from missioncontrol.errors import ConfigError, MissionControlError, StorageError

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

_SUBMITTED = "PYSPARK_GATEWAY_PORT"
"""Is in the environment of a process that spark-submit started."""
_MASTER = "spark.master"
_TASK_BYTES = 1 << 30


def open_session(config: Config, name: str) -> SparkSession:
    """The session of this process: spark-submit's, or one that is started here.

    Raises `ConfigError` (`spark_missing`, `spark_unavailable`, `spark_not_shared`).
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError(
            "spark_missing", "PySpark is not installed.", "pip install 'missioncontrol[scale]', and Java 17."
        ) from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    given = _submitted()
    own = {**_defaults(config.spark), **config.spark.settings}
    if given is not None:
        own = {key: value for key, value in own.items() if not given.contains(key)}
    if not _is_here(own.get(_MASTER) or (given.get(_MASTER) if given is not None else None)):
        _refuse_unshared(config)
    builder = SparkSession.builder.appName(name)
    for key, value in own.items():
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


def runs_elsewhere(session: SparkSession) -> bool:
    """Whether its tasks may run on other machines."""
    return not _is_here(session.sparkContext.master)


def task_place(place: LakePlace, elsewhere: bool) -> LakePlace:
    """In a task: the lake, with a folder for files at hand.

    A machine of a cluster has no data folder: there it lies in one that Spark makes for the executor, and deletes.
    """
    if not elsewhere:
        return place
    folder = Path(os.environ["SPARK_LOCAL_DIRS"].split(",")[0]) / "lake"
    return msgspec.structs.replace(place, folder=folder, cache_bytes=min(place.cache_bytes, _TASK_BYTES))


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


def _submitted() -> SparkConf | None:
    """What spark-submit said; None: it did not start this process."""
    if _SUBMITTED not in os.environ:
        return None
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # or the settings would be empty: they are spark-submit's Java's
    return SparkConf()


def _is_here(master: str | None) -> bool:
    return master is not None and master.startswith("local")


def _refuse_unshared(config: Config) -> None:
    for name, url in (("state.url", config.state.url), ("lake.url", config.lake.url)):
        if not url:
            raise ConfigError(
                "spark_not_shared",
                f"Spark runs on a cluster, whose machines do not have the data folder, and {name} is not set.",
                "On a cluster the state is on PostgreSQL and the lake on S3.",
            )


def _defaults(settings: Spark) -> dict[str, str]:
    found = {
        _MASTER: settings.master,
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
