"""The Crash Stats API for single crashes: `/api/RawCrash/` and `/api/ProcessedCrash/`, in Socorro's shapes.

Answers from the store of objects, so a crash can be fetched as soon as its client has its id. A reader without the
scope `protected` gets what is declared public, and no dumps.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from missioncontrol.blobs.crash_keys import MINIDUMP, dump_key, processed_key, raw_key
from missioncontrol.blobs.crash_objects import find_crash_id
from missioncontrol.blobs.protocol import Blobs
from missioncontrol.crashes.fields import Fields
from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.web.api_route import as_json
from missioncontrol.web.crashes.route import CrashAccess, CrashRoute

CrashId = Annotated[str, Query(description="The id that the client was given, in any of its forms.")]
_FORMAT = Query(description="`meta`: the annotations; `raw`: the bytes of a file.")


def build_crash_api(
    blobs: Blobs, fields: Callable[[], Fields], access: CrashAccess = CrashAccess()
) -> APIRouter:
    """The routes for single crashes."""
    router = APIRouter(tags=["crashes"], route_class=CrashRoute)

    @router.get("/api/RawCrash/", summary="Annotations of a crash report as they came, or one of its files")
    @router.get("/api/RawCrash", include_in_schema=False)
    def get_raw(
        request: Request,
        crash_id: CrashId,
        format: Annotated[Literal["meta", "raw"], _FORMAT] = "meta",
        name: Annotated[str, Query(description="Name of the file.")] = MINIDUMP,
    ) -> Response:
        """The annotations at the top level, and what the collector noted under `metadata`.

        Without the scope `protected`: the declared public annotations; files are refused.
        """
        if format == "raw":  # first, so that it does not tell whether there is such a crash
            access.require_protected(request, "Files of crash reports")
        known = find_crash_id(blobs, crash_id)
        if format == "raw":
            access.note(request, "crash_file", f"{known} {name}"[:200])
            return _file(blobs, known, name)
        if access.may_read_protected(request):
            access.note(request, "raw_crash", known)
            return Response(_bytes(blobs, raw_key(known), known), media_type="application/json")
        return as_json(fields().raw_public(read_raw(blobs, known)))

    @router.get("/api/ProcessedCrash/", summary="A crash as it was processed")
    @router.get("/api/ProcessedCrash", include_in_schema=False)
    def get_processed(request: Request, crash_id: CrashId) -> Response:
        """Its signature, stacks and fields; 404 until it is processed.

        Without the scope `protected`: the fields that are declared public.
        """
        known = find_crash_id(blobs, crash_id)
        found = gzip.decompress(_bytes(blobs, processed_key(known), known))
        if access.may_read_protected(request):
            access.note(request, "processed_crash", known)
            return Response(found, media_type="application/json")
        return as_json(fields().processed_public(msgspec.json.decode(found)))

    return router


def read_raw(blobs: Blobs, crash_id: str) -> dict[str, Any]:
    """The raw crash; raises `NotFound` (`unknown_crash`)."""
    found: dict[str, Any] = msgspec.json.decode(_bytes(blobs, raw_key(crash_id), crash_id))
    return found


def _file(blobs: Blobs, crash_id: str, name: str) -> Response:
    file = MINIDUMP if name in ("dump", "") else name
    found = _bytes(blobs, dump_key(crash_id, _file_name(file)), crash_id)
    headers = {"content-disposition": f'attachment; filename="{crash_id}.{file}.dmp"'}
    return Response(found, headers=headers, media_type="application/octet-stream")


def _bytes(blobs: Blobs, key: str, crash_id: str) -> bytes:
    try:
        return blobs.get(key)
    except NotFound:
        hint = "It may not be processed yet, or was deleted."
        raise NotFound("unknown_crash", f"There is nothing of crash {crash_id} here.", hint) from None


def _file_name(name: str) -> str:
    if not name.replace("_", "").isalnum() or len(name) > 30 or not name.isascii():
        raise BadRequest(
            "bad_file_name", f"{name[:80]!r} is no name of a file of a report.", "As in `RawCrash`."
        )
    return name
