"""What every route of the API has in common: how it refuses, and its headers.

Nothing is kept by caches: the next request sees what was committed meanwhile. Pages from elsewhere may read.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute

from missioncontrol.errors import MissionControlError
from missioncontrol.query.parameters import refuse_unknown
from missioncontrol.web.refusals import of_validation, refusal_headers

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ApiRoute(APIRoute):
    """A route of the API."""

    open_methods: ClassVar[frozenset[str]] = frozenset({"GET", "HEAD"})
    """Methods whose answers pages from elsewhere may read."""

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, with refusals as answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                self.check(request)
                response = await handle(request)
            except MissionControlError as error:
                response = self._refused(error)
            except RequestValidationError as error:
                response = self._refused(of_validation(error.errors()))
            response.headers["Cache-Control"] = "no-store"
            if request.method in self.open_methods:
                response.headers["Access-Control-Allow-Origin"] = "*"
                response.headers["Access-Control-Expose-Headers"] = "X-Complete"
            return response

        return answer

    def check(self, request: Request) -> None:
        """Raises what refuses a request before it is read."""

    def refusal(self, error: MissionControlError) -> dict[str, str]:
        """The body of a refusal."""
        return error.as_dict()

    def _refused(self, error: MissionControlError) -> Response:
        response = as_json(self.refusal(error), error.status)
        response.headers.update(refusal_headers(error))
        return response


class StrictRoute(ApiRoute):
    """A route of the API all of whose parameters are declared."""

    def check(self, request: Request) -> None:
        """Refuses a parameter that is not declared, or has two values."""
        known = {field.alias for field in self.dependant.query_params}
        refuse_unknown(request.query_params.multi_items(), known)


def open_json(content: Any) -> Response:
    """The JSON twin of a page, which pages from elsewhere may read."""
    response = as_json(content)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def as_json(content: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")
