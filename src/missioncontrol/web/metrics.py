"""`/metrics` for Prometheus: what this process took from clients, how far the stream is, and what /pipeline shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import structlog
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from missioncontrol.errors import MissionControlError, StorageError
from missioncontrol.health.turn_status import TurnStatus
from missioncontrol.health.turn_status import read_status as read_turn_status
from missioncontrol.telemetry.status import read_status
from missioncontrol.web.pipeline.log_ends import LogEnds, log_ends
from missioncontrol.web.pipeline.metrics import pipeline_metrics
from missioncontrol.web.pipeline.view import Pipeline
from missioncontrol.web.taken_metrics import taken_metrics

if TYPE_CHECKING:
    from missioncontrol.ingest.crash.collector import Collector
    from missioncontrol.ingest.edge import Edge
    from missioncontrol.services import Services

_logger = structlog.get_logger()


class _Metrics:
    """Reads the counts at each scrape."""

    def __init__(
        self, services: Services, edge: Edge | None, collector: Collector | None, pipeline: Pipeline
    ) -> None:
        self._services, self._pipeline = services, pipeline
        self._edge, self._collector = edge, collector

    def collect(self) -> Iterator[Metric]:
        """All metrics; those of edge and collector count from the start of this process."""
        spool = self._services.spool if self._edge is not None or self._collector is not None else None
        yield from taken_metrics(self._edge, self._collector, spool)
        yield from self._alerts()
        yield from self._stream()
        yield from _verdicts(read_turn_status(self._services.config.data))
        yield from self._page()

    def _page(self) -> Iterator[Metric]:
        """What needs the lake is left out while that cannot be read: the rest is wanted then more than ever."""
        try:
            status = self._pipeline.status(False)
        except MissionControlError as error:
            _logger.warning("pipeline_unread", code=error.code, message=error.message)
            return
        yield from pipeline_metrics(status)

    def _alerts(self) -> Iterator[Metric]:
        """Of what the log holds, so that all processes say the same."""
        deliveries = GaugeMetricFamily(
            "mc_alert_deliveries", "Messages in the log of alerts, by status.", labels=["status"]
        )
        for status, count in sorted(self._services.alert_log.counts().items()):
            deliveries.add_metric([status], count)
        yield deliveries
        broken = sum(channel.state == "broken" for channel in self._services.alert_channels.list())
        yield GaugeMetricFamily("mc_alert_channels_broken", "Alert channels that refuse messages.", broken)

    def _stream(self) -> Iterator[Metric]:
        try:
            yield from _log(log_ends(self._services))
        except StorageError as error:  # a log elsewhere is away
            _logger.warning("log_unread", code=error.code, message=error.message)
        size_bytes = self._services.log.size_bytes()
        if size_bytes is not None:
            yield GaugeMetricFamily("mc_log_bytes", "Size of the log on disk.", size_bytes)
        status = read_status(self._services.config.data)
        if status is None:
            return
        for name, value in (
            ("records", status.records),
            ("counted", status.counted),
            ("discarded", status.discarded),
        ):
            yield CounterMetricFamily(
                f"mc_stream_{name}", f"Submissions {name} since the stream started.", value
            )
        lags = GaugeMetricFamily(
            "mc_stream_lag_seconds", "From receipt to visible, last batches.", labels=["quantile"]
        )
        lags.add_metric(["0.5"], status.lag_p50_s)
        lags.add_metric(["0.99"], status.lag_p99_s)
        yield lags


def _log(ends: LogEnds) -> Iterator[Metric]:
    for name, says, value in (
        ("mc_log_last_offset", "Newest record of the log.", ends.last_offset),
        ("mc_stream_committed_offset", "All up to this record is in the lake.", ends.committed_offset),
        ("mc_log_backlog_records", "Records not in the lake yet.", ends.backlog_records),
        (
            "mc_log_lost_records",
            "Messages that the topic deleted before they were in the lake.",
            ends.lost_records,
        ),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, says, value)
    if ends.partitions:
        family = GaugeMetricFamily(
            "mc_log_partition_backlog_records", "The same of each partition.", labels=["partition"]
        )
        for each in ends.partitions:
            family.add_metric([str(each.partition)], each.backlog_records)
        yield family


def _verdicts(status: TurnStatus | None) -> Iterator[Metric]:
    if status is None:
        return
    yield GaugeMetricFamily("mc_verdicts_subjects", "Measures of versions that are judged.", status.subjects)
    yield GaugeMetricFamily(
        "mc_verdicts_failed", "Of these, those that could not be in the newest turn.", len(status.failed)
    )
    if status.as_of is not None:
        yield GaugeMetricFamily(
            "mc_verdicts_as_of_seconds",
            "End of the newest window that was judged, since the epoch.",
            status.as_of.timestamp(),
        )
    yield GaugeMetricFamily("mc_verdicts_turn_seconds", "Duration of the newest turn.", status.took_s)
    for name, value, says in (
        ("turns", status.turns, "Turns of judging"),
        ("looks", status.looks, "Looks at releases that were kept"),
        ("changes", status.changes, "Verdicts that became others"),
        ("failures", status.failures, "Turns, channels and measures that failed"),
    ):
        yield CounterMetricFamily(f"mc_verdicts_{name}", f"{says} since judging began.", value)


def build_metrics(
    services: Services, edge: Edge | None, collector: Collector | None, pipeline: Pipeline
) -> APIRouter:
    """The route /metrics."""
    router = APIRouter(include_in_schema=False)
    registry = CollectorRegistry()
    registry.register(_Metrics(services, edge, collector, pipeline))

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
