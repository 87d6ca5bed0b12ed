"""The page of builds day by day: `/builds/<application>/<channel>`, with its JSON and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from missioncontrol.errors import BadRequest
from missioncontrol.query.build_hours import Wanted
from missioncontrol.registry.model import Registry
from missioncontrol.web.address import MeasureState, decode_part, read_once
from missioncontrol.web.api_route import open_json
from missioncontrol.web.builds.reckoned import rates_of, ratios_of
from missioncontrol.web.builds.source import BuildSource
from missioncontrol.web.builds.view import (
    BuildsView,
    BuildsWanted,
    build_builds,
    day_words,
    interval_words,
    judged_measures,
    rate_words,
)
from missioncontrol.web.crashes.answers import Format, csv_answer
from missioncontrol.web.home.cards import drawn_measure
from missioncontrol.web.home.said import PLATFORMS
from missioncontrol.web.home.view import application_title, channel_title
from missioncontrol.web.pages import PageSources, top_bar

if TYPE_CHECKING:
    from missioncontrol.web.rendering import Renderer

PARAMETERS = ("measure", "platform", "format")
_AGAINST = ("answer", "ratio", "low", "high", "evidence", "spread", "hours_needed")
_CSV = (
    "day", "builds", "age_hours", "hours", "events", "rate_per_1000", "rate_low", "rate_high",
    *(f"{which}_{name}" for which in ("before", "earlier") for name in _AGAINST),
)  # fmt: skip


def build_builds_page(sources: PageSources, source: BuildSource, renderer: Renderer) -> APIRouter:
    """The route of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/builds/{application}/{channel}")
    def builds(request: Request, application: str, channel: str, format: Format = "html") -> Response:
        registry = sources.registry()
        wanted = read_builds_wanted(application, channel, request.query_params.multi_items(), registry)
        measure = registry.measures[wanted.measure]
        asked = Wanted(wanted.application, wanted.channel, measure.name, measure.per)
        now = sources.now()
        field = source.field(asked, wanted.platform, now)
        title = f"{application_title(wanted.application, registry)} {channel_title(wanted.channel)}"
        view = build_builds(wanted, registry, field, title, now)
        if format == "json":
            return open_json(twin_of(view))
        if format == "csv":
            return csv_answer(csv_rows(view), "builds")
        return renderer.page(
            request,
            "builds.html",
            view=view,
            how_rates=rates_of(view),
            how_ratios=ratios_of(view),
            day_words=day_words,
            interval_words=interval_words,
            rate_words=rate_words,
            navigation=top_bar(
                sources, registry, MeasureState(asked.application, asked.channel, measure.name)
            ),
        )

    return router


def read_builds_wanted(
    application: str, channel: str, pairs: Sequence[tuple[str, str]], registry: Registry
) -> BuildsWanted:
    """What an address asks for.

    Raises `BadRequest` (`unknown_parameter`, `repeated_parameter`, `unknown_measure`, `bad_parameter`).
    """
    given = read_once(pairs, PARAMETERS)
    names = [one.name for one in judged_measures(registry)]
    usual = drawn_measure(registry)
    measure = given.get("measure") or (usual if usual in names else next(iter(names), ""))
    if measure not in names:
        hint = f"Measures with a rate and a bad direction: {', '.join(names)}."
        raise BadRequest("unknown_measure", f"No days of `{measure[:60]}` can be compared.", hint)
    platform = given.get("platform", "")
    if platform and platform not in PLATFORMS:
        hint = f"Choose one of: {', '.join(PLATFORMS)}."
        raise BadRequest("bad_parameter", f"`platform` cannot be `{platform[:60]}`.", hint)
    return BuildsWanted(decode_part(application), decode_part(channel), measure, platform)


def twin_of(view: BuildsView) -> dict[str, Any]:
    """The view as JSON has it."""
    return {
        "application": view.wanted.application,
        "channel": view.wanted.channel,
        "measure": view.measure.name,
        "per": view.measure.per,
        "bad_when": view.measure.worse,
        "platform": view.wanted.platform or None,
        "end": view.end,
        "answer": view.mark.verdict if view.mark else None,
        "heading": view.heading,
        "sentence": view.sentence,
        "days": [row.of for row in view.days if row.of],
    }


def csv_rows(view: BuildsView) -> list[Sequence[Any]]:
    """The view as the CSV has it, with its head."""
    rows: list[Sequence[Any]] = [_CSV]
    for row in view.days:
        if row.of is None:
            continue
        against = [
            getattr(one, name) if one else None
            for one in (row.of.before, row.of.earlier)
            for name in _AGAINST
        ]
        builds = " ".join(one.build_id for one in row.of.builds)
        known = (row.of.age_hours, row.of.hours, row.of.events, row.rate, row.low, row.high)
        rows.append([row.day, builds, *known, *against])
    return rows
