"""Raw and processed crashes as they are stored: JSON, the processed one gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import msgspec
from isal import igzip

from missioncontrol.blobs.crash_keys import processed_key, raw_key
from missioncontrol.blobs.protocol import Blobs, Draft

_LEVEL = 2
Document = dict[str, Any]


def read_raw_crash(blobs: Blobs, crash_id: str) -> Document:
    """The annotations and what the collector noted; raises `NotFound` (`unknown_object`)."""
    found: Document = msgspec.json.decode(blobs.get(raw_key(crash_id)))
    return found


def read_processed_crash(blobs: Blobs, crash_id: str) -> Document:
    """What was made of a crash; raises `NotFound` (`unknown_object`)."""
    found: Document = msgspec.json.decode(gzip.decompress(blobs.get(processed_key(crash_id))))
    return found


def pack_processed_crash(document: Document) -> bytes:
    """What was made of a crash, as it is stored."""
    packed: bytes = igzip.compress(msgspec.json.encode(document), _LEVEL, mtime=0)
    return packed


def write_processed_crashes(blobs: Blobs, packed: Mapping[str, bytes]) -> None:
    """Store what was made of crashes, by id, in the place of what was there; all are flushed together.

    Raises `StorageError` and `StorageFull`; some may be stored then.
    """
    drafts: list[Draft] = []
    try:
        for crash_id, data in packed.items():
            drafts.append(blobs.draft(processed_key(crash_id)))
            drafts[-1].write(data)
        blobs.commit(drafts)
    finally:
        for draft in drafts:
            draft.discard()
