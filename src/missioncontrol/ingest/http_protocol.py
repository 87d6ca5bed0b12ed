"""HTTP/1.1 as the server speaks it: uvicorn's protocol, with bounds on what a client makes us hold or await.

What happens here happens before any application sees the request: too long targets and header sections,
headers that never end, and bytes that are no HTTP are refused by name and counted. A refusal is always
readable: while the client is still sending, our side is closed first and the rest is read and dropped for a
while, since closing at once would reset the connection and lose the answer. This module never logs an address
and never touches bodies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from missioncontrol import config
from missioncontrol.ingest.asgi import REFUSED_BY_SERVER, App, Scope
from missioncontrol.ingest.reasons import (
    HEADER_TIMEOUT,
    HEADERS_TOO_LARGE,
    MALFORMED_HTTP,
    PATH_TOO_LONG,
    UPGRADE_UNSUPPORTED,
    Reason,
    Refused,
    body_of,
)

MAX_QUERY_BYTES = 16 * 1024
"""A request target may be this much longer than the longest path: queries of the API carry many filters."""
LINGER_IDLE_S = 2.0
LINGER_S = 30.0
"""After a refusal, what is still sent is dropped until the client pauses this long, or this long at most."""
GRACEFUL_SHUTDOWN_S = 10
_HEADER_OVERHEAD = 4  # ": " and CRLF

CountRefusal = Callable[[str], None]


class ServerConfig(uvicorn.Config):
    """uvicorn's settings, with the limits of the edge and who counts refusals."""

    limits: config.Edge
    count_refusal: CountRefusal


