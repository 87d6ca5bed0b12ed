"""The Crash Stats API for searches: `/api/SuperSearch/` and what goes with it, in Socorro's shapes.

Answers from the lake as it is at that moment.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from missioncontrol.config import Config
from missioncontrol.errors import BadRequest
from missioncontrol.query.supersearch import CrashSearch, Found, SearchField
from missioncontrol.query.supersearch.parse import Pairs
from missioncontrol.web.api_route import as_json
from missioncontrol.web.crashes.route import CrashAccess, CrashRoute
from missioncontrol.web.desk import Desk

_TYPES = {"keyword": "str", "text": "str", "number": "float", "bool": "bool", "date": "datetime"}
_QUERIES = {"keyword": "string", "text": "string", "number": "number", "bool": "bool", "date": "date"}


def _text(name: str, description: str, many: bool = True) -> dict[str, Any]:
    one = {"type": "string"}
    schema = {"type": "array", "items": one} if many else one
    return {"name": name, "in": "query", "description": description, "schema": schema}


_PARAMETERS = [
    _text("date", "Any field is a parameter, its value with an operator before it: `date=>=2026-11-01`. "
                  "None: all words (or the value), `=` exact, `~` contains, `^` starts, `$` ends, `@` regular "
                  "expression, `<` `<=` `>` `>=`, `__null__`, `__true__`; `!` before it negates."),
    _text("product", "Values of one field are alternatives; ranges, negated values and different fields all hold."),
    _text("signature", "As in `signature=~mozilla::` or `signature=!^OOM`."),
    _text("_columns", "Fields of a hit."),
    _text("_results_number", "Hits, at most 1,000 (100).", many=False),
    _text("_results_offset", "Hits that are left out before; there is no last page.", many=False),
    _text("_sort", "Field to sort by, `-field` the other way; without it the newest first."),
    _text("_facets", "Fields whose values are counted, `_cardinality.FIELD` or `_histogram.FIELD` (signature)."),
    _text("_facets_size", "Most terms of a facet, at most 10,000 (50); 0: no facets.", many=False),
    _text("_aggs.product", "`_aggs.a.b=c`: values of c within those of b within those of a; any fields."),
    _text("_histogram.date", "`_histogram.f=g`: values of g by intervals of the date or number f."),
    _text("_histogram_interval.date", "Width: minute, hour, day, week, month, quarter, year, 12h, ...", many=False),
    _text("_cardinality.install_time", "`_cardinality.f=1`: how many values f has.", many=False),
    _text("_weighted", "1: counts stand for all crashes, also those that the throttle left out.", many=False),
    _text("_return_query", "1: the SQL of the search instead of its answer.", many=False),
]  # fmt: skip


def build_crash_search_api(
    search: CrashSearch, config: Config, access: CrashAccess = CrashAccess()
) -> APIRouter:
    """The routes for searches."""
    router = APIRouter(tags=["crashes"], route_class=CrashRoute)
    desk = Desk(config)

    async def answer(request: Request) -> Response:
        pairs: Pairs = request.query_params.multi_items()
        wanted = search.parse(pairs, access.may_read_protected(request))
        if wanted.only_query:
            return as_json(search.query_of(wanted))
        protected = sorted(field.name for field in wanted.fields if field.protected)

        def run() -> Found:
            if protected:
                # A condition alone tells what is in a field, too.
                access.note(request, "search", ", ".join(protected))
            return search.run(wanted)

        return as_json(await desk.aggregate(run))

    extra = {"parameters": _PARAMETERS}

    @router.get(
        "/api/SuperSearch/", summary="Crashes that match, and counts of them", openapi_extra=extra,
        description=_DESCRIPTION,
    )  # fmt: skip
    @router.get("/api/SuperSearch", include_in_schema=False)
    async def get_search(request: Request) -> Response:
        return await answer(request)

    @router.get("/api/SuperSearchUnredacted/", summary="Another name of SuperSearch", openapi_extra=extra)
    @router.get("/api/SuperSearchUnredacted", include_in_schema=False)
    async def get_unredacted(request: Request) -> Response:
        """Both answer what the reader may see."""
        return await answer(request)

    @router.get("/api/SuperSearchFields/", summary="The fields that can be searched")
    @router.get("/api/SuperSearchFields", include_in_schema=False)
    def get_fields() -> Response:
        """By name: kind, description, and the scope that it needs."""
        return as_json({field.name: _field(field) for field in search.fields()})

    @router.get("/api/SignatureFirstDate/", summary="When signatures came up")
    @router.get("/api/SignatureFirstDate", include_in_schema=False)
    async def get_first_dates(
        signatures: Annotated[list[str], Query(description="Signatures; may be repeated.")],
    ) -> Response:
        """Of each signature that there is, its first crash and its smallest build id."""
        if not any(signatures):
            raise BadRequest("bad_parameter", "signatures: say at least one.", "signatures=OOM%20%7C%20small")
        found = await desk.aggregate(lambda: search.first_seen([s for s in signatures if s]))
        return as_json({"hits": found, "total": len(found)})

    return router


_DESCRIPTION = (
    "Without a lower bound of `date`: the last seven days. `hits` are the crashes, `total` is the number of all that "
    "match, `facets` has by name a list of `{term, count, facets}`. A field that is protected, in any parameter, needs "
    "the scope `protected`."
)


def _field(field: SearchField) -> dict[str, Any]:
    return {
        "name": field.name,
        "in_database_name": field.name,
        "namespace": "processed_crash",
        "description": field.description,
        "query_type": _QUERIES[field.kind],
        "data_validation_type": "int" if field.whole else _TYPES[field.kind],
        "permissions_needed": ["protected"] if field.protected else [],
        "form_field_choices": [],
        "is_exposed": True,
        "is_returned": True,
        "is_list": field.many,
        "is_facet": field.facet,
    }
