"""`/api/v1/annotations`: what people noted at a time, and noting something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest
from missioncontrol.query.filters import parse_instant
from missioncontrol.web.api_route import StrictRoute, as_json
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.request_body import small_body

if TYPE_CHECKING:
    from missioncontrol.state.annotations import Annotation, Annotations

_BODY = {
    "at": "2026-11-26T14:00:00Z", "text": "Outage of the update server", "application": "Firefox", "channel": None,
}  # fmt: skip


class _Noted(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST."""

    text: str
    at: str | None = None
    application: str | None = None
    channel: str | None = None


class AnnotationRow(msgspec.Struct, frozen=True):
    """An annotation as a reader may see it; `who` is null to one without the scope `protected`."""

    id: int
    at: datetime
    text: str
    application: str | None
    channel: str | None
    who: str | None
    added_at: datetime


def annotation_row(one: Annotation, protected: bool) -> AnnotationRow:
    """The row of an annotation, with its author only if `protected`."""
    who = one.who if protected else None
    return AnnotationRow(one.id, one.at, one.text, one.application, one.channel, who, one.added_at)


def build_annotations_api(annotations: Callable[[], Annotations], now: Callable[[], datetime]) -> APIRouter:
    """The routes. Reading needs `read`, and `protected` to see who noted it; changing needs `reprocess`."""
    router = APIRouter(tags=["annotations"], route_class=StrictRoute)

    @router.get("/api/v1/annotations", summary="What people noted at a time")
    def get(
        request: Request,
        start: Annotated[str | None, Query(description="From this time on, ISO 8601.")] = None,
        end: Annotated[str | None, Query(description="Before this time, ISO 8601.")] = None,
        application: Annotated[
            str | None, Query(description="Of this application, or of all.", min_length=1)
        ] = None,
        channel: Annotated[str | None, Query(description="Of this channel, or of all.", min_length=1)] = None,
    ) -> Response:
        """Oldest first; of more than 1,000 the newest. One without an application or a channel is of all of them."""
        first = parse_instant("start", start) if start else None
        last = parse_instant("end", end) if end else None
        if first and last and last <= first:
            raise BadRequest("bad_time", "The range ends before it starts.", "Swap `start` and `end`.")
        protected = reader_of(request).may("protected")
        found = annotations().list(first, last, application, channel)
        return as_json([annotation_row(one, protected) for one in found])

    @router.post(
        "/api/v1/annotations", summary="Note something at a time",
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _BODY}}}},
    )  # fmt: skip
    def post(
        reader: Annotated[Reader, require("reprocess")], body: Annotated[bytes, Depends(small_body)]
    ) -> Response:
        """`text` is one line of at most 200 characters; without `at` it is now; without `application` or `channel` it
        is of all of them. The same note once more is kept once. Answers it as it is kept.
        """
        try:
            noted = msgspec.json.decode(body, type=_Noted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = msgspec.json.encode(_BODY).decode()
            raise BadRequest("bad_body", f"The body is no annotation: {str(error)[:200]}.", hint) from None
        at = parse_instant("at", noted.at) if noted.at is not None else now()
        kept = annotations().add(at, noted.text, noted.application, noted.channel, reader.name, now())
        return as_json(annotation_row(kept, reader.may("protected")))

    @router.delete("/api/v1/annotations", summary="Remove an annotation", dependencies=[require("reprocess")])
    def delete(request: Request, id: int) -> Response:
        """Answers what it was."""
        return as_json(annotation_row(annotations().remove(id), reader_of(request).may("protected")))

    return router
