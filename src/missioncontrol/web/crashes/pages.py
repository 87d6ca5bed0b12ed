"""The pages of many crashes: products and queue, top crashers, search; each with its CSV or JSON twin.

Every state of a page is in its address. Nothing here changes anything.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from missioncontrol.errors import BadRequest
from missioncontrol.web.address import read_once
from missioncontrol.web.auth.visit import visit_of
from missioncontrol.web.crashes.address import DAYS, TEXT_FIELDS, CrashState, whole_minute
from missioncontrol.web.crashes.answers import Format, csv_answer, reports_csv, state_of, untidy
from missioncontrol.web.crashes.reckoned import count_of, products_of, ranking_of
from missioncontrol.web.crashes.signature import FACETS, build_search
from missioncontrol.web.crashes.store import CrashSources
from missioncontrol.web.crashes.top import MOST_IN_A_FILE, ON_A_PAGE, build_top, csv_rows, read_menus
from missioncontrol.web.rendering import Renderer

WEEK = timedelta(days=7)
_MOST_ASIDE = 20


def build_crash_pages(sources: CrashSources, renderer: Renderer) -> APIRouter:
    """The routes of the pages of many crashes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/crashes")
    def crashes(request: Request, format: Format = "html") -> Response:
        read_once(request.query_params.multi_items(), ("format",))
        now = sources.now()
        queue = sources.queue()
        start, end = whole_minute(now) - WEEK, whole_minute(now)
        products = sources.reports.products(start, end)
        backlog, aside = queue.backlog(now), queue.set_aside(_MOST_ASIDE)
        if format != "html":
            builtin = {
                "products": products,
                "queue": backlog,
                "most_waiting": sources.most_waiting,
                "set_aside": aside,
            }
            return JSONResponse(msgspec.to_builtins(builtin))
        return renderer.page(
            request, "crashes.html", products=products, backlog=backlog, aside=aside, now=now,
            most_waiting=sources.most_waiting, takes=sources.takes, how_products=products_of(start, end),
            base_url=visit_of(request).base_url or str(request.base_url).rstrip("/"),
        )  # fmt: skip

    @router.get("/topcrashers")
    def top(request: Request, format: Format = "html") -> Response:
        state, now = state_of(request), sources.now()
        if untidy(request):
            return RedirectResponse(state.url(page=state.page), 303)
        limit = {"limit": MOST_IN_A_FILE} if format != "html" else {}
        asked = state if format == "html" else _first_page(state)
        carrying = sources.woven.carrying(state.product)
        view = build_top(asked, sources.reports, sources.bugs, now, carrying=carrying, **limit)
        if format == "json":
            return JSONResponse(msgspec.to_builtins(view))
        if format == "csv":
            return csv_answer(csv_rows(view), "topcrashers")
        return renderer.page(
            request,
            "topcrashers.html",
            view=view,
            state=state,
            menus=read_menus(sources.reports, state, now),
            days=DAYS,
            how=ranking_of(
                state.selection(now), view.count, view.signatures, ON_A_PAGE, (state.page - 1) * ON_A_PAGE
            ),
            none_yet=not view.rows and not sources.reports.any(),
        )

    @router.get("/search")
    def search(request: Request, format: Format = "html") -> Response:
        if moved := _crash_id(request):
            return RedirectResponse(f"/report?id={moved}", 303)
        state, now = state_of(request), sources.now()
        if untidy(request):
            return RedirectResponse(state.url(page=state.page), 303)
        if format == "csv":
            return reports_csv(sources, state)
        view = build_search(state, sources.reports, now)
        if format == "json":
            return JSONResponse(msgspec.to_builtins(view))
        menus = read_menus(sources.reports, state, now)
        return renderer.page(
            request,
            "search.html",
            view=view,
            state=state,
            menus=menus,
            days=DAYS,
            fields=TEXT_FIELDS,
            facets=FACETS,
            how=count_of(state.selection(now), view.totals.count, view.totals.reports),
            none_yet=not view.totals.reports and not sources.reports.any(),
        )

    return router


def _first_page(state: CrashState) -> CrashState:
    return msgspec.structs.replace(state, page=1)


def _crash_id(request: Request) -> str:
    """What was typed as part of a signature, where it is a crash id: nobody means a signature by that."""
    from missioncontrol.blobs.crash_keys import parsed_crash_id

    typed = request.query_params.get("contains", "")
    try:
        return parsed_crash_id(typed) if typed else ""
    except BadRequest:
        return ""
