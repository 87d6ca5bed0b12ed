"""How an entry lies in Kafka: key, value and headers of a message, and the number of its place.

Pure functions of bytes, for whoever writes to the topic and whoever reads it, with whatever client; this module never
talks to a broker.

* The key is the document id in lower case, so that all copies of a document are in one partition; an entry without id
  has no key, and may be in any.
* The value is the body as it was sent.
* The headers are `kind` (the number of the `Kind` in decimal digits) and `meta` (all other fields, as `log.rows` packs
  them).
* The timestamp of the message is the time at which it was handed to Kafka, in ms since the epoch: whoever reads it
  takes that for the time at which its document id was noted.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.log.rows import pack, unpack

MOST_PARTITIONS = 1 << 15
"""So that the number of a place has 63 bits."""

UNREADABLE = "log_message_unreadable"
"""Why a message of the topic that is none of ours is discarded."""

_OFFSET_BITS = 48
_LATEST_MS = 10**15


class Message(msgspec.Struct, frozen=True):
    """What a producer is given, besides topic and timestamp."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]

    @property
    def size_bytes(self) -> int:
        """About what it takes of the bounds that Kafka sets: key, value and headers."""
        return len(self.key or b"") + len(self.value) + sum(len(n) + len(v) + 8 for n, v in self.headers)


def to_message(entry: Entry) -> Message:
    """The message of an entry; raises `BadRequest` for text that is no UTF-8 and numbers over 64 bits."""
    row = pack(entry)
    return Message(
        key=entry.document_id.lower().encode() or None,
        value=row.body,
        headers=[("kind", b"%d" % row.kind), ("meta", row.meta)],
    )


def from_message(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Entry:
    """The entry of a message; the key says nothing that `meta` does not say.

    Raises `ValueError` for a message that `to_message()` never made (`msgspec.DecodeError` is one).
    """
    found = dict(headers)
    if not found.keys() >= {"kind", "meta"}:
        raise ValueError("it lacks the headers kind and meta")
    return unpack(int(Kind(int(found["kind"]))), found["meta"], value or b"")


def read_message(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]] | None, timestamp_ms: int
) -> Entry:
    """The entry of any message: one that `to_message()` never made becomes a refusal, so that it is counted."""
    try:
        return from_message(key, value, headers or ())
    except ValueError:
        return Entry(Kind.REFUSED, max(0, timestamp_ms) * 1_000_000, detail=UNREADABLE, body=value or b"")


def timestamp_ms(now_ns: int) -> int:
    """The timestamp of a message that is written now. Clocks that no message can carry are held to what it can."""
    return min(max(1, now_ns // 1_000_000), _LATEST_MS)


def place(partition: int, offset: int) -> int:
    """The number of a message among all of its topic, from 1 on; grows with the offset within a partition.

    It is the offset of the record in the log's protocol, and `log_offset` in the archive.
    """
    if not (0 <= partition < MOST_PARTITIONS and 0 <= offset < (1 << _OFFSET_BITS) - 1):
        raise ValueError(f"no place has a number for partition {partition}, offset {offset}")
    return partition << _OFFSET_BITS | offset + 1


def partition_and_offset(place: int) -> tuple[int, int]:
    """Partition and offset of a place; the offset is -1 for the place before the first message."""
    return place >> _OFFSET_BITS, (place & (1 << _OFFSET_BITS) - 1) - 1


def claimant(place: int) -> int:
    """In whose name the identity of a record is noted: below 0, where those of imports are above."""
    return -place
