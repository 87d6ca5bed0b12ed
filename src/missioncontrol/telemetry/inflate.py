"""Bounded inflating of bodies as sent. Never holds more than the limit, whatever the body claims."""

from __future__ import annotations

import zlib
from typing import Any

from isal import isal_zlib

from missioncontrol.telemetry.discards import Discard

_GZIP_MAGIC = b"\x1f\x8b"


def inflate(body: bytes | memoryview, encoding: str, limit: int) -> bytes | memoryview | Discard:
    """The JSON bytes of a body, at most `limit` bytes; a Discard that says what is wrong otherwise.

    A body that starts like gzip is inflated even when no Content-Encoding says so: some clients forget it.
    """
    if not body:
        return Discard("empty_body")
    if encoding in ("gzip", "x-gzip") or body[:2] == _GZIP_MAGIC:
        return _gunzip(body, limit)
    if encoding == "deflate":
        return _inflate(body, isal_zlib.decompressobj(), limit)
    if encoding not in ("", "identity"):
        return Discard("unsupported_encoding", encoding[:100])
    return body if len(body) <= limit else Discard("too_large_inflated")


def content(
    body: bytes | memoryview, encoding: str, packing: str | None, limit: int
) -> bytes | memoryview | Discard:
    """The JSON bytes of a row's body, at most `limit` bytes; a Discard that says what is wrong otherwise.

    The same answer as `inflate()` gives for the body as it was sent, without making that again.
    """
    return inflate(body, encoding if packing is None else "", limit)


def _gunzip(body: bytes | memoryview, limit: int) -> bytes | Discard:
    if body[:2] != _GZIP_MAGIC:
        return Discard("bad_gzip", "no gzip header")
    return _inflate(body, isal_zlib.decompressobj(wbits=16 + zlib.MAX_WBITS), limit)


def _inflate(body: bytes | memoryview, stream: Any, limit: int) -> bytes | Discard:
    try:
        data: bytes = stream.decompress(body, limit + 1)
    except isal_zlib.error as error:  # type: ignore[misc]
        return Discard("bad_gzip", str(error)[:100])
    if len(data) > limit:
        return Discard("too_large_inflated")
    return data if stream.eof else Discard("truncated_gzip")
