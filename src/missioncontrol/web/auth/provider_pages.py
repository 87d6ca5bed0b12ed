"""Signing in with an OpenID provider: to it, and back with a code.

Who comes back must be the browser that went: a random cookie ties the two together, and each way is gone once.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.secret_texts import digest
from missioncontrol.errors import BadRequest, Unauthorized
from missioncontrol.web.auth.guard import PUBLIC
from missioncontrol.web.auth.login_pages import start_session
from missioncontrol.web.auth.own_path import own_path
from missioncontrol.web.auth.provider import Provider
from missioncontrol.web.auth.visit import visit_of

if TYPE_CHECKING:
    from missioncontrol.access.accounts import Accounts
    from missioncontrol.state.sign_ins import SignIns

_COOKIE = "mc_sign_in"
_PATH = "/login/oidc"
_LASTS = timedelta(minutes=10)


def build_provider_login(
    accounts: Callable[[], Accounts], provider: Provider, under_way: Callable[[], SignIns]
) -> APIRouter:
    """The routes below /login/oidc."""
    router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])

    @router.get(_PATH)
    def go(request: Request, next: str = "/") -> Response:
        browser = request.cookies.get(_COOKIE) or secrets.token_urlsafe(24)
        from missioncontrol.state.sign_ins import SignIn

        state, now = secrets.token_urlsafe(24), datetime.now(UTC)
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        under_way().begin(digest(state), SignIn(browser, nonce, verifier, own_path(next), now + _LASTS), now)
        answer = RedirectResponse(provider.address(_back(request), state, nonce, verifier), 303)
        https = visit_of(request).https
        answer.set_cookie(
            _COOKIE,
            browser,
            max_age=int(_LASTS.total_seconds()),
            path=_PATH,
            secure=https,
            httponly=True,
            samesite="lax",
        )
        return answer

    @router.get(f"{_PATH}/callback")
    def back(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        way = under_way().end(digest(state))
        browser = request.cookies.get(_COOKIE, "")
        if way is None or not _same(way.browser, browser) or way.ends_at < datetime.now(UTC):
            hint = "Start again at /login, in this browser and within ten minutes."
            raise BadRequest("sign_in_lost", "This sign-in was not begun here, or is over.", hint)
        if error or not code:
            hint = "Try again at /login."
            raise Unauthorized("sign_in_refused", f"The provider did not sign you in: {error[:100]}.", hint)
        found = provider.identity(code, _back(request), way.nonce, way.verifier)
        user = accounts().of_provider(found.subject, found.name, found.scopes, datetime.now(UTC))
        return start_session(accounts(), request, user, way.after)

    return router


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _back(request: Request) -> str:
    """Where the provider sends the browser: the address to register there."""
    return f"{visit_of(request).base_url}{_PATH}/callback"
