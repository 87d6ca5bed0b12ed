"""`GET /api/v1/crashes/deleted`: which crashes were deleted, when, and by whom. Holds nothing of the crashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from missioncontrol.web.auth.guard import require

if TYPE_CHECKING:
    from missioncontrol.state.crash_deletions import CrashDeletions


def build_deleted_crashes(record: Callable[[], CrashDeletions]) -> APIRouter:
    """The route; it names people, so it needs the scope `protected`."""
    router = APIRouter(tags=["crashes"], dependencies=[require("protected")])

    @router.get("/api/v1/crashes/deleted", summary="Crashes that were deleted, the newest first")
    def deleted(limit: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> Response:
        """Crash id, who, when it was asked for, and when it was done (null: not finished)."""
        found = record().newest(limit)
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router
