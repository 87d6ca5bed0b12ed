"""`/api/v1/history`: the JSON twin of the history page, and the way to ask for days to be made again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from missioncontrol.errors import BadRequest
from missioncontrol.registry.rules import DEFAULT_RULES
from missioncontrol.telemetry.backfill_plan import CRASHES
from missioncontrol.web.auth.guard import require
from missioncontrol.web.history.model import HistorySource, read_day, read_plan
from missioncontrol.web.request_body import small_body

_ANYWHERE = {"access-control-allow-origin": "*"}
_EXAMPLE = '{"tables": ["crash_aggregates"], "first": "2026-11-01", "last": "2026-11-30", "rules": "default"}'


class WantedRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/history/runs."""

    first: str
    last: str = ""
    tables: tuple[str, ...] = (CRASHES,)
    rules: str = DEFAULT_RULES


def build_history_api(history: HistorySource, now: Callable[[], datetime]) -> APIRouter:
    """The routes of the history under /api/v1."""
    router = APIRouter(tags=["history"])

    @router.get("/api/v1/history", summary="The archive's days, what was made of them, and runs")
    def get_history(
        before: Annotated[str | None, Query(description="Days before this one (YYYY-MM-DD).")] = None,
    ) -> Response:
        """Each day of the archive with the state of crash_aggregates, the newest 60 first, and the newest 100 runs.

        `older` is the day to give as `before` for those that follow; null when there are none.
        """
        return _json(history.history(read_day(before) if before else None))

    @router.get("/api/v1/history/runs/{run_id}", summary="One run")
    def get_run(run_id: int) -> Response:
        """What it was to make, how it went, and whether it can be retried."""
        return _json(history.run(run_id))

    @router.post(
        "/api/v1/history/runs", summary="Make days again", status_code=202, dependencies=[require("reprocess")],
        openapi_extra={"requestBody": {"content": {"application/json": {"example": msgspec.json.decode(_EXAMPLE)}}}},
    )  # fmt: skip
    def post_run(body: Annotated[bytes, Depends(small_body)]) -> Response:
        """Asks for a run that makes the days from `first` to `last` again; answers 202 and the run, which waits.

        `tables` (crash_aggregates, another one that is made of pings, or `all`), `last` and `rules` may be left out.
        The same once more, while it waits or runs, answers that run.
        """
        asked = _asked(body)
        plan = read_plan(asked.tables, asked.first, asked.last, asked.rules, now().date())
        return _json(history.want(plan), 202)

    return router


def _asked(body: bytes) -> WantedRun:
    try:
        return msgspec.json.decode(body, type=WantedRun)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            "bad_body", f"The body is not understood: {str(error)[:200]}.", f"As in {_EXAMPLE}."
        ) from None


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, _ANYWHERE, media_type="application/json")
