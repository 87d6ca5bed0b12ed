"""A bundle: one file that holds many objects, written at once.

To make a file costs more than to fill it, so what arrives together is stored together. The file says where each object
lies and has a byte for each that tells whether it is still there; nothing else of it ever changes. An object that is
deleted leaves a hole, and the last one takes the file with it.

Layout: magic, number of objects, bytes and CRC-32 of the index (little endian), a state byte for each object, the index
(MessagePack), the objects. Never decides what belongs together.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType

import msgspec
from isal import isal_zlib

from missioncontrol.errors import StorageError

_HEAD = struct.Struct("<8sIII")
_MAGIC = b"mcbundl1"
_THERE, _GONE = b"\1", b"\0"
FIRST_READ_BYTES = 32 * 1024
"""From its beginning; holds the index of most bundles."""
_MOST_INDEX_BYTES = 64 * 1024 * 1024
_KEEP_SIZE_AND_PUNCH_HOLE = 0x03
_ZEROS = bytes(1 << 20)


class Object(msgspec.Struct, frozen=True):
    """An object to be bundled."""

    key: str
    data: bytes | bytearray


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """Where an object lies in a bundle."""

    key: str
    at: int
    """Bytes from where the objects begin."""
    size_bytes: int
    crc: int


class Index(msgspec.Struct, frozen=True):
    """What a bundle says of its objects."""

    entries: list[Entry]
    states: bytes
    """For each whether it is there."""
    states_at: int
    """Where the states lie, in bytes from the beginning; the same of the objects."""
    objects_at: int

    def is_there(self, number: int) -> bool:
        """Whether an object was there when the index was read."""
        return self.states[number : number + 1] == _THERE


def bundled(objects: Sequence[Object]) -> list[bytes | bytearray]:
    """The bytes of a bundle, in pieces."""
    entries, at = [], 0
    for each in objects:
        entries.append(Entry(each.key, at, len(each.data), isal_zlib.crc32(each.data)))
        at += len(each.data)
    index = msgspec.msgpack.encode(entries)
    head = (
        _HEAD.pack(_MAGIC, len(entries), len(index), isal_zlib.crc32(index)) + _THERE * len(entries) + index
    )
    return [head, *(each.data for each in objects)]


def index_of(name: str, first: bytes, read: Callable[[int], bytes]) -> Index:
    """The index of a bundle, of which `first` are the first bytes; `read(n)` gives more, the first n.

    Raises `StorageError` (`blobs_unreadable`) when it is no bundle.
    """
    try:
        magic, count, index_bytes, crc = _HEAD.unpack_from(first)
        states_at, index_at = _HEAD.size, _HEAD.size + count
        end = index_at + index_bytes
        if magic != _MAGIC or end > _MOST_INDEX_BYTES:
            raise ValueError(magic)
        if end > len(first):
            first = read(end)
        if isal_zlib.crc32(first[index_at:end]) != crc:
            raise ValueError(crc)
        entries = msgspec.msgpack.decode(first[index_at:end], type=list[Entry])
        if len(entries) != count:
            raise ValueError(count)
    except (ValueError, struct.error):  # msgspec's errors are ValueErrors
        raise StorageError("blobs_unreadable", f"{name} is no bundle of objects.") from None
    return Index(entries, first[states_at:index_at], states_at, end)


def checked_data(entry: Entry, data: bytes) -> bytes:
    """The bytes of an object as they were read; raises `StorageError` when they are not what was written."""
    if len(data) != entry.size_bytes or isal_zlib.crc32(data) != entry.crc:
        raise StorageError("blobs_unreadable", f"{entry.key}: its bytes are not what was written.")
    return data


class Bundle:
    """A bundle that is open. Safe with other processes and threads on the same file."""

    def __init__(self, file: Path, change: bool = False) -> None:
        """Raises `FileNotFoundError`, `StorageError` when it is no bundle or unreadable, `OSError` to change it."""
        self._file = file
        with nullcontext() if change else _reading(file.name):
            self._descriptor = os.open(file, (os.O_RDWR if change else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            with _reading(file.name):
                first = os.pread(self._descriptor, FIRST_READ_BYTES, 0)
                index = index_of(file.name, first, lambda end: _read(self._descriptor, end, 0))
        except BaseException:
            os.close(self._descriptor)
            raise
        self._index, self._entries = index, index.entries
        self._states_at, self._objects_at = index.states_at, index.objects_at

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, _: type[BaseException] | None, __: object, ___: TracebackType | None) -> None:
        os.close(self._descriptor)

    def keys(self) -> Iterator[str]:
        """What is still there."""
        return (entry.key for number, entry in enumerate(self._entries) if self._is_there(number))

    def sizes(self) -> Iterator[tuple[str, int]]:
        """What is still there, each with its bytes."""
        return (
            (entry.key, entry.size_bytes)
            for number, entry in enumerate(self._entries)
            if self._is_there(number)
        )

    def all_keys(self) -> Iterator[str]:
        """What is there or once was."""
        return (entry.key for entry in self._entries)

    def size_bytes(self, key: str) -> int | None:
        """Bytes of an object; None when it is not there."""
        found = self._find(key)
        return found[1].size_bytes if found is not None else None

    def read(self, key: str) -> bytes | None:
        """The bytes of an object; None when it is not there. Raises `StorageError` when they are not what they were."""
        found = self._find(key)
        if found is None:
            return None
        number, entry = found
        with _reading(key):
            if self._objects_at + entry.at + entry.size_bytes > os.fstat(self._descriptor).st_size:
                raise StorageError("blobs_unreadable", f"{key}: the file ends before it does.")
            data = _read(self._descriptor, entry.size_bytes, self._objects_at + entry.at)
            # Whoever deletes says so first: what was still there after it was read was whole.
            if os.pread(self._descriptor, 1, self._states_at + number) != _THERE:
                return None
        if isal_zlib.crc32(data) != entry.crc and len(data) == entry.size_bytes and not data.strip(b"\0"):
            return None  # deleted, and a loss of power forgot the state
        return checked_data(entry, data)

    def remove(self, key: str) -> bool:
        """Delete an object, durably, and the file with the last one; False when it was not there.

        What is gone already is deleted once more: whoever did it may have been stopped half way.
        """
        number = self._number(key)
        if number is None:
            return False
        os.pwrite(self._descriptor, _GONE, self._states_at + number)
        # Two that delete the last two objects: whoever looks last sees that both are gone.
        if _THERE in os.pread(self._descriptor, len(self._entries), self._states_at):
            entry = self._entries[number]
            _punch(self._descriptor, self._objects_at + entry.at, entry.size_bytes)
            os.fdatasync(self._descriptor)
        else:
            with suppress(FileNotFoundError):
                self._file.unlink()
        return self._is_there(number)

    def _is_there(self, number: int) -> bool:
        return self._index.is_there(number)

    def _find(self, key: str) -> tuple[int, Entry] | None:
        number = self._number(key)
        return (number, self._entries[number]) if number is not None and self._is_there(number) else None

    def _number(self, key: str) -> int | None:
        return next((number for number, entry in enumerate(self._entries) if entry.key == key), None)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn errors of the file system into ours, but that there is no such file."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError("blobs_unreadable", f"{what}: {error.strerror}.") from None


def _read(descriptor: int, size_bytes: int, at: int) -> bytes:
    pieces = []
    while size_bytes > 0:
        piece = os.pread(descriptor, size_bytes, at)
        if not piece:
            break
        pieces.append(piece)
        size_bytes, at = size_bytes - len(piece), at + len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _punch(descriptor: int, at: int, size_bytes: int) -> None:
    """Give the room back; where the file system makes no holes, at least the bytes go."""
    if not size_bytes:
        return
    import ctypes

    try:
        allocate = ctypes.CDLL(None, use_errno=True).fallocate
        allocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        if allocate(descriptor, _KEEP_SIZE_AND_PUNCH_HOLE, at, size_bytes) == 0:
            return
    except AttributeError:  # not Linux
        pass
    while size_bytes > 0:
        written = os.pwrite(descriptor, _ZEROS[:size_bytes], at)
        size_bytes, at = size_bytes - written, at + written
