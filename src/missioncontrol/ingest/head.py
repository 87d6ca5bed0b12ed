"""What the edge reads of a request's headers: how the body is framed and encoded, and which headers are kept.

Never looks at the body, and never keeps an address: `forwarded` lives as long as the lookup of the country.
"""

from __future__ import annotations

import re

import msgspec

from missioncontrol.ingest.asgi import Headers
from missioncontrol.ingest.reasons import (
    CONTENT_LENGTH_INVALID,
    KEPT_HEADER_TOO_LARGE,
    LENGTH_REQUIRED,
    TRANSFER_ENCODING_UNKNOWN,
    Refused,
)

KEPT_HEADERS = frozenset(
    {
        b"date",
        b"dnt",
        b"user-agent",
        b"x-debug-id",
        b"x-pingsender-version",
        b"x-source-tags",
        b"x-telemetry-agent",
    }
)
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"x-forwarded-for"})
_READ = KEPT_HEADERS | _FRAMING
_MAX_DIGITS = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Head(msgspec.Struct, frozen=True):
    """The headers that matter to the edge."""

    body_bytes: int | None
    """Content-Length; None: the body is chunked."""
    encoding: str
    """Content-Encoding, lower-case; empty: none."""
    kept: tuple[tuple[str, str], ...]
    """Kept headers, lower-case names, each name once; repeated ones are joined by commas."""
    forwarded: str
    """All of X-Forwarded-For, nearest proxy last."""


def read_head(headers: Headers, max_kept_bytes: int) -> Head:
    """Read lower-case named headers; raises `Refused` when framing is unclear or a kept value is too long."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            found[name] = found[name] + b", " + value if name in found else value
    encoding = found.get(b"content-encoding", b"")
    kept = [(name, value) for name, value in found.items() if name in KEPT_HEADERS]
    if len(encoding) > max_kept_bytes or any(len(value) > max_kept_bytes for _, value in kept):
        raise Refused(KEPT_HEADER_TOO_LARGE)
    return Head(
        body_bytes=_body_bytes(found.get(b"content-length"), found.get(b"transfer-encoding")),
        encoding=_text(encoding).strip().lower(),
        kept=tuple((name.decode("ascii"), _text(value)) for name, value in kept),
        forwarded=found.get(b"x-forwarded-for", b"").decode("latin-1"),
    )


def body_length(headers: Headers) -> int | None:
    """Content-Length of lower-case named headers, None for a chunked body; raises `Refused` when framing is unclear."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in (b"content-length", b"transfer-encoding"):
            found[name] = found[name] + b", " + value if name in found else value
    return _body_bytes(found.get(b"content-length"), found.get(b"transfer-encoding"))


def _body_bytes(length: bytes | None, transfer: bytes | None) -> int | None:
    if transfer is not None:
        if length is not None:
            raise Refused(CONTENT_LENGTH_INVALID)
        if transfer.strip().lower() != b"chunked":
            raise Refused(TRANSFER_ENCODING_UNKNOWN)
        return None
    if length is None:
        raise Refused(LENGTH_REQUIRED)
    values = {value.strip() for value in length.split(b",")}
    value = values.pop()
    if values or not value.isdigit() or len(value) > _MAX_DIGITS:
        raise Refused(CONTENT_LENGTH_INVALID)
    return int(value)


def _text(value: bytes) -> str:
    text = value.decode("latin-1")
    return text if text.isprintable() else _CONTROL.sub("?", text)
