"""Reads the gauges of the pipeline: the log, the crash queue, judging, alerts, jobs, the disk, versions and processes.

Reads only. Whatever cannot be read is left out and named, so that the page says what it knows when the disk is full,
the state database is locked or the lake is gone.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from missioncontrol import __version__
from missioncontrol.clock import WINDOW_S, utc
from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.health.model import METHOD
from missioncontrol.health.turn_status import read_status as read_turn
from missioncontrol.lake.snapshot import Snapshot
from missioncontrol.lake.tables import CRASHES, lake_tables
from missioncontrol.presence import presences
from missioncontrol.query.relation import Span
from missioncontrol.services import Services
from missioncontrol.web.history.source import LakeHistory
from missioncontrol.web.pipeline.arrivals import Arrivals, Key, course, half_hours
from missioncontrol.web.pipeline.disk import FolderCount, read_disk
from missioncontrol.web.pipeline.facts import (
    AlertDeliveries,
    Course,
    Disk,
    Gauges,
    JobRuns,
    Judging,
    Versions,
)

_DAY = timedelta(days=1)
_DELIVERIES_READ = 500
_ASIDE_READ = 200
_PROCESSED = """
SELECT count(*) FILTER (completed_datetime >= ?), count(*)
FROM {relation} WHERE completed_datetime >= ?"""
_logger = structlog.get_logger()
T = TypeVar("T")


class GaugeReader:
    """Reads all gauges of one installation. Thread-safe; blocks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._arrivals = Arrivals(services.engine)
        self._history = LakeHistory(services)
        self._blobs = FolderCount(services.config.blobs_path)
        self._at_hand = FolderCount(services.config.lake_path)

    def arrivals(self, now: datetime) -> dict[Key, int]:
        """Pings of the last day by window, document and fate."""
        return self._arrivals.counts(now)

    def read(self, arrived: dict[Key, int], committed: int, now: datetime) -> Gauges:
        """The gauges now. `committed`: the offset up to which the log is in the lake."""
        unread: list[str] = []

        def attempt(what: str, read: Callable[[], T]) -> T | None:
            try:
                return read()
            except (MissionControlError, OSError) as error:
                _logger.warning("gauge_unread", gauge=what, error=str(error))
                said = error.message if isinstance(error, MissionControlError) else error.strerror
                unread.append(f"{what}: {said}")
                return None

        queue = attempt("crash queue", lambda: self._services.crash_queue.backlog(now))
        processed = attempt("processed crashes", lambda: self._processed(now))
        oldest_ns = attempt("log", lambda: self._oldest_ns(committed))
        return Gauges(
            now=now,
            accepted=course(arrived, False, now),
            discarded=course(arrived, True, now),
            crash_reports=attempt("crash reports", lambda: self._crash_reports(now)),
            oldest_waiting_s=max(0.0, now.timestamp() - oldest_ns / 1e9) if oldest_ns else None,
            newest_received=utc(max(key[0] for key in arrived) * WINDOW_S * 10**9) if arrived else None,
            crashes_held=queue.held if queue else None,
            set_aside=queue.set_aside if queue else None,
            set_aside_lately=attempt("crashes set aside", lambda: self._set_aside(now)),
            processed_last_hour=processed[0] if processed else None,
            processed_last_day=processed[1] if processed else None,
            judging=self._judging(),
            alerts=attempt("alerts", lambda: self._alerts(now)),
            jobs=attempt("jobs", lambda: self._jobs(now)),
            disk=attempt("disk", lambda: self.disk(now)),
            versions=attempt("versions", self._versions),
            processes=tuple(presences(self._services.config.data)),
            unread=tuple(unread),
        )

    def disk(self, now: datetime) -> Disk:
        """The disk; raises `OSError` and `StorageError`."""
        services, config = self._services, self._services.config
        at_hand = self._at_hand.size() if config.lake.url else None
        return read_disk(
            config, services.log.size_bytes(), self._tables(), self._blobs.size(), now.date(), at_hand
        )

    def _tables(self) -> Sequence[Snapshot]:
        found = (self._services.reader.snapshot(name) for name in lake_tables(self._services.registry()))
        return [snapshot for snapshot in found if snapshot is not None]

    def _oldest_ns(self, committed: int) -> int | None:
        try:
            waiting = self._services.log.read(committed, 1, 1)
        except StorageError as error:
            if error.code != "log_partitioned":
                raise
            return None  # a log of several partitions has no oldest record
        return waiting[0].entry.received_ns if waiting else None

    def _crash_reports(self, now: datetime) -> Course:
        counts = self._services.crash_queue.received_by(WINDOW_S, now - _DAY - timedelta(minutes=30))
        first, sums = half_hours(counts.items(), now)
        last = int(now.timestamp()) // WINDOW_S - 1
        return Course(first, sums, counts.get(last, 0) / (WINDOW_S / 60))

    def _set_aside(self, now: datetime) -> int:
        return sum(c.since >= now - _DAY for c in self._services.crash_queue.set_aside(_ASIDE_READ))

    def _processed(self, now: datetime) -> tuple[int, int]:
        hour, day = now - timedelta(hours=1), now - _DAY
        # A crash is mostly processed on the day it came; one that is processed again keeps that day.
        span = Span(dates=((now - 2 * _DAY).date(), (now + _DAY).date()), dates_range=True)
        columns = ("completed_datetime",)
        [(last_hour, last_day)] = self._services.engine.over(CRASHES, _PROCESSED, (hour, day), span, columns)
        return last_hour, last_day

    def _judging(self) -> Judging | None:
        status = read_turn(self._services.config.data)
        if status is None:
            return None
        failed = tuple(status.failed)
        return Judging(status.written_at, status.as_of, status.subjects, failed, status.took_s, status.error)

    def _alerts(self, now: datetime) -> AlertDeliveries:
        channels = self._services.alert_channels.list()
        lately = [
            d for d in self._services.alert_log.deliveries(_DELIVERIES_READ) if d.created_at >= now - _DAY
        ]
        return AlertDeliveries(
            channels=len(channels),
            broken=tuple(c.name for c in channels if c.state == "broken"),
            sent=sum(d.status == "sent" for d in lately),
            failed=sum(d.status in ("given_up", "refused") for d in lately),
            waiting=self._services.alert_log.counts().get("waiting", 0),
        )

    def _jobs(self, now: datetime) -> JobRuns:
        history = self._history.history()
        first = now.date() - timedelta(days=self._services.config.jobs.lookback_days)
        states = [day.state for day in history.days if first <= day.day < now.date()]
        return JobRuns(
            waiting=sum(run.status == "waiting" for run in history.runs),
            running=sum(run.status == "running" for run in history.runs),
            failed=sum(notice.kind == "failed" for notice in history.notices),
            due_days=sum(state in ("missing", "older") for state in states),
            daily=self._services.config.jobs.daily,
        )

    def _versions(self) -> Versions:
        import deltalake
        import duckdb

        return Versions(
            product=__version__,
            python=sys.version.split()[0],
            state_schema=self._services.state_schema(),
            registry_revision=self._services.registry().revision,
            verdict_method=METHOD,
            duckdb=duckdb.__version__,
            deltalake=deltalake.__version__,
            sqlite=sqlite3.sqlite_version,
        )
