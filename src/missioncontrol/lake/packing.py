"""How a body that came compressed is kept as what it holds, and given back byte for byte.

`Packer.unpacked()` inflates a gzip or zlib body and finds the compressor that makes the very same stream of
what it holds; `as_sent()` makes it again. A body is only given out unpacked when the two were compared, byte
by byte. What nobody here can make again (other compressors, several members, trailing bytes, broken or
oversized bodies) is left as it was sent. Never touches a file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType

import msgspec
from isal import isal_zlib

from missioncontrol.errors import StorageError

GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 64 * 1024
_LONGEST_HEADER_BYTES = 64
_MISSES = 32
"""After so many bodies of a kind in a row whose compressor was not found, it is looked for less often ..."""
_SOMETIMES = 16
"""... for one body of so many."""
_ENCODERS = (
    "zlib:6:8", "miniz:6", "zlib:9:8", "zlib:1:8", "zlib:5:8", "zlib:4:8", "zlib:7:8", "zlib:8:8", "zlib:3:8",
    "zlib:2:8", "miniz:9", "miniz:1", "zlib:6:9", "zlib:9:9", "zlib:1:9", "zlib:5:9", "zlib:4:9", "zlib:7:9",
    "zlib:8:9", "zlib:3:9", "zlib:2:9",
)  # fmt: skip
"""Compressors in the order in which they are tried: zlib by level and memory level, miniz by level."""


class Unpacked(msgspec.Struct, frozen=True):
    """What a body holds, and what is needed to give it back as it was sent."""

    content: bytes
    packing: str
    """`<gzip or zlib> <compressor> <header as hex>`."""
    sent_bytes: int
    sent_crc32: int


class _Frame(msgspec.Struct, frozen=True):
    """A body taken apart, as far as one can without inflating."""

    kind: str
    header: bytes
    rest: memoryview
    """The deflate stream and the trailer."""


def as_sent(body: bytes | memoryview, packing: str | None, sent_crc32: int | None) -> bytes:
    """The body byte for byte as the client sent it, of what a row of `pings` holds.

    Raises `StorageError` (`archive_not_reproduced`) where this machine's compressor makes another stream than
    the one it was sealed with: what the body says is still there, in the row.
    """
    if packing is None:
        return bytes(body)
    kind, encoder, header = packing.split(" ")
    stream = _compressed(encoder, body)
    sent = b"" if stream is None else bytes.fromhex(header) + stream + _trailer(kind, body)
    if zlib.crc32(sent) != sent_crc32:
        raise StorageError(
            "archive_not_reproduced",
            f"The {encoder} of this machine does not make the same {kind} stream again.",
            "Read it where it was sealed, or with the same zlib; what the body says is in the column `body`.",
        )
    return sent


class Packer:
    """Unpacks bodies, and learns which compressors its clients use. Not thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._known: dict[bytes, list[str]] = {}
        self._misses: dict[bytes, int] = {}

    def unpacked(self, body: bytes | memoryview, encoding: str) -> Unpacked | None:
        """What the body holds and how to make it again; None: it has to stay as it was sent.

        Never holds more than `most_bytes` of what it claims to hold.
        """
        frame = _frame(body, encoding)
        if frame is None:
            return None
        content = self._inflated(frame)
        # What is empty, or gzip once more, would be taken for something else by whoever reads it as plain.
        if not content or content[:2] == GZIP_MAGIC:
            return None
        trailer = _trailer(frame.kind, content)
        stream = frame.rest[: len(frame.rest) - len(trailer)]
        if frame.rest[len(stream) :] != trailer:
            return None
        encoder = self._encoder(content, stream, frame.header[-2:])
        if encoder is None:
            return None
        packing = f"{frame.kind} {encoder} {frame.header.hex()}"
        return Unpacked(content, packing, len(body), zlib.crc32(body))

    def _inflated(self, frame: _Frame) -> bytes | None:
        stream = isal_zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        try:
            content: bytes = stream.decompress(frame.rest, self._most_bytes + 1)
        except isal_zlib.error:  # type: ignore[misc]
            return None
        return content if stream.eof and len(content) <= self._most_bytes else None

    def _encoder(self, content: bytes, stream: memoryview, mark: bytes) -> str | None:
        """The compressor that makes this stream of this content, last hits first; None when none does.

        `mark` tells kinds of clients apart: the bytes before the stream differ between compressors.
        """
        known = self._known.setdefault(mark, [])
        misses = self._misses.get(mark, 0)
        wide = misses < _MISSES or misses % _SOMETIMES == 0
        for encoder in (*known, *(e for e in _ENCODERS if wide and e not in known)):
            if _makes(encoder, content, stream):
                if encoder in known:
                    known.remove(encoder)
                known.insert(0, encoder)
                self._misses[mark] = 0
                return encoder
        self._misses[mark] = misses + 1
        return None


def _frame(body: bytes | memoryview, encoding: str) -> _Frame | None:
    view = memoryview(body).cast("B")
    if view[:2] == GZIP_MAGIC:
        length = _gzip_header_length(bytes(view[: _LONGEST_HEADER_BYTES + 1]))
        kind, trailer = "gzip", 8
    elif encoding == "deflate" and len(view) > 6 and view[0] == 0x78 and not view[1] & 0x20:
        length, kind, trailer = 2, "zlib", 4
    else:
        return None
    if not length or len(view) <= length + trailer:
        return None
    return _Frame(kind, bytes(view[:length]), view[length:])


def _gzip_header_length(start: bytes) -> int:
    """Bytes of the header (RFC 1952); 0 when it is too long or none."""
    if len(start) < 10 or start[2] != 8 or start[3] & 0xE0:
        return 0
    flags, length = start[3], 10
    if flags & 4:
        length += 2 + int.from_bytes(start[10:12], "little")
    for text in (8, 16):
        if flags & text:
            length = start.find(b"\0", length) + 1
            if not length:
                return 0
    length += flags & 2
    return length if length <= min(len(start), _LONGEST_HEADER_BYTES) else 0


def _trailer(kind: str, content: bytes | memoryview) -> bytes:
    if kind == "gzip":
        return struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return struct.pack(">I", zlib.adler32(content))


def _makes(encoder: str, content: bytes, stream: memoryview) -> bool:
    """Whether the compressor makes exactly this stream; stops at the first piece that differs."""
    position = 0
    for piece in _pieces(encoder, content):
        if stream[position : position + len(piece)] != piece:
            return False
        position += len(piece)
    return 0 < position == len(stream)


def _compressed(encoder: str, content: bytes | memoryview) -> bytes | None:
    """The deflate stream; None when there is no such compressor here."""
    return b"".join(_pieces(encoder, content)) or None


def _pieces(encoder: str, content: bytes | memoryview) -> Iterator[bytes]:
    """The deflate stream, piece by piece; nothing when there is no such compressor here."""
    name, *numbers = encoder.split(":")
    if name == "miniz" and (miniz := _miniz()) is not None:
        yield bytes(miniz.deflate.compress(bytes(content), level=int(numbers[0])))
    if name != "zlib":
        return
    level, memory = map(int, numbers)
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, memory)
    view = memoryview(content).cast("B")
    for start in range(0, len(view), _PIECE_BYTES):
        yield compressor.compress(view[start : start + _PIECE_BYTES])
    yield compressor.flush()


@cache
def _miniz() -> ModuleType | None:
    """The compressor of Rust programs (flate2), Glean's clients among them; None where it is not installed."""
    try:
        return import_module("cramjam")
    except ImportError:
        return None
