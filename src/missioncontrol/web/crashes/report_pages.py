"""The page of one crash, its JSON twin, downloads of its files, and the button that processes it again.

A reader without the scope `protected` gets a page that never held what is protected. That somebody with it looks is
recorded. Only the button changes something; looking at a crash that waits moves it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from missioncontrol.blobs.crash_keys import parsed_crash_id
from missioncontrol.blobs.protocol import Pieces
from missioncontrol.errors import NotFound
from missioncontrol.web.address import only
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of, visit_of
from missioncontrol.web.crashes.address import signature_href
from missioncontrol.web.crashes.bugs import BugLink
from missioncontrol.web.crashes.store import CrashSources, StoredCrash
from missioncontrol.web.crashes.woven import Carrying
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.verdicts.view import verdict_path

if TYPE_CHECKING:
    from missioncontrol.web.crashes.report import ReportView

_NOTED_EVERY = timedelta(minutes=1)
Format = Annotated[Literal["html", "json"], Query()]


class ReleaseSaid(msgspec.Struct, frozen=True):
    """The version that a crash is of, as verdicts have it now."""

    version: str
    carrying: list[Carrying]
    """What the crash's signature carries of what is worse."""
    worse: list[str]
    """Verdicts that are worse and that other signatures carry."""
    href: str


def build_report_pages(sources: CrashSources, renderer: Renderer) -> APIRouter:
    """The routes of a crash."""
    router = APIRouter(include_in_schema=False)
    store = sources.store

    @router.get("/crash/{crash_id}")
    def short(crash_id: str) -> Response:
        return RedirectResponse(f"/report/{store.find(crash_id)}", 303)

    @router.get("/report")
    def look_up(crash_id: Annotated[str, Query(alias="id")] = "") -> Response:
        return RedirectResponse(f"/report/{store.find(crash_id)}", 303)

    @router.get("/report/{crash_id}", dependencies=[only("format")])
    def report(request: Request, crash_id: str, format: Format = "html") -> Response:
        known = store.find(crash_id)
        if known != crash_id:
            return RedirectResponse(f"/report/{known}" + ("?format=json" if format == "json" else ""), 303)
        crash = _seen(sources, request, known)
        if format == "json":
            signature = str((crash.processed or {}).get("signature") or "")
            return JSONResponse(_twin(crash, sources.bugs.of_signature(signature, crash.protected)))
        if crash.processed is None:
            store.hurry(known)
            crash = store.crash(known, crash.protected)
        return _page(sources, renderer, request, crash)

    @router.get("/report/{crash_id}/signature", dependencies=[only()])
    def explain(request: Request, crash_id: str) -> Response:
        known = parsed_crash_id(crash_id)
        crash = _seen(sources, request, known)
        if crash.processed is None:
            hint = f"/report/{known} says when it is its turn."
            raise NotFound("not_processed", f"Crash {known} has no signature yet.", hint)
        settings = sources.settings()
        product = str(crash.processed.get("product") or "")
        profile = settings.profile(product)
        explanation = settings.signatures.explain(crash.processed, profile)
        return renderer.page(
            request, "crash_explained.html", crash_id=known, explanation=explanation, profile=profile,
            stored=crash.processed.get("signature"),
            signature_href=signature_href(explanation.signature.signature, product),
        )  # fmt: skip

    @router.get("/report/{crash_id}/files/{name}", dependencies=[require("protected")])
    def download(request: Request, crash_id: str, name: str) -> Response:
        known = parsed_crash_id(crash_id)
        found = store.file(known, name)
        sources.record.note(request, "dump", f"{known} {name}")
        headers = {"content-security-policy": "sandbox"}
        file = f"{known}.{name}" + (".dmp" if name.startswith("upload_file_minidump") else "")
        kind = "application/octet-stream"
        if isinstance(found, Pieces):
            headers["content-disposition"] = f'attachment; filename="{file}"'
            headers["content-length"] = str(found.size_bytes)
            return StreamingResponse(found.pieces, media_type=kind, headers=headers)
        return FileResponse(found, media_type=kind, filename=file, headers=headers)

    @router.get("/report/{crash_id}/reprocess")
    def back(crash_id: str) -> Response:
        return RedirectResponse(f"/report/{parsed_crash_id(crash_id)}", 303)  # after signing in

    @router.post("/report/{crash_id}/reprocess", dependencies=[require("reprocess")])
    def reprocess(crash_id: str) -> Response:
        known = parsed_crash_id(crash_id)
        store.again(known)
        return RedirectResponse(f"/report/{known}", 303)

    return router


def _seen(sources: CrashSources, request: Request, crash_id: str) -> StoredCrash:
    """The crash as its reader may see it; that somebody sees protected parts is recorded, once a minute."""
    protected = reader_of(request).may("protected")
    crash = sources.store.crash(crash_id, protected)
    if protected:
        sources.record.note(request, "crash", crash_id, every=_NOTED_EVERY)
    return crash


def _page(sources: CrashSources, renderer: Renderer, request: Request, crash: StoredCrash) -> Response:
    # Brings the rules of processing along, which a server needs that shows a crash, and an idle one does not.
    from missioncontrol.web.crashes.report import annotations_of, build_report, waiting_facts

    if crash.processed is None:
        raw: Mapping[str, Any] = crash.raw or {}
        return renderer.page(
            request, "crash_waiting.html", crash=crash, facts=waiting_facts(raw, sources.now()),
            annotations=annotations_of(raw, sources.fields()), now=sources.now(),
        )  # fmt: skip
    view = build_report(crash, sources.fields(), sources.templates, sources.symbols())
    # Whatever this reader may see: a new bug is told what everybody may.
    public = sources.fields().processed_public(crash.processed)
    return renderer.page(
        request, "crash_report.html", view=view, release=_release(sources, view),
        bugs=sources.bugs.of_signature(view.signature, crash.protected),
        new_bugs=sources.bugs.new_bugs(view.signature, public, visit_of(request).base_url),
    )  # fmt: skip


def _release(sources: CrashSources, view: ReportView) -> ReleaseSaid | None:
    """What verdicts say of the crash's version; None where it does not say which."""
    if not (view.product and view.channel and view.version):
        return None
    of = view.product, view.channel, view.version
    carrying = [
        one
        for one in sources.woven.carrying(view.product)
        if one.signature == view.signature and (one.application, one.channel, one.version) == of
    ]
    worse = sources.woven.worse(*of)
    others = [one for one in worse if one.subject.measure not in {each.measure for each in carrying}]
    query = urlencode({"application": view.product, "channel": view.channel})
    return ReleaseSaid(
        view.version, carrying, [verdict_path(one.subject) for one in others], f"/verdicts?{query}"
    )


def _twin(crash: StoredCrash, bugs: list[BugLink]) -> dict[str, Any]:
    """What the page is made of."""
    standing = {k: v for k, v in msgspec.to_builtins(crash.standing).items() if v is not None}
    return {
        "crash_id": crash.crash_id,
        "standing": standing,
        "protected": crash.protected,
        "processed": crash.processed,
        "raw": crash.raw,
        "bugs": msgspec.to_builtins(bugs),
        "files": msgspec.to_builtins(crash.files),
    }
