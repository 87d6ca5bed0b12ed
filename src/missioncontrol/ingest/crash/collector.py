"""The collector: takes crash reports by HTTP, answers when they are stored and queued. A raw ASGI application.

`POST /submit` for Mozilla's, Breakpad's, Crashpad's and Electron's clients, `POST /api/<project>/minidump/` for those
of Sentry. The body is read while it arrives. The client's address is used for nothing and never stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from missioncontrol import config
from missioncontrol.access.request_rate import RequestRate
from missioncontrol.blobs.crash_keys import parsed_crash_id
from missioncontrol.errors import BadRequest, StorageAway, TooMany
from missioncontrol.ingest.asgi import REFUSED_BY_SERVER, Receive, Scope, Send, respond
from missioncontrol.ingest.crash import reasons
from missioncontrol.ingest.crash.admission import Admission
from missioncontrol.ingest.crash.annotations import understood, without_forbidden
from missioncontrol.ingest.crash.answers import Shape, accepted, discarded
from missioncontrol.ingest.crash.multipart import Limits, ReportReader, boundary_of
from missioncontrol.ingest.crash.reasons import CrashReason, CrashRefused
from missioncontrol.ingest.crash.report import Report
from missioncontrol.ingest.crash.samples import SAMPLE_BYTES, RefusedSamples
from missioncontrol.ingest.crash.store import CrashStore, Stored, raw_crash
from missioncontrol.ingest.crash.throttle import Decision, Throttle
from missioncontrol.ingest.head import body_length
from missioncontrol.ingest.reasons import LENGTH_REQUIRED, Refused
from missioncontrol.ingest.refusals import Refusals

_TEXT = b"text/plain; charset=utf-8"
_ALLOW = (b"allow", b"POST")
_CLOSE = (b"connection", b"close")
_SENTRY = re.compile(r"/api/[^/]+/minidump/?")
_USER_AGENT_LENGTH = 500
_FIRST_BYTES_S = 0.5

_logger = logging.getLogger(__name__)


class CollectorCounts(msgspec.Struct, frozen=True):
    """What the collector did since it started."""

    accepted: int
    """Reports stored for the first time."""
    resent: int
    """Reports answered with the id of an earlier copy."""
    body_bytes: int
    """Bytes of accepted reports, as sent."""
    throttled: dict[str, int]
    """Reports that were not kept, by throttle rule."""
    refused: dict[str, int]
    """All that this server refused, by code."""


class _Request(msgspec.Struct, frozen=True):
    """What a request says before its body."""

    content_type: str
    gzipped: bool
    length: int | None
    user_agent: str
    authorization: str
    query: bytes
    sentry: bool


class Collector:
    """ASGI application for crash reports."""

    def __init__(
        self,
        settings: config.Ingest,
        store: CrashStore,
        throttle: Throttle,
        refusals: Refusals,
        now: Callable[[], datetime],
        admission: Admission,
        samples: RefusedSamples,
        may_choose_id: Callable[[str], bool] = lambda authorization: False,
    ) -> None:
        """`may_choose_id` is given the Authorization header of a report that brings its own crash id."""
        self._settings, self._store, self._throttle = settings, store, throttle
        self._refusals, self._now, self._may_choose_id = refusals, now, may_choose_id
        self._admission, self._samples = admission, samples
        self._limits = Limits(inflated_bytes=settings.crash_max_inflated_bytes)
        self._rates = {
            name: RequestRate(product.per_minute / 60, time.monotonic, burst_s=60.0)
            for name, product in settings.products.items()
        }
        self._accepted = self._resent = self._body_bytes = 0
        self._throttled: Counter[str] = Counter()
        self._storing = True

    @staticmethod
    def handles(path: str) -> bool:
        """Whether a request for this (decoded) path belongs to the collector."""
        return path == "/submit" or _SENTRY.fullmatch(path) is not None

    def counts(self) -> CollectorCounts:
        """A snapshot for the metrics."""
        return CollectorCounts(
            self._accepted, self._resent, self._body_bytes, dict(self._throttled), self._refusals.totals
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one report."""
        body = _Body(receive, self._settings.crash_max_bytes)
        try:
            status, answer = await self._take(scope, body)
        except CrashRefused as refused:
            await self._refuse(scope, send, refused.reason, body)
        except Refused as refused:
            word = f"malformed_{refused.reason.code}"
            reason = CrashReason(refused.reason.status, word, refused.reason.message)
            if refused.reason is LENGTH_REQUIRED:
                reason = reasons.NO_CONTENT_LENGTH
            await self._refuse(scope, send, reason, body)
        else:
            await respond(send, status, answer, _TEXT, [] if body.ended else [_CLOSE])

    async def _take(self, scope: Scope, body: _Body) -> tuple[int, bytes]:
        request = _read_request(scope, self._settings.crash_max_bytes)
        try:
            await self._admission.require()
        except CrashRefused:
            raise
        except Exception as error:
            raise self._not_stored(error) from None
        boundary = boundary_of(request.content_type)
        reader = ReportReader(boundary, request.gzipped, self._store.draft, self._limits)
        kept = False
        try:
            async with asyncio.timeout(self._settings.crash_body_timeout_s):
                async for chunk in body:
                    reader.feed(chunk)
            body.check_length(request.length)
            report = reader.finish()
            identity = report.identity()
            result = await self._decide(request, report, identity, body.size_bytes)
            kept = True
        except TimeoutError:
            raise CrashRefused(reasons.TIMEOUT) from None
        except CrashRefused:
            raise
        except Exception as error:  # nobody may believe a crash is stored that is not, whatever went wrong
            raise self._not_stored(error) from None
        finally:
            if not kept:
                reader.discard()
        return result

    async def _decide(
        self, request: _Request, report: Report, identity: bytes, wire_bytes: int
    ) -> tuple[int, bytes]:
        if not report.annotations:
            raise CrashRefused(reasons.NO_ANNOTATIONS)
        named = understood(report.annotations, request.query)
        product = self._settings.products.get(named.get("ProductName", ""), config.CrashProduct())
        await self._admit(request, named.get("ProductName", ""), product, identity)
        chosen = await self._chosen_id(request, named)
        if chosen is not None and await asyncio.to_thread(self._store.is_taken, chosen, identity):
            raise CrashRefused(reasons.UUID_TAKEN)
        decision = self._throttle.decide(named, identity, self._now())
        shape: Shape = "bare" if request.sentry else product.answer
        if decision.result != "accept":
            report.discard()
            return self._throttled_answer(decision, chosen or self._store.new_id(), shape)
        stored = await self._stored(request, report, named, identity, chosen, decision, wire_bytes)
        self._count(stored, wire_bytes)
        if stored.resent and await asyncio.to_thread(self._store.is_gone, stored.crash_id):
            self._refusals.add(reasons.DELETED.code)
        return 200, accepted(stored.crash_id, shape)

    async def _stored(
        self,
        request: _Request,
        report: Report,
        named: dict[str, str],
        identity: bytes,
        chosen_id: str | None,
        decision: Decision,
        wire_bytes: int,
    ) -> Stored:
        annotations, removed = without_forbidden(named)
        metadata: dict[str, Any] = {
            "payload_compressed": "1" if request.gzipped else "0",
            "payload_size": wire_bytes,
            "collector_notes": [*report.notes, *removed],
            "user_agent": request.user_agent,
            "throttle_rule": decision.rule,
            "throttle_rate": decision.percent / 100,
        }
        if chosen_id is not None:
            metadata["identity"] = identity.hex()  # whose the id is, should it be stored and not queued
        raw = raw_crash(report, annotations, chosen_id, metadata, self._now())
        return await self._store.store(report, identity, chosen_id, raw)

    async def _admit(
        self, request: _Request, name: str, product: config.CrashProduct, identity: bytes
    ) -> None:
        if product.key:
            try:
                given = parse_qs(request.query.decode("latin-1"), max_num_fields=100).get("key", [""])[0]
            except ValueError:
                given = ""
            if not hmac.compare_digest(given.encode(), product.key.encode()):
                raise CrashRefused(reasons.UNAUTHORIZED_KEY)
        rate = self._rates.get(name)
        if rate is not None:
            try:
                rate.take(name)
            except TooMany:
                # A report that is here already is answered as the first time; else its client goes on sending it.
                if not await asyncio.to_thread(self._store.is_known, identity):
                    raise CrashRefused(reasons.RATE_LIMITED) from None

    async def _chosen_id(self, request: _Request, named: Mapping[str, str]) -> str | None:
        chosen = named.get("uuid")
        if chosen is None:
            return None
        if not await asyncio.to_thread(self._may_choose_id, request.authorization):
            raise CrashRefused(reasons.UNAUTHORIZED_UUID)
        try:
            return parsed_crash_id(chosen)
        except BadRequest:
            raise CrashRefused(reasons.INVALID_UUID) from None

    def _throttled_answer(self, decision: Decision, crash_id: str, shape: Shape) -> tuple[int, bytes]:
        self._throttled[decision.rule] += 1
        self._refusals.add(f"crash_rule_{decision.rule}")
        if decision.result == "fake_accept":
            return 200, accepted(crash_id, shape)
        return 200, discarded(f"rule_{decision.rule}")

    def _count(self, stored: Stored, wire_bytes: int) -> None:
        if not self._storing:
            _logger.warning("crash reports are stored again")
            self._storing = True
        if stored.resent:
            self._resent += 1
        else:
            self._accepted += 1
            self._body_bytes += wire_bytes

    def _not_stored(self, error: Exception) -> CrashRefused:
        """Log the first failure of a row, so that a full disk does not fill the rest with messages."""
        if self._storing:
            _logger.error("crash reports cannot be stored: %s", error)
            self._storing = False
        return CrashRefused(reasons.STORE_AWAY if isinstance(error, StorageAway) else reasons.NOT_STORED)

    async def _refuse(self, scope: Scope, send: Send, reason: CrashReason, body: _Body) -> None:
        gone = reason is reasons.CLIENT_GONE
        if gone and REFUSED_BY_SERVER in scope:
            return
        self._refusals.add(reason.code)
        if self._samples.wants(reason):
            body_start = await body.first_bytes(scope)
            await self._samples.keep(reason, scope["path"], scope["headers"], body_start, body.size_bytes)
        if gone:
            return
        headers = [_ALLOW] if reason.status == 405 else []
        if reason.status in (429, 503, 507):
            headers.append((b"retry-after", b"60"))
        if not body.ended:
            # What is left of the body must not be taken for the next request.
            headers.append(_CLOSE)
        await respond(send, reason.status, discarded(reason.word), _TEXT, headers)


