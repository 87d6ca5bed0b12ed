"""The log, the lake, who answers queries of it, and where reports are kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from missioncontrol.services.state import StateServices

if TYPE_CHECKING:
    from missioncontrol.blobs.protocol import ReportBlobs
    from missioncontrol.blobs.s3 import S3Blobs
    from missioncontrol.health.courses import Courses
    from missioncontrol.health.records import Records
    from missioncontrol.lake.snapshot import LakeReader
    from missioncontrol.lake.writer import LakeWriter
    from missioncontrol.log.kafka import KafkaLog
    from missioncontrol.log.kafka_cluster import Cluster
    from missioncontrol.log.protocol import Appender, Log
    from missioncontrol.log.spooled import SpooledLog
    from missioncontrol.query.engine import Engine
    from missioncontrol.query.sql import SqlRunner
    from missioncontrol.spark.held import Held

_LOOK_S = 0.25
"""How often a table on S3 is asked for news, by pages: what came is seen within a second."""
_PRODUCE_S = 1.5
"""What Kafka has not acknowledged after so long goes to the edge's spool."""


class LakeServices(StateServices):
    """Log, lake and blobs of one installation."""

    @cached_property
    def log(self) -> Log:
        """The log of accepted submissions."""
        if self.config.log.bootstrap_servers:
            return self.kafka_log()
        from missioncontrol.log.sqlite import SqliteLog

        return SqliteLog(self.config.log_path, self.config.log.dedup_days, self.config.log.max_bytes)

    @property
    def edge_log(self) -> Appender:
        """What an edge appends to."""
        return self.spool or self.log

    @cached_property
    def spool(self) -> SpooledLog | None:
        """The way of an edge to a log on Kafka; None: the log is here."""
        if not self.config.log.bootstrap_servers:
            return None
        kafka = self.kafka_log(timeout_s=_PRODUCE_S)
        from missioncontrol.log.spooled import SpooledLog

        return SpooledLog(kafka, self.config.log_spool_path, self.config.log.spool_bytes)

    def kafka_log(self, partition: int | None = None, timeout_s: float = 30.0) -> KafkaLog:
        """The log on Kafka, read in this partition; raises `ConfigError` for options that cannot be."""
        cluster = self.kafka_cluster()
        from missioncontrol.log.kafka import KafkaLog

        return KafkaLog(cluster, self.identities, partition, timeout_s)

    def kafka_cluster(self) -> Cluster:
        """The topic of the log; raises `ConfigError` when the settings name none."""
        from missioncontrol.errors import ConfigError

        log = self.config.log
        if not log.bootstrap_servers:
            raise ConfigError(
                "log_not_on_kafka",
                "The log is not on Kafka.",
                "Set log.bootstrap_servers, or MC_LOG__BOOTSTRAP_SERVERS.",
            )
        try:
            from missioncontrol.log.kafka_cluster import Cluster, options
        except ImportError:
            raise ConfigError(
                "log_kafka_missing",
                "A log on Kafka needs the package confluent-kafka.",
                "Install it, or missioncontrol[scale].",
            ) from None
        return Cluster(log.bootstrap_servers, log.topic, options(log.kafka))

    @cached_property
    def _cluster(self) -> Cluster:
        return self.kafka_cluster()

    def kafka_held(self) -> Held:
        """How far the lake holds the topic of the log, whatever machine the stream runs on. Raises `StorageError`."""
        from missioncontrol.spark.held import read_held

        return read_held(self._cluster, self.reader.committed)

    def stream_runs(self) -> bool:
        """Whether a process moves the log into the lake, as far as this one can know. Raises `StorageError`."""
        from missioncontrol.telemetry.status import stream_runs

        if not self.config.log.bootstrap_servers:
            return stream_runs(self.config.data)
        return any(self.turn(name).taken() for name in ("stream", "spark-stream"))

    def require_stream(self) -> None:
        """Raise `StorageError` for a topic of Kafka that is missing, or that has several partitions: Spark reads those.

        A Kafka that is away is no reason: it comes back.
        """
        if self.config.log.bootstrap_servers:
            _unless_away(self.log.identity)

    def require_topic(self) -> None:
        """Raise `StorageError` for a topic of Kafka that is missing or that may not be had, which no waiting mends.

        A Kafka that is away is no reason: it comes back.
        """
        _unless_away(self._cluster.facts)

    def check_log(self) -> str:
        """What the topic of the log is, of which all partitions can be read; raises `StorageError`."""
        facts = self._cluster.facts()
        self._cluster.ends(facts.partitions)
        return f"topic {self._cluster.topic}, {facts.partitions} partitions, {facts.replication} replicas"

    @cached_property
    def writer(self) -> LakeWriter:
        """Writes tables of the lake."""
        from missioncontrol.lake.writer import LakeWriter

        return LakeWriter(self.config.lake_place)

    @cached_property
    def reader(self) -> LakeReader:
        """Reads which files a table has."""
        from missioncontrol.lake.snapshot import LakeReader

        return LakeReader(self.config.lake_place, self.config.cache_path, _LOOK_S)

    @cached_property
    def engine(self) -> Engine:
        """Answers queries."""
        from missioncontrol.query.engine import Engine

        return Engine(self.reader, self.registry, self.config.query)

    @cached_property
    def sql(self) -> SqlRunner:
        """Runs users' SQL."""
        from missioncontrol.query.sql import SqlRunner

        return SqlRunner(self.reader, self.registry, self.config.query, self.config.cache_path / "spill")

    @cached_property
    def verdict_records(self) -> Records:
        """What was said of releases."""
        from missioncontrol.health.records import Records

        return Records(self.engine)

    @cached_property
    def courses(self) -> Courses:
        """Computes all looks of a release, in processes of their own."""
        from missioncontrol.health.courses import Courses

        config = self.config
        return Courses(
            config.lake_place, config.cache_path, config.registry_files, config.query, self.releases.list,
            self.reader,
        )  # fmt: skip

    @cached_property
    def blobs(self) -> ReportBlobs:
        """Dumps, raw and processed crashes, symbols. Raises `ConfigError` (`blobs_...`)."""
        if self.config.blobs.url:
            return self._bucket_blobs
        from missioncontrol.blobs.report_blobs import LocalReportBlobs

        return LocalReportBlobs(self.config.blobs_path)

    @cached_property
    def _bucket_blobs(self) -> S3Blobs:
        from missioncontrol.blobs.bucket import Bucket
        from missioncontrol.blobs.s3 import S3Blobs
        from missioncontrol.blobs.spool import Spool

        settings = self.config.blobs
        return S3Blobs(Bucket(settings.url), Spool(self.config.spool_path, settings.spool_bytes))


def _unless_away(ask: Callable[[], object]) -> None:
    """Ask Kafka; raises what it says, unless it says nothing."""
    from missioncontrol.errors import StorageError

    try:
        ask()
    except StorageError as error:
        if error.code != "log_unreadable":
            raise
