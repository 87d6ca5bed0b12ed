"""Objects as files of a folder.

An object is written under another name in `drafts/`, flushed, and renamed; then its folder is flushed. So a killed
process or a loss of power leaves drafts, never half an object. Drafts of processes that are gone are deleted at the
next start.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from missioncontrol.blobs.protocol import Draft, Listed, Pieces, checked, delete_each, unknown
from missioncontrol.errors import NO_ROOM, StorageError, StorageFull

_ABANDONED_S = 24 * 3600.0
_FLUSHERS = 8
"""Flushes wait for the disk, which does several at once."""
_PIECE_BYTES = 1 << 20
_MOST_PIECES = 1000
"""That the system takes in one call, and some less."""
_NO_ROOM = (*NO_ROOM, errno.EFBIG)


class LocalDraft:
    """A file in `drafts/` that is still written."""

    def __init__(self, key: str, file: Path) -> None:
        self.key = key
        self.size_bytes = 0
        self.file = file
        self._placed = False
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def write(self, data: bytes | memoryview) -> None:
        """Append; raises `StorageFull` and `StorageError`."""
        with storage_failures(self.key):
            view = memoryview(data)
            while view:
                written = os.write(self._descriptor, view)
                self.size_bytes += written
                view = view[written:]

    def write_all(self, pieces: Sequence[bytes | bytearray]) -> None:
        """Append all at once; raises `StorageFull` and `StorageError`."""
        with storage_failures(self.key):
            for start in range(0, len(pieces), _MOST_PIECES):
                some = pieces[start : start + _MOST_PIECES]
                written = os.writev(self._descriptor, some)
                self.size_bytes += written
                for piece in some:
                    if written < len(piece):
                        self.write(memoryview(piece)[written:])
                    written = max(0, written - len(piece))

    def flush(self) -> None:
        """Through to the disk, and close."""
        try:
            os.fdatasync(self._descriptor)
        finally:
            self._close()

    def place(self, target: Path) -> None:
        """Make the flushed file visible; durable when its folder is flushed."""
        self.file.rename(target)
        self._placed = True

    def discard(self) -> None:
        """Give it up; harmless after a commit."""
        self._close()
        if not self._placed:
            with suppress(OSError):
                self.file.unlink()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1  # closed once, even if that fails
        if descriptor >= 0:
            os.close(descriptor)


class LocalBlobs:
    """Objects under a folder. Thread-safe, and safe with other processes on the same folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drafts = folder / "drafts"
        self._flushers: ThreadPoolExecutor | None = None
        self._known: set[Path] = set()

    def draft(self, key: str) -> LocalDraft:
        """Begin an object."""
        checked(key)
        with storage_failures(key):
            if self._drafts not in self._known:
                self._make(self._drafts)
                self._delete_abandoned()
            return LocalDraft(key, self._drafts / uuid.uuid4().hex)

    def commit(self, drafts: Sequence[Draft]) -> None:
        """Make drafts durable and visible, in this order. On an error those not visible yet are still drafts."""
        files = [draft for draft in drafts if isinstance(draft, LocalDraft)]
        folders: dict[Path, None] = {}
        with storage_failures(files[0].key if files else ""):
            if len(files) == 1:
                files[0].flush()
            else:
                shares = [files[n::_FLUSHERS] for n in range(min(_FLUSHERS, len(files)))]
                flushing = [self._pool().submit(_flush_all, share) for share in shares]
                wait(flushing)  # all: whoever is told of an error gives up the drafts
                for each in flushing:
                    each.result()
            for draft in files:
                target = self._folder / draft.key
                self._make(target.parent)
                draft.place(target)
                folders[target.parent] = None
            for folder in folders:
                _flush_folder(folder)

    def put(self, key: str, data: bytes) -> None:
        """Write an object at once, durably; replaces one of this key."""
        draft = self.draft(key)
        try:
            draft.write(data)
            self.commit([draft])
        finally:
            draft.discard()

    def get(self, key: str) -> bytes:
        """The bytes; raises `NotFound` (`unknown_object`)."""
        try:
            return (self._folder / checked(key)).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise unknown(key) from None
        except OSError as error:
            raise StorageError("blobs_unreadable", f"{key}: {error.strerror}.") from None

    def path(self, key: str) -> Path:
        """The file of the object; raises `NotFound` (`unknown_object`)."""
        file = self._folder / checked(key)
        if not file.is_file():
            raise unknown(key)
        return file

    @contextmanager
    def file(self, key: str) -> Iterator[Path]:
        """A file with the bytes, as long as it is needed; raises `NotFound` (`unknown_object`)."""
        yield self.path(key)

    def pieces(self, key: str) -> Pieces:
        """The bytes, read as they are needed; raises `NotFound` (`unknown_object`)."""
        try:
            file = self.path(key).open("rb")
        except FileNotFoundError:
            raise unknown(key) from None
        return Pieces(os.fstat(file.fileno()).st_size, _pieces(file))

    def size_bytes(self, key: str) -> int:
        """How large it is; raises `NotFound` (`unknown_object`)."""
        try:
            return self.path(key).stat().st_size
        except FileNotFoundError:
            raise unknown(key) from None

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        return (self._folder / checked(key)).is_file()

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none."""
        with storage_failures(key):
            try:
                (self._folder / checked(key)).unlink()
            except FileNotFoundError:
                return False
        return True

    def delete_all(self, keys: Iterable[str]) -> int:
        """Delete these; how many were there. Raises the first failure, after all others went."""
        return delete_each(self.delete, keys)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys under a prefix that ends with `/`, in no order."""
        top = self._folder / checked(prefix.rstrip("/"))
        for folder, _, names in os.walk(top):
            base = Path(folder).relative_to(self._folder).as_posix()
            yield from (f"{base}/{name}" for name in names)

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The objects under a prefix that ends with `/`, in no order."""
        for key in self.list(prefix):
            with suppress(FileNotFoundError):  # it left meanwhile
                status = (self._folder / key).stat()
                yield Listed(key, status.st_size, datetime.fromtimestamp(int(status.st_mtime), UTC))

    def folders(self, prefix: str) -> set[str]:
        """The segments that follow a prefix ending with `/` in keys that go on behind them."""
        try:
            with os.scandir(self._folder / checked(prefix.rstrip("/"))) as found:
                return {each.name for each in found if each.is_dir()}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def list_beginning(self, prefix: str) -> Iterator[str]:
        """Keys in a folder whose names begin so."""
        folder, _, beginning = checked(prefix).rpartition("/")
        with suppress(FileNotFoundError), os.scandir(self._folder / folder) as found:
            yield from (f"{folder}/{each.name}" for each in found if each.name.startswith(beginning))

    def list_of_crash(self, crash_id: str, prefix: str) -> Iterator[str]:
        """Keys that begin so, up to the crash id and further, of objects of this crash."""
        yield from self.list_beginning(prefix)

    def close(self) -> None:
        """End the threads."""
        if self._flushers is not None:
            self._flushers.shutdown()
            self._flushers = None

    def _pool(self) -> ThreadPoolExecutor:
        if self._flushers is None:
            self._flushers = ThreadPoolExecutor(_FLUSHERS, thread_name_prefix="blobs")
        return self._flushers

    def _make(self, folder: Path) -> None:
        """The folder, durably: each that is made is flushed into the one above it."""
        if folder in self._known and folder.is_dir():
            return
        missing = [f for f in (folder, *folder.parents) if not f.is_dir()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in reversed(missing):
            _flush_folder(made.parent)
        self._known.add(folder)

    def _delete_abandoned(self) -> None:
        before = time.time() - _ABANDONED_S
        for file in self._drafts.iterdir():
            with suppress(OSError):
                if file.stat().st_mtime < before:
                    file.unlink()


@contextmanager
def storage_failures(key: str) -> Iterator[None]:
    """Turn errors of the file system into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("blobs_full", f"There is no room left for {key}.", "Free disk space.") from None
        hint = "Is the data folder writable?"
        raise StorageError("blobs_unwritable", f"{key}: {error.strerror}.", hint) from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _flush_all(drafts: Sequence[LocalDraft]) -> None:
    for draft in drafts:
        draft.flush()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
