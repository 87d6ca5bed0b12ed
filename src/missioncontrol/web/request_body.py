"""Small bodies of requests: read within a limit, as a form or as JSON."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from missioncontrol.errors import BadRequest

MAX_BYTES = 64 * 1024


async def small_body(request: Request) -> bytes:
    """The body; raises `BadRequest` (`body_too_large`) as soon as it is larger than any form may be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise BadRequest("body_too_large", f"The body is larger than {MAX_BYTES:,} bytes.")
    return bytes(body)


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of an HTML form; of a repeated one the last counts. Raises `BadRequest` (`bad_body`)."""
    text = (await small_body(request)).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise BadRequest(
            "bad_body", "The body is no form.", "Send application/x-www-form-urlencoded."
        ) from None
