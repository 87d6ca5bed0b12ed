"""The cookie of a session: never readable by scripts, never sent along by other sites, and over https only there."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

_PLAIN = "mc_session"
_SECURE = "__Host-mc_session"
"""Browsers take a cookie of such a name only over https and from this very host."""


def session_of(request: Request) -> str:
    """The id of the session that a request carries; empty: none."""
    return request.cookies.get(_SECURE) or request.cookies.get(_PLAIN) or ""


def set_session(response: Response, session: str, lasts: timedelta, https: bool) -> None:
    """Give the browser its session."""
    response.set_cookie(
        _SECURE if https else _PLAIN,
        session,
        max_age=int(lasts.total_seconds()),
        path="/",
        secure=https,
        httponly=True,
        samesite="lax",
    )


def forget_session(response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(_PLAIN, path="/", httponly=True, samesite="lax")
    response.delete_cookie(_SECURE, path="/", secure=True, httponly=True, samesite="lax")
