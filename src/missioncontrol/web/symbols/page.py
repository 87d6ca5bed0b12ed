"""The page of symbols: the modules that crashes met without any that could be used, and what mends each.

Never changes anything.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from missioncontrol.web.address import read_once
from missioncontrol.web.auth.visit import visit_of
from missioncontrol.web.crashes.store import CrashSources
from missioncontrol.web.rendering import Renderer

SPANS = (1, 7, 30, 90)
_MOST = 100


def build_symbols_page(sources: CrashSources, renderer: Renderer) -> APIRouter:
    """The route of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/symbols")
    def symbols(
        request: Request,
        days: Annotated[int, Query(ge=1, le=3650)] = 7,
        format: Annotated[Literal["html", "json"], Query()] = "html",
    ) -> Response:
        read_once(request.query_params.multi_items(), ("days", "format"))
        missing = sources.missing(days, _MOST)
        if format == "json":
            return JSONResponse(msgspec.to_builtins(missing))
        return renderer.page(
            request, "symbols.html", missing=missing, days=days, spans=SPANS, most=_MOST,
            base_url=visit_of(request).base_url or str(request.base_url).rstrip("/"),
        )  # fmt: skip

    return router
