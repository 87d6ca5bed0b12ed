"""The search: `/find` for people, also without scripts, and `/api/v1/find` for the suggestions while one types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.errors import BadRequest
from missioncontrol.query.parameters import refuse_unknown
from missioncontrol.web.api_route import StrictRoute, as_json
from missioncontrol.web.find.match import KINDS, Hit, mixed
from missioncontrol.web.find.source import Finder
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.rendering import Renderer

_LONGEST = 1000
_MOST_OF_A_KIND = 20
_MOST_SUGGESTED = 20


class FoundAnswer(msgspec.Struct, frozen=True):
    """What was asked, and what fits."""

    query: str
    results: list[Hit]


def build_find_pages(finder: Finder, sources: PageSources, renderer: Renderer) -> APIRouter:
    """The route of the page. What is called just so, and is the only such thing, is gone to at once."""
    router = APIRouter(include_in_schema=False)

    @router.get("/find")
    def find(request: Request, q: str = "", format: Literal["html", "json"] = "html") -> Response:
        refuse_unknown(request.query_params.multi_items(), {"q", "format"})
        hits = finder.hits(checked(q), _MOST_OF_A_KIND)
        exact = [hit for hit in hits if hit.exact]
        if format == "json":
            return _answer(FoundAnswer(q, hits))
        if len(exact) == 1:
            return RedirectResponse(exact[0].href, 303)
        sections = [(KINDS[kind], [hit for hit in hits if hit.kind == kind]) for kind in KINDS]
        return renderer.page(
            request,
            "find.html",
            asked=q.strip(),
            count=len(hits),
            sections=[(title, own) for title, own in sections if own],
            most=_MOST_OF_A_KIND,
            navigation=top_bar(sources, sources.registry()),
        )

    return router


def build_find_api(finder: Finder) -> APIRouter:
    """`/api/v1/find`."""
    router = APIRouter(route_class=StrictRoute)

    @router.get("/api/v1/find", summary="Find something by its name", tags=["find"])
    def find(q: str = "", limit: Annotated[int, Query(ge=1, le=_MOST_SUGGESTED)] = 10) -> Response:
        """Versions, builds, crash signatures, crash ids, measures, dimensions, applications, channels and pages.

        Every word of `q` must be in what a thing is called. Signatures are those of the last 28 days. `exact`: it is
        called just so.
        """
        return _answer(FoundAnswer(q, mixed(finder.hits(checked(q), limit), limit)))

    return router


def checked(text: str) -> str:
    """The text; raises `BadRequest` (`too_long`)."""
    if len(text) > _LONGEST:
        raise BadRequest(
            "too_long",
            f"`q` has {len(text):,} characters; at most {_LONGEST:,} are looked for.",
            "Shorten it.",
        )
    return text


def _answer(content: Any) -> Response:
    return as_json(msgspec.to_builtins(content))
