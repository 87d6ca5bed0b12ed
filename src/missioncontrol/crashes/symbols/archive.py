"""Zips of symbols, read within bounds: entries, unpacked bytes, and names that stay what they are, names.

Nothing is unpacked to disk and no name of an entry is ever opened; entries are streams. A zip that promises less than
it unpacks to is stopped where it passes the bound.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

import msgspec

from missioncontrol.errors import BadRequest, MissionControlError

MAGIC = b"PK\x03\x04"
_EMPTY = b"PK\x05\x06"
_DIRECTORY_END = struct.Struct("<4sHHHHIIH")
_LARGE_END = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_COMMENT_BYTES = 65_535


class Bounds(msgspec.Struct, frozen=True):
    """What a zip may hold."""

    entries: int = 20_000
    directory_bytes: int = 32 << 20
    inflated_bytes: int = 16 << 30


class Entry:
    """A file in a zip: its name, and its bytes as a stream."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self.file = file


def is_zip(first: bytes) -> bool:
    """Whether a file that begins so is a zip."""
    return first.startswith((MAGIC, _EMPTY))


def entries(file: BinaryIO, bounds: Bounds) -> Iterator[Entry | tuple[str, MissionControlError]]:
    """The files in a zip one by one, each to be read before the next; or the name of one and why it is refused.

    Raises `BadRequest` (`zip_invalid`, `zip_too_large`) for the zip as a whole.
    """
    _check_directory(file, bounds)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError) as error:
        raise _invalid(str(error)) from None
    left = bounds.inflated_bytes
    with archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            refusal = _refusal(info)
            if refusal is not None:
                yield info.filename[:500], refusal
                continue
            try:
                opened = archive.open(info)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, struct.error) as error:
                yield info.filename, _invalid(str(error))
                continue
            with opened:
                stream = _Bounded(opened, left)
                yield Entry(info.filename, cast(BinaryIO, stream))
                left = stream.left


class _Bounded:
    """An entry that stops where the whole zip has given what it may; damage has a name."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self.left = left

    def read(self, size: int = -1) -> bytes:
        try:
            piece = self._file.read(max(0, size) or 1 << 20)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise BadRequest(
                "symbols_cut", f"It cannot be unpacked: {error}.", "Make the zip again."
            ) from None
        self.left -= len(piece)
        if self.left < 0:
            raise BadRequest("zip_too_large", "The zip unpacks to more than may be taken at once.")
        return piece


def _refusal(info: zipfile.ZipInfo) -> BadRequest | None:
    parts = info.filename.replace("\\", "/").split("/")
    if (
        ".." in parts
        or info.filename.startswith(("/", "\\"))
        or ":" in parts[0]
        or "\0" in info.orig_filename
    ):
        return BadRequest("zip_bad_path", f"{info.filename[:200]!r} leads out of the zip.")
    if info.flag_bits & 0x1:
        return BadRequest("zip_encrypted", f"{info.filename[:200]!r} is encrypted.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Others may ask for gigabytes before they have given a byte.
        return BadRequest("zip_method", f"{info.filename[:200]!r} is packed in another way than deflate.")
    return None


def _check_directory(file: BinaryIO, bounds: Bounds) -> None:
    """Refuse a zip whose list of entries alone would take too much memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _COMMENT_BYTES - _DIRECTORY_END.size - _LOCATOR.size))
    tail = file.read()
    at = tail.rfind(_EMPTY)
    if at < 0 or len(tail) - at < _DIRECTORY_END.size:
        raise _invalid("it has no list of entries")
    _, _, _, _, count, directory, _, _ = _DIRECTORY_END.unpack_from(tail, at)
    if 0xFFFF in (count,) or directory == 0xFFFFFFFF:
        count, directory = _large(file, tail, at)
    if count > bounds.entries or directory > bounds.directory_bytes:
        raise BadRequest(
            "zip_too_large", f"The zip has {count:,} entries; {bounds.entries:,} may be taken at once."
        )
    file.seek(0)


def _large(file: BinaryIO, tail: bytes, at: int) -> tuple[int, int]:
    """Entries and bytes of the list, of a zip with 64-bit numbers."""
    if at < _LOCATOR.size or tail[at - _LOCATOR.size : at - _LOCATOR.size + 4] != b"PK\x06\x07":
        raise _invalid("its list of entries is damaged")
    where = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)[2]
    try:
        file.seek(where)
        found = _LARGE_END.unpack(file.read(_LARGE_END.size))
    except (struct.error, OSError, ValueError, OverflowError):
        raise _invalid("its list of entries is damaged") from None
    return found[7], found[8]


def _invalid(why: str) -> BadRequest:
    return BadRequest("zip_invalid", f"It is no zip that can be read: {why}.", "Make it again.")
