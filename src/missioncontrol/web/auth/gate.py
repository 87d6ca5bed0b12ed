"""Finds out who sent each request: token, session, or nobody. Refuses nothing itself; the guards of routes do.

A plain ASGI layer around the web application. It looks into the state database for every request, in a thread, so that
a revoked token is refused at the next one.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from missioncontrol.access.anonymous import Approach, anonymous_scopes
from missioncontrol.access.reader import Reader
from missioncontrol.access.request_rate import RequestRate
from missioncontrol.access.throttle import client_network
from missioncontrol.config import Config
from missioncontrol.errors import ConfigError, MissionControlError, StorageError
from missioncontrol.ingest.client import TrustedProxies
from missioncontrol.web.auth.cookies import session_of
from missioncontrol.web.auth.visit import NOBODY, Visit, remember
from missioncontrol.web.same_origin import from_foreign_page, is_navigation

if TYPE_CHECKING:
    from missioncontrol.access.accounts import Accounts

_AT_ONCE = 8
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
_LIMITED = "/api/"
_FILES = "/static/"
_TOKEN_IN_ADDRESS = "/symupload"
"""Its client has no other place for a token."""


class Surroundings:
    """What the settings say about how requests come here."""

    def __init__(self, config: Config) -> None:
        """Raises `ConfigError` (`anonymous_invalid`, `trusted_proxies_invalid`, `public_url_invalid`)."""
        anonymous_scopes(config.access.anonymous)
        self.proxies = TrustedProxies(config.server.trusted_proxies, "server.trusted_proxies")
        self.public_url = _checked_url(config.server.public_url)
        self.api_requests_per_s = config.access.api_requests_per_s


class Gate:
    """Gives every request its `Visit`."""

    def __init__(self, app: ASGIApp, accounts: Callable[[], Accounts], surroundings: Surroundings) -> None:
        """`accounts` are asked for at the first request, so that a server that nobody asks has no state open."""
        self.app = app
        self._accounts = accounts
        self._proxies = surroundings.proxies
        self._public_url = surroundings.public_url
        self._rate = RequestRate(surroundings.api_requests_per_s, time.monotonic)
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the inner application does, which can ask whose request it is."""
        if scope["type"] == "http" and not scope["path"].startswith(_FILES):
            request = Request(scope)
            remember(scope, await anyio.to_thread.run_sync(self._visit, request, limiter=self._limiter))
        await self.app(scope, receive, send)

    def _visit(self, request: Request) -> Visit:
        peer = request.client.host if request.client else ""
        believed = self._proxies.trusts(peer)
        address = (
            self._proxies.client_address(peer, ",".join(request.headers.getlist("x-forwarded-for"))) or ""
        )
        https = self._is_https(request, believed)
        visit = Visit(
            NOBODY,
            address,
            https,
            self._public_url or f"{'https' if https else 'http'}://{request.headers.get('host', '')}",
        )
        return self._identified(request, visit)

    def _identified(self, request: Request, visit: Visit) -> Visit:
        # The whole of it: a part alone, while another thread imports the whole, leaves both half made.
        import sqlalchemy as sa

        reader, session, trouble = NOBODY, "", None
        try:
            reader, session = self._reader(request, visit)
        except MissionControlError as error:
            trouble = error
        except sa.exc.SQLAlchemyError:
            # Its message may hold what was asked for: hashes and names.
            trouble = StorageError("state_unavailable", "The state database cannot be read.", "Try again.")
        if request.url.path.startswith(_LIMITED) and reader.kind != "local":
            try:
                self._rate.take(_client(reader, visit.address))
            except MissionControlError as error:
                trouble = error
        return Visit(reader, visit.address, visit.https, visit.base_url, session, trouble)

    def _reader(self, request: Request, visit: Visit) -> tuple[Reader, str]:
        """Who asks, and under which session."""
        now = datetime.now(UTC)
        token = _token(request)
        if token is not None:
            return self._accounts().of_token(token, now), ""
        session = session_of(request)
        if session and (reader := self._accounts().of_session(session, now)):
            return reader, session
        approach = Approach(
            direct=not any(name in request.headers for name in _PASSED_ON),
            host=request.headers.get("host", ""),
            # What a link opens is shown to the reader; the page with the link cannot look at it.
            foreign_page=from_foreign_page(request, visit.base_url) and not is_navigation(request),
        )
        return self._accounts().anonymous(approach), ""

    def _is_https(self, request: Request, believed: bool) -> bool:
        if self._public_url:
            return self._public_url.startswith("https:")
        forwarded = request.headers.get("x-forwarded-proto", "") if believed else ""
        return request.url.scheme == "https" or forwarded.split(",")[-1].strip().lower() == "https"


def _token(request: Request) -> str | None:
    """What was sent as a token; None when nothing was."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token") and value.strip():
        return value.strip()
    if sent := request.headers.get("auth-token", "").strip():
        return sent
    if (
        scheme.lower() == "basic"
        and request.url.path == _TOKEN_IN_ADDRESS
        and "origin" not in request.headers
    ):
        # Browsers would go on sending it for pages of others too, so they have no use of it.
        return _in_address(value)
    return None


def _in_address(credentials: str) -> str | None:
    """The token out of `https://TOKEN@...` or `https://name:TOKEN@...`."""
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password or name or None


def _client(reader: Reader, address: str) -> str:
    """Whose bucket the request is taken from."""
    if reader.kind == "token":
        return f"token {reader.token_id}"
    return f"user {reader.name}" if reader.kind == "session" else f"address {client_network(address)}"


def _checked_url(url: str) -> str:
    if not url:
        return ""
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or parts.path not in ("", "/")
        or parts.query
    ):
        hint = "As in https://mc.example.com."
        raise ConfigError(
            "public_url_invalid", f"server.public_url: {url[:200]!r} is no address of a server.", hint
        )
    return f"{parts.scheme}://{parts.netloc}"
