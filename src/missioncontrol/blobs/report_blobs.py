"""The store of objects in a folder, in which small reports that came together share a file.

For whoever reads, lists or deletes, an object of a bundle is an object like any other: it is found by its key. Which
bundle it is in follows from the id of its crash, so no index is kept of what is where, and files of an older version
are found as they lie.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from missioncontrol.blobs.bundle import Bundle, Object, bundled
from missioncontrol.blobs.crash_keys import BUNDLES, bundle_key, crash_id_in
from missioncontrol.blobs.local import LocalBlobs, LocalDraft, storage_failures
from missioncontrol.blobs.protocol import CHECK, Draft, Listed, Pieces, delete_each
from missioncontrol.errors import NotFound, StorageError

_IN_BUNDLES = ("raw_crash/", "dump/")

_logger = logging.getLogger(__name__)


class LocalReportBlobs:
    """Objects under a folder, in files of their own or in bundles. Thread-safe, and safe with other processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plain = LocalBlobs(folder)

    def draft(self, key: str) -> LocalDraft:
        """Begin an object in a file of its own."""
        return self._plain.draft(key)

    def commit(self, drafts: Sequence[Draft]) -> None:
        """Make drafts durable and visible, in this order. On an error those not visible yet are still drafts."""
        self._plain.commit(drafts)

    def put(self, key: str, data: bytes) -> None:
        """Write an object at once, durably; replaces one of this key that has a file of its own."""
        self._plain.put(key, data)

    def put_together(self, bundle: str, objects: Sequence[Object]) -> None:
        """Write objects at once, durably, all or none, as the bundle of this key; raises as `put` does.

        Each must be of a crash whose `bundle_key()` this is, and the bundle a new one.
        """
        draft = self._plain.draft(bundle)
        try:
            draft.write_all(bundled(objects))
            self._plain.commit([draft])
        finally:
            draft.discard()

    def get(self, key: str) -> bytes:
        """The bytes; raises `NotFound` (`unknown_object`) and `StorageError` (`blobs_unreadable`)."""
        try:
            return self._plain.get(key)
        except NotFound:
            with self._bundle_of(key) as bundle:
                found = bundle.read(key) if bundle is not None else None
            if found is None:
                raise
            return found

    def path(self, key: str) -> Path:
        """The file of an object that has one of its own; raises `NotFound` (`unknown_object`)."""
        return self._plain.path(key)

    def pieces(self, key: str) -> Pieces:
        """The bytes, read as they are needed; raises `NotFound` (`unknown_object`)."""
        try:
            return self._plain.pieces(key)
        except NotFound:
            data = self.get(key)
            return Pieces(len(data), iter([data]))

    @contextmanager
    def file(self, key: str) -> Iterator[Path]:
        """A file with the bytes, as long as it is needed; raises `NotFound` (`unknown_object`)."""
        try:
            yield self._plain.path(key)
            return
        except NotFound:
            data = self.get(key)
        copy = self._plain.draft(key)
        try:
            copy.write(data)
            yield copy.file
        finally:
            copy.discard()

    def size_bytes(self, key: str) -> int:
        """How large it is; raises `NotFound` (`unknown_object`)."""
        try:
            return self._plain.size_bytes(key)
        except NotFound:
            with self._bundle_of(key) as bundle:
                found = bundle.size_bytes(key) if bundle is not None else None
            if found is None:
                raise
            return found

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        if self._plain.exists(key):
            return True
        with self._bundle_of(key) as bundle:
            return bundle is not None and bundle.size_bytes(key) is not None

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none."""
        found = self._plain.delete(key)
        with storage_failures(key), self._bundle_of(key, change=True) as bundle:
            return (bundle is not None and bundle.remove(key)) or found

    def delete_all(self, keys: Iterable[str]) -> int:
        """Delete these; how many were there. Raises the first failure, after all others went."""
        return delete_each(self.delete, keys)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys under a prefix that ends with `/`, in no order; unreadable bundles are passed over."""
        yield from self._plain.list(prefix)
        yield from (each.key for each in self._bundled(prefix))

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The objects under a prefix that ends with `/`, in no order; unreadable bundles are passed over."""
        yield from self._plain.listed(prefix)
        yield from self._bundled(prefix)

    def folders(self, prefix: str) -> set[str]:
        """The segments that follow a prefix ending with `/` in keys that go on behind them, and perhaps in none."""
        bundles = self._plain.folders(f"{BUNDLES}/") if prefix in _IN_BUNDLES else set()
        return self._plain.folders(prefix) | bundles

    def list_of_crash(self, crash_id: str, prefix: str) -> Iterator[str]:
        """Keys that begin so, up to the crash id and further, of objects of this crash.

        With those of a bundle that were deleted: to delete them once more ends what was stopped half way.
        """
        yield from self._plain.list_beginning(prefix)
        with suppress(FileNotFoundError), Bundle(self._folder / bundle_key(crash_id)) as bundle:
            yield from (key for key in bundle.all_keys() if key.startswith(prefix))

    def check(self) -> None:
        """Write an object, read and delete it; raises what of it failed."""
        key = f"{CHECK}/{uuid.uuid4().hex}"
        self._plain.put(key, key.encode())
        self._plain.get(key)
        self._plain.delete(key)

    def close(self) -> None:
        """End the threads."""
        self._plain.close()

    @contextmanager
    def _bundle_of(self, key: str, change: bool = False) -> Iterator[Bundle | None]:
        crash_id = crash_id_in(key) if key.startswith(_IN_BUNDLES) else None
        try:
            found = Bundle(self._folder / bundle_key(crash_id), change) if crash_id is not None else None
        except FileNotFoundError:
            found = None
        if found is None:
            yield None
        else:
            with found:
                yield found

    def _bundled(self, prefix: str) -> Iterator[Listed]:
        part, _, day = prefix.partition("/")
        if f"{part}/" in _IN_BUNDLES:
            for bundle in self._plain.list(f"{BUNDLES}/{day}"):
                yield from (each for each in self._held(bundle) if each.key.startswith(prefix))

    def _held(self, bundle: str) -> Sequence[Listed]:
        """What is there in a bundle; one without anything goes: whoever deleted the last was stopped before that."""
        file = self._folder / bundle
        try:
            with Bundle(file) as found:
                at = datetime.fromtimestamp(int(file.stat().st_mtime), UTC)
                held = [Listed(key, size_bytes, at) for key, size_bytes in found.sizes()]
        except FileNotFoundError:
            return []
        except StorageError as error:  # one that is damaged must not keep anybody from the others
            _logger.error("bundle %s is passed over: %s", bundle, error.message)
            return []
        if not held:
            with suppress(OSError):
                file.unlink(missing_ok=True)
        return held
