"""The composition root: the only place that picks a backend and wires the parts together.

`Services` builds each part at first use, so that a command pays only for what it needs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from missioncontrol.config import Config
from missioncontrol.errors import MissionControlError
from missioncontrol.registry.watch import RegistryWatcher

if TYPE_CHECKING:
    from missioncontrol.access.accounts import Accounts
    from missioncontrol.alerts.delivery import Deliverer
    from missioncontrol.alerts.intake import Alerts
    from missioncontrol.alerts.setup import Setup
    from missioncontrol.blobs.protocol import ReportBlobs
    from missioncontrol.blobs.s3 import S3Blobs
    from missioncontrol.crashes.bug_trackers import BugTrackers
    from missioncontrol.crashes.counts import CrashCounts
    from missioncontrol.crashes.deletion import CrashDeletion
    from missioncontrol.crashes.fields import FieldsWatcher
    from missioncontrol.crashes.import_crashes import CrashImport
    from missioncontrol.crashes.processing import Settings as ProcessingSettings
    from missioncontrol.crashes.signature import Signatures
    from missioncontrol.crashes.symbols.copies import SymbolCopies
    from missioncontrol.crashes.symbols.folders import SymbolFolders
    from missioncontrol.crashes.symbols.missing import MissingModule
    from missioncontrol.crashes.symbols.store import SymbolStore
    from missioncontrol.crashes.worker import Worker
    from missioncontrol.health.courses import Courses
    from missioncontrol.health.records import Records
    from missioncontrol.lake.care import LakeCare
    from missioncontrol.lake.publishing.publisher import Publisher
    from missioncontrol.lake.retention import Expired
    from missioncontrol.lake.snapshot import LakeReader
    from missioncontrol.lake.writer import LakeWriter
    from missioncontrol.log.identities import Identities
    from missioncontrol.log.kafka import KafkaLog
    from missioncontrol.log.kafka_cluster import Cluster
    from missioncontrol.log.protocol import Appender, Log
    from missioncontrol.log.spooled import SpooledLog
    from missioncontrol.query.engine import Engine
    from missioncontrol.query.sql import SqlRunner
    from missioncontrol.query.supersearch import CrashSearch, SearchFields
    from missioncontrol.registry.model import Registry
    from missioncontrol.spark.held import Held
    from missioncontrol.spark.stream import SparkStream
    from missioncontrol.state.access_log import AccessLog
    from missioncontrol.state.alert_channels import AlertChannels
    from missioncontrol.state.alert_log import AlertLog
    from missioncontrol.state.annotations import Annotations
    from missioncontrol.state.crash_deletions import CrashDeletions
    from missioncontrol.state.crash_queue import CrashQueue
    from missioncontrol.state.crash_recounts import CrashRecounts
    from missioncontrol.state.database import Database
    from missioncontrol.state.identities import KnownIdentities
    from missioncontrol.state.leases import Leases
    from missioncontrol.state.query_history import QueryHistory
    from missioncontrol.state.releases import Releases
    from missioncontrol.state.runs import Runs
    from missioncontrol.state.saved_queries import SavedQueries
    from missioncontrol.state.sign_ins import SignIns
    from missioncontrol.state.signature_bugs import SignatureBugs
    from missioncontrol.state.symbol_changes import SymbolChanges
    from missioncontrol.state.turns import Turn
    from missioncontrol.telemetry.backfill_job import BackfillJob
    from missioncontrol.telemetry.backfill_sums import Summing
    from missioncontrol.telemetry.batch import BatchReport
    from missioncontrol.telemetry.import_pings import PingImport
    from missioncontrol.telemetry.stream import Stream

_LOOK_S = 0.25
"""How often a table on S3 is asked for news, by pages: what came is seen within a second."""


def open_identities(config: Config) -> Identities:
    """What tells duplicates, for a process of Spark's, which does one task after another."""
    return _identities(config.state_url, config.log.dedup_days)


