"""Lines of imported pings: decoded pings as batch jobs read them, each with the server's `meta`.

Receive time and submission date are meta's. What meta lacks stays None, so that the registry's `required` decides.
Most writers put `meta` last; then it alone is decoded here, and the ping once, by extraction.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from missioncontrol.registry.decode import no_constant
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.submission import Submission


class _Meta(msgspec.Struct, frozen=True, gc=False):
    timestamp: int | float | str = msgspec.field(name="Timestamp", default=0)
    submission_date: str | None = msgspec.field(name="submissionDate", default=None)
    country: str | None = msgspec.field(name="geoCountry", default=None)
    channel: str | None = msgspec.field(name="normalizedChannel", default=None)
    application: str | None = msgspec.field(name="appName", default=None)
    version: str | None = msgspec.field(name="appVersion", default=None)
    build_id: str | None = msgspec.field(name="appBuildId", default=None)
    document_type: str | None = msgspec.field(name="docType", default=None)
    document_version: str | int | None = msgspec.field(name="docVersion", default=None)
    document_id: str | None = msgspec.field(name="documentId", default=None)
    namespace: str | None = msgspec.field(name="documentNamespace", default=None)


class _Line(msgspec.Struct, frozen=True, gc=False):
    meta: _Meta | None = None
    type: Any = None
    id: Any = None


_decode = msgspec.json.Decoder(_Line).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode
_META = b'"meta"'
_OBJECT = re.compile(rb"\s*:\s*(?=\{)")
_LONGEST_META = 4096
_EARLIEST_NS = 946_684_800 * 10**9
"""The year 2000: a smaller number is a time in another unit."""


def read_line(line: bytes | memoryview, now_ns: int) -> tuple[Submission, Discard | None]:
    """The submission in a line, and why it cannot be counted if it is clear already (then received now)."""
    try:
        found = _last_meta(line) or _whole(line)
        meta = found.meta or _Meta()
        received_ns = int(meta.timestamp)
    except msgspec.ValidationError as error:
        return _unknown(line, now_ns), Discard("no_meta", str(error)[:200])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _unknown(line, now_ns), Discard("not_json")
    except (ValueError, OverflowError):
        return _unknown(line, now_ns), Discard("no_meta", "Timestamp is no number")
    if not _EARLIEST_NS < received_ns < 2**62:
        return _unknown(line, now_ns), Discard("no_meta", "Timestamp is no time in nanoseconds")
    document_type = meta.document_type or (found.type if isinstance(found.type, str) else "")
    document_id = meta.document_id or (found.id if isinstance(found.id, str) else "")
    return Submission(
        received_ns=received_ns,
        namespace=meta.namespace or "telemetry",
        document_type=document_type[:200],
        document_version=str(meta.document_version or ""),
        document_id=document_id[:200],
        application=meta.application,
        channel=meta.channel,
        version=meta.version,
        build_id=meta.build_id,
        country=meta.country,
        submission_date=meta.submission_date,
        headers=(),
        encoding="",
        body=line,
    ), None


def read_receipt(line: bytes | memoryview, now_ns: int) -> tuple[str, int]:
    """Document id (empty: none, or a line that cannot be used) and receive time of a line."""
    found = _last_meta(line)
    if found is None or found.meta is None or not isinstance(found.meta.timestamp, int):
        submission, refused = read_line(line, now_ns)
        return ("" if refused else submission.document_id), submission.received_ns
    if not _EARLIEST_NS < found.meta.timestamp < 2**62:
        return "", now_ns
    return (found.meta.document_id or "")[:200], found.meta.timestamp


def _last_meta(line: bytes | memoryview) -> _Line | None:
    """The line's `meta` if it says all and is the last member of the line, without reading what is before it.

    In valid JSON a comma followed by a quote is inside no text, and what is decoded reaches up to the last brace: so
    this can only be the line's own `meta`. If the rest is no JSON, extraction says so.
    """
    tail = bytes(line[-_LONGEST_META:]).rstrip()
    if not tail.endswith(b"}"):
        return None
    start = _meta_start(tail)
    if start is None:
        return None
    try:
        meta = _decode_meta(tail[start:-1])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return _Line(meta) if meta.document_type and meta.document_id else None


def _meta_start(tail: bytes) -> int | None:
    """Where the object of the last `, "meta": {` begins."""
    at = len(tail)
    while (at := tail.rfind(_META, 0, at)) >= 0:
        found = _OBJECT.match(tail, at + len(_META))
        if found and tail[:at].rstrip(b" \t\r\n").endswith(b","):
            return found.end()
    return None


def _whole(line: bytes | memoryview) -> _Line:
    try:
        return _decode(line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return _plain(line)


def _plain(line: bytes | memoryview) -> _Line:
    """The same for a line with a lone surrogate, which is JSON to all but the strict decoder.

    One in what is read here is still refused: no table could hold it.
    """
    try:
        ping = json.loads(bytes(line), parse_constant=no_constant)
    except ValueError as error:
        raise msgspec.DecodeError(str(error)) from None
    read = {name: ping.get(name) for name in _Line.__struct_fields__} if isinstance(ping, dict) else ping
    return _decode(json.dumps(read).encode())


def _unknown(line: bytes | memoryview, now_ns: int) -> Submission:
    return Submission(now_ns, "", "", "", "", None, None, None, None, None, None, (), "", line)
