"""The page of the pipeline, its JSON and CSV twins, and the bodies of samples as downloads.

A page never changes anything. Samples hold what clients sent: they need the scope `protected`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from missioncontrol.errors import NotFound
from missioncontrol.query.parameters import refuse_unknown
from missioncontrol.web.api_route import as_json
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.crashes.answers import csv_answer
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.pipeline.limits import LIMITS, WORDS, Limit
from missioncontrol.web.pipeline.picture import Picture, draw
from missioncontrol.web.pipeline.view import PipelineStatus, SampleBody
from missioncontrol.web.rendering import Renderer

Format = Annotated[Literal["html", "json", "csv"], Query()]
_RENEWED = timedelta(minutes=1)
_CSV_HEAD = ("kind", "name", "last_hour", "last_day", "newest")


class Twin(msgspec.Struct, frozen=True):
    """What the JSON has beside the status: the marks of the page, and the limits that they are made by."""

    picture: Picture | None
    limits: tuple[Limit, ...] = LIMITS


def build_pipeline_pages(sources: PageSources, renderer: Renderer) -> APIRouter:
    """The page, and samples as files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/pipeline")
    def pipeline(request: Request, format: Format = "html") -> Response:
        refuse_unknown(request.query_params.multi_items(), {"format"})
        status = _seen(sources, request)
        if format == "json":
            return _json(status, sources)
        if format == "csv":
            return csv_answer(_rows(status), "pipeline")
        return renderer.page(
            request,
            "pipeline.html",
            status_=status,
            gauges=status.gauges,
            picture=draw(status, sources.takes),
            limits=LIMITS,
            words=WORDS,
            navigation=top_bar(sources, sources.registry()),
        )

    @router.get("/pipeline/samples/{log_offset}", dependencies=[require("protected")])
    def sample(request: Request, log_offset: int) -> Response:
        found = sources.pipeline.sample(log_offset) if 0 <= log_offset < 2**63 else None
        if found is None:
            raise NotFound(
                "unknown_sample", f"No discarded body {str(log_offset)[:20]} is kept.", "See /pipeline."
            )
        sources.record.note(request, "sample", str(log_offset))
        return _sample_file(found)

    @router.get("/pipeline/refused/{day}/{name}", dependencies=[require("protected")])
    def refused(request: Request, day: str, name: str) -> Response:
        found = sources.pipeline.refused(day, name)
        if found is None:
            raise NotFound(
                "unknown_sample", f"No refused report {name[:60]!r} of that day is kept.", "See /pipeline."
            )
        sources.record.note(request, "sample", f"{day}/{name}")
        return _sample_file(found)

    return router


def build_pipeline_api(sources: PageSources) -> APIRouter:
    """`/api/v1/pipeline`: the JSON twin of the page."""
    router = APIRouter()

    @router.get("/api/v1/pipeline", summary="State of the pipeline", tags=["pipeline"])
    def status(request: Request) -> Response:
        """Accepted, duplicate and discarded submissions, lag, backlog, tables and samples; what is marked and why.

        `gauges`: figures of each part, null where they are not known; `picture`: what the page shows of them, with
        `troubles`, worst first; `limits`: what marks are made by. Samples hold what clients sent: without the scope
        `protected` there are none, and `samples_withheld` is true.
        """
        return _json(_seen(sources, request), sources)

    return router


def _seen(sources: PageSources, request: Request) -> PipelineStatus:
    """The state as the reader may see it; that somebody looks at samples is recorded, once a minute."""
    found = sources.pipeline.status(reader_of(request).may("protected"))
    if found.samples:
        sources.record.note(request, "samples", "pipeline", every=_RENEWED)
    return found


def _json(status: PipelineStatus, sources: PageSources) -> Response:
    twin = Twin(draw(status, sources.takes))
    answer = as_json({**msgspec.to_builtins(status), **msgspec.to_builtins(twin)})
    answer.headers["access-control-allow-origin"] = "*"
    answer.headers["cache-control"] = "no-store"
    return answer


def _rows(status: PipelineStatus) -> list[Sequence[Any]]:
    """Submissions by kind of fate and name."""
    rows: list[Sequence[Any]] = [_CSV_HEAD]
    reports = (status.crash_reports,) if status.crash_reports else ()
    rows += [
        ("accepted", row.document, row.last_hour, row.last_day, "") for row in (*status.accepted, *reports)
    ]
    rows.append(("duplicate", "", status.duplicates_last_hour, status.duplicates_last_day, ""))
    for kind, found in (("discarded", status.discards), ("note", status.notes)):
        for row in found:
            newest = row.last_window.strftime("%Y-%m-%dT%H:%M:%SZ") if row.last_window else ""
            rows.append((kind, row.reason, row.last_hour, row.last_day, newest))
    return rows


def _sample_file(found: SampleBody) -> Response:
    """What a client sent, in a way in which no browser makes more of it than bytes."""
    file = f"discarded-{found.name}.{'gz' if 'gzip' in found.encoding else 'bin'}"
    headers = {
        "content-disposition": f'attachment; filename="{file}"',
        "content-security-policy": "sandbox",
    }
    return Response(found.body, media_type="application/octet-stream", headers=headers)
