"""Signing in with a password, and signing out. Works without scripts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.throttle import LoginThrottle
from missioncontrol.errors import MissionControlError, TooMany, Unauthorized
from missioncontrol.web.address import only
from missioncontrol.web.auth.cookies import forget_session, session_of, set_session
from missioncontrol.web.auth.guard import PUBLIC
from missioncontrol.web.auth.own_path import own_path
from missioncontrol.web.auth.visit import visit_of
from missioncontrol.web.refusals import refusal_headers, wants_page
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields

if TYPE_CHECKING:
    from missioncontrol.access.accounts import Accounts
    from missioncontrol.state.users import User

_logger = structlog.get_logger()


def build_login(accounts: Callable[[], Accounts], renderer: Renderer) -> APIRouter:
    """The routes /login and /logout."""
    router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])
    throttle = LoginThrottle(time.monotonic)

    @router.get("/login", dependencies=[only("next")])
    def form(request: Request, next: str = "/") -> Response:
        return renderer.page(request, "login.html", **form_values(own_path(next)))

    @router.post("/login")
    def sign_in(request: Request, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        name, after = fields.get("username", "").strip(), own_path(fields.get("next", "/"))
        try:
            user = _signed_in(accounts(), throttle, request, name, fields.get("password", ""))
        except (Unauthorized, TooMany) as error:
            if not wants_page(request):
                raise
            values = form_values(after, name[:100], error)
            page = renderer.page(request, "login.html", status=error.status, **values)
            page.headers.update(refusal_headers(error))
            return page
        return start_session(accounts(), request, user, after)

    @router.post("/logout")
    def sign_out(request: Request) -> Response:
        accounts().end_session(session_of(request))
        answer = RedirectResponse("/", 303)
        forget_session(answer)
        return answer

    return router


def form_values(after: str, name: str = "", error: MissionControlError | None = None) -> dict[str, Any]:
    """What the template `login.html` shows."""
    return {"after": after, "name": name, "error": error}


def start_session(accounts: Accounts, request: Request, user: User, after: str) -> Response:
    """Lead a user who has shown who they are to a page, under a session that nobody knew before."""
    session, lasts = accounts.start_session(user, session_of(request), datetime.now(UTC))
    answer = RedirectResponse(after, 303)
    set_session(answer, session, lasts, visit_of(request).https)
    _logger.info("signed_in", user=user.name)
    return answer


def _signed_in(
    accounts: Accounts, throttle: LoginThrottle, request: Request, name: str, password: str
) -> User:
    address = visit_of(request).address
    throttle.begin(address, name)
    try:
        user = accounts.sign_in(name, password)
    except Unauthorized:
        # Not the name: people type their password there.
        _logger.warning("sign_in_failed", address=address)
        raise
    throttle.right(address, name)
    return user
