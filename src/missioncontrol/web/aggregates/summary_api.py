"""The predecessor's own questions: `/api/channel-platform-summary/` and `/api/measure/`, in its shapes.

Reads parameters, asks the query layer in a thread, writes the answer. Keeps no answer: the next request sees what was
committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from missioncontrol.config import Config
from missioncontrol.query.engine import Engine
from missioncontrol.query.fielded_builds import FieldedBuilds
from missioncontrol.query.measure_series import MeasureSeries, parse_series_query, series
from missioncontrol.query.summary import Summaries, parse_summary_query, summarise
from missioncontrol.web.aggregates import summary_docs
from missioncontrol.web.api_route import ApiRoute, as_json
from missioncontrol.web.desk import Desk

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release


def build_summary_api(
    engine: Engine,
    releases: Callable[[], list[Release]],
    now: Callable[[], datetime],
    config: Config,
) -> APIRouter:
    """The two routes. `releases` gives those that are known, the oldest first."""
    router = APIRouter(route_class=ApiRoute)
    desk, builds = Desk(config), FieldedBuilds(engine)

    @router.get("/api/channel-platform-summary/", **summary_docs.SUMMARY)
    @router.get("/api/channel-platform-summary", include_in_schema=False)
    async def channel_platform_summary(request: Request) -> Response:
        query = parse_summary_query(request.query_params.multi_items())

        def work() -> Summaries:
            return summarise(engine, builds, releases(), query)

        answer = await desk.aggregate(work)
        return _sent({"summaries": answer.summaries}, answer.complete)

    @router.get("/api/measure/", **summary_docs.MEASURE)
    @router.get("/api/measure", include_in_schema=False)
    async def measure(request: Request) -> Response:
        query = parse_series_query(request.query_params.multi_items(), engine.registry())

        def work() -> MeasureSeries:
            return series(engine, builds, releases(), query, now())

        answer = await desk.aggregate(work)
        cut = {} if answer.complete else {"complete": False, "limit": answer.limit}
        return _sent({"measure_data": answer.measure_data, **cut}, answer.complete)

    return router


def _sent(content: dict[str, object], complete: bool) -> Response:
    response = as_json(content)
    response.headers["X-Complete"] = "true" if complete else "false"
    return response
