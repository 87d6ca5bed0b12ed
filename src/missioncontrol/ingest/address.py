"""What the address of a submission says: document, application, version, channel and build.

Reads the path as it was sent, before percent-decoding, so that an encoded slash never makes a new part. Parts
are data, never names of files; those that could be taken for something else (`..`, control characters) are
refused all the same. This module never looks at headers or bodies.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

from missioncontrol.ingest.reasons import MISSING_VERSION, UNKNOWN_ADDRESS, Refused

LEGACY_NAMESPACE = "telemetry"
LEGACY_VERSION = "4"
MAX_PART_CHARACTERS = 200

_PREFIX = b"/submit/"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}").fullmatch
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}").fullmatch
_REFUSED_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f/]").search
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_MAX_QUERY_FIELDS = 100


class Address(msgspec.Struct, frozen=True):
    """The parts of an address, percent-decoded; those that its form does not have are empty."""

    namespace: str
    """`telemetry` for the legacy form."""
    document_type: str
    document_version: str
    document_id: str
    application: str = ""
    version: str = ""
    channel: str = ""
    build_id: str = ""


def parse_address(raw_path: bytes, query: bytes) -> Address:
    """Read path (as sent) and query of a submission; raises `Refused` (unknown_address, missing_version)."""
    if not raw_path.startswith(_PREFIX):
        raise Refused(UNKNOWN_ADDRESS)
    parts = _decode(raw_path[len(_PREFIX) :]).split("/") if b"%" not in raw_path else _decode_each(raw_path)
    if any(map(_unfit, parts)):
        raise Refused(UNKNOWN_ADDRESS)
    if parts[0] == LEGACY_NAMESPACE:
        return _legacy(parts[1:], query)
    return _structured(parts)


def _legacy(parts: list[str], query: bytes) -> Address:
    if len(parts) == 7 and not parts[-1]:
        parts.pop()
    if len(parts) != 6:
        raise Refused(UNKNOWN_ADDRESS)
    document_id, document_type, application, version, channel, build_id = parts
    if not (_TOKEN(document_id) and _NAME(document_type) and application and version):
        raise Refused(UNKNOWN_ADDRESS)
    if query != b"v=4" and not _says_version_4(query):
        raise Refused(MISSING_VERSION)
    return Address(
        LEGACY_NAMESPACE, document_type, LEGACY_VERSION, document_id, application, version, channel, build_id
    )


def _structured(parts: list[str]) -> Address:
    if len(parts) == 5 and not parts[-1]:
        parts.pop()
    if len(parts) != 4:
        raise Refused(UNKNOWN_ADDRESS)
    namespace, document_type, document_version, document_id = parts
    if not (_NAME(namespace) and _NAME(document_type) and _NAME(document_version) and _TOKEN(document_id)):
        raise Refused(UNKNOWN_ADDRESS)
    return Address(namespace, document_type, document_version, document_id)


def _unfit(part: str) -> bool:
    return part in (".", "..") or len(part) > MAX_PART_CHARACTERS or bool(_REFUSED_CHARACTERS(part))


def _decode_each(raw_path: bytes) -> list[str]:
    if _BROKEN_ESCAPE(raw_path):
        raise Refused(UNKNOWN_ADDRESS)
    return [_decode(unquote_to_bytes(part)) for part in raw_path[len(_PREFIX) :].split(b"/")]


def _decode(part: bytes) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError:
        raise Refused(UNKNOWN_ADDRESS) from None


def _says_version_4(query: bytes) -> bool:
    try:
        fields = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        return False
    return fields.get("v") == [LEGACY_VERSION]
