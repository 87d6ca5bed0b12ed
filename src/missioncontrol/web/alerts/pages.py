"""The page of alerts: channels, rules, what was delivered, and the forms that change them.

Works without JavaScript. What changes something needs the scope `admin`, refuses what comes from other sites and leads
back to the page; an answer that shows a secret, or how a test went, is the page itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest
from missioncontrol.web.address import only
from missioncontrol.web.alerts.view import AlertDesk, quiet_of, quiet_words, rule_words
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.refusals import wants_page
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields

PATH = "/alerts"
_KEPT_CHARACTERS = 2000
_Fields = Annotated[dict[str, str], Depends(form_fields)]


class Said(msgspec.Struct, frozen=True):
    """What a form brought about, at the top of the page."""

    text: str
    fine: bool = True
    secret: str = ""
    channel: str = ""


def build_alerts_pages(desk: AlertDesk, sources: PageSources, renderer: Renderer) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)

    def page(
        request: Request,
        said: Said | None = None,
        error: BadRequest | None = None,
        typed: Mapping[str, str] | None = None,
        form: str = "",
    ) -> Response:
        from missioncontrol.alerts.quiet import DAYS
        from missioncontrol.alerts.setup import KINDS
        from missioncontrol.alerts.severity import MEANINGS

        return renderer.page(
            request,
            "alerts.html",
            status=error.status if error else 200,
            view=desk.view(reader_of(request).may("admin")),
            said=said,
            error=error,
            form=form,
            typed={k: v[:_KEPT_CHARACTERS] for k, v in (typed or {}).items()},
            typed_days=[name.removeprefix("day_") for name in typed or {} if name.startswith("day_")],
            days=DAYS,
            kinds=KINDS,
            severities=MEANINGS,
            mails=desk.services.alert_setup.mails,
            quiet_words=quiet_words,
            rule_words=rule_words,
            navigation=top_bar(sources, sources.registry()),
        )

    def refused(request: Request, error: BadRequest, typed: Mapping[str, str], form: str) -> Response:
        if not wants_page(request):
            raise error
        return page(request, error=error, typed=typed, form=form)

    @router.get(PATH, dependencies=[only()])
    def alerts(request: Request) -> Response:
        return page(request)

    @router.get(f"{PATH}/channels")
    @router.get(f"{PATH}/channels/{{name}}/{{what}}")
    def back() -> Response:
        return RedirectResponse(PATH, 303)  # a reload after a form

    @router.post(f"{PATH}/channels")
    def add(request: Request, reader: Annotated[Reader, require("admin")], fields: _Fields) -> Response:
        try:
            made = desk.services.alert_setup.add(
                fields.get("name", "").strip(), fields.get("kind", ""), fields.get("target", ""), reader.name,
                fields.get("owner_email", ""), None, desk.now(),
            )  # fmt: skip
            desk.services.alert_setup.add_rule(made.name, "", "", "", fields.get("severity", "warning"))
        except BadRequest as error:
            return refused(request, error, fields, "new")
        if not made.secret:
            return RedirectResponse(f"{PATH}#channel-{made.name}", 303)
        return page(request, Said(f"The channel {made.name} is made.", secret=made.secret, channel=made.name))

    @router.post(f"{PATH}/channels/{{name}}/change", dependencies=[require("admin")])
    def change(request: Request, name: str, fields: _Fields) -> Response:
        try:
            desk.services.alert_setup.change(
                name, fields.get("target", ""), fields.get("owner_email", ""), _quiet(fields), desk.now()
            )
        except BadRequest as error:
            return refused(request, error, fields, name)
        return RedirectResponse(f"{PATH}#channel-{name}", 303)

    @router.post(f"{PATH}/channels/{{name}}/secret", dependencies=[require("admin")])
    def renew(request: Request, name: str) -> Response:
        made = desk.services.alert_setup.renew_secret(name, desk.now())
        return page(request, Said(f"The channel {name} has another key.", secret=made.secret, channel=name))

    @router.post(f"{PATH}/channels/{{name}}/test", dependencies=[require("admin")])
    def test(request: Request, name: str) -> Response:
        channel = desk.services.alert_channels.get(name)
        outcome = desk.services.alert_deliverer.test(channel, desk.now())
        fine = outcome.result == "sent"
        words = "The test message arrived at" if fine else "The test message did not arrive at"
        return page(request, Said(f"{words} {name}. {outcome.answer}", fine, channel=name))

    @router.post(f"{PATH}/channels/{{name}}/on")
    def on(name: str, reader: Annotated[Reader, require("admin")]) -> Response:
        desk.services.alert_setup.switch(name, True, reader.name, desk.now())
        return RedirectResponse(f"{PATH}#channel-{name}", 303)

    @router.post(f"{PATH}/channels/{{name}}/off")
    def off(name: str, reader: Annotated[Reader, require("admin")]) -> Response:
        desk.services.alert_setup.switch(name, False, reader.name, desk.now())
        return RedirectResponse(f"{PATH}#channel-{name}", 303)

    @router.post(f"{PATH}/channels/{{name}}/remove", dependencies=[require("admin")])
    def remove(name: str) -> Response:
        desk.services.alert_setup.remove(name)
        return RedirectResponse(PATH, 303)

    @router.post(f"{PATH}/channels/{{name}}/rules", dependencies=[require("admin")])
    def add_rule(request: Request, name: str, fields: _Fields) -> Response:
        try:
            desk.services.alert_setup.add_rule(
                name, fields.get("application", ""), fields.get("channel", ""), fields.get("measure", ""),
                fields.get("severity", ""),
            )  # fmt: skip
        except BadRequest as error:
            return refused(request, error, fields, f"{name} rules")
        return RedirectResponse(f"{PATH}#channel-{name}", 303)

    @router.post(f"{PATH}/rules/{{rule_id}}/remove", dependencies=[require("admin")])
    def remove_rule(rule_id: int) -> Response:
        desk.services.alert_channels.remove_rule(rule_id)
        return RedirectResponse(PATH, 303)

    return router


def _quiet(fields: Mapping[str, str]) -> Any:
    """The quiet hours of the form; none without a time."""
    begins, ends = fields.get("begins", "").strip(), fields.get("ends", "").strip()
    if not begins and not ends:
        return None
    days = [name.removeprefix("day_") for name in fields if name.startswith("day_")]
    zone, passing = fields.get("zone", "").strip() or "UTC", fields.get("passing", "critical")
    return quiet_of({"begins": begins, "ends": ends, "zone": zone, "days": days, "passing": passing})
