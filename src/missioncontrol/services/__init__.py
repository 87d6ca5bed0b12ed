"""The composition root: the only place that picks a backend and wires the parts together.

`Services` builds each part at first use, so that a command pays only for what it needs. Each file stands on the one
before: `state`, `lake`, `crashes`, and here what moves and cares for data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.services.crashes import CrashServices
from missioncontrol.services.state import open_identities

if TYPE_CHECKING:
    from missioncontrol.lake.care import LakeCare
    from missioncontrol.lake.publishing.publisher import Publisher
    from missioncontrol.lake.retention import Expired
    from missioncontrol.registry.model import Registry
    from missioncontrol.spark.owner import LakeOwner
    from missioncontrol.spark.stream import SparkStream
    from missioncontrol.telemetry.backfill_job import BackfillJob
    from missioncontrol.telemetry.backfill_sums import Summing
    from missioncontrol.telemetry.batch import BatchReport
    from missioncontrol.telemetry.import_pings import PingImport
    from missioncontrol.telemetry.stream import Stream


class Services(CrashServices):
    """The parts of one installation. Close it when done."""

    def expire(self, as_of: date | None = None, dry_run: bool = False) -> list[Expired]:
        """Take out what is kept no longer: days of tables, parts of crashes, identities of uploads, entries of logs;
        end deletions.

        Days are counted to the clock's day, or to `as_of`, which is taken as it is. With `dry_run` only say what would
        go. Raises as `lake.retention.expire` does.
        """
        from datetime import timedelta

        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.retention import expire_parts
        from missioncontrol.lake.retention import clock_doubt, clock_refusal, expire

        config, now = self.config, utc(system_clock())
        today = as_of or now.date()
        why = "" if as_of or dry_run else clock_doubt(config.lake_place, config.cache_path)
        if config.retention.crashes and not dry_run and not why:
            # Before the rows leave: nobody shall count those that are left.
            self.crash_recounts.let_go(today - timedelta(days=config.retention.crashes))
        gone: list[Expired] = []

        def parts() -> None:
            found = expire_parts(self.blobs, config.retention, today, dry_run or bool(why))
            if why and found:
                raise clock_refusal(why, today)
            gone.extend(found)

        steps: list[Callable[[], object]] = [
            lambda: gone.extend(
                expire(config.lake_place, config.cache_path, config.retention, as_of=as_of, dry_run=dry_run)
            ),
            parts,
        ]
        if not dry_run and not why:
            before = now - timedelta(days=config.ingest.resend_days)
            steps.append(lambda: self.crash_queue.forget_uploads(before))
            if days := config.access.log_days:
                seen_before = now - timedelta(days=days)
                steps.append(lambda: self.access_log.forget(seen_before))
            if days := config.alerts.log_days:
                told_before = now - timedelta(days=days)
                steps.append(lambda: self.alert_log.forget(told_before))
        if not dry_run:
            steps.append(lambda: self.crash_deletion().look_after())
        _do_all(steps)
        return gone

    def stream(self) -> Stream:
        """A stream from the log to the lake; hold the `StreamLock` while it runs.

        Raises `StorageError` for a log on Kafka that it cannot read as a whole.
        """
        from missioncontrol.telemetry.stream import Stream

        self.require_stream()
        return Stream(self.log, self.writer, self.registry, self.config)

    def spark_stream(self, report: Callable[[BatchReport], None]) -> SparkStream:
        """The stream on Spark, from Kafka to the lake; starts Spark. `report` is told of each batch."""
        from missioncontrol.log.kafka_cluster import options
        from missioncontrol.spark.session import open_session
        from missioncontrol.spark.stream import SparkStream
        from missioncontrol.spark.topic import Topic

        config = self.config
        topic = Topic(self.kafka_cluster(), config.log.bootstrap_servers, options(config.log.kafka))
        session = open_session(config, "missioncontrol stream")
        return SparkStream(
            session, topic, self.writer, self.registry, config, open_identities, self.lake_owner(), report
        )

    def lake_owner(self) -> LakeOwner:
        """What says whether the lake is that of this state."""
        from missioncontrol.spark.owner import LakeOwner

        return LakeOwner(self.writer, self.leases)

    def require_own_lake(self) -> None:
        """Raise `StorageError` (`lake_of_another_state`); that lake or state are away is no reason: they come back."""
        try:
            self.lake_owner().check()
        except StorageError as error:
            if error.code == "lake_of_another_state":
                raise

    def care(self) -> LakeCare:
        """Background care of the lake."""
        from missioncontrol.clock import system_clock
        from missioncontrol.lake.care import LakeCare

        return LakeCare(
            self.config.lake_place, self.config.cache_path, self.registry, self.config.lake, system_clock
        )

    def publisher(self, dsn: str, schema: str, tables: Sequence[str]) -> Publisher:
        """Publishes these tables of the lake into a PostgreSQL database; raises `BadRequest` for a bad address."""
        from missioncontrol.lake.publishing.publisher import Publisher
        from missioncontrol.lake.publishing.server import Server
        from missioncontrol.lake.tables import lake_tables

        declared = lake_tables(self.registry())
        return Publisher(self.reader, [declared[name] for name in tables], Server(dsn), schema)

    def ping_import(self) -> PingImport:
        """An import of decoded pings on all cores."""
        from missioncontrol.telemetry.import_pings import PingImport

        return PingImport(self.config, self.registry(), self.writer, self.log, os.cpu_count() or 1)

    def backfill(self, workers: int | None = None, on_spark: bool = False) -> BackfillJob:
        """Days made again from the archive, on all cores of this machine or on Spark; use it as a context manager."""
        from missioncontrol.telemetry.backfill import Backfill
        from missioncontrol.telemetry.backfill_job import BackfillJob

        registry = self.registry()
        summing = self._spark_sums(registry) if on_spark else self._workers(registry, workers)
        backfill = Backfill(self.config, registry, self.writer, self._stream_apps(), summing)
        return BackfillJob(self.config.data, backfill, self.runs, registry.revision)

    def _stream_apps(self) -> list[str]:
        """The applications by which the stream commits, one for each partition of the log."""
        from missioncontrol.spark.held import app_names
        from missioncontrol.telemetry.stream import app_name

        if not self.config.log.bootstrap_servers:
            return [app_name(self.log)]
        return app_names(self._cluster.facts())

    def _workers(self, registry: Registry, count: int | None) -> Summing:
        from missioncontrol.telemetry.backfill_sums import Workers

        return Workers(self.config, registry, count or os.cpu_count() or 1)

    def _spark_sums(self, registry: Registry) -> Summing:
        from missioncontrol.spark.backfill import SparkSums
        from missioncontrol.spark.session import open_session

        session = open_session(self.config, "missioncontrol backfill")
        return SparkSums(session, self.config, registry)

    def close(self) -> None:
        """Release files and threads of the parts that were built."""
        if "engine" in self.__dict__:
            self.engine.close()
        if "spool" in self.__dict__ and self.spool is not None:
            self.spool.close()
        if "log" in self.__dict__:
            self.log.close()
        if "blobs" in self.__dict__:
            self.blobs.close()


def _do_all(steps: Sequence[Callable[[], object]]) -> None:
    """Do each, whatever those before failed with; then raise the first failure."""
    failure: MissionControlError | None = None
    for step in steps:
        try:
            step()
        except MissionControlError as error:
            failure = failure or error
    if failure is not None:
        raise failure
