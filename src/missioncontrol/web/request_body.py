"""Bodies of requests, read within a limit; small ones as forms."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from missioncontrol.errors import BadRequest

MAX_BYTES = 64 * 1024


async def body_within(request: Request, most_bytes: int, refusal: BadRequest) -> bytes:
    """The body; raises the refusal as soon as it is larger."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise refusal
    return bytes(body)


async def small_body(request: Request) -> bytes:
    """The body; raises `BadRequest` (`body_too_large`) when it is larger than any form may be."""
    refusal = BadRequest("body_too_large", f"The body is larger than {MAX_BYTES:,} bytes.")
    return await body_within(request, MAX_BYTES, refusal)


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of an HTML form; of a repeated one the last counts. Raises `BadRequest` (`bad_body`)."""
    text = (await small_body(request)).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise BadRequest(
            "bad_body", "The body is no form.", "Send application/x-www-form-urlencoded."
        ) from None
