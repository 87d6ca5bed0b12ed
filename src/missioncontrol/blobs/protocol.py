"""What a store of objects promises.

An object is there whole or not at all; what `put` or `commit` returned from survives a loss of power, of the process
at any rate. Keys are relative paths of printable segments, `crash/20261126/...`. Errors that are no bug are
`StorageFull` (`blobs_full`) and `StorageError`, of which `StorageAway` says that the store itself is not to be had now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from missioncontrol.blobs.bundle import Object
from missioncontrol.errors import MissionControlError, NotFound, StorageError, StorageFull

CHECK = "check"
"""First segment of the keys of objects that only try whether the store works."""
_SEGMENT = re.compile(r"[^\x00-\x1f/\\]{1,240}")


class Listed(msgspec.Struct, frozen=True):
    """An object as a list of many tells of it."""

    key: str
    size_bytes: int
    stored_at: datetime


class Pieces(msgspec.Struct, frozen=True):
    """The bytes of an object, of which no more than a piece is in memory."""

    size_bytes: int
    pieces: Iterator[bytes]


class Draft(Protocol):
    """An object that is being written and is not visible yet."""

    key: str
    """Where it will be; may be changed until the commit."""
    size_bytes: int

    def write(self, data: bytes | memoryview) -> None:
        """Append; raises `StorageFull` and `StorageError`."""

    def discard(self) -> None:
        """Give it up; harmless after a commit."""


class Blobs(Protocol):
    """A store of objects. Thread-safe."""

    def draft(self, key: str) -> Draft:
        """Begin an object."""

    def commit(self, drafts: Sequence[Draft]) -> None:
        """Make drafts durable and visible; cheaper for many than for each. On an error some may be visible.

        Those of one part (the first segment of a key) become visible after all that were named before of another one.
        """

    def put(self, key: str, data: bytes) -> None:
        """Write an object at once, durably; replaces one of this key."""

    def get(self, key: str) -> bytes:
        """The bytes; raises `NotFound` (`unknown_object`)."""

    def path(self, key: str) -> Path:
        """The file of an object that has one of its own here; raises `NotFound` when it has none (see `pieces`)."""

    def pieces(self, key: str) -> Pieces:
        """The bytes, read as they are needed; raises `NotFound`."""

    def file(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the bytes, for programs that need one, as long as they do; raises `NotFound`."""

    def size_bytes(self, key: str) -> int:
        """How large it is; raises `NotFound`."""

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none."""

    def delete_all(self, keys: Iterable[str]) -> int:
        """Delete these, in no order; how many were there. Raises the first failure, after all others went."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys under a prefix that ends with `/`, in no order."""

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The objects under a prefix that ends with `/`, in no order."""

    def folders(self, prefix: str) -> set[str]:
        """The segments that follow a prefix ending with `/` in keys that go on behind them, and perhaps in none."""

    def list_of_crash(self, crash_id: str, prefix: str) -> Iterator[str]:
        """Keys that begin so, up to the crash id and further, of objects of this crash; also of some deleted ones."""


class ReportBlobs(Blobs, Protocol):
    """A store in which small reports that came together share an object, a bundle."""

    def put_together(self, bundle: str, objects: Sequence[Object]) -> None:
        """Write objects at once, durably, all or none, as the bundle of this key; raises as `put` does.

        Each must be of a crash whose `bundle_key()` this is, and the bundle a new one.
        """

    def check(self) -> None:
        """Write an object, read and delete it; raises what of it failed."""

    def close(self) -> None:
        """End threads, and give up local copies."""


def delete_each(delete: Callable[[str], bool], keys: Iterable[str]) -> int:
    """Delete one after the other, as `Blobs.delete_all` does."""
    count = 0
    failed: MissionControlError | None = None
    for key in keys:
        try:
            count += delete(key)
        except (StorageError, StorageFull) as error:  # one that is damaged must not keep the others
            failed = failed or error
    if failed is not None:
        raise failed
    return count


def checked(key: str) -> str:
    """The key, when every segment is a plain name; raises `StorageError` (`bad_key`) otherwise."""
    segments = key.split("/")
    if any(s in ("", ".", "..") or not _SEGMENT.fullmatch(s) for s in segments):
        raise StorageError("bad_key", f"{key[:200]!r} is no key of an object.")
    return key


def unknown(key: str) -> NotFound:
    """The error of a key that nothing is stored under."""
    return NotFound("unknown_object", f"There is no object {key[:200]!r}.")
