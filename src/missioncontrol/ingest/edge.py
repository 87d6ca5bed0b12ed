"""The edge for pings: stores what is sent to /submit/ and answers when it is durable. A raw ASGI application.

The body is stored as it came, neither inflated nor parsed: a bad one still gets 200 and is counted by the
stream. The client's address is turned into a country and dropped; it is never stored and never logged. Each
refusal has a code, and is counted.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from missioncontrol import config
from missioncontrol.clock import Clock, system_clock
from missioncontrol.errors import StorageAway, StorageFull
from missioncontrol.ingest.address import parse_address
from missioncontrol.ingest.asgi import REFUSED_BY_SERVER, Receive, Scope, Send, respond
from missioncontrol.ingest.client import TrustedProxies
from missioncontrol.ingest.country import UNKNOWN, CountryLookup
from missioncontrol.ingest.head import Head, read_head
from missioncontrol.ingest.reasons import (
    BODY_INCOMPLETE,
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    CLIENT_GONE,
    LOG_FULL,
    METHOD_NOT_ALLOWED,
    NOT_STORED,
    PATH_TOO_LONG,
    SPOOL_FULL,
    Reason,
    Refused,
    body_of,
)
from missioncontrol.ingest.refusals import Refusals
from missioncontrol.log.protocol import Appended, Appender, Entry, Kind

_METHODS = ("POST", "PUT")
_ALLOW = (b"allow", b"POST, PUT")
_CLOSE = (b"connection", b"close")
_RETRY_AFTER = (b"retry-after", b"60")
_JSON = b"application/json"
_TEXT = b"text/plain; charset=utf-8"

_logger = logging.getLogger(__name__)


class EdgeCounts(msgspec.Struct, frozen=True):
    """What the edge did since it started."""

    accepted: int
    """Submissions stored for the first time."""
    duplicates: int
    """Submissions answered with 200 whose document id was known."""
    body_bytes: int
    """Bytes of all accepted bodies, as sent."""
    refused: dict[str, int]
    """Refusals by code."""


class Edge:
    """ASGI application for everything under /submit."""

    def __init__(
        self, settings: config.Edge, log: Appender, country: CountryLookup, clock: Clock = system_clock
    ) -> None:
        """Raises `ConfigError` when the trusted proxies cannot be read."""
        self._settings = settings
        self._log = log
        self._country = country
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._clock = clock
        self._storing = True
        self._accepted = self._duplicates = self._body_bytes = 0
        self.refusals = Refusals(log, clock)

    @staticmethod
    def handles(path: str) -> bool:
        """Whether a request for this (decoded) path belongs to the edge."""
        return path.startswith("/submit/") or path == "/submit"

    def counts(self) -> EdgeCounts:
        """A snapshot for the metrics."""
        return EdgeCounts(self._accepted, self._duplicates, self._body_bytes, self.refusals.totals)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one submission: 200 when it is stored, else `{code, message, hint}`."""
        body_read = False
        try:
            entry, head = self._read_request(scope)
            body = await self._read_body(receive, head)
            body_read = True
            await self._store(msgspec.structs.replace(entry, received_ns=self._clock(), body=body))
        except Refused as refused:
            await self._refuse(scope, send, refused.reason, body_read)
        else:
            await respond(send, 200, b"OK", _TEXT)

    def _read_request(self, scope: Scope) -> tuple[Entry, Head]:
        if scope["method"] not in _METHODS:
            raise Refused(METHOD_NOT_ALLOWED)
        raw_path: bytes = scope["raw_path"]
        if len(raw_path) > self._settings.max_path_bytes:
            raise Refused(PATH_TOO_LONG)
        address = parse_address(raw_path, scope["query_string"])
        head = read_head(scope["headers"], self._settings.max_kept_header_bytes)
        if head.body_bytes is not None and head.body_bytes > self._settings.max_body_bytes:
            raise Refused(BODY_TOO_LARGE)
        entry = Entry(
            kind=Kind.PING,
            received_ns=0,
            namespace=address.namespace,
            document_type=address.document_type,
            document_version=address.document_version,
            document_id=address.document_id,
            application=address.application,
            version=address.version,
            channel=address.channel,
            build_id=address.build_id,
            country=self._country_of(scope, head),
            headers=head.kept,
            encoding=head.encoding,
        )
        return entry, head

    def _country_of(self, scope: Scope, head: Head) -> str:
        if not self._country.knows_countries:
            return UNKNOWN
        peer = scope.get("client")
        address = self._proxies.client_address(peer[0] if peer else None, head.forwarded)
        return self._country.country_of(address)

    async def _read_body(self, receive: Receive, head: Head) -> bytes:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                body = await self._collect(receive)
        except TimeoutError:
            raise Refused(BODY_TIMEOUT) from None
        if head.body_bytes is not None and len(body) != head.body_bytes:
            raise Refused(BODY_INCOMPLETE)
        return body

    async def _collect(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused(CLIENT_GONE)
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._settings.max_body_bytes:
                raise Refused(BODY_TOO_LARGE)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _store(self, entry: Entry) -> None:
        try:
            appended = await self._log.append(entry)
        except StorageFull as error:
            raise self._not_stored(LOG_FULL, error) from None
        except StorageAway as error:
            raise self._not_stored(SPOOL_FULL, error) from None
        except Exception as error:  # nobody may believe a ping is stored that is not, whatever went wrong
            raise self._not_stored(NOT_STORED, error) from None
        if not self._storing:
            _logger.warning("submissions are stored again")
            self._storing = True
        self._count(appended, len(entry.body))

    def _not_stored(self, reason: Reason, error: Exception) -> Refused:
        """Log the first failure of a row, so that a full disk does not fill the rest with messages."""
        if self._storing:
            _logger.error("submissions cannot be stored (%s): %s", reason.code, error)
            self._storing = False
        return Refused(reason)

    def _count(self, appended: Appended, body_bytes: int) -> None:
        if appended.duplicate:
            self._duplicates += 1
        else:
            self._accepted += 1
            self._body_bytes += body_bytes

    async def _refuse(self, scope: Scope, send: Send, reason: Reason, body_read: bool) -> None:
        if reason is CLIENT_GONE and REFUSED_BY_SERVER in scope:
            return
        self.refusals.add(reason.code)
        if reason is CLIENT_GONE:
            return
        headers = [_ALLOW] if reason is METHOD_NOT_ALLOWED else []
        if reason.status in (503, 507):
            headers.append(_RETRY_AFTER)
        if not body_read:
            # What is left of the body must not be taken for the next request.
            headers.append(_CLOSE)
        await respond(send, reason.status, body_of(reason), _JSON, headers)
