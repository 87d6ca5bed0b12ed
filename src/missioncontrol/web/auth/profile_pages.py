"""`/profile`: who am I, what may I do, and my tokens. A new token is in the answer that makes it, and never again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.reader import Reader
from missioncontrol.access.scopes import MEANINGS, SCOPES, parse_scopes
from missioncontrol.errors import BadRequest, Unauthorized
from missioncontrol.web.address import only
from missioncontrol.web.auth.guard import PUBLIC
from missioncontrol.web.auth.visit import reader_of, visit_of
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields

if TYPE_CHECKING:
    from missioncontrol.access.accounts import Accounts, NewToken

LENGTHS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year", "": "for ever"}


class Me(msgspec.Struct, frozen=True):
    """Body of GET /api/v1/me."""

    name: str
    kind: str
    scopes: list[str]


def build_profile(accounts: Callable[[], Accounts], renderer: Renderer) -> APIRouter:
    """The routes /profile and /api/v1/me."""
    router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])

    def page(
        request: Request, reader: Reader, made: NewToken | None = None, error: BadRequest | None = None
    ) -> Response:
        return renderer.page(
            request,
            "profile.html",
            status=error.status if error else 200,
            tokens=accounts().tokens.list(reader.name),
            meanings=MEANINGS,
            lengths=LENGTHS,
            now=datetime.now(UTC),
            made=made,
            error=error,
        )

    @router.get("/profile", dependencies=[only()])
    def profile(request: Request) -> Response:
        return page(request, _user(request))

    @router.get("/profile/tokens")
    def back() -> Response:
        return RedirectResponse("/profile", 303)  # a reload after a token was shown

    @router.post("/profile/tokens")
    def make(request: Request, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        reader = _user(request)
        try:
            return page(request, reader, made=_make(accounts(), reader, fields))
        except BadRequest as error:
            return page(request, reader, error=error)

    @router.post("/profile/tokens/{token_id}/revoke")
    def revoke(request: Request, token_id: str) -> Response:
        accounts().tokens.revoke(token_id, datetime.now(UTC), owner=_user(request).name)
        return RedirectResponse("/profile#tokens", 303)

    @router.get("/api/v1/me")
    def me(request: Request) -> Response:
        visit = visit_of(request)
        if visit.trouble is not None:
            raise visit.trouble
        reader = visit.reader
        found = Me(reader.name, reader.kind, [s for s in SCOPES if reader.may(s)])
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router


def _user(request: Request) -> Reader:
    """The user who is signed in: tokens cannot make tokens. Raises `Unauthorized` (`sign_in`)."""
    reader = reader_of(request)
    if reader.kind != "session":
        raise Unauthorized("sign_in", "This page is for users who are signed in.", "Sign in at /login.")
    return reader


def _make(accounts: Accounts, reader: Reader, fields: Mapping[str, str]) -> NewToken:
    """The token that the form asks for: each scope is a field of its own, `scope_read` and so on."""
    scopes = parse_scopes(name.removeprefix("scope_") for name in fields if name.startswith("scope_"))
    beyond = [scope for scope in scopes if not reader.may(scope)]
    if beyond:
        raise BadRequest("scope_beyond", f"You do not have the scope {beyond[0]} yourself.")
    days = fields.get("days", "")
    if days not in LENGTHS:
        raise BadRequest("bad_length", "Choose one of the lengths.")
    now = datetime.now(UTC)
    ends = now + timedelta(days=int(days)) if days else None
    return accounts.make_token(fields.get("name", "").strip(), scopes, now, ends, owner=reader.name)
