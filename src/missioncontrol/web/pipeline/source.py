"""Where the pipeline page gets its numbers: the log, the stream's status file and three tables of the lake.

Reads only. Bodies of discarded pings are handed out as they came, decoded for the preview within bounds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from missioncontrol.blobs.refused_reports import Kept, read_refused_report, refused_reports
from missioncontrol.clock import utc
from missioncontrol.errors import NotFound, StorageError
from missioncontrol.ingest.crash.reasons import explanations as crash_explanations
from missioncontrol.ingest.crash.samples import readable
from missioncontrol.ingest.reasons import explanations
from missioncontrol.lake.packing import as_sent
from missioncontrol.lake.plan import kept_days, oldest_day
from missioncontrol.lake.tables import changed_type, lake_tables
from missioncontrol.query.relation import Span
from missioncontrol.services import Services
from missioncontrol.telemetry.discards import NOTES, REASONS, Discard
from missioncontrol.telemetry.inflate import content
from missioncontrol.telemetry.status import read_status
from missioncontrol.web.pipeline import view as pipeline
from missioncontrol.web.pipeline.arrivals import accepted
from missioncontrol.web.pipeline.gauges import GaugeReader
from missioncontrol.web.pipeline.log_ends import LogEnds, log_ends

_logger = structlog.get_logger()

SAMPLES = 20
PREVIEW_CHARACTERS = 2000
_OF_A_REASON = 3
_PREVIEW_INFLATED = 1 << 20

_DISCARDS = """
SELECT reason, coalesce(sum("count") FILTER (window_start >= ?), 0)::BIGINT, sum("count")::BIGINT,
       max(epoch_us(window_start))
FROM {relation} WHERE window_start >= ? GROUP BY reason ORDER BY 3 DESC, 1"""
_SAMPLES = """
SELECT discarded, log_offset, received_ns, namespace, document_type, document_version, document_id, application,
       version, channel, build_id, headers, encoding, coalesce(sent_bytes, octet_length(body)), body,
       packing
