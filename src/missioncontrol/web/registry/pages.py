"""The pages of the registry: what is declared, one entry, and the forms that declare more.

They work without JavaScript. What changes something, or previews it, needs the scope `admin`; what is refused keeps
what was typed.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.web.address import filterable, read_once
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.pages import CHANNEL_LOOKBACK, PageSources, top_bar
from missioncontrol.web.refusals import wants_page
from missioncontrol.web.registry.desk import RegistryDesk
from missioncontrol.web.registry.forms import HOWS, KINDS, Candidate
from missioncontrol.web.registry.view import Entry, graphs_of, value_text, with_graphs
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields

if TYPE_CHECKING:
    from missioncontrol.registry.probes import Probe
    from missioncontrol.telemetry.preview import Preview

PATH = "/registry"
_MOST_PROBES = 30
_KNOWN = ("add", "q", "probe", "source", "text")
_Fields = Annotated[dict[str, str], Depends(form_fields)]
_FIRST = {"per": "usage_hours", "worse": "up", "kind": "histogram", "process": "parent", "group": "other"}
_SUGGESTED = {
    "--process": "process",
    "--key": "key",
    "--at-least": "at_least",
    "--label": "label",
    "--bucket": "bucket",
}


class Form(msgspec.Struct, frozen=True):
    """The form as it is shown."""

    how: str
    typed: Mapping[str, str]
    error: MissionControlError | None = None
    candidate: Candidate | None = None
    previews: list[tuple[str, Preview | None]] = []
    probes: list[Probe] = []
    """What the search found."""
    found: int = 0
    imported: int = 0
    """Probes of the dictionary."""


def build_registry_pages(desk: RegistryDesk, sources: PageSources, renderer: Renderer) -> APIRouter:
    """The routes of the pages."""
    router = APIRouter(include_in_schema=False)

    def form_page(request: Request, form: Form) -> Response:
        registry = sources.registry()
        return renderer.page(
            request,
            "registry_add.html",
            status=form.error.status if form.error else 200,
            form=form,
            hows=HOWS,
            kinds=KINDS,
            registry=registry,
            file=desk.services.config.registry_files[-1].name,
            value_text=value_text,
            navigation=top_bar(sources, registry),
        )

    def entry_page(
        request: Request,
        entry: Entry,
        error: MissionControlError | None = None,
        typed: Mapping[str, str] | None = None,
        preview: Preview | None = None,
    ) -> Response:
        registry, now = sources.registry(), sources.now()
        channels = sources.lookup.channels(now - CHANNEL_LOOKBACK, now + timedelta(minutes=5))
        measure = registry.measures.get(entry.name)
        runs = desk.runs(entry.name)
        return renderer.page(
            request,
            "registry_entry.html",
            status=error.status if error else 200,
            entry=with_graphs(entry, channels, filterable(registry)),
            graphs=graphs_of(entry, channels),
            survey=desk.survey()[0],
            error=error,
            typed=typed or {},
            preview=preview,
            runs=runs,
            is_running=any(run.status in ("waiting", "running") for run in runs),
            of_reports=measure is not None and measure.of_reports,
            since=desk.first_archived(),
            added="added" in request.query_params,
            now=now,
            value_text=value_text,
            navigation=top_bar(sources, registry),
        )

    @router.get(PATH)
    def overview(request: Request) -> Response:
        asked = _read_asked(request.query_params.multi_items())
        if "add" in asked:
            return form_page(request, _offered(desk, asked))
        kept, is_looking = desk.survey()
        entries = desk.entries(kept.survey if kept else None)
        return renderer.page(
            request,
            "registry.html",
            measures=_grouped([e for e in entries if e.section == "measure"]),
            dimensions=[e for e in entries if e.section == "dimension"],
            count=len(entries),
            kept=kept,
            is_looking=is_looking,
            trouble_=desk.trouble(),
            hows=HOWS,
            value_text=value_text,
            now=sources.now(),
            navigation=top_bar(sources, sources.registry()),
        )

    @router.post(PATH)
    def add(request: Request, reader: Annotated[Reader, require("admin")], fields: _Fields) -> Response:
        how, candidate = fields.get("add", ""), None
        try:
            if fields.get("do") not in ("preview", "save"):
                raise BadRequest("bad_parameter", "`do` must be preview or save.")
            candidate = desk.read(how, fields)
            if fields["do"] == "preview":
                found = desk.preview(candidate)
                return form_page(request, Form(how, fields, candidate=candidate, previews=found))
            desk.save(candidate, reader.name)
        except MissionControlError as error:
            if not wants_page(request):
                raise
            how = how if how in HOWS else "probe"
            return form_page(request, Form(how, fields, error, candidate))
        return RedirectResponse(f"{PATH}/{quote(candidate.names[0])}?added=1", 303)

    @router.get(f"{PATH}/{{name}}")
    def one(request: Request, name: str, look: bool = False) -> Response:
        read_once(request.query_params.multi_items(), ("look", "added"))
        kept, _ = desk.survey()
        entry = desk.entry(name, kept.survey if kept else None)
        if not look:
            return entry_page(request, entry)
        reader_of(request).demand("admin")
        try:
            return entry_page(request, entry, preview=desk.look(entry))
        except MissionControlError as error:
            if not wants_page(request):
                raise
            return entry_page(request, entry, error)

    @router.get(f"{PATH}/{{name}}/{{what}}")
    def back(name: str, what: str) -> Response:
        return RedirectResponse(f"{PATH}/{quote(name)}", 303)  # a reload after a refused form

    @router.post(f"{PATH}/{{name}}/backfill", dependencies=[require("admin")])
    def backfill(request: Request, name: str, fields: _Fields) -> Response:
        entry = desk.entry(name, None)
        try:
            desk.want(desk.plan(name, fields.get("since", "").strip(), fields.get("until", "").strip()))
        except BadRequest as error:
            if not wants_page(request):
                raise
            return entry_page(request, entry, error, fields)
        return RedirectResponse(f"{PATH}/{quote(name)}#past", 303)

    @router.post(f"{PATH}/{{name}}/remove")
    def remove(request: Request, name: str, reader: Annotated[Reader, require("admin")]) -> Response:
        entry = desk.entry(name, None)
        try:
            desk.remove(entry, reader.name)
        except MissionControlError as error:
            if not wants_page(request):
                raise
            return entry_page(request, entry, error)
        return RedirectResponse(PATH, 303)

    return router


def _read_asked(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    asked = read_once(pairs, _KNOWN)
    if "add" in asked and asked["add"] not in HOWS:
        hint = f"Choose one of: {', '.join(HOWS)}."
        raise BadRequest("bad_parameter", f"`add` cannot be `{asked['add'][:60]}`.", hint)
    return asked


def _offered(desk: RegistryDesk, asked: Mapping[str, str]) -> Form:
    """The form before anything was sent: empty, or filled from a probe of the dictionary."""
    how, typed = asked["add"], {**_FIRST, **asked}
    if how == "measure":
        return Form(how, typed)
    if how != "probe":
        return Form(how, {**asked})
    dictionary = desk.probes()
    typed = {**typed, "process": "", **_suggested(desk, asked)}
    found = dictionary.search(asked["q"].strip()) if asked.get("q", "").strip() else []
    return Form(how, typed, probes=found[:_MOST_PROBES], found=len(found), imported=len(dictionary.probes))


def _suggested(desk: RegistryDesk, asked: Mapping[str, str]) -> dict[str, str]:
    """The fields that would count the probe of the address, as `registry probes` suggests them."""
    from missioncontrol.registry.probe_measure import suggestion

    named = desk.probes().named(asked.get("probe", ""), asked.get("source", "")) if asked.get("probe") else []
    words = shlex.split(suggestion(named[0])) if named else []
    return {_SUGGESTED[o]: v for o, v in zip(words[::2], words[1::2], strict=True) if o in _SUGGESTED}


def _grouped(entries: list[Entry]) -> list[tuple[str, list[Entry]]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.group or "other", []).append(entry)
    return list(groups.items())
