"""What one process took from clients, for Prometheus; and /metrics of an edge that runs without pages and API.

Light: an edge alone loads neither a web framework nor the lake. Its numbers are its own, and count from its start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from missioncontrol.ingest.asgi import Receive, Scope, Send, respond

if TYPE_CHECKING:
    from missioncontrol.ingest.crash.collector import Collector
    from missioncontrol.ingest.edge import Edge
    from missioncontrol.log.spooled import SpoolCounts, SpooledLog

PATH = "/metrics"
_JSON = b"application/json"
_FORBIDDEN = msgspec.json.encode(
    {
        "code": "forbidden",
        "message": "Metrics are shown to those who may read.",
        "hint": "Send a token with the scope `read`: Authorization: Bearer TOKEN.",
    }
)
_METHOD = msgspec.json.encode(
    {"code": "method_not_allowed", "message": "Metrics are asked with GET or HEAD.", "hint": "Use GET."}
)


def taken_metrics(
    edge: Edge | None, collector: Collector | None, spool: SpooledLog | None
) -> Iterator[Metric]:
    """The counts of the parts that there are."""
    refused: dict[str, int] = {}
    if collector is not None:
        yield from _crashes(collector)
        refused = collector.counts().refused
    if spool is not None:
        yield from _spool(spool.counts())
    if edge is not None:
        yield from _edge(edge)
        refused = edge.counts().refused
    if edge is not None or collector is not None:
        yield _by("mc_edge_refused", "Submissions refused, by code.", "code", refused)


class TakenMetrics:
    """A raw ASGI application: the counts, for those who `may_read` by their header Authorization."""

    def __init__(
        self,
        edge: Edge | None,
        collector: Collector | None,
        spool: SpooledLog | None,
        may_read: Callable[[str], bool],
    ) -> None:
        self._counted = edge, collector, spool
        self._may_read = may_read
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """As Prometheus's client wants it."""
        return taken_metrics(*self._counted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, _METHOD, _JSON, [(b"allow", b"GET, HEAD")])
            return
        sent = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        if not await asyncio.to_thread(self._may_read, sent):
            await respond(send, 403, _FORBIDDEN, _JSON)
            return
        body = await asyncio.to_thread(generate_latest, self._registry)
        await respond(send, 200, body, CONTENT_TYPE_LATEST.encode(), [(b"cache-control", b"no-store")])


def _edge(edge: Edge) -> Iterator[Metric]:
    counts = edge.counts()
    yield CounterMetricFamily("mc_edge_accepted", "Submissions stored for the first time.", counts.accepted)
    yield CounterMetricFamily(
        "mc_edge_duplicates", "Submissions whose document id was known.", counts.duplicates
    )
    yield CounterMetricFamily("mc_edge_body_bytes", "Bytes of accepted bodies as sent.", counts.body_bytes)


def _spool(counts: SpoolCounts) -> Iterator[Metric]:
    for name, says, value in (
        ("records", "Submissions that wait on this disk for Kafka.", counts.records),
        ("bytes", "What they take on the disk.", counts.size_bytes),
        ("kafka_away", "Whether Kafka is taken to be away.", int(counts.away)),
    ):
        yield GaugeMetricFamily(f"mc_spool_{name}", says, value)
    for name, says, value in (
        (
            "spooled",
            "Submissions that went to the disk because Kafka did not take them in time.",
            counts.spooled,
        ),
        ("drained", "Submissions of the spool that Kafka has.", counts.drained),
        ("produce_errors", "Attempts to hand a submission to Kafka that failed.", counts.errors),
    ):
        yield CounterMetricFamily(f"mc_spool_{name}", says, value)


def _crashes(collector: Collector) -> Iterator[Metric]:
    counts = collector.counts()
    yield CounterMetricFamily(
        "mc_crash_accepted", "Crash reports stored for the first time.", counts.accepted
    )
    yield CounterMetricFamily(
        "mc_crash_resent", "Crash reports whose earlier copy was stored.", counts.resent
    )
    yield CounterMetricFamily(
        "mc_crash_body_bytes", "Bytes of accepted crash reports as sent.", counts.body_bytes
    )
    yield _by("mc_crash_throttled", "Crash reports not kept, by throttle rule.", "rule", counts.throttled)


def _by(name: str, says: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, says, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
