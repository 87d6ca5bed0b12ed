"""What a store of objects promises.

An object is there whole or not at all; what `put` or `commit` returned from survives a loss of power. Keys are
relative paths of printable segments, `crash/20261126/...`; no backend interprets them further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from missioncontrol.errors import NotFound, StorageError

_SEGMENT = re.compile(r"[^\x00-\x1f/\\]{1,240}")


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
        """Make drafts durable and visible, in this order; cheaper for many than for each."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object at once, durably; replaces one of this key."""

    def get(self, key: str) -> bytes:
        """The bytes; raises `NotFound` (`unknown_object`)."""

    def path(self, key: str) -> Path:
        """The file of an object that has one of its own, as all have but reports; raises `NotFound`."""

    def file(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the bytes, for programs that need one, as long as they do; raises `NotFound`."""

    def size_bytes(self, key: str) -> int:
        """How large it is; raises `NotFound`."""

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys under a prefix that ends with `/`, in no order."""

    def folders(self, prefix: str) -> set[str]:
        """The segments that follow a prefix ending with `/` in keys that go on behind them, and perhaps in none."""

    def list_of_crash(self, crash_id: str, prefix: str) -> Iterator[str]:
        """Keys that begin so, up to the crash id and further, of objects of this crash; also of some deleted ones."""


def checked(key: str) -> str:
    """The key, when every segment is a plain name; raises `StorageError` (`bad_key`) otherwise."""
    segments = key.split("/")
    if any(s in ("", ".", "..") or not _SEGMENT.fullmatch(s) for s in segments):
        raise StorageError("bad_key", f"{key[:200]!r} is no key of an object.")
    return key


def unknown(key: str) -> NotFound:
    """The error of a key that nothing is stored under."""
    return NotFound("unknown_object", f"There is no object {key[:200]!r}.")
