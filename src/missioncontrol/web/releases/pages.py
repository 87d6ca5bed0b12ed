"""The page of releases, its CSV and JSON twins, and the forms that say something of a version.

Every state of the page is in its address. Only the forms change something: they need the scope `reprocess` and lead
back to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest
from missioncontrol.query.filters import parse_instant
from missioncontrol.query.release_rows import VersionRow, version_rows
from missioncontrol.state.release_model import STATUSES, Change, Status
from missioncontrol.web.address import read_once
from missioncontrol.web.api_route import as_json
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.crashes.answers import Format, csv_answer
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.refusals import wants_page
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields

if TYPE_CHECKING:
    from missioncontrol.state.releases import Releases

PATH = "/releases"
_FIRST_VERSIONS = 25
"""Of each channel, unless one is asked for alone."""
_MOST_VERSIONS = 1000
_KEPT_CHARACTERS = 600
_NAMES = ("application", "channel", "version")


class ReleaseForm(msgspec.Struct, frozen=True):
    """A form as it was sent, and what is wrong with it."""

    application: str = ""
    channel: str = ""
    version: str = ""
    build_id: str = ""
    published_at: str = ""
    status: str = "accepted"
    note: str = ""
    error: BadRequest | None = None

    def of(self, row: VersionRow) -> bool:
        """Whether it is a refused form of this version."""
        mine = (self.application, self.channel, self.version)
        return self.error is not None and mine == (row.application, row.channel, row.version)


class ChannelView(msgspec.Struct, frozen=True):
    """The versions of one channel, as many as are shown."""

    application: str
    channel: str
    rows: list[VersionRow]
    total: int

    @property
    def url(self) -> str:
        """The page of this channel alone."""
        return page_url(self.application, self.channel)


def page_url(application: str | None = None, channel: str | None = None, form: str = "") -> str:
    """The address of the page, or of a twin of it."""
    pairs = [("application", application), ("channel", channel), ("format", form or None)]
    query = urlencode([(name, value) for name, value in pairs if value is not None])
    return f"{PATH}?{query}" if query else PATH


def build_release_pages(
    sources: PageSources, releases: Callable[[], Releases], renderer: Renderer
) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)

    def page(
        request: Request,
        application: str | None = None,
        channel: str | None = None,
        form: ReleaseForm = ReleaseForm(),
    ) -> Response:
        rows = _rows(releases(), request, None, None)
        views = channel_views(rows, application, channel)
        return renderer.page(
            request,
            "releases.html",
            status=form.error.status if form.error else 200,
            views=views,
            chosen=(application, channel),
            channels=channel_views(rows, None, None),
            form=form,
            blank=ReleaseForm(),
            edited=any(form.of(row) for view in views for row in view.rows),
            statuses=STATUSES,
            twins={name: page_url(application, channel, name) for name in ("json", "csv")},
            navigation=top_bar(sources, sources.registry()),
            base_url=str(request.base_url).rstrip("/"),
        )

    @router.get(PATH)
    def show(
        request: Request, application: str | None = None, channel: str | None = None, format: Format = "html"
    ) -> Response:
        read_once(request.query_params.multi_items(), ("application", "channel", "format"))
        if format == "html":
            return page(request, application, channel)
        rows = _rows(releases(), request, application, channel)
        return as_json(rows) if format == "json" else csv_answer(_csv(rows), "releases")

    @router.post(PATH)
    def say(
        request: Request,
        reader: Annotated[Reader, require("reprocess")],
        fields: Annotated[dict[str, str], Depends(form_fields)],
    ) -> Response:
        application, channel, version = (fields.get(name, "") for name in _NAMES)
        try:
            change = read_change(fields)
            if change is not None:
                releases().change(application, channel, version, change, reader.name, sources.now())
        except BadRequest as error:
            if not wants_page(request):
                raise
            return page(request, None, None, _again(fields, error))
        return RedirectResponse(page_url(application.strip(), channel.strip()), 303)

    @router.post(f"{PATH}/remove", dependencies=[require("reprocess")])
    def remove(fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        application, channel, version = (fields.get(name, "") for name in _NAMES)
        releases().remove(application, channel, version)
        return RedirectResponse(PATH, 303)

    @router.get(f"{PATH}/remove")
    def back() -> Response:
        return RedirectResponse(PATH, 303)  # after signing in

    return router


def channel_views(
    rows: Sequence[VersionRow], application: str | None, channel: str | None
) -> list[ChannelView]:
    """The rows by channel, of those that are asked for; all of a channel only if it is asked for alone."""
    most = _MOST_VERSIONS if application is not None and channel is not None else _FIRST_VERSIONS
    views = []
    for (of_application, of_channel), of in groupby(rows, lambda row: (row.application, row.channel)):
        if application in (None, of_application) and channel in (None, of_channel):
            found = list(of)
            views.append(ChannelView(of_application, of_channel, found[:most], len(found)))
    return views


def read_change(fields: Mapping[str, str]) -> Change | None:
    """What a form says: fields that have changed since it was made (`..._was`); None when none has.

    Raises `BadRequest` (`bad_time`, `bad_status`).
    """
    typed = {name: fields.get(name, "").strip() for name in ("published_at", "status", "note", "build_id")}
    changed = {n: v for n, v in typed.items() if v != fields.get(f"{n}_was", "")}
    if changed.get("status", "accepted") not in STATUSES:
        raise BadRequest(
            "bad_status", f"{typed['status'][:40]!r} is no status.", f"One of {', '.join(STATUSES)}."
        )
    if not changed:
        return None
    time = typed["published_at"] if "published_at" in changed else ""
    return Change(
        (typed["build_id"],) if typed["build_id"] else (),
        parse_instant("published_at", time) if time else None,
        cast("Status | None", changed.get("status")),
        changed.get("note"),
    )


def _rows(
    releases: Releases, request: Request, application: str | None, channel: str | None
) -> list[VersionRow]:
    return version_rows(releases.versions(application, channel), reader_of(request).may("protected"))


def _csv(rows: Sequence[VersionRow]) -> list[Sequence[Any]]:
    head = (
        "application", "channel", "version", "build_ids", "published_at", "origin", "status", "note", "status_since",
        "status_by",
    )  # fmt: skip
    lines: list[Sequence[Any]] = [head]
    for row in rows:
        when = f"{row.published_at:%Y-%m-%dT%H:%M:%SZ}"
        names = (row.application, row.channel, row.version, " ".join(row.build_ids))
        since = f"{row.status_since:%Y-%m-%dT%H:%M:%SZ}" if row.status_since else ""
        lines.append((*names, when, row.origin, row.status, row.note, since, row.status_by or ""))
    return lines


def _again(fields: Mapping[str, str], error: BadRequest) -> ReleaseForm:
    """The form with what was typed and what is wrong with it."""
    typed = {
        name: fields.get(name, "")[:_KEPT_CHARACTERS]
        for name in ReleaseForm.__struct_fields__
        if name != "error"
    }
    return ReleaseForm(**typed, error=error)
