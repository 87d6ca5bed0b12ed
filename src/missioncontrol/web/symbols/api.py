"""Symbols over HTTP, at addresses that clients know: uploads, and downloads for debuggers and other walkers.

    POST|PUT /upload/                               a form with zips or .sym files, or a body that is one
    POST     /symupload                             a form with a .sym file, as Breakpad's symupload sends it
    PUT      /symbols/<debug file>/<debug id>/<name>.sym
    GET|HEAD /symbols/<debug file>/<debug id>/<name>.sym, and the same without /symbols

Uploads need the scope `symbols`. The addresses without /symbols match paths of exactly this shape and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.convertors import Convertor, register_url_convertor

from missioncontrol.crashes.symbols.archive import Bounds
from missioncontrol.crashes.symbols.intake import Intake
from missioncontrol.crashes.symbols.names import SymbolName, symbol_name
from missioncontrol.crashes.symbols.store import Received
from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.web.auth.guard import require
from missioncontrol.web.upload_body import Uploaded, receive_files

if TYPE_CHECKING:
    from missioncontrol.services import Services

_AT_ONCE = 2
"""Uploads that are looked through at the same time."""
_INFLATES_TO = 16


class _DebugId(Convertor[str]):
    regex = "[0-9A-Fa-f]{33,40}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _SymFile(_DebugId):
    regex = r"[^/]+\.[sS][yY][mM]"


register_url_convertor("debug_id", _DebugId())
register_url_convertor("sym_file", _SymFile())
_PATH = "/{debug_file}/{debug_id:debug_id}/{file:sym_file}"


def build_symbols(services: Services) -> APIRouter:
    """The routes of symbols."""
    router = APIRouter(tags=["symbols"])
    settings = services.config.crashes
    spool = services.config.cache_path / "uploads"
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    bounds = Bounds(inflated_bytes=_INFLATES_TO * settings.symbol_upload_max_bytes)

    @router.post("/upload/", summary="Upload symbols: zips and .sym files", dependencies=[require("symbols")])
    @router.put("/upload/", include_in_schema=False, dependencies=[require("symbols")])
    @router.post("/upload", include_in_schema=False, dependencies=[require("symbols")])
    @router.put("/upload", include_in_schema=False, dependencies=[require("symbols")])
    async def upload(request: Request) -> Response:
        """What became of each file. 400 when none was taken."""
        return await take(request, 201)

    @router.post(
        "/symupload", summary="Upload symbols by Breakpad's symupload", dependencies=[require("symbols")]
    )
    async def symupload(request: Request) -> Response:
        """What became of the file: 200, by which that program knows that it was taken, or 400."""
        return await take(request, 200)

    async def take(request: Request, status: int) -> Response:
        files = await receive_files(request, spool, settings.symbol_upload_max_bytes, "upload")
        try:
            intake = Intake(services.symbols, None, bounds)
            results = await anyio.to_thread.run_sync(_take_all, intake, files, limiter=limiter)
        finally:
            for one in files:
                one.file.close()
        taken = any(r.outcome in ("new", "replaced", "already_there") for r in results)
        return _json(_answer(files, results), status if taken else 400)

    @router.put("/symbols" + _PATH, summary="Upload one .sym file", dependencies=[require("symbols")])
    @router.put(_PATH, include_in_schema=False, dependencies=[require("symbols")])
    async def put_one(request: Request, debug_file: str, debug_id: str, file: str) -> Response:
        """What became of it; 400 with the reason when it is refused, as when it is of another build."""
        name = _named(debug_file, debug_id, file)
        files = await receive_files(request, spool, settings.symbol_upload_max_bytes, name.path)
        if len(files) != 1:
            raise BadRequest("bad_upload", "Send one file, as the body.", "curl -T app.sym ...")
        with files[0].file as body:
            received = await anyio.to_thread.run_sync(
                services.symbols.add, body, name.path, name, limiter=limiter
            )
        return _json(received, 200 if received.outcome == "already_there" else 201)

    @router.get("/symbols" + _PATH, summary="Download symbols")
    @router.head("/symbols" + _PATH, summary="Whether there are symbols of a build")
    @router.api_route(_PATH, methods=["GET", "HEAD"], include_in_schema=False)
    def download(request: Request, debug_file: str, debug_id: str, file: str) -> Response:
        """A .sym file; 404 when there is none of this build."""
        name, headers = _named(debug_file, debug_id, file), {"access-control-allow-origin": "*"}
        try:
            return FileResponse(services.symbols.path(name), media_type="text/plain", headers=headers)
        except NotFound:
            found = services.symbols.pieces(name)
        headers["content-length"] = str(found.size_bytes)
        if request.method == "HEAD":  # of a stream the length would go, as it may be compressed
            return Response(media_type="text/plain", headers=headers)
        return StreamingResponse(found.pieces, media_type="text/plain", headers=headers)

    @router.get("/api/v1/symbols/missing", summary="Modules that crashes met most often without symbols")
    def missing(
        days: Annotated[int, Query(ge=1, le=3650)] = 7, limit: Annotated[int, Query(ge=1, le=10_000)] = 30
    ) -> Response:
        """The modules, each with the command that would mend it."""
        return _json(services.missing_symbols(days, limit))

    return router


def _take_all(intake: Intake, files: Sequence[Uploaded]) -> list[Received]:
    return [result for one in files for result in intake.take_upload(one.file, one.name)]


def _named(debug_file: str, debug_id: str, file: str) -> SymbolName:
    """The build that a path is of; raises `NotFound` for a path that no symbols can have."""
    try:
        name = symbol_name(debug_file, debug_id)
    except BadRequest as error:
        raise NotFound("unknown_symbols", error.message, error.hint) from None
    expected = name.path.rpartition("/")[2]
    if file.lower() != expected.lower():
        raise NotFound("unknown_symbols", f"Symbols of {debug_file[:80]} are called {expected[:80]}.")
    return name


def _answer(files: Sequence[Uploaded], results: Sequence[Received]) -> dict[str, Any]:
    """What Tecken answers, and what became of each file."""
    taken = [r for r in results if r.outcome in ("new", "replaced")]
    return {
        "upload": {
            "filename": files[0].name if files else "",
            "skipped_keys": [_key(r) for r in results if r.outcome == "already_there"],
            "ignored_keys": [r.file for r in results if r.outcome in ("ignored", "refused")],
            "files": [
                {"key": _key(r), "size": r.size_bytes, "update": r.outcome == "replaced", "compressed": False}
                for r in taken
            ],
        },
        "results": results,
        **_trouble(results, bool(taken)),
    }


def _trouble(results: Sequence[Received], taken: bool) -> dict[str, str]:
    """Code and message of a refusal, when nothing was taken because of it."""
    if taken or any(r.outcome == "already_there" for r in results):
        return {}
    first = next((r for r in results if r.outcome == "refused"), None)
    if first is None:
        return {
            "code": "no_symbols",
            "message": "There are no symbols in it.",
            "hint": "Send .sym files, or a zip.",
        }
    return {"code": first.reason, "message": f"{first.file}: {first.message}", "hint": ""}


def _key(received: Received) -> str:
    return symbol_name(received.debug_file, received.debug_id).path


def _json(what: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(what), status, media_type="application/json")
