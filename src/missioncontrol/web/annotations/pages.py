"""The forms on charts that add an annotation or take one away; each leads back to the page it was on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest
from missioncontrol.query.filters import parse_instant
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.own_path import own_path
from missioncontrol.web.request_body import form_fields

if TYPE_CHECKING:
    from missioncontrol.state.annotations import Annotation, Annotations

PATH = "/annotations"
SCOPES = ("channel", "application", "everywhere")


def annotations_of(
    annotations: Callable[[], Annotations],
) -> Callable[[datetime, datetime, str | None, str | None], list[Annotation]]:
    """Those of a time, an application and a channel."""

    def found(
        start: datetime, end: datetime, application: str | None, channel: str | None
    ) -> list[Annotation]:
        return annotations().list(start, end, application, channel)

    return found


def build_annotation_forms(annotations: Callable[[], Annotations], now: Callable[[], datetime]) -> APIRouter:
    """The routes of the forms; all need `reprocess`."""
    router = APIRouter(include_in_schema=False)

    @router.post(PATH)
    def add(
        reader: Annotated[Reader, require("reprocess")],
        fields: Annotated[dict[str, str], Depends(form_fields)],
    ) -> Response:
        at = parse_instant("at", fields["at"]) if fields.get("at") else now()
        scope = fields.get("scope", "channel")
        if scope not in SCOPES:
            raise BadRequest(
                "bad_scope", f"`scope` cannot be {scope[:40]!r}.", f"One of {', '.join(SCOPES)}."
            )
        application = fields.get("application") if scope != "everywhere" else None
        channel = fields.get("channel") if scope == "channel" else None
        annotations().add(at, fields.get("text", ""), application, channel, reader.name, now())
        return RedirectResponse(own_path(fields.get("next", "/")), 303)

    @router.post(f"{PATH}/{{annotation_id}}/remove", dependencies=[require("reprocess")])
    def remove(annotation_id: int, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        annotations().remove(annotation_id)
        return RedirectResponse(own_path(fields.get("next", "/")), 303)

    @router.get(PATH)
    def back() -> Response:
        return RedirectResponse("/", 303)  # after signing in

    @router.get(f"{PATH}/{{annotation_id}}/remove")
    def back_too(annotation_id: int) -> Response:
        return RedirectResponse("/", 303)

    return router
