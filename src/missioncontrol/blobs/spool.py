"""Files of this process alone, while objects are on their way to or from another machine. Nothing of them is left when
the process ends, however it ends: drafts have no names, and copies lie in a folder that others may delete once its lock
is free.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from missioncontrol.blobs.local import storage_failures
from missioncontrol.errors import StorageFull
from missioncontrol.file_lock import try_lock

_IN_MEMORY_BYTES = 64 * 1024
"""Smaller drafts need no file."""
_LOCK = "lock"


class Spool:
    """A folder for drafts and copies, and how much room all drafts of this process may take there. Thread-safe."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self._most_bytes = folder, most_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()
        self._copies: Path | None = None
        self._held: IO[str] | None = None

    def draft(self, key: str) -> SpoolDraft:
        """Begin an object."""
        return SpoolDraft(key, self)

    def take(self, size_bytes: int) -> None:
        """Take room; raises `StorageFull` (`blobs_spool_full`) when that is not left."""
        with self._lock:
            if self._used_bytes + size_bytes > self._most_bytes:
                raise StorageFull(
                    "blobs_spool_full",
                    f"What waits to be uploaded takes the {self._most_bytes:,} bytes that it may.",
                    "It may go later; or set blobs.spool_bytes higher.",
                )
            self._used_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Give room back."""
        with self._lock:
            self._used_bytes -= size_bytes

    @contextmanager
    def copy(self, key: str, pieces: Iterable[bytes]) -> Iterator[Path]:
        """A file with these bytes, as long as it is needed; raises `StorageFull` and `StorageError`."""
        with storage_failures(key):
            path = self._own_folder() / uuid.uuid4().hex
        try:
            with path.open("xb") as file:
                for piece in pieces:
                    with storage_failures(key):
                        file.write(piece)
            yield path
        finally:
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Delete the folder of copies."""
        with self._lock:
            copies, self._copies = self._copies, None
            held, self._held = self._held, None
        if copies is not None and held is not None:
            shutil.rmtree(copies, ignore_errors=True)
            held.close()

    def _own_folder(self) -> Path:
        with self._lock:
            if self._copies is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                _delete_abandoned(self.folder)
                # Locked before it has its name, or another process could take it for an abandoned one.
                made = Path(tempfile.mkdtemp(prefix=".", dir=self.folder))
                self._held = (made / _LOCK).open("w")
                try_lock(self._held)
                self._copies = made.rename(self.folder / f"copies-{uuid.uuid4().hex}")
            return self._copies


class SpoolDraft:
    """An object that is still written: in memory while it is small, then in a file without a name."""

    def __init__(self, key: str, spool: Spool) -> None:
        self.key = key
        self.size_bytes = 0
        self._spool = spool
        self._memory: bytearray | None = bytearray()
        self._file: BinaryIO | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Append; raises `StorageFull` and `StorageError`."""
        self._spool.take(len(data))
        self.size_bytes += len(data)
        if self._memory is not None:
            if self.size_bytes <= _IN_MEMORY_BYTES:
                self._memory += data
                return
            with storage_failures(self.key):
                self._spool.folder.mkdir(parents=True, exist_ok=True)
                self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=self._spool.folder))  # noqa: SIM115
                self._file.write(self._memory)
            self._memory = None
        assert self._file is not None, "written after it was given up"
        with storage_failures(self.key):
            self._file.write(data)

    @contextmanager
    def payload(self) -> Iterator[bytes | mmap.mmap]:
        """All of it, to be uploaded; pages of the file, which take no memory of the process."""
        if self._memory is not None:
            yield bytes(self._memory)
            return
        assert self._file is not None, "uploaded after it was given up"
        with storage_failures(self.key):
            self._file.flush()
            pages = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        yield pages  # not closed here: a request that timed out may still hold it, and the last one that does ends it

    def discard(self) -> None:
        """Give it up; harmless after a commit."""
        size_bytes, self.size_bytes = self.size_bytes, 0
        self._spool.give_back(size_bytes)
        self._memory = None
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what is not written yet need not be
                file.close()


def _delete_abandoned(folder: Path) -> None:
    """Delete the copies of processes that are gone."""
    for copies in folder.glob("copies-*"):
        with suppress(OSError), (copies / _LOCK).open("r+") as lock:
            if try_lock(lock):
                shutil.rmtree(copies, ignore_errors=True)
