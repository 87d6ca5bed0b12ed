"""Raw and processed crashes as they are stored: JSON, the processed one gzipped."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec

from missioncontrol.blobs.crash_keys import processed_key, raw_key
from missioncontrol.blobs.protocol import Blobs

_LEVEL = 6
Document = dict[str, Any]


def read_raw_crash(blobs: Blobs, crash_id: str) -> Document:
    """The annotations and what the collector noted; raises `NotFound` (`unknown_object`)."""
    found: Document = msgspec.json.decode(blobs.get(raw_key(crash_id)))
    return found


def read_processed_crash(blobs: Blobs, crash_id: str) -> Document:
    """What was made of a crash; raises `NotFound` (`unknown_object`)."""
    found: Document = msgspec.json.decode(gzip.decompress(blobs.get(processed_key(crash_id))))
    return found


def write_processed_crash(blobs: Blobs, crash_id: str, document: Document) -> None:
    """Store what was made of a crash, in the place of what was there; raises `StorageError` and `StorageFull`."""
    blobs.put(processed_key(crash_id), gzip.compress(msgspec.json.encode(document), _LEVEL, mtime=0))
