"""The pages: each reads its address, asks for a view and fills in a template.

Handlers are plain functions, which the server runs in threads, since the questions they ask block. A page
never changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.registry.model import Registry
from missioncontrol.web.address import (
    CHOICES,
    DEFAULTS,
    NULL,
    MeasureState,
    builds_path,
    decode_part,
    encode_part,
    filterable,
    read_state,
)
from missioncontrol.web.auth.visit import Record
from missioncontrol.web.history.model import HistorySource
from missioncontrol.web.measure.charts import Releases, build_view
from missioncontrol.web.measure.lookup import ChannelRef, Lookup
from missioncontrol.web.measure.question import find_measure
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

    @router.get("/measure")
    def choose(request: Request) -> Response:
        return RedirectResponse(_chosen(request, sources), 303)

    @router.get("/measure/{application}/{channel}/{measure}")
    def measure(request: Request, application: str, channel: str, measure: str) -> Response:
        registry = sources.registry()
        find_measure(measure, registry)
        pairs = request.query_params.multi_items()
        added = _added_filter(pairs)
        state = read_state(
            application, channel, measure, [p for p in pairs if p[0] not in _FILTER_FORM], registry
        )
        if added is not None:
            extended = [*state.pairs(), *([added] if added[1] else [])]
            return RedirectResponse(read_state(application, channel, measure, extended, registry).url(), 303)
        view = build_view(state, registry, sources.lookup, sources.releases, sources.now())
        return renderer.page(
            request,
            "measure.html",
            view=view,
            state=state,
            choices=_choice_labels(state),
            dimensions=[registry.dimensions[name] for name in filterable(registry)],
            titles={d.name: d.title for d in registry.keys},
            builds_path=builds_path,
            navigation=top_bar(sources, registry, state),
        )

    @router.get("/docs/api")
    def api(request: Request) -> Response:
        application: FastAPI = request.app
        navigation = top_bar(sources, sources.registry())
        return renderer.page(request, "api.html", schema=application.openapi(), navigation=navigation)

    return router


_FILTER_FORM = ("filter", "value")


def _added_filter(pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """What the form "add a filter" asks for; None when it was not used."""
    form = dict(p for p in pairs if p[0] in _FILTER_FORM)
    if "filter" not in form:
        return None
    name, value = form["filter"], form.get("value", "").strip()
    return (f"{name}__isnull", "true") if value == NULL else (name, value)


def _chosen(request: Request, sources: PageSources) -> str:
    """The page of the application, channel and measure that the selectors ask for, or the nearest."""
    registry = sources.registry()
    pairs = request.query_params.multi_items()
    asked = dict(pairs)
    known = _channels(sources)
    application, channel = decode_part(asked.get("application", "")), decode_part(asked.get("channel", ""))
    of_application = [ref for ref in known if ref.application == application] or known
    if not of_application:
        return "/"
    ref = next((ref for ref in of_application if ref.channel == channel), of_application[0])
    measure = asked.get("measure") or _usual_measure(registry)
    find_measure(measure, registry)
    kept = [p for p in pairs if p[0] not in ("application", "channel", "measure")]
    return read_state(encode_part(ref.application), encode_part(ref.channel), measure, kept, registry).url()


def _channels(sources: PageSources) -> list[ChannelRef]:
    now = sources.now()
    return sources.lookup.channels(now - CHANNEL_LOOKBACK, now + timedelta(minutes=5))


def top_bar(
    sources: PageSources,
    registry: Registry,
    state: MeasureState | None = None,
    known: list[ChannelRef] | None = None,
) -> Navigation:
    """The selectors of a page: what there is now (`known`, where the page knows it), and what `state` selects."""
    known = _channels(sources) if known is None else known
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
        measure=state.measure if state else _usual_measure(registry),
        kept=_kept(state) if state else [],
    )


def _usual_measure(registry: Registry) -> str:
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


_LABELS = {
    "version": "Version",
    "build_id": "Build id",
    "5min": "5 min",
    "hour": "Hour",
    "day": "Day",
    "24h": "24 h",
    "48h": "48 h",
    "7d": "7 d",
    "14d": "14 d",
    "custom": "Dates",
    "rate": "Rate",
    "count": "Count",
    "clock": "Clock time",
    "release": "Since release",
}
_LEGENDS = {"show": "Show", "interval": "Every", "range": "Range", "time": "Time", "group": "Lines by"}


class Choice(NamedTuple):
    """One button of a group."""

    value: str
    label: str
    chosen: bool
    usual: bool


def _choice_labels(state: MeasureState) -> list[tuple[str, str, list[Choice]]]:
    """For each group of buttons: parameter, legend and choices."""
    return [
        (
            name,
            legend,
            [
                Choice(value, _LABELS[value], getattr(state, name) == value, DEFAULTS[name] == value)
                for value in CHOICES[name]
            ],
        )
        for name, legend in _LEGENDS.items()
    ]
