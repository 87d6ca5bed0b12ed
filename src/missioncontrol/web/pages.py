"""The pages: each reads its address, asks for a view and fills in a template.

Handlers are plain functions, which the server runs in threads, since the questions they ask block. A page
never changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from missioncontrol.errors import NotFound
from missioncontrol.registry.model import Registry
from missioncontrol.web.address import MeasureState, encode_part
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import Record, reader_of
from missioncontrol.web.history.model import HistorySource
from missioncontrol.web.measure.lines import Releases
from missioncontrol.web.measure.lookup import ChannelRef, Lookup
from missioncontrol.web.pipeline.view import Accepted, Pipeline, PipelineStatus, SampleBody, Takes
from missioncontrol.web.rendering import Renderer

CHANNEL_LOOKBACK = timedelta(days=30)


class PageSources(msgspec.Struct, frozen=True):
    """Where pages get what they show."""

    registry: Callable[[], Registry]
    lookup: Lookup
    releases: Releases
    pipeline: Pipeline
    history: HistorySource
    record: Record
    now: Callable[[], datetime]
    crash_reports: Callable[[datetime], Accepted]
    """Crash reports that came lately; blocks."""
    takes: Takes


class Navigation(msgspec.Struct, frozen=True):
    """The selectors in the top bar: what there is, and what is selected."""

    applications: list[str]
    channels: list[str]
    groups: list[tuple[str, list[tuple[str, str]]]]
    """Heading and (name, title) of its measures."""
    application: str = ""
    channel: str = ""
    measure: str = ""
    kept: list[tuple[str, str]] = []
    """Parameters that survive a change of channel or measure."""


def build_pages(sources: PageSources, renderer: Renderer) -> APIRouter:
    """The routes of all pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/pipeline")
    def pipeline(request: Request) -> Response:
        navigation = top_bar(sources, sources.registry())
        status = seen_status(sources.pipeline, sources.record, request)
        return renderer.page(request, "pipeline.html", status_=status, navigation=navigation)

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

    @router.get("/docs/api")
    def api(request: Request) -> Response:
        application: FastAPI = request.app
        navigation = top_bar(sources, sources.registry())
        return renderer.page(request, "api.html", schema=application.openapi(), navigation=navigation)

    return router


def build_pipeline_api(pipeline: Pipeline, record: Record) -> APIRouter:
    """`/api/v1/pipeline`: the JSON twin of the pipeline page."""
    router = APIRouter()

    @router.get("/api/v1/pipeline", summary="State of the pipeline", tags=["pipeline"])
    def status(request: Request) -> Response:
        """Accepted, duplicate and discarded submissions, lag, backlog, tables and samples.

        Samples hold what clients sent: without the scope `protected` there are none, and `samples_withheld` is true.
        """
        found = seen_status(pipeline, record, request)
        return JSONResponse(msgspec.to_builtins(found), headers={"access-control-allow-origin": "*"})

    return router


def seen_status(pipeline: Pipeline, record: Record, request: Request) -> PipelineStatus:
    """The state as the reader may see it; that somebody looks at samples is recorded, once a minute."""
    found = pipeline.status(reader_of(request).may("protected"))
    if found.samples:
        record.note(request, "samples", "pipeline", every=_RENEWED)
    return found


def _sample_file(found: SampleBody) -> Response:
    """What a client sent, in a way in which no browser makes more of it than bytes."""
    file = f"discarded-{found.name}.{'gz' if 'gzip' in found.encoding else 'bin'}"
    headers = {
        "content-disposition": f'attachment; filename="{file}"',
        "content-security-policy": "sandbox",
    }
    return Response(found.body, media_type="application/octet-stream", headers=headers)


_RENEWED = timedelta(minutes=1)


def channels_of(sources: PageSources) -> list[ChannelRef]:
    """The channels with data in the last 30 days, the busiest first."""
    now = sources.now()
    return sources.lookup.channels(now - CHANNEL_LOOKBACK, now + timedelta(minutes=5))


def top_bar(
    sources: PageSources,
    registry: Registry,
    state: MeasureState | None = None,
    known: list[ChannelRef] | None = None,
) -> Navigation:
    """The selectors of a page: what there is now (`known`, where the page knows it), and what `state` selects."""
    known = channels_of(sources) if known is None else known
    if state is None and not known:
        return Navigation([], [], _measure_groups(registry))
    here = ChannelRef(state.application, state.channel) if state else known[0]
    refs = [*known, *([here] if here not in known else [])]
    return Navigation(
        applications=list(dict.fromkeys(encode_part(ref.application) for ref in refs)),
        channels=[encode_part(ref.channel) for ref in refs if ref.application == here.application],
        groups=_measure_groups(registry),
        application=encode_part(here.application),
        channel=encode_part(here.channel),
        measure=state.measure if state else usual_measure(registry),
        kept=_kept(state) if state else [],
    )


def usual_measure(registry: Registry) -> str:
    """The first measure of crashes that is declared."""
    return next(m.name for m in registry.measures.values() if m.group == "crash")


def _kept(state: MeasureState) -> list[tuple[str, str]]:
    """Versions of another channel are others, and a zoom is of this time axis; all else is kept."""
    return msgspec.structs.replace(state, series=(), zoom="").pairs()


_HEADINGS = {"crash": "Crashes", "crash_report": "Crash reports", "usage": "Usage", "error": "Errors"}


def _measure_groups(registry: Registry) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for measure in registry.measures.values():
        heading = _HEADINGS.get(measure.group, measure.group.replace("_", " ").capitalize())
        groups.setdefault(heading, []).append((measure.name, measure.title))
    return list(groups.items())
