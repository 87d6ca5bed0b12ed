"""How a refusal is told: a page for a browser, `{code, message, hint}` for everyone else.

Never shows a traceback, and never text that was not written for the reader.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from missioncontrol.errors import BadRequest, MissionControlError, NotFound, Unauthorized
from missioncontrol.web.auth.own_path import own_path
from missioncontrol.web.headers import ALWAYS
from missioncontrol.web.rendering import Renderer

_MACHINE_PATHS = ("/api/", "/submit/", "/static/", "/__", "/metrics")


class _RefusalError(MissionControlError):
    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.status = status


def install_refusals(app: FastAPI, renderer: Renderer) -> None:
    """Make every error of `app` answer in the one shape."""

    def refuse(
        request: Request, error: MissionControlError, headers: dict[str, str] | None = None
    ) -> Response:
        headers = {**refusal_headers(error), **(headers or {})}
        if not wants_page(request):
            return JSONResponse(error.as_dict(), error.status, headers)
        page = _page(renderer, request, error)
        page.headers.update(headers)
        return page

    def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, MissionControlError)
        return refuse(request, error)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refuse(request, _from_http(request, error), dict(error.headers or {}))

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return refuse(request, of_validation(error.errors()))

    def unexpected(request: Request, _: Exception) -> Response:
        hint = "The server's log says more. Try again, and report it if it stays."
        error = _RefusalError(500, "internal_error", "Something in the server went wrong.", hint)
        # The framework answers this one outside of all layers, so it brings its headers along.
        return refuse(request, error, ALWAYS)

    app.add_exception_handler(MissionControlError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def refusal_headers(error: MissionControlError) -> dict[str, str]:
    """What a refusal says in headers beside its body."""
    if isinstance(error, Unauthorized):
        return {"www-authenticate": 'Bearer realm="Mission Control"'}
    return {"retry-after": str(error.retry_after_s)} if error.retry_after_s else {}


def _page(renderer: Renderer, request: Request, error: MissionControlError) -> Response:
    """The refusal; for those who only have to sign in, the form that does it and leads back here."""
    if isinstance(error, Unauthorized):
        url = request.url
        here = f"{url.path}?{url.query}" if url.query else url.path
        after = own_path(here if request.method == "GET" else "/")
        return renderer.page(request, "login.html", status=error.status, error=error, after=after, name="")
    return renderer.page(request, "refusal.html", status=error.status, error=error)


def wants_page(request: Request) -> bool:
    """Whether the one who asks is a browser looking for a page."""
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(_MACHINE_PATHS)


def _from_http(request: Request, error: HTTPException) -> MissionControlError:
    path = request.url.path[:200]
    if error.status_code == 404:
        return NotFound(
            "not_found", f"There is nothing at {path}.", "/ links to all pages; /docs/api lists the API."
        )
    if error.status_code == 405:
        return _RefusalError(
            405, "method_not_allowed", f"{request.method[:20]} is not allowed at {path}.", "See /docs/api."
        )
    return _RefusalError(error.status_code, "refused", str(error.detail))


def of_validation(errors: Any) -> MissionControlError:
    """The refusal of a request whose parameters do not fit; `errors` are FastAPI's."""
    first = errors[0] if errors else {"loc": (), "msg": "invalid"}
    where = ".".join(str(part) for part in first["loc"][1:])
    return BadRequest(
        "bad_parameter", f"`{where}`: {first['msg']}." if where else f"{first['msg']}.", "See /docs/api."
    )
