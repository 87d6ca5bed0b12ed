"""The pages: each reads its address, asks for a view and fills in a template.

Handlers are plain functions, which the server runs in threads, since the questions they ask block. A page
never changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from missioncontrol.registry.model import Registry
from missioncontrol.web.address import MeasureState, encode_part, only
from missioncontrol.web.auth.visit import Record
from missioncontrol.web.history.model import HistorySource
from missioncontrol.web.measure.lines import Releases
from missioncontrol.web.measure.lookup import ChannelRef, Lookup
from missioncontrol.web.pipeline.view import Accepted, Pipeline, Takes
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

    @router.get("/docs/api", dependencies=[only()])
    def api(request: Request) -> Response:
        application: FastAPI = request.app
        navigation = top_bar(sources, sources.registry())
        return renderer.page(request, "api.html", schema=application.openapi(), navigation=navigation)

    return router


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