FROM {relation} WHERE discarded IS NOT NULL AND window_start >= ?
QUALIFY row_number() OVER (PARTITION BY discarded ORDER BY received DESC) <= 3 ORDER BY received DESC LIMIT ?"""
_SAMPLE = """
SELECT log_offset, encoding, body, packing, sent_crc32
FROM {relation} WHERE discarded IS NOT NULL AND log_offset = ? LIMIT 1"""


class LakePipeline:
    """The `Pipeline` of one installation."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._gauges = GaugeReader(services)

    def status(self, with_samples: bool) -> pipeline.PipelineStatus:
        """The state now; costs a few small queries."""
        config = self._services.config
        now = datetime.now(UTC)
        stream = read_status(config.data)
        discards = self._reasons("discards", now)
        arrived = self._gauges.arrivals(now)
        ends = self._log_ends()
        duplicates = next((d for d in discards if d.reason == "duplicate"), None)
        return pipeline.PipelineStatus(
            last_offset=ends.last_offset if ends else None,
            committed_offset=ends.committed_offset if ends else None,
            backlog_records=ends.backlog_records if ends else None,
            backlog_bytes=self._services.log.size_bytes(),
            batches=stream.batches if stream else 0,
            lag_p50_s=stream.lag_p50_s if stream else None,
            lag_p99_s=stream.lag_p99_s if stream else None,
            last_commit=utc(stream.written_ns) if stream else None,
            stream_error=stream.error if stream else "",
            registry_unfit=self._registry_unfit(),
            partitions=ends.partitions if ends else (),
            stream_runs=self._services.stream_runs(),
            duplicates_last_hour=duplicates.last_hour if duplicates else 0,
            duplicates_last_day=duplicates.last_day if duplicates else 0,
            accepted=accepted(arrived, now),
            crash_reports=self.crash_reports(now),
            discards=tuple(d for d in discards if d.reason != "duplicate"),
            notes=tuple(self._reasons("notes", now)),
            tables=self._tables(),
            crashes=self._crashes(now),
            samples=(*self._samples(now), *self._refused(now)) if with_samples else (),
            samples_withheld=not with_samples,
            gauges=self._gauges.read(arrived, ends.committed_offset or 0 if ends else 0, now),
        )

    def _log_ends(self) -> LogEnds | None:
        """None: a log elsewhere does not tell now."""
        try:
            return log_ends(self._services)
        except StorageError as error:
            _logger.warning("log_unread", code=error.code, message=error.message)
            return None

    def sample(self, log_offset: int) -> pipeline.SampleBody | None:
        """The body of a discarded ping as it came (of an unreadable one, its first bytes)."""
        found = self._services.engine.over("pings", _SAMPLE, (log_offset,))
        for offset, encoding, body, packing, sent_crc32 in found:
            return pipeline.SampleBody(str(offset), encoding, as_sent(body, packing, sent_crc32))
        return None

    def refused(self, day: str, name: str) -> pipeline.SampleBody | None:
        """The first bytes of a refused crash report, as sent or (where they were cut) inflated."""
        try:
            found = read_refused_report(self._services.blobs, day, name)
        except (NotFound, StorageError):
            return None
        encoding = "" if found.cut else found.headers.get("content-encoding", "")
        return pipeline.SampleBody(name, encoding, found.body)

    def _reasons(self, table: str, now: datetime) -> list[pipeline.Discard]:
        """What `discards` or `notes` hold of the last day."""
        hour, day = now - timedelta(hours=1), now - timedelta(days=1)
        rows = self._services.engine.over(table, _DISCARDS, (hour, day), Span(first=day))
        texts = self._explanations()
        return [
            pipeline.Discard(r, h, d, utc(last * 1000), texts.get(r) or _of_rule(r)) for r, h, d, last in rows
        ]

    def _samples(self, now: datetime) -> tuple[pipeline.Sample, ...]:
        day = now - timedelta(days=1)
        rows = self._services.engine.over("pings", _SAMPLES, (day, SAMPLES), Span(first=day))
        return tuple(_sample(row) for row in rows)

    def crash_reports(self, now: datetime) -> pipeline.Accepted:
        """Crash reports that were stored lately."""
        queue = self._services.crash_queue
        hour, day = (queue.received(now - timedelta(hours=hours)) for hours in (1, 24))
        return pipeline.Accepted("crash report", hour, day)

    def _refused(self, now: datetime) -> tuple[pipeline.Sample, ...]:
        """Crash reports that were refused in the last day, a few of each reason."""
        days = (f"{day:%Y%m%d}" for day in (now, now - timedelta(days=1)))
        kept = [k for day in days for k in refused_reports(self._services.blobs, day)]
        shown: Counter[str] = Counter()
        found = []
        for one in kept:
            reason = one.report.reason
            if one.report.received >= now - timedelta(days=1) and shown[reason] < _OF_A_REASON:
                shown[reason] += 1
                found.append(_refused_sample(one))
        return tuple(found)

    def _crashes(self, now: datetime) -> pipeline.CrashBacklog:
        backlog = self._services.crash_queue.backlog(now)
        return pipeline.CrashBacklog(
            backlog.reports, self._services.config.ingest.crash_backlog_max, backlog.oldest_s
        )

    def _registry_unfit(self) -> str:
        """Asked of the lake, so that it is told wherever the stream runs."""
        for table in lake_tables(self._services.registry()).values():
            snapshot = self._services.reader.snapshot(table.name)
            changed = changed_type(table, snapshot.columns) if snapshot is not None else ""
            if changed:
                return changed
        return ""

    def _tables(self) -> tuple[pipeline.TableSize, ...]:
        """From the snapshots that queries use: the care of the lake would load Arrow into this process for good."""
        found = []
        for name in lake_tables(self._services.registry()):
            snapshot = self._services.reader.snapshot(name)
            if snapshot is not None:
                rows, size = sum(f.rows for f in snapshot.files), sum(f.size_bytes for f in snapshot.files)
                found.append(
                    pipeline.TableSize(
                        name,
                        rows,
                        len(snapshot.files),
                        size,
                        snapshot.version,
                        days_kept=kept_days(self._services.config.retention, name),
                        oldest_day=oldest_day(snapshot),
                    )
                )
        return tuple(found)

    def _explanations(self) -> dict[str, str]:
        registry = self._services.registry()
        checks = {
            c.reason: f"{d.title}: {c.path or 'build id'} is not what the registry accepts."
            for d in registry.documents.values()
            for c in d.accept
        }
        return {**checks, **REASONS, **NOTES, **explanations(), **crash_explanations()}


def _sample(row: Sequence[Any]) -> pipeline.Sample:
    reason, offset, received, *address, headers, encoding, size, body, packing = row
    return pipeline.Sample(
        reason,
        offset,
        utc(received),
        _path(*address),
        tuple(pipeline.Header(n, v) for n, v in json.loads(headers or "{}").items()),
        size,
        _preview(body, encoding, packing),
        f"/pipeline/samples/{offset}" if offset else "",
    )


def _refused_sample(kept: Kept) -> pipeline.Sample:
    report = kept.report
    text = report.body if report.cut else readable(report.body, report.headers)
    return pipeline.Sample(
        report.reason,
        0,
        report.received,
        report.address,
        tuple(pipeline.Header(n, v) for n, v in report.headers.items()),
        report.size_bytes,
        text[:PREVIEW_CHARACTERS].decode("utf-8", "replace"),
        f"/pipeline/refused/{kept.day}/{kept.name}",
    )


def _path(
    namespace: str,
    kind: str,
    version: str,
    identity: str,
    app: str,
    app_version: str,
    channel: str,
    build: str,
) -> str:
    if namespace == "telemetry":
        parts = (identity, kind, app, app_version, channel, build)
        return "/submit/telemetry/" + "/".join(p or "" for p in parts)
    return "/submit/" + "/".join(p or "" for p in (namespace, kind, version, identity))


def _preview(body: bytes, encoding: str, packing: str | None) -> str:
    text = content(body, encoding, packing, _PREVIEW_INFLATED)
    shown = body if isinstance(text, Discard) else text
    return bytes(shown[:PREVIEW_CHARACTERS]).decode("utf-8", "replace")


def _of_rule(reason: str) -> str:
    """What a throttle rule's name means; the empty text for any other reason."""
    rule = reason.removeprefix("edge_crash_rule_")
    return "" if rule == reason else f"The throttle rule `{rule}` did not want these crash reports."
