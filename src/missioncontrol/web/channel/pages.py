"""The page of a channel, `/channel/<application>/<channel>`, with its CSV and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from missioncontrol.errors import BadRequest
from missioncontrol.state.release_model import group
from missioncontrol.web.address import MeasureState, builds_path
from missioncontrol.web.api_route import open_json
from missioncontrol.web.channel.address import ChannelState, people_dimensions, read_channel_state
from missioncontrol.web.channel.breakdown import Breakdown
from missioncontrol.web.channel.reckoned import columns_of, ratios_of, values_of, whole_of
from missioncontrol.web.channel.source import ChannelSource, Read
from missioncontrol.web.channel.table import change_text
from missioncontrol.web.channel.view import (
    breakdown_csv,
    build_channel,
    measure_href,
    span_text,
    table_csv,
    titles,
    value_title,
    where_of,
)
from missioncontrol.web.crashes.answers import Format, csv_answer
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.rendering import Renderer

if TYPE_CHECKING:
    from datetime import datetime

    from missioncontrol.registry.model import Registry


def build_channel_pages(sources: PageSources, source: ChannelSource, renderer: Renderer) -> APIRouter:
    """The route of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/channel/{application}/{channel}")
    def page(request: Request, application: str, channel: str, format: Format = "html") -> Response:
        registry, now = sources.registry(), sources.now()
        state = read_channel_state(application, channel, request.query_params.multi_items(), registry)
        read = source.read(state, now)
        _refuse_absent(state, read)
        found = _breakdown(source, state, read, now)
        view = build_channel(registry, read, state, found, now)
        if format == "json":
            return open_json(view)
        if format == "csv":
            if found is not None:
                return csv_answer(breakdown_csv(found), "breakdown")
            return csv_answer(table_csv(view), "channel")
        versions = group(sources.releases(state.application, state.channel))
        listed = [row for each in view.table.groups for row in each.listed(state.q != "")]
        of = (view, read.facts, versions, registry)
        return renderer.page(
            request,
            "channel.html",
            how_columns=columns_of(*of, listed),
            how_whole=whole_of(*of),
            how_values=values_of(*of),
            how_ratios=ratios_of(*of),
            view=view,
            state=state,
            now=now,
            builds_path=builds_path,
            titles=titles(registry),
            dimensions=people_dimensions(registry),
            usual_by=_usual_dimension(registry),
            change_text=change_text,
            span_text=span_text,
            measure_href=measure_href,
            value_title=value_title,
            where_of=where_of,
            navigation=top_bar(
                sources, registry, MeasureState(state.application, state.channel, _first(registry))
            ),
        )

    return router


def _first(registry: Registry) -> str:
    return next(one.name for one in registry.measures.values() if one.group == "crash")


def _usual_dimension(registry: Registry) -> str:
    names = [one.name for one in people_dimensions(registry)]
    return "country" if "country" in names else (names or [""])[0]


def _refuse_absent(state: ChannelState, read: Read) -> None:
    """A column that is not there can neither be sorted by nor broken down."""
    names = [one.column.name for one in read.facts.shown]
    for name, value in (("sort", state.sort.removeprefix("-")), ("version", state.version)):
        if value and names and value not in names:
            hint = f"The columns are: {', '.join(one[:40] for one in names)}."
            raise BadRequest("unknown_version", f"`{name}`: there is no column `{value[:60]}`.", hint)


def _breakdown(source: ChannelSource, state: ChannelState, read: Read, now: datetime) -> Breakdown | None:
    return source.breakdown(state, read, now) if state.by and read.facts.shown else None
