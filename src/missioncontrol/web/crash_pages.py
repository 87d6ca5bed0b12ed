"""The pages of many crashes: products and queue, top crashers, one signature, search; each with its CSV or JSON twin.

Every state of a page is in its address. Nothing here changes anything.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from missioncontrol.errors import BadRequest
from missioncontrol.query.crash_reports import ReportRow
from missioncontrol.web.auth.visit import reader_of, visit_of
from missioncontrol.web.crash_address import DAYS, TEXT_FIELDS, CrashState, read_crash_state
from missioncontrol.web.crash_signature import FACETS, build_search, build_signature
from missioncontrol.web.crash_store import CrashSources
from missioncontrol.web.crash_top import MOST_IN_A_FILE, build_top, csv_rows, read_menus
from missioncontrol.web.rendering import Renderer

Format = Annotated[Literal["html", "csv", "json"], Query()]
WEEK = timedelta(days=7)
_NOTED_EVERY = timedelta(minutes=1)
_MOST_ASIDE = 20


def build_crash_pages(sources: CrashSources, renderer: Renderer) -> APIRouter:
    """The routes of the pages of many crashes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/crashes")
    def crashes(request: Request, format: Format = "html") -> Response:
        now = sources.now()
        queue = sources.queue()
        products = sources.reports.products(now - WEEK, now)
        backlog, aside = queue.backlog(now), queue.set_aside(_MOST_ASIDE)
        if format != "html":
            builtin = {"products": products, "queue": backlog, "set_aside": aside}
            return JSONResponse(msgspec.to_builtins(builtin))
        return renderer.page(
            request, "crashes.html", products=products, backlog=backlog, aside=aside, now=now, takes=sources.takes,
            base_url=visit_of(request).base_url or str(request.base_url).rstrip("/"),
        )  # fmt: skip

    @router.get("/topcrashers")
    def top(request: Request, format: Format = "html") -> Response:
        state, now = _state(request), sources.now()
        if _untidy(request):
            return RedirectResponse(state.url(page=state.page), 303)
        limit = {"limit": MOST_IN_A_FILE} if format != "html" else {}
        view = build_top(state if format == "html" else _first_page(state), sources.reports, now, **limit)
        if format == "json":
            return JSONResponse(msgspec.to_builtins(view))
        if format == "csv":
            return _csv(csv_rows(view), "topcrashers")
        return renderer.page(
            request,
            "topcrashers.html",
            view=view,
            state=state,
            menus=read_menus(sources.reports, state, now),
            days=DAYS,
            none_yet=not view.rows and not sources.reports.any(),
        )

    @router.get("/signature")
    def signature(request: Request, format: Format = "html") -> Response:
        state, now = _state(request), sources.now()
        if state.signature == "":
            hint = "As in /signature?signature=poke_widget; /topcrashers lists signatures."
            raise BadRequest("no_signature", "The address names no signature.", hint)
        if _untidy(request):
            return RedirectResponse(state.url(page=state.page), 303)
        if format == "csv":
            return _reports_csv(sources, state)
        protected = reader_of(request).may("protected")
        view = build_signature(state, sources.reports, now, protected)
        if view.comments:
            name = f"comments of {state.signature or '(no signature)'}"
            sources.record.note(request, "comments", name[:300], every=_NOTED_EVERY)
        if format == "json":
            return JSONResponse(msgspec.to_builtins(view))
        menus = read_menus(sources.reports, state, now)
        return renderer.page(
            request, "signature.html", view=view, state=state, menus=menus, days=DAYS, protected=protected,
            none_yet=not view.totals.reports and not sources.reports.any(),
        )  # fmt: skip

    @router.get("/search")
    def search(request: Request, format: Format = "html") -> Response:
        if moved := _crash_id(request):
            return RedirectResponse(f"/report?id={moved}", 303)
        state, now = _state(request), sources.now()
        if _untidy(request):
            return RedirectResponse(state.url(page=state.page), 303)
        if format == "csv":
            return _reports_csv(sources, state)
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
            none_yet=not view.totals.reports and not sources.reports.any(),
        )

    return router


def _state(request: Request) -> CrashState:
    return read_crash_state(request.url.path, request.query_params.multi_items())


def _untidy(request: Request) -> bool:
    """Whether it is a form as it was sent, with all that was left empty: its address is worth tidying to share it."""
    return (
        any(value == "" for value in request.query_params.values()) and "format" not in request.query_params
    )


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


def _reports_csv(sources: CrashSources, state: CrashState) -> Response:
    """The crashes themselves, without anything protected."""
    found = sources.reports.reports(state.selection(sources.now()), MOST_IN_A_FILE)
    head = ReportRow.__struct_fields__
    rows: list[Sequence[Any]] = [head]
    for row in found:
        values = msgspec.structs.astuple(row)
        rows.append([v.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(v, "strftime") else v for v in values])
    return _csv(rows, "crashes")


def _csv(rows: Sequence[Sequence[Any]], name: str) -> Response:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    headers = {"content-disposition": f'inline; filename="{name}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
