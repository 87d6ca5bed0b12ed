"""`/api/v1/alerts`: where alerts go, by which rules, and how they were delivered."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from missioncontrol.access.reader import Reader
from missioncontrol.errors import BadRequest
from missioncontrol.web.alerts.view import AlertDesk, RuleView, quiet_of
from missioncontrol.web.api_route import StrictRoute, as_json
from missioncontrol.web.auth.guard import require
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.request_body import small_body

T = TypeVar("T")
_CHANNEL = {
    "name": "stability", "kind": "webhook", "target": "https://example.com/hook", "owner_email": "ada@example.com",
    "quiet": {"begins": "22:00", "ends": "07:00", "zone": "Europe/Berlin", "days": [], "passing": "critical"},
}  # fmt: skip
_CHANGED = {name: _CHANNEL[name] for name in ("target", "owner_email", "quiet")}
_RULE = {
    "to": "stability",
    "application": "Firefox",
    "channel": "release",
    "measure": "",
    "severity": "warning",
}
_SWITCH = {"on": True}


class _NewChannel(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    kind: str
    target: str
    owner_email: str = ""
    quiet: dict[str, Any] | None = None


class _ChangedChannel(msgspec.Struct, forbid_unknown_fields=True):
    target: str = ""
    owner_email: str | msgspec.UnsetType = msgspec.UNSET
    quiet: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class _NewRule(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    severity: str
    application: str = ""
    channel: str = ""
    measure: str = ""


class _Switch(msgspec.Struct, forbid_unknown_fields=True):
    on: bool


def build_alerts_api(desk: AlertDesk) -> APIRouter:
    """The routes. Reading needs `read`, and `admin` to see addresses and answers; changing needs `admin`."""
    router = APIRouter(tags=["alerts"], route_class=StrictRoute)
    body_of = _examples

    @router.get("/api/v1/alerts", summary="Alert channels, rules, the last deliveries and changes")
    def get(request: Request) -> Response:
        """Null are `target`, `reason`, `owner`, `owner_email` and `answer` for readers without `admin`."""
        return as_json(desk.view(_full(request)))

    @router.get("/api/v1/alerts/deliveries", summary="Messages, the newest first")
    def deliveries(
        request: Request,
        channel: Annotated[str, Query(description="Only to this alert channel.")] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        """Each with its status: waiting, sent, given_up, refused, outdated, remade or left."""
        return as_json(desk.deliveries(_full(request), limit, channel))

    @router.post("/api/v1/alerts/channels", summary="Make an alert channel", status_code=201,
                 openapi_extra=body_of(_CHANNEL))  # fmt: skip
    def add(
        reader: Annotated[Reader, require("admin")], body: Annotated[bytes, Depends(small_body)]
    ) -> Response:
        """Answers the channel; that of a webhook has `secret`, the key of its signatures, this once."""
        said = _read(body, _NewChannel, _CHANNEL)
        made = desk.services.alert_setup.add(
            said.name, said.kind, said.target, reader.name, said.owner_email, quiet_of(said.quiet), desk.now()
        )
        return as_json(_with_secret(desk, made.name, made.secret), 201)

    @router.patch("/api/v1/alerts/channels/{name}", summary="Change an alert channel",
                  dependencies=[require("admin")], openapi_extra=body_of(_CHANGED))  # fmt: skip
    def change(name: str, body: Annotated[bytes, Depends(small_body)]) -> Response:
        """What is left out stays as it is; `quiet` null takes quiet hours away."""
        said = _read(body, _ChangedChannel, _CHANGED)
        known = desk.services.alert_channels.get(name)
        email = known.owner_email if said.owner_email is msgspec.UNSET else said.owner_email
        quiet = known.quiet if said.quiet is msgspec.UNSET else quiet_of(said.quiet)
        desk.services.alert_setup.change(name, said.target, email, quiet, desk.now())
        return as_json(desk.channel(name))

    @router.delete("/api/v1/alerts/channels/{name}", summary="Remove an alert channel and its rules",
                   dependencies=[require("admin")])  # fmt: skip
    def remove(name: str) -> Response:
        """Answers what it was. Its deliveries stay in the log."""
        found = desk.channel(name)
        desk.services.alert_setup.remove(name)
        return as_json(found)

    @router.post("/api/v1/alerts/channels/{name}/switch", summary="Switch an alert channel on or off",
                 openapi_extra=body_of(_SWITCH))  # fmt: skip
    def switch(
        name: str,
        reader: Annotated[Reader, require("admin")],
        body: Annotated[bytes, Depends(small_body)],
    ) -> Response:
        """One that was broken is told, once it is on, what it missed and still holds."""
        desk.services.alert_setup.switch(name, _read(body, _Switch, _SWITCH).on, reader.name, desk.now())
        return as_json(desk.channel(name))

    @router.post("/api/v1/alerts/channels/{name}/secret", summary="Another key for the signatures of a webhook",
                 dependencies=[require("admin")])  # fmt: skip
    def renew(name: str) -> Response:
        """Answers the channel with its new `secret`, this once; the old one signs nothing from now on."""
        made = desk.services.alert_setup.renew_secret(name, desk.now())
        return as_json(_with_secret(desk, name, made.secret))

    @router.post("/api/v1/alerts/channels/{name}/test", summary="Send a test message at once",
                 dependencies=[require("admin")])  # fmt: skip
    def test(name: str) -> Response:
        """Answers `result` (sent, later: it may work another time, never) and `answer`, what the other side said."""
        channel = desk.services.alert_channels.get(name)
        outcome = desk.services.alert_deliverer.test(channel, desk.now())
        return as_json({"result": outcome.result, "answer": outcome.answer})

    @router.post("/api/v1/alerts/rules", summary="Make a rule", status_code=201,
                 dependencies=[require("admin")], openapi_extra=body_of(_RULE))  # fmt: skip
    def add_rule(body: Annotated[bytes, Depends(small_body)]) -> Response:
        """Which changes go to the channel `to`; an empty text is any. Of the same once more the severity counts."""
        said = _read(body, _NewRule, _RULE)
        made = desk.services.alert_setup.add_rule(
            said.to, said.application, said.channel, said.measure, said.severity
        )
        return as_json(
            RuleView(made.id, made.application, made.release_channel, made.measure, made.severity), 201
        )

    @router.delete(
        "/api/v1/alerts/rules/{rule_id}", summary="Take a rule away", dependencies=[require("admin")]
    )
    def remove_rule(rule_id: int) -> Response:
        """Answers what it was."""
        gone = desk.services.alert_channels.remove_rule(rule_id)
        return as_json(RuleView(gone.id, gone.application, gone.release_channel, gone.measure, gone.severity))

    return router


def _full(request: Request) -> bool:
    return reader_of(request).may("admin")


def _with_secret(desk: AlertDesk, name: str, secret: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(desk.channel(name))
    return {**found, "secret": secret} if secret else found


def _examples(example: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"example": example}}}}


def _read(body: bytes, kind: type[T], example: dict[str, Any]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = f"As in {msgspec.json.encode(example).decode()}"
        raise BadRequest("bad_body", f"The body is not understood: {str(error)[:200]}.", hint) from None