class _Body:
    """The chunks of a request's body, counted."""

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._receive, self._most_bytes = receive, most_bytes
        self.size_bytes = 0
        self.ended = False
        self._start = bytearray()

    async def __aiter__(self) -> Any:
        while not self.ended:
            message = await self._receive()
            if message["type"] != "http.request":
                raise CrashRefused(reasons.CLIENT_GONE)
            chunk: bytes = message.get("body", b"")
            self.size_bytes += len(chunk)
            self._start += chunk[: SAMPLE_BYTES - len(self._start)]
            if self.size_bytes > self._most_bytes:
                raise CrashRefused(reasons.TOO_LARGE)
            self.ended = not message.get("more_body", False)
            yield chunk

    async def first_bytes(self, scope: Scope) -> bytes:
        """What came first; of a body that nobody has read, what arrives in a moment without asking for it."""
        if not self.size_bytes and not self.ended and b"expect" not in dict(scope["headers"]):
            with contextlib.suppress(TimeoutError, CrashRefused):
                async with asyncio.timeout(_FIRST_BYTES_S):
                    async for _ in self:
                        break
        return bytes(self._start)

    def check_length(self, length: int | None) -> None:
        """Refuse a body that is not as long as was said."""
        if length is not None and length != self.size_bytes:
            raise CrashRefused(reasons.INCOMPLETE)


def _read_request(scope: Scope, most_bytes: int) -> _Request:
    if scope["method"] != "POST":
        raise CrashRefused(reasons.METHOD_NOT_ALLOWED)
    headers: dict[bytes, bytes] = dict(scope["headers"])
    length = body_length(scope["headers"])
    if length == 0:
        raise CrashRefused(reasons.NO_CONTENT_LENGTH)
    if length is not None and length > most_bytes:
        raise CrashRefused(reasons.TOO_LARGE)
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if encoding not in ("", "gzip", "identity"):
        raise CrashRefused(reasons.UNKNOWN_ENCODING)
    user_agent = headers.get(b"user-agent", b"").decode("latin-1")[:_USER_AGENT_LENGTH]
    return _Request(
        headers.get(b"content-type", b"").decode("latin-1"),
        encoding == "gzip",
        length,
        "".join(c if c.isprintable() else "?" for c in user_agent),
        headers.get(b"authorization", b"").decode("latin-1"),
        scope["query_string"],
        scope["path"].startswith("/api/"),
    )
