"""The Crash Stats API beside searches: signatures of given stacks, versions of builds, processing again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from missioncontrol.blobs.crash_keys import parsed_crash_id, raw_key
from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.web.api_route import as_json
from missioncontrol.web.crashes.route import CrashAccess, CrashRoute
from missioncontrol.web.request_body import body_within

if TYPE_CHECKING:
    from missioncontrol.blobs.protocol import Blobs
    from missioncontrol.crashes.signature import Signatures
    from missioncontrol.state.crash_queue import CrashQueue
    from missioncontrol.state.releases import Releases

_MOST_BYTES = 32 * 1024 * 1024
_MOST_IDS = 10_000
_JOBS = {"jobs": [{"os": "Linux", "crashing_thread": 0, "threads": [{"frames": [{"function": "poke"}]}]}]}


def build_crash_tools_api(
    blobs: Blobs,
    queue: Callable[[], CrashQueue],
    signatures: Callable[[], Signatures],
    releases: Callable[[], Releases],
    access: CrashAccess = CrashAccess(),
) -> APIRouter:
    """The routes. What is given as a function is loaded by the first request that needs it."""
    router = APIRouter(tags=["crashes"], route_class=CrashRoute)

    @router.post(
        "/api/CrashSignature/", summary="Signatures of crash data",
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _JOBS}}}},
    )  # fmt: skip
    @router.post("/api/CrashSignature", include_in_schema=False)
    async def post_signature(
        request: Request,
        profile: Annotated[
            Literal["firefox", "general"], Query(description="Whose lists and rules.")
        ] = "firefox",
    ) -> Response:
        """For each of `jobs`, crash data in siggen's shape, `{signature, notes, extra}` in `results`."""
        data = _decoded(await _body(request))
        return as_json(await anyio.to_thread.run_sync(lambda: signatures().from_crash_data(data, profile)))

    @router.get("/api/VersionString/", summary="Versions of a build")
    @router.get("/api/VersionString", include_in_schema=False)
    def get_version(product: str, channel: str, build_id: str) -> Response:
        """By the releases that were imported; no hits when it is none of them."""
        found = [r.version for r in releases().list(product, channel) if r.build_id == build_id]
        hits = [{"version_string": version} for version in dict.fromkeys(found)]
        return as_json({"hits": hits, "total": len(hits)})

    @router.post(
        "/api/Reprocessing/", summary="Process crashes again",
        openapi_extra={"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {
            "type": "object", "required": ["crash_ids"],
            "properties": {"crash_ids": {"type": "array", "items": {"type": "string"}}}}}}}},
    )  # fmt: skip
    @router.post("/api/Reprocessing", include_in_schema=False)
    async def post_reprocessing(request: Request) -> Response:
        """Form fields `crash_ids`, or JSON `{"crash_ids": [...]}`; answers `true` once they wait.

        All or none: 404 when one of them is unknown. A rule set after an id (`id:default`) is passed over.
        """
        access.require_reprocess(request)
        ids = _crash_ids(await _body(request), request.headers.get("content-type", ""))

        def want() -> None:
            from missioncontrol.state.crash_jobs import AGAIN

            for crash_id in ids:
                if not blobs.exists(raw_key(crash_id)):
                    raise NotFound("unknown_crash", f"There is no crash {crash_id} here.")
            queue().want(ids, AGAIN, utc(system_clock()))

        await anyio.to_thread.run_sync(want)
        return as_json(True)

    return router


async def _body(request: Request) -> bytes:
    refusal = BadRequest("body_too_large", f"The body is larger than {_MOST_BYTES:,} bytes.")
    return await body_within(request, _MOST_BYTES, refusal)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("bad_body", f"The body is no JSON: {str(error)[:200]}.", '{"jobs": [...]}') from None


def _crash_ids(body: bytes, content_type: str) -> list[str]:
    given: Any = []
    if content_type.startswith("application/json"):
        found = _decoded(body)
        given = found.get("crash_ids") if isinstance(found, dict) else None
    else:
        text = body.decode("utf-8", "replace")
        given = [value for key, value in parse_qsl(text) if key in ("crash_ids", "crash_ids[]")]
    if not isinstance(given, list) or not given or len(given) > _MOST_IDS:
        raise BadRequest("bad_body", f"`crash_ids` must be 1 to {_MOST_IDS:,} crash ids.", "crash_ids=...")
    return list(dict.fromkeys(parsed_crash_id(str(item).partition(":")[0]) for item in given))
