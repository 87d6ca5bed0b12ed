"""Raw and processed crashes as they are stored: JSON, the processed one gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import msgspec
from isal import igzip

from missioncontrol.blobs.crash_keys import is_short_id, parsed_crash_id, processed_key, raw_key, short_id
from missioncontrol.blobs.protocol import Blobs, Draft
from missioncontrol.errors import BadRequest, NotFound

_LEVEL = 2
Document = dict[str, Any]


def find_crash_id(blobs: Blobs, text: str) -> str:
    """The crash id that a client was told in whatever form: with `bp-`, with or without dashes, or 16 digits.

    Only the last form looks for the crash, among those of its day. Raises `BadRequest` (`bad_crash_id`, and
    `ambiguous_crash_id` where two crashes of a day have the same 16 digits) and `NotFound` (`unknown_crash`).
    """
    short = text.strip().lower().removeprefix("bp-")
    if not is_short_id(short):
        return parsed_crash_id(text)
    # Any id with this beginning and this day lies where all those do that are meant.
    like = parsed_crash_id(short[:10] + "0" * 16 + short[10:])
    folders = {key(like).rpartition("/")[0] for key in (raw_key, processed_key)}
    names = (name.rpartition("/")[2] for folder in folders for name in blobs.list(f"{folder}/"))
    found = {id for id in (name.partition(".")[0] for name in names) if short_id(id) == short}
    if not found:
        raise NotFound("unknown_crash", f"There is no crash {short} here.", "It may have been deleted.")
    if len(found) > 1:
        listed = ", ".join(sorted(found)[:5])
        raise BadRequest("ambiguous_crash_id", f"{short} is more than one crash.", f"One of {listed}.")
    return found.pop()


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
