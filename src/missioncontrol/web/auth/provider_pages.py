"""Signing in with an OpenID provider: to it, and back with a code.

Who comes back must be the browser that went: a random cookie ties the two together, and each way is gone once.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.errors import BadRequest, Unauthorized
from missioncontrol.web.auth.guard import PUBLIC
from missioncontrol.web.auth.login_pages import start_session
from missioncontrol.web.auth.own_path import own_path
from missioncontrol.web.auth.provider import Provider
from missioncontrol.web.auth.visit import visit_of

if TYPE_CHECKING:
    from missioncontrol.access.accounts import Accounts

_COOKIE = "mc_sign_in"
_PATH = "/login/oidc"
_LASTS_S = 600
_MOST_UNDER_WAY = 10_000


class _UnderWay(msgspec.Struct, frozen=True):
    browser: str
    nonce: str
    verifier: str
    after: str
    ends_s: float


class _Ways:
    """Sign-ins that have begun. Kept in memory and bounded; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ways: OrderedDict[str, _UnderWay] = OrderedDict()

    def begin(self, browser: str, after: str) -> tuple[str, _UnderWay]:
        """A new way and its state."""
        state = secrets.token_urlsafe(24)
        way = _UnderWay(
            browser, secrets.token_urlsafe(24), secrets.token_urlsafe(48), after, time.monotonic() + _LASTS_S
        )
        with self._lock:
            self._ways[state] = way
            while len(self._ways) > _MOST_UNDER_WAY:
                self._ways.popitem(last=False)
        return state, way

    def end(self, state: str, browser: str) -> _UnderWay:
        """The way of the state, which is then gone; raises `BadRequest` (`sign_in_lost`)."""
        with self._lock:
            way = self._ways.pop(state, None)
        same = way is not None and hmac.compare_digest(way.browser.encode(), browser.encode())
        if way is None or not same or way.ends_s < time.monotonic():
            hint = "Start again at /login, in this browser and within ten minutes."
            raise BadRequest("sign_in_lost", "This sign-in was not begun here, or is over.", hint)
        return way


def build_provider_login(accounts: Callable[[], Accounts], provider: Provider) -> APIRouter:
    """The routes below /login/oidc."""
    router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])
    ways = _Ways()

    @router.get(_PATH)
    def go(request: Request, next: str = "/") -> Response:
        browser = request.cookies.get(_COOKIE) or secrets.token_urlsafe(24)
        state, way = ways.begin(browser, own_path(next))
        answer = RedirectResponse(provider.address(_back(request), state, way.nonce, way.verifier), 303)
        https = visit_of(request).https
        answer.set_cookie(
            _COOKIE, browser, max_age=_LASTS_S, path=_PATH, secure=https, httponly=True, samesite="lax"
        )
        return answer

    @router.get(f"{_PATH}/callback")
    def back(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        way = ways.end(state, request.cookies.get(_COOKIE, ""))
        if error or not code:
            hint = "Try again at /login."
            raise Unauthorized("sign_in_refused", f"The provider did not sign you in: {error[:100]}.", hint)
        found = provider.identity(code, _back(request), way.nonce, way.verifier)
        user = accounts().of_provider(found.subject, found.name, found.scopes, datetime.now(UTC))
        return start_session(accounts(), request, user, way.after)

    return router


def _back(request: Request) -> str:
    """Where the provider sends the browser: the address to register there."""
    return f"{visit_of(request).base_url}{_PATH}/callback"
