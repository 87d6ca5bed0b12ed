"""`/api/v1/signature-bugs`: which bugs signatures have, and saying so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest
from missioncontrol.web.api_route import ApiRoute
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.crashes.bugs import CrashBugs
from missioncontrol.web.request_body import small_body

_MOST = 10_000
_BODY = {"signature": "poke_widget", "bug": "bugzilla:1234567", "title": "Poking a closed widget"}


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST."""

    signature: str
    bug: str
    title: str = ""


def build_signature_bugs(bugs: CrashBugs) -> APIRouter:
    """The routes. Reading needs `read`, and `protected` to see who linked a bug; changing needs `reprocess`."""
    router = APIRouter(tags=["crashes"], route_class=ApiRoute)

    @router.get("/api/v1/signature-bugs", summary="Bugs of signatures")
    def get(
        request: Request,
        signature: Annotated[list[str] | None, Query(description="Only of these; may be repeated.")] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 1000,
    ) -> Response:
        """Links by signature: id (of the link), signature, tracker, bug, label, url, title, added_at, who."""
        store, named = bugs.store(), reader_of(request).may("protected")
        links = store.of_signatures(signature) if signature else store.list(limit)
        return _json([_plain(bugs.shown(link, named)) for link in links[:limit]])

    @router.post(
        "/api/v1/signature-bugs", summary="Link a bug to a signature", status_code=201,
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _BODY}}}},
    )  # fmt: skip
    def post(
        request: Request,
        reader: Annotated[Reader, require("reprocess")],
        body: Annotated[bytes, Depends(small_body)],
    ) -> Response:
        """`bug` is an id with its tracker before it, an id alone where there is one tracker, or an address.

        Answers the link. Once more changes nothing but the title, where one is given.
        """
        try:
            said = msgspec.json.decode(body, type=_Said)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = msgspec.json.encode(_BODY).decode()
            raise BadRequest("bad_body", f"The body is no link: {str(error)[:200]}.", hint) from None
        ref = bugs.trackers.read(said.bug)
        now = datetime.now(UTC)
        link = bugs.store().add(said.signature, ref.tracker, ref.bug, said.title, reader.name, now)
        return _json(_plain(bugs.shown(link, reader.may("protected"))), 201)

    @router.delete("/api/v1/signature-bugs/{link_id}", summary="Take a link away")
    def delete(link_id: int, reader: Annotated[Reader, require("reprocess")]) -> Response:
        """Answers what it was. The bug itself is not touched."""
        return _json(_plain(bugs.shown(bugs.store().remove(link_id), reader.may("protected"))))

    return router


def _plain(link: msgspec.Struct) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(link)
    del found["others"]
    return found


def _json(what: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(what), status, media_type="application/json")
