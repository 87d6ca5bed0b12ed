"""`/carried/...`: which crash signatures carry the rate of a version, with JSON, CSV and a part for other pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.health.model import Subject
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.web.address import MeasureState, decode_part, read_once
from missioncontrol.web.api_route import open_json
from missioncontrol.web.carried.reckoned import expected_of, seen_of
from missioncontrol.web.carried.view import ROWS, SYSTEM, build_carried, carried_path, csv_rows
from missioncontrol.web.crashes.answers import csv_answer
from missioncontrol.web.measure.question import find_measure
from missioncontrol.web.pages import PageSources, top_bar

if TYPE_CHECKING:
    from missioncontrol.web.carried.source import CarriedSource
    from missioncontrol.web.crashes.bugs import CrashBugs
    from missioncontrol.web.rendering import Renderer

CarriedFormat = Annotated[Literal["html", "json", "csv", "part"], Query()]
PARAMETERS = ("os", "format")
_PART_ROWS = 5
_EVERY = 10_000
_GROUPS = ("crash", "crash_report")


def build_carried_pages(
    sources: PageSources, source: CarriedSource, bugs: CrashBugs, renderer: Renderer
) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/carried/{application}/{channel}/{measure}")
    def newest(request: Request, application: str, channel: str, measure: str) -> Response:
        read_wanted(request.query_params.multi_items())
        of, on = (decode_part(part) or "" for part in (application, channel))
        find_crashes(measure, sources.registry())
        try:
            subject = Subject(of, on, source.newest(of, on, measure), measure)
        except NotFound:
            if request.query_params.get("format") != "part":
                raise
            return renderer.page(request, "carried_part.html", view=None, subject=None, href="/releases")
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(carried_path(subject) + query, 303)

    @router.get("/carried/{application}/{channel}/{version}/{measure}")
    def carried(
        request: Request,
        application: str,
        channel: str,
        version: str,
        measure: str,
        format: CarriedFormat = "html",
    ) -> Response:
        system = read_wanted(request.query_params.multi_items())
        registry = sources.registry()
        declared = find_crashes(measure, registry)
        of, on, named = (decode_part(part) or "" for part in (application, channel, version))
        subject = Subject(of, on, named, measure)
        # A part of another page is not worth seconds of work.
        account = source.kept(subject) if format == "part" else source.account(subject)
        if account is None:
            return renderer.page(
                request, "carried_part.html", view=None, subject=subject, href=carried_path(subject)
            )
        shown = {"html": ROWS, "part": 0}.get(format, _EVERY)
        facts = source.facts(account, {SYSTEM: system} if system else {}, shown)
        linked = bugs.of_signatures([one.share.signature for one in facts.carriers[:shown]])
        most = {"html": ROWS, "part": _PART_ROWS}.get(format)
        view = build_carried(facts, declared, system, linked, sources.now(), most)
        if format == "json":
            return open_json(view)
        if format == "csv":
            return csv_answer(csv_rows(view.rows), "carried")
        if format == "part":
            return renderer.page(request, "carried_part.html", view=view)
        navigation = top_bar(sources, registry, MeasureState(of, on, measure))
        return renderer.page(
            request,
            "carried.html",
            view=view,
            signatures=len(facts.carriers),
            how_seen=seen_of(facts, view),
            how_expected=expected_of(facts, view),
            navigation=navigation,
        )

    return router


def find_crashes(name: str, registry: Registry) -> Measure:
    """A measure that counts crashes; raises `NotFound` for an unknown one, `BadRequest` (`not_judged`) for another."""
    measure = find_measure(name, registry)
    if measure.group not in _GROUPS:
        known = [one.name for one in registry.measures.values() if one.group in _GROUPS]
        hint = f"Measures of crashes have signatures: {', '.join(known[:3])}."
        raise BadRequest("not_judged", f"`{name[:60]}` does not count crashes.", hint)
    return measure


def read_wanted(pairs: Sequence[tuple[str, str]]) -> str:
    """The system that is asked for, empty: all; raises `BadRequest` (`unknown_parameter`, `repeated_parameter`)."""
    return decode_part(read_once(pairs, PARAMETERS).get("os", "").strip()[:300]) or ""
