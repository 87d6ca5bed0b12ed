"""What every route of the Crash Stats API has in common: who may what, how it refuses, and its headers.

A refusal has Socorro's `error` beside our code, message and hint. Nothing is kept by caches: the next request sees what
was processed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute

from missioncontrol.errors import BadRequest, Forbidden, MissionControlError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def everyone(_: Request) -> bool:
    """Every reader may."""
    return True


def unrecorded(_: Request, kind: str, thing: str) -> None:
    """Nobody writes down who saw what."""


class CrashAccess(msgspec.Struct, frozen=True):
    """What the reader of a request may do."""

    may_read_protected: Callable[[Request], bool] = everyone
    may_reprocess: Callable[[Request], bool] = everyone
    note: Callable[[Request, str, str], None] = unrecorded
    """Writes down that the reader is about to see something protected: its kind, and which."""

    def require_protected(self, request: Request, what: str) -> None:
        """Raises `Forbidden` (`protected`); asked before anything is looked up, so it tells nothing of a crash."""
        if not self.may_read_protected(request):
            hint = "Sign in, or send a token with the scope `protected`."
            raise Forbidden("protected", f"{what} are protected.", hint)

    def require_reprocess(self, request: Request) -> None:
        """Raises `Forbidden` (`scope_missing`)."""
        if not self.may_reprocess(request):
            hint = "Send a token with the scope `reprocess`."
            raise Forbidden("scope_missing", "Processing crashes again needs the scope `reprocess`.", hint)


class CrashRoute(APIRoute):
    """A route of the Crash Stats API."""

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, with refusals as answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except MissionControlError as error:
                response = _refusal(error)
            except RequestValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"][1:])
                response = _refusal(
                    BadRequest("bad_parameter", f"{where}: {first['msg']}.", "See /docs/api.")
                )
            response.headers["Cache-Control"] = "no-store"
            response.headers["Access-Control-Allow-Origin"] = "*"
            return response

        return answer


def as_json(content: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _refusal(error: MissionControlError) -> Response:
    return as_json({**error.as_dict(), "error": f"{error.message} {error.hint}".strip()}, error.status)