def make_server_config(app: App, settings: config.Config, count_refusal: CountRefusal) -> ServerConfig:
    """Settings for `uvicorn.Server`; `count_refusal(code)` hears of each request refused before the app ran.

    Access logs are off, since they hold addresses. X-Forwarded-For is left to the edge.
    """
    server = ServerConfig(
        cast(Any, app),
        host=settings.server.host,
        port=settings.server.port,
        http=GuardedHttpToolsProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
    server.limits = settings.edge
    server.count_refusal = count_refusal
    return server


class GuardedHttpToolsProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with the bounds of `config.Edge`; needs a `ServerConfig`."""

    config: ServerConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn writes access lines, with addresses, as soon as anyone attaches a handler to their logger.
        self.access_log = self.config.access_log
        limits = self.config.limits
        self._max_header_bytes = limits.max_header_bytes
        self._max_target_bytes = limits.max_path_bytes + MAX_QUERY_BYTES
        self._max_path_bytes = limits.max_path_bytes
        self._in_head = False
        self._in_body = False
        self._read_bytes = 0  # of the read being parsed
        self._head_bytes = 0  # upper bound of the header section: whole reads
        self._stalled_bytes = 0  # read within a body without any body in it: trailers, chunk extensions
        self._head_timer: asyncio.TimerHandle | None = None
        self._due: Reason | None = None
        self._deaf = False  # nothing that still arrives is parsed
        self._client_done = False  # the client closed its side
        self._linger_timer: asyncio.TimerHandle | None = None
        self._linger_until = 0.0
        self._linger_heard = False

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first header section."""
        super().connection_made(transport)
        self._ending = _EndingTransport(transport, self._end_connection)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._deaf = True
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep our side open for a client that closed its own after a whole request, and waits."""
        if self._in_body or self.cycle is None or self.cycle.response_complete:
            return False
        self._deaf = self._client_done = True
        self._stop_head_timer()
        if self._due is None:
            self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Parse one read, within the bounds."""
        if self._deaf:
            self._linger_heard = True
            return
        self._unset_keepalive_if_required()
        self._read_bytes = len(data)
        if self._in_head:
            self._head_bytes += self._read_bytes
        elif self._in_body:
            self._stalled_bytes += self._read_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # A request without a body: it is answered as if it had not asked, then the connection ends.
            self._deaf = True
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.reason if isinstance(cause, Refused) else MALFORMED_HTTP)
        else:
            self._bound_unfinished()

    def _bound_unfinished(self) -> None:
        """After a read: what is held of an unfinished section must be bounded in size and time."""
        if self._in_body:
            if self._stalled_bytes > self._max_header_bytes:
                self._refuse(HEADERS_TOO_LARGE)
        elif self._in_head:
            # The first read may begin with the body before; those after it are all header section.
            if self._head_bytes - self._first_read_bytes > self._max_header_bytes + self._max_target_bytes:
                self._refuse(HEADERS_TOO_LARGE)
            elif self._head_timer is None:
                self._await_head()
        elif self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()

    # Parser callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._head_bytes = self._first_read_bytes = self._read_bytes
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        self.url += url
        if len(self.url) > self._max_path_bytes and self._path_too_long():
            raise Refused(PATH_TOO_LONG)

    def _path_too_long(self) -> bool:
        path = self.url.partition(b"?")[0]
        return len(path) > self._max_path_bytes or len(self.url) > self._max_target_bytes

    def on_headers_complete(self) -> None:
        """Hand the request to the application unless its header section breaks a bound."""
        limit = self._max_header_bytes
        if self._head_bytes > limit and self._header_section_bytes() > limit:
            raise Refused(HEADERS_TOO_LARGE)
        if self.parser.should_upgrade() and any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b" 0"))
            for name, value in self.headers
        ):
            # The parser takes no body from such a request: its bytes would be read as another request.
            raise Refused(UPGRADE_UNSUPPORTED)
        # Trailers are appended to self.headers later: they are no headers.
        self.scope["headers"] = list(self.headers)
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, self._ending)
        self._stop_head_timer()
        self._in_head = False
        self._in_body = True
        self._stalled_bytes = 0

    def _header_section_bytes(self) -> int:
        return sum(len(name) + len(value) + _HEADER_OVERHEAD for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body."""
        self._stalled_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the connection, or answer the malformed rest that came behind this request."""
        super().on_response_complete()
        if self._linger_timer is None and not self.transport.is_closing() and self.cycle.response_complete:
            if self._due is not None:
                self._answer(self._due)
            elif self._in_body:
                # Answered without reading the body: do not wait for all of it, however slowly it comes.
                self._linger()
        if self._deaf:
            self._unset_keepalive_if_required()

    # Refusals

    def _refuse(self, reason: Reason) -> None:
        """Count and answer; a request before this one on the same connection gets its own answer first."""
        self._deaf = True
        self._stop_head_timer()
        cycle = self.cycle
        if self._in_body and cycle.response_started:
            self.transport.close()
            return
        self.config.count_refusal(reason.code)
        if self._in_body:
            cast(Scope, cycle.scope)[REFUSED_BY_SERVER] = reason.code
            cycle.disconnected = True
            cycle.message_event.set()
        elif cycle is not None and not cycle.response_complete:
            self._due = reason
            return
        self._answer(reason)

    def _answer(self, reason: Reason) -> None:
        self.transport.write(_response(reason))
        self._linger()

    # The end of a connection

    def _end_connection(self) -> None:
        """Close after a response; linger when the client is still sending the body of that request."""
        if self._in_body:
            self.pipeline.clear()
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        self._deaf = True
        if self._client_done or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._linger_until = self.loop.time() + LINGER_S
        self._linger_heard = False
        self._linger_timer = self.loop.call_later(LINGER_IDLE_S, self._linger_on)

    def _linger_on(self) -> None:
        if not self._linger_heard or self.loop.time() > self._linger_until:
            self.transport.close()
            return
        self._linger_heard = False
        self._linger_timer = self.loop.call_later(LINGER_IDLE_S, self._linger_on)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.config.limits.header_timeout_s, self._head_expired)

    def _head_expired(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse(HEADER_TIMEOUT)
        else:
            # Connected, or kept alive, without sending a request: there is nothing to answer.
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _EndingTransport:
    """The transport as a response sees it: how the connection ends is up to the protocol."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


def _response(reason: Reason) -> bytes:
    body = body_of(reason)
    return (
        b"HTTP/1.1 %d %s\r\n" % (reason.status, HTTPStatus(reason.status).phrase.encode())
        + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        + body
    )
