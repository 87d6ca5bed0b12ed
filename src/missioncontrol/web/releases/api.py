"""`/api/v1/releases`: which versions were published when, what is said of them, and saying so."""

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
from missioncontrol.query.release_rows import BuildRow, version_row, version_rows
from missioncontrol.state.release_model import Change, Status
from missioncontrol.web.api_route import StrictRoute, as_json
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.request_body import small_body

if TYPE_CHECKING:
    from missioncontrol.state.releases import Releases

_BODY = {
    "application": "Firefox", "channel": "release", "version": "133.0", "build_ids": ["20261120112233"],
    "published_at": "2026-11-26T14:00:00Z", "status": "accepted", "note": "",
}  # fmt: skip


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST; null: nothing is said of that."""

    application: str
    channel: str
    version: str
    build_ids: tuple[str, ...] = ()
    published_at: str | None = None
    status: Status | None = None
    note: str | None = None


def build_releases_api(releases: Callable[[], Releases], now: Callable[[], datetime]) -> APIRouter:
    """The routes. Reading needs `read`, and `protected` to see who changed what; changing needs `reprocess`."""
    router = APIRouter(tags=["releases"], route_class=StrictRoute)

    @router.get("/api/v1/releases", summary="Versions, when they were published, and what is said of them")
    def get(
        request: Request,
        application: Annotated[
            str | None, Query(description="Only of this application.", min_length=1)
        ] = None,
        channel: Annotated[str | None, Query(description="Only of this channel.", min_length=1)] = None,
        version: Annotated[str | None, Query(description="Only this version.", min_length=1)] = None,
    ) -> Response:
        """By application and channel, in each the newest version first, by number.

        `origin` of a time: imported, set, or inferred from the first steady arrival of a build. `status`: accepted,
        excluded or worse; only accepted versions are compared with. `statuses`: all that a version had, oldest first,
        and from when on each acted on what is judged; null: from ever.
        """
        found = releases().versions(application, channel)
        wanted = [v for v in found if version is None or v.version == version]
        return as_json(version_rows(wanted, reader_of(request).may("protected")))

    @router.post(
        "/api/v1/releases", summary="Say when a version was published, or what is to be known of it",
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _BODY}}}},
    )  # fmt: skip
    def post(
        reader: Annotated[Reader, require("reprocess")], body: Annotated[bytes, Depends(small_body)]
    ) -> Response:
        """All but application, channel and version may be left out, and stays as it is; a version that is not known
        needs `published_at`. Without `build_ids` that is the time of the version's first build. Status and note count
        for all builds of the version. A status acts on what is judged from now on; `accepted` withdraws what called
        the version worse before. Answers the version as it is known now.
        """
        try:
            said = msgspec.json.decode(body, type=_Said)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = msgspec.json.encode(_BODY).decode()
            raise BadRequest("bad_body", f"The body is no release: {str(error)[:200]}.", hint) from None
        time = parse_instant("published_at", said.published_at) if said.published_at is not None else None
        change = Change(said.build_ids, time, said.status, said.note)
        known = releases().change(said.application, said.channel, said.version, change, reader.name, now())
        return as_json(version_row(known, reader.may("protected")))

    @router.delete(
        "/api/v1/releases",
        summary="Forget a version, or one build of it",
        dependencies=[require("reprocess")],
    )
    def delete(application: str, channel: str, version: str, build_id: str | None = None) -> Response:
        """Answers the builds that were known. Pings and crashes of it stay; what still arrives is inferred again."""
        gone = releases().remove(application, channel, version, build_id)
        return as_json([BuildRow(build.build_id, build.published_at, build.origin) for build in gone])

    return router