@lru_cache(maxsize=1)
def _identities(url: str, dedup_days: int) -> Identities:
    from missioncontrol.state.database import Database
    from missioncontrol.state.identities import KnownIdentities

    return KnownIdentities(Database(url), dedup_days)


_PRODUCE_S = 1.5
"""What Kafka has not acknowledged after so long goes to the edge's spool."""


class Services:
    """The parts of one installation. Close it when done."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._missing_turns = threading.BoundedSemaphore(2)

    @cached_property
    def registry(self) -> RegistryWatcher:
        """The registry in force."""
        return RegistryWatcher(self.config.registry_files)

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

    def kafka_held(self) -> Held:
        """How far the lake holds the topic of the log, whatever machine the stream runs on. Raises `StorageError`."""
        from missioncontrol.spark.held import read_held

        return read_held(self._cluster, self.reader.committed)

    @cached_property
    def _cluster(self) -> Cluster:
        return self.kafka_cluster()

    def stream_runs(self) -> bool:
        """Whether a process moves the log into the lake, as far as this one can know. Raises `StorageError`."""
        from missioncontrol.telemetry.status import stream_runs

        if not self.config.log.bootstrap_servers:
            return stream_runs(self.config.data)
        return any(self.turn(name).taken() for name in ("stream", "spark-stream"))

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
    def identities(self) -> KnownIdentities:
        """The document ids that are known, for a log on Kafka."""
        from missioncontrol.state.identities import KnownIdentities

        return KnownIdentities(self._database, self.config.log.dedup_days)

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
    def releases(self) -> Releases:
        """Which builds were published when."""
        from missioncontrol.state.releases import Releases

        return Releases(self._database)

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

    def state_schema(self) -> str:
        """The newest migration of the state database. Raises `StorageError`."""
        return self._database.schema()

    @cached_property
    def runs(self) -> Runs:
        """Runs of jobs and the days that they built."""
        from missioncontrol.state.runs import Runs

        return Runs(self._database)

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

    @cached_property
    def crash_queue(self) -> CrashQueue:
        """The crashes to be processed."""
        from missioncontrol.state.crash_queue import CrashQueue

        return CrashQueue(self._database)

    @cached_property
    def crash_fields(self) -> FieldsWatcher:
        """The declared fields of crashes in force."""
        from missioncontrol.crashes.fields import FieldsWatcher

        return FieldsWatcher(self.config.field_files)

    @cached_property
    def crash_search(self) -> CrashSearch:
        """Searches crashes."""
        from missioncontrol.clock import system_clock, utc
        from missioncontrol.query.supersearch import CrashSearch

        return CrashSearch(self.engine, self._search_fields, lambda: utc(system_clock()))

    def _search_fields(self) -> SearchFields:
        """The searchable fields in force, as the query layer knows them."""
        from missioncontrol.crashes.index import KEYS, home_of
        from missioncontrol.lake.tables import CRASHES, lake_tables
        from missioncontrol.query.supersearch import SearchField, SearchFields

        columns = {c.name: c for c in lake_tables(self.registry())[CRASHES].columns}
        found = []
        for field in self.crash_fields():
            if field.search and (field.name == "uuid" or field.name not in KEYS):
                home = home_of(field, columns.get(field.name))
                kept = SearchField(
                    name=field.name,
                    kind=field.search,
                    home=home,
                    stored=columns[home].type,
                    description=field.description,
                    whole=field.type == "integer",
                    many=field.type == "list",
                    protected=field.access == "protected",
                    facet=field.facet,
                )
                found.append(kept)
        return SearchFields(found)

    @cached_property
    def signatures(self) -> Signatures:
        """Makes and explains signatures."""
        from missioncontrol.crashes.signature import Signatures

        return Signatures(self.config.signature_lists_path)

    @cached_property
    def crash_recounts(self) -> CrashRecounts:
        """The hours of crashes that are to be counted again."""
        from missioncontrol.state.crash_recounts import CrashRecounts

        return CrashRecounts(self._database)

    def crash_counts(self) -> CrashCounts:
        """Counts crashes in the aggregates."""
        from missioncontrol.crashes.counts import CrashCounts

        config = self.config
        return CrashCounts(
            config.lake_place, config.cache_path, self.writer, self.registry, self.crash_recounts
        )

    def crash_settings(self) -> ProcessingSettings:
        """What crashes are processed by, as it is now."""
        from missioncontrol.crashes.processing import MOZILLA_PRODUCTS
        from missioncontrol.crashes.processing import Settings as ProcessingSettings

        profiles = {**MOZILLA_PRODUCTS, **self.config.crashes.profiles}
        return ProcessingSettings(
            self.crash_fields(),
            self.signatures,
            profiles,
            lambda *build: self.releases.version_of(*build),
            rule_timeout_s=self.config.crashes.rule_timeout_s,
        )

    @contextmanager
    def crash_worker(self) -> Iterator[Worker]:
        """A worker that processes crashes; raises `MissionControlError` when its stackwalker is not installed."""
        import uuid

        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.index import CrashIndex
        from missioncontrol.crashes.stackwalk import Stackwalker
        from missioncontrol.crashes.symbols.room import limit_mb
        from missioncontrol.crashes.symbols.servers import make_servers
        from missioncontrol.crashes.symbols.watch import Forgetful, SymbolWatch
        from missioncontrol.crashes.work import CrashWork, SymbolSource
        from missioncontrol.crashes.worker import Worker

        def now() -> datetime:
            return utc(system_clock())

        settings = self.config.stackwalk
        servers = make_servers(self.config.crashes, self.config.fetched_symbols_path)
        copies = self._symbol_copies()
        index = CrashIndex(self.writer, self.registry(), uuid.uuid4().hex, self.crash_recounts)
        with Stackwalker(
            Path(settings.program) if settings.program else None,
            self._symbol_roots(),
            settings.cache_mb,
            limit_mb(settings.memory_limit_mb),
            settings.timeout_s,
            settings.missing_ttl_s,
        ) as walker:
            told: list[Forgetful] = [walker] if copies is None else [copies, walker]
            watch = SymbolWatch(self.symbol_changes, told)
            if copies is not None:
                copies.begin_true()
            sources: list[SymbolSource] = [one for one in (copies, servers) if one is not None]
            work = CrashWork(self.blobs, walker, self.crash_settings, now, watch, sources)
            yield Worker(self.crash_queue, work, index, self.crash_fields, now, self.crash_counts())

    def _symbol_copies(self) -> SymbolCopies | None:
        """Copies of the symbols that are in a bucket; None: they lie in a folder here."""
        if not self.config.blobs.url:
            return None
        from missioncontrol.crashes.symbols.copies import SymbolCopies

        most_bytes = self.config.crashes.symbol_cache_bytes
        missing_s = self.config.stackwalk.missing_ttl_s
        return SymbolCopies(self._bucket_blobs, self.config.copied_symbols_path, most_bytes, missing_s)

    @cached_property
    def symbol_changes(self) -> SymbolChanges:
        """The journal by which walkers learn of symbols that arrived."""
        from missioncontrol.state.symbol_changes import SymbolChanges

        return SymbolChanges(self._database)

    @cached_property
    def symbols(self) -> SymbolStore:
        """The symbols that were uploaded."""
        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.symbols.room import limit_mb
        from missioncontrol.crashes.symbols.store import SymbolStore

        most_bytes = self.config.crashes.symbol_max_bytes
        walks_with_mb = limit_mb(self.config.stackwalk.memory_limit_mb)
        return SymbolStore(
            self.blobs, self.symbol_changes, most_bytes, lambda: utc(system_clock()), walks_with_mb
        )

    @cached_property
    def symbol_folders(self) -> SymbolFolders:
        """Where walkers look for symbols."""
        from missioncontrol.crashes.symbols.folders import SymbolFolders
        from missioncontrol.crashes.symbols.room import limit_mb

        limit, roots = limit_mb(self.config.stackwalk.memory_limit_mb), self._symbol_roots()
        if self.config.blobs.url:  # of which the first root has some copies only
            return SymbolFolders(roots[1:], limit, self.symbols.list)
        return SymbolFolders(roots, limit)

    def _symbol_roots(self) -> list[Path]:
        fetched = [self.config.fetched_symbols_path] if self.config.crashes.symbol_servers else []
        stored = self.config.copied_symbols_path if self.config.blobs.url else self.config.symbols_path
        return [stored, *map(Path, self.config.crashes.symbol_paths), *fetched]

    @cached_property
    def crash_deletions(self) -> CrashDeletions:
        """The record of crashes that were deleted."""
        from missioncontrol.state.crash_deletions import CrashDeletions

        return CrashDeletions(self._database)

    def crash_import(self) -> CrashImport:
        """Brings in crash reports from files."""
        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.import_crashes import CrashImport

        return CrashImport(self.blobs, self.crash_queue, self.crash_deletions, lambda: utc(system_clock()))

    @cached_property
    def signature_bugs(self) -> SignatureBugs:
        """Which bugs signatures have."""
        from missioncontrol.state.signature_bugs import SignatureBugs

        return SignatureBugs(self._database)

    @cached_property
    def bug_trackers(self) -> BugTrackers:
        """Where bugs are kept; raises `ConfigError` for wrong settings of trackers."""
        from missioncontrol.crashes.bug_trackers import BugTrackers

        return BugTrackers(self.config.crashes.bug_trackers)

    def crash_deletion(self) -> CrashDeletion:
        """Deletes crashes."""
        import uuid

        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.deletion import CrashDeletion
        from missioncontrol.crashes.index import CrashIndex
        from missioncontrol.lake.removal import RowRemoval
        from missioncontrol.lake.tables import CRASHES

        return CrashDeletion(
            self.blobs,
            self.crash_queue,
            lambda: CrashIndex(
                self.writer, self.registry(), f"deletion-{uuid.uuid4().hex}", self.crash_recounts
            ),
            RowRemoval(self.config.lake_place, self.config.cache_path, CRASHES, "uuid"),
            self.crash_deletions,
            lambda: utc(system_clock()),
            lambda: self.crash_counts().run(),
        )

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

    def missing_symbols(self, days: int, limit: int) -> list[MissingModule]:
        """The modules that crashes received since so many days met most often without symbols; raises as SQL does."""
        import io
        from datetime import timedelta

        import msgspec

        from missioncontrol.clock import system_clock, utc
        from missioncontrol.crashes.symbols.missing import QUERY, MissingRow, debug_ids_of, missing_modules
        from missioncontrol.errors import TooSlow

        since = utc(system_clock()) - timedelta(days=days)
        answer = io.BytesIO()
        if not self._missing_turns.acquire(timeout=2):
            raise TooSlow("busy", "Too many queries are running.", "Try again in a few seconds.")
        try:
            self.sql.run(QUERY.format(since=f"{since:%Y-%m-%d %H:%M:%S}", limit=limit), answer)
        finally:
            self._missing_turns.release()
        rows = msgspec.json.decode(answer.getvalue(), type=list[MissingRow])
        folders = self.symbol_folders
        return missing_modules(rows, folders.find(debug_ids_of(rows)), folders.memory_limit_mb)

    def crashes_without(self, debug_id: str) -> list[str]:
        """Ids of all crashes that were processed without the symbols of this build, those that are kept no longer too.

        Raises `BadRequest` (`symbols_bad_id`), and as SQL does.
        """
        import io

        import msgspec

        from missioncontrol.crashes.symbols.missing import crashes_query

        answer = io.BytesIO()
        self.sql.run(crashes_query(debug_id), answer)
        return [row["uuid"] for row in msgspec.json.decode(answer.getvalue(), type=list[dict[str, str]])]

    @cached_property
    def accounts(self) -> Accounts:
        """Users, tokens and sessions; raises `ConfigError` for wrong settings of access."""
        from missioncontrol.access.accounts import Accounts
        from missioncontrol.state.sessions import Sessions
        from missioncontrol.state.tokens import Tokens
        from missioncontrol.state.users import Users

        return Accounts(Users(self._database), Tokens(self._database), Sessions(self._database), self.config)

    @cached_property
    def sign_ins(self) -> SignIns:
        """Sign-ins by a provider that have begun."""
        from missioncontrol.state.sign_ins import SignIns

        return SignIns(self._database)

    @cached_property
    def access_log(self) -> AccessLog:
        """Who saw protected things."""
        from missioncontrol.state.access_log import AccessLog

        return AccessLog(self._database)

    @cached_property
    def annotations(self) -> Annotations:
        """What people noted at a time."""
        from missioncontrol.state.annotations import Annotations

        return Annotations(self._database)

    @cached_property
    def saved_queries(self) -> SavedQueries:
        """SQL that people saved."""
        from missioncontrol.state.saved_queries import SavedQueries

        return SavedQueries(self._database)

    @cached_property
    def query_history(self) -> QueryHistory:
        """SQL that each reader ran."""
        from missioncontrol.state.query_history import QueryHistory

        return QueryHistory(self._database)

    @cached_property
    def alerts(self) -> Alerts:
        """Takes changes of verdicts, to be told."""
        from missioncontrol.alerts.intake import Alerts

        return Alerts(self.alert_channels, self.alert_log)

    @cached_property
    def alert_channels(self) -> AlertChannels:
        """Where alerts go, and by which rules."""
        from missioncontrol.state.alert_channels import AlertChannels

        return AlertChannels(self._database)

    @cached_property
    def alert_log(self) -> AlertLog:
        """Changes of verdicts, and what was told of them."""
        from missioncontrol.state.alert_log import AlertLog

        return AlertLog(self._database)

    @cached_property
    def alert_setup(self) -> Setup:
        """Changes where alerts go, and the rules."""
        from missioncontrol.alerts.setup import Setup

        return Setup(self.alert_channels, self.config.alerts)

    @cached_property
    def alert_deliverer(self) -> Deliverer:
        """Sends alerts."""
        from missioncontrol.alerts.delivery import Deliverer
        from missioncontrol.alerts.mail import Mailer

        config = self.config
        return Deliverer(self.alert_channels, self.alert_log, Mailer(config.alerts), config.base_url)

    @property
    def database(self) -> Database:
        """The state database as a whole."""
        return self._database

    @cached_property
    def _database(self) -> Database:
        from missioncontrol.state.database import Database

        return Database(self.config.state_url)

    @cached_property
    def leases(self) -> Leases:
        """Who does what one process of the installation does."""
        from missioncontrol.state.leases import Leases

        return Leases(self._database)

    def turn(self, name: str) -> Turn:
        """The turn to do what one process of the installation does at a time."""
        from missioncontrol.state.turns import FileTurn, LeaseTurn

        if self.config.state.url:
            return LeaseTurn(self.leases, name)
        return FileTurn(self.config.data / f"{name}.lock")

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
        session = open_session(config.spark, "missioncontrol stream")
        return SparkStream(session, topic, self.writer, self.registry, config, open_identities, report)

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

        session = open_session(self.config.spark, "missioncontrol backfill")
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


def _unless_away(ask: Callable[[], object]) -> None:
    """Ask Kafka; raises what it says, unless it says nothing."""
    from missioncontrol.errors import StorageError

    try:
        ask()
    except StorageError as error:
        if error.code != "log_unreadable":
            raise


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
