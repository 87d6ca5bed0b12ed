"""The Crash Stats API for bugs: `/api/Bugs/` and `/api/SignaturesByBugs/`, in Socorro's shapes.

An id is a number where the tracker's ids are numbers, otherwise text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from missioncontrol.errors import BadRequest
from missioncontrol.web.api_route import as_json
from missioncontrol.web.crashes.route import CrashRoute

if TYPE_CHECKING:
    from missioncontrol.state.signature_bugs import SignatureBug, SignatureBugs

_MOST = 1000


def build_crash_bugs_api(store: Callable[[], SignatureBugs]) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["crashes"], route_class=CrashRoute)

    @router.get("/api/Bugs/", summary="Bugs of signatures, and all signatures of these bugs")
    @router.get("/api/Bugs", include_in_schema=False)
    def get_bugs(
        signatures: Annotated[list[str], Query(description="Signatures; may be repeated.")],
    ) -> Response:
        """A hit is a signature and the id of a bug; also other signatures that share a bug with one asked for."""
        return _answer(store().related(_said("signatures", signatures, "OOM%20%7C%20small")))

    @router.get("/api/SignaturesByBugs/", summary="Signatures of bugs")
    @router.get("/api/SignaturesByBugs", include_in_schema=False)
    def get_signatures(
        bug_ids: Annotated[list[str], Query(description="Ids of bugs; may be repeated.")],
    ) -> Response:
        """A hit is a signature and the id of a bug, of whichever tracker."""
        return _answer(store().of_bugs(_said("bug_ids", bug_ids, "1234567")))

    return router


def _said(name: str, values: list[str], example: str) -> list[str]:
    said = [value for value in values if value]
    if not said or len(said) > _MOST:
        raise BadRequest("bad_parameter", f"{name}: say 1 to {_MOST:,}.", f"{name}={example}")
    return said


def _answer(links: list[SignatureBug]) -> Response:
    hits: list[dict[str, Any]] = [{"id": _id(link.bug), "signature": link.signature} for link in links]
    return as_json({"hits": hits, "total": len(hits)})


def _id(bug: str) -> int | str:
    return int(bug) if bug.isascii() and bug.isdigit() and len(bug) < 16 else bug
