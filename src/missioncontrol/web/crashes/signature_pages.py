"""The page of one signature, its CSV and JSON twins, and the forms that link bugs to it and take links away.

Every state of the page is in its address, which the forms carry along. Only they change something: they need the scope
`reprocess` and lead back to the page.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest
from missioncontrol.health.model import Subject
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of, visit_of
from missioncontrol.web.crashes.address import DAYS, CrashState
from missioncontrol.web.crashes.answers import Format, reports_csv, state_of, untidy
from missioncontrol.web.crashes.reckoned import count_of
from missioncontrol.web.crashes.signature import CrashesView, build_signature
from missioncontrol.web.crashes.store import CrashSources
from missioncontrol.web.crashes.top import read_menus
from missioncontrol.web.refusals import wants_page
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields
from missioncontrol.web.verdicts.view import verdict_address

if TYPE_CHECKING:
    from missioncontrol.web.crashes.moved import Moved

PATH = "/signature"
PartFormat = Annotated[Literal["html", "part", "json"], Query()]
_NOTED_EVERY = timedelta(minutes=1)
_KEPT_CHARACTERS = 300
_MEASURES: dict[str | None, str] = {
    None: "main_crashes",
    "parent": "main_crashes",
    "browser": "main_crashes",
    "content": "content_crashes",
    "gpu": "gpu_crashes",
}
"""Process of a report -> the measure that counts its crashes; others: reports of any process."""


class BugForm(msgspec.Struct, frozen=True):
    """The form that links a bug, as it is shown."""

    bug: str = ""
    title: str = ""
    error: BadRequest | None = None


def build_signature_pages(sources: CrashSources, renderer: Renderer) -> APIRouter:
    """The routes of a signature."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    def signature(request: Request, format: Format = "html") -> Response:
        state = _state(request)
        if untidy(request):
            return RedirectResponse(state.url(page=state.page), 303)
        if format == "csv":
            return reports_csv(sources, state)
        if format == "json":
            return JSONResponse(_twin(sources, request, state))
        return _page(sources, renderer, request, state)

    @router.get(f"{PATH}/differences")
    def differences(request: Request, format: PartFormat = "html") -> Response:
        state = _state(request)
        found = sources.woven.differences(state, sources.now())
        if format == "json":
            return JSONResponse(msgspec.to_builtins(found))
        template = "signature_differs.html" if format == "part" else "signature_differences.html"
        return renderer.page(request, template, differences=found, state=state)

    @router.get(f"{PATH}/bugs")
    def back(request: Request) -> Response:
        return RedirectResponse(
            _state(request).url(), 303
        )  # a reload after a refused form, or after signing in

    @router.post(f"{PATH}/bugs")
    def add(
        request: Request,
        reader: Annotated[Reader, require("reprocess")],
        fields: Annotated[dict[str, str], Depends(form_fields)],
    ) -> Response:
        state = _state(request)
        typed = {name: fields.get(name, "") for name in ("bug", "title")}
        try:
            ref = sources.bugs.trackers.read(typed["bug"])
            sources.bugs.store().add(
                state.signature or "", ref.tracker, ref.bug, typed["title"], reader.name, sources.now()
            )
        except BadRequest as error:
            if not wants_page(request):
                raise
            form = BugForm(typed["bug"][:_KEPT_CHARACTERS], typed["title"][:_KEPT_CHARACTERS], error)
            return _page(sources, renderer, request, state, form)
        return RedirectResponse(f"{state.url()}#bugs", 303)

    @router.post(f"{PATH}/bugs/{{link_id}}/remove", dependencies=[require("reprocess")])
    def remove(request: Request, link_id: int) -> Response:
        state = _state(request)
        sources.bugs.store().remove(link_id)
        return RedirectResponse(f"{state.url()}#bugs", 303)

    return router


def _state(request: Request) -> CrashState:
    """What the address asks for; raises `BadRequest` (`no_signature`)."""
    state = state_of(request, PATH)
    if state.signature == "":
        hint = "As in /signature?signature=poke_widget; /topcrashers lists signatures."
        raise BadRequest("no_signature", "The address names no signature.", hint)
    return state


def _view(sources: CrashSources, request: Request, state: CrashState) -> CrashesView:
    """What the reader may see; that somebody sees comments is recorded, once a minute."""
    protected = reader_of(request).may("protected")
    view = build_signature(state, sources.reports, sources.now(), protected)
    if view.comments:
        name = f"comments of {state.signature or '(no signature)'}"
        sources.record.note(request, "comments", name[:300], every=_NOTED_EVERY)
    return view


def _twin(sources: CrashSources, request: Request, state: CrashState) -> dict[str, Any]:
    bugs = sources.bugs.of_signature(state.signature, reader_of(request).may("protected"))
    view = _view(sources, request, state)
    found: dict[str, Any] = msgspec.to_builtins(view)
    more = {"bugs": bugs, "moved": _moved(sources, state, view)}
    return {**found, **{name: msgspec.to_builtins(value) for name, value in more.items()}}


def _page(
    sources: CrashSources, renderer: Renderer, request: Request, state: CrashState, form: BugForm = BugForm()
) -> Response:
    view, protected = _view(sources, request, state), reader_of(request).may("protected")
    return renderer.page(
        request,
        "signature.html",
        status=form.error.status if form.error else 200,
        view=view,
        moved=_moved(sources, state, view),
        state=state,
        menus=read_menus(sources.reports, state, sources.now()),
        days=DAYS,
        protected=protected,
        bugs=sources.bugs.of_signature(state.signature, protected),
        new_bugs=_new_bugs(sources, request, state, view),
        trackers=sources.bugs.trackers.names,
        form=form,
        verdict_url=_verdict_url(state, view),
        how=count_of(
            msgspec.structs.replace(state.selection(sources.now()), start=view.start, end=view.end),
            view.totals.count,
            view.totals.reports,
        ),
        none_yet=not view.totals.reports and not sources.reports.any(),
    )


def _moved(sources: CrashSources, state: CrashState, view: CrashesView) -> Moved | None:
    """The versions that it moves; None of crashes that are not there."""
    return sources.woven.moved(state, _measure(view), sources.now()) if view.totals.reports else None


def _measure(view: CrashesView) -> str:
    """The measure that counts crashes like the newest one."""
    return _MEASURES.get(view.newest.process_type if view.newest else "", "crash_reports")


def _verdict_url(state: CrashState, view: CrashesView) -> str:
    """The verdict on the signature in the version of its newest report; empty where none says which."""
    newest = view.newest
    if not state.signature or newest is None or not (newest.product and newest.channel and newest.version):
        return ""
    subject = Subject(newest.product, newest.channel, newest.version, _measure(view), state.signature)
    return verdict_address(subject)


def _new_bugs(
    sources: CrashSources, request: Request, state: CrashState, view: CrashesView
) -> dict[str, str]:
    """Forms for a new bug, filled in from the newest crash."""
    if not sources.bugs.trackers.files_new:
        return {}
    crash = sources.store.public(view.newest.crash_id) if view.newest else None
    return sources.bugs.new_bugs(state.signature, crash, visit_of(request).base_url)
