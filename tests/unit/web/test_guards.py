"""What each route demands: those that show nothing are known by name, all others demand a scope."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from tests.support.form import config_of, installed

from missioncontrol.services import Services
from missioncontrol.web.app import create_app
from missioncontrol.web.auth.guard import Guard, _has_guard, guard_every_route

PUBLIC = {
    "/login", "/logout", "/profile", "/profile/tokens", "/profile/tokens/{token_id}/revoke", "/api/v1/me",
    "/login/oidc", "/login/oidc/callback",
}  # fmt: skip
"""Open to everybody, or themselves asking for a session."""
REPROCESS = {"/report/{crash_id}/reprocess", "/signature/bugs", "/signature/bugs/{link_id}/remove",
    "/api/v1/signature-bugs", "/api/v1/signature-bugs/{link_id}",
    "/history/runs", "/history/runs/{run_id}/retry", "/history/runs/{run_id}/leave", "/api/v1/history/runs",
    "/releases", "/releases/remove", "/api/v1/releases",
    "/annotations", "/annotations/{annotation_id}/remove", "/api/v1/annotations",
}  # fmt: skip
ONLY_FOR_READING = {
    "/api/v1/sql", "/api/CrashSignature", "/api/CrashSignature/",
    "/sql", "/sql/download", "/sql/stop", "/sql/saved", "/sql/saved/{query_id}/remove",
}  # fmt: skip
"""Change nothing but the reader's own: saving and deleting queries ask for somebody who is signed in."""
SYMBOLS = {
    "/upload", "/upload/", "/symupload", "/symbols/{debug_file}/{debug_id:debug_id}/{file:sym_file}",
    "/{debug_file}/{debug_id:debug_id}/{file:sym_file}",
}  # fmt: skip
ADMIN = {
    "/alerts/channels", "/alerts/channels/{name}/change", "/alerts/channels/{name}/secret", "/alerts/channels/{name}/test",
    "/alerts/channels/{name}/on", "/alerts/channels/{name}/off", "/alerts/channels/{name}/remove",
    "/alerts/channels/{name}/rules", "/alerts/rules/{rule_id}/remove",
    "/api/v1/alerts/channels", "/api/v1/alerts/channels/{name}", "/api/v1/alerts/channels/{name}/switch",
    "/api/v1/alerts/channels/{name}/secret", "/api/v1/alerts/channels/{name}/test", "/api/v1/alerts/rules",
    "/api/v1/alerts/rules/{rule_id}",
    "/registry", "/registry/{name}/backfill", "/registry/{name}/remove",
}  # fmt: skip
ASK_THEMSELVES = {"/api/Reprocessing", "/api/Reprocessing/"}
"""Demand a scope in their own words, those of the Crash Stats API."""


def routes_of(router: Any) -> list[APIRoute]:
    """The routes of an application, also those of included routers."""
    found: list[APIRoute] = []
    for route in router.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if isinstance(route, APIRoute):
            found.append(route)
        elif isinstance(inner, APIRouter):
            found += routes_of(inner)
    return found


def test_a_route_is_open_only_if_it_is_known_to_be(tmp_path: Path) -> None:
    app: FastAPI = create_app(Services(config_of(installed(tmp_path))))
    assert [d.dependency for d in app.router.dependencies] == [guard_every_route]
    scopes: dict[str, set[str]] = {}
    routes = routes_of(app)
    assert {"/", "/api/v1/sql", "/metrics", "/login"} <= {r.path for r in routes}
    for route in routes:
        guards = {d.call.scope for d in route.dependant.dependencies if isinstance(d.call, Guard)}
        assert bool(guards) == _has_guard(route.dependant)
        if "" in guards:
            assert route.path in PUBLIC, route.path
        if route.methods & {"POST", "PUT", "PATCH", "DELETE"}:
            scopes[route.path] = guards
    assert {path for path, guards in scopes.items() if guards == {"symbols"}} == SYMBOLS
    assert {path for path, guards in scopes.items() if guards == {"reprocess"}} == REPROCESS
    assert {path for path, guards in scopes.items() if guards == {"admin"}} == ADMIN
    assert set(scopes) <= ADMIN | PUBLIC | REPROCESS | ONLY_FOR_READING | ASK_THEMSELVES | SYMBOLS, (
        "what changes something demands more than `read`"
    )


def test_a_request_that_passed_no_gate_is_nobodys() -> None:
    from missioncontrol.web.auth.visit import reader_of

    reader = reader_of(Request({"type": "http", "headers": []}))
    assert (reader.kind, reader.scopes) == ("anonymous", frozenset())
