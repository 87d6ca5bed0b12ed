"""All routes of the API refuse alike: body, and the headers that say when or how to come again."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from missioncontrol.errors import MissionControlError, TooMany, Unauthorized
from missioncontrol.web.api_route import ApiRoute
from missioncontrol.web.crashes.route import CrashRoute

REFUSALS = {
    "busy": TooMany("too_many", "Too many.", "Wait.", retry_after_s=7),
    "unknown": Unauthorized("token_unknown", "No such token.", "Make one."),
}


def client(kind: type[ApiRoute]) -> TestClient:
    router = APIRouter(route_class=kind)

    @router.get("/refuse")
    def refuse(how: str, number: int = 0) -> None:
        raise REFUSALS[how]

    app = FastAPI()
    app.include_router(router)
    return TestClient(app)


@pytest.mark.parametrize("kind", [ApiRoute, CrashRoute])
@pytest.mark.parametrize(
    ("how", "status", "header"),
    [
        ("busy", 429, ("retry-after", "7")),
        ("unknown", 401, ("www-authenticate", 'Bearer realm="Mission Control"')),
    ],
)
def test_refusals_say_when_and_how_to_come_again(
    kind: type[ApiRoute], how: str, status: int, header: tuple[str, str]
) -> None:
    answer = client(kind).get("/refuse", params={"how": how})
    error: MissionControlError = REFUSALS[how]
    assert answer.status_code == status
    assert answer.headers[header[0]] == header[1]
    assert (answer.headers["cache-control"], answer.headers["access-control-allow-origin"]) == (
        "no-store",
        "*",
    )
    body = answer.json()
    assert {k: body[k] for k in ("code", "message", "hint")} == error.as_dict()
    assert body.get("error") == (f"{error.message} {error.hint}" if kind is CrashRoute else None)


@pytest.mark.parametrize("kind", [ApiRoute, CrashRoute])
def test_a_parameter_that_does_not_fit_is_named(kind: type[ApiRoute]) -> None:
    answer = client(kind).get("/refuse", params={"how": "busy", "number": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
    assert "`number`" in answer.json()["message"]
