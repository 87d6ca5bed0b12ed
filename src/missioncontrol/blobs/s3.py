"""The store of objects in a bucket of an S3 server; small reports that came together share an object, as in a folder.

An object cannot be changed there: a bundle that loses a report is written anew without it, in place of exactly the one
that was read, so that two who delete at once both have their way. Drafts lie in a spool of this machine until they are
uploaded; what is being uploaded is not visible, and what was acknowledged is there.

Never lists more than a day of one part, but where all of it is asked for.
"""

from __future__ import annotations

import itertools
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from missioncontrol.blobs.bucket import Bucket, Changed
from missioncontrol.blobs.bundle import (
    FIRST_READ_BYTES,
    Entry,
    Index,
    Object,
    bundled,
    checked_data,
    index_of,
)
from missioncontrol.blobs.crash_keys import BUNDLES, bundle_key, crash_id_in
from missioncontrol.blobs.protocol import CHECK, Draft, Listed, Pieces, checked, unknown
from missioncontrol.blobs.spool import Spool, SpoolDraft
from missioncontrol.errors import MissionControlError, NotFound, StorageAway, StorageError, StorageFull

T = TypeVar("T")
R = TypeVar("R")
_IN_BUNDLES = ("raw_crash/", "dump/")
_AT_ONCE = 16
"""Requests wait for the network, which carries many at once."""
_INDEXES_KEPT = 2000
_ATTEMPTS = 50
"""A bundle has at most so many reports, and each loses it once."""

_logger = logging.getLogger(__name__)


class _Indexed:
    """A bundle as it was looked at."""

    def __init__(self, e_tag: str, index: Index) -> None:
        self.e_tag, self.objects_at = e_tag, index.objects_at
        self.entries = {each.key: each for number, each in enumerate(index.entries) if index.is_there(number)}


class S3Blobs:
    """Objects in a bucket, by themselves or in bundles. Thread-safe, and safe with other processes and machines."""

    def __init__(self, bucket: Bucket, spool: Spool) -> None:
        self._bucket, self._spool = bucket, spool
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._indexes: OrderedDict[str, _Indexed] = OrderedDict()

    def draft(self, key: str) -> SpoolDraft:
        """Begin an object of its own."""
        return self._spool.draft(checked(key))

    def commit(self, drafts: Sequence[Draft]) -> None:
        """Upload drafts, many at once; those of one part after all that were named before of another one."""
        spooled = [draft for draft in drafts if isinstance(draft, SpoolDraft)]
        for _, part in itertools.groupby(spooled, key=lambda draft: draft.key.partition("/")[0]):
            self._each(self._upload, list(part))

    def put(self, key: str, data: bytes) -> None:
        """Write an object at once, durably; replaces one of this key that is by itself."""
        self._bucket.put(checked(key), data, len(data))

    def put_together(self, bundle: str, objects: Sequence[Object]) -> None:
        """Write objects at once, durably, all or none, as the bundle of this key; raises as `put` does."""
        self.put(bundle, b"".join(bundled(objects)))

    def get(self, key: str) -> bytes:
        """The bytes; raises `NotFound` (`unknown_object`) and `StorageError` (`blobs_unreadable`)."""
        found = self._bundled_data(checked(key))
        return found if found is not None else self._bucket.get(key)

    def path(self, key: str) -> Path:
        """Raises `NotFound` (`unknown_object`): nothing has a file here."""
        raise unknown(checked(key))

    def pieces(self, key: str) -> Pieces:
        """The bytes, read as they are needed; raises `NotFound` (`unknown_object`)."""
        return self.tagged_pieces(key)[1]

    def tagged_pieces(self, key: str) -> tuple[str, Pieces]:
        """The tag by which the server tells contents apart (empty: none), and the bytes; raises `NotFound`."""
        found = self._bundled_data(checked(key))
        if found is not None:
            return "", Pieces(len(found), iter([found]))
        head, pieces = self._bucket.stream(key)
        return head.e_tag, Pieces(head.size_bytes, pieces)

    def tag(self, key: str) -> str | None:
        """The tag of an object that is by itself; None: there is none."""
        found = self._bucket.head(checked(key))
        return found.e_tag if found is not None else None

    def tags(self, keys: Sequence[str]) -> Sequence[str | None]:
        """The tag of each of these."""
        return self._each(self.tag, keys)

    @contextmanager
    def file(self, key: str) -> Iterator[Path]:
        """A local copy, as long as it is needed; raises `NotFound` (`unknown_object`)."""
        with self._spool.copy(key, self.pieces(key).pieces) as path:
            yield path

    def size_bytes(self, key: str) -> int:
        """How large it is; raises `NotFound` (`unknown_object`)."""
        entry = self._entry(checked(key))
        if entry is not None:
            return entry.size_bytes
        head = self._bucket.head(key)
        if head is None:
            raise unknown(key)
        return head.size_bytes

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        return self._entry(checked(key)) is not None or self._bucket.head(key) is not None

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none."""
        return self.delete_all([key]) > 0

    def delete_all(self, keys: Iterable[str]) -> int:
        """Delete these, those of a bundle at once; how many were there. Raises the first failure, after all others."""
        wanted = list(dict.fromkeys(map(checked, keys)))
        bundles: dict[str, set[str]] = {}
        for key in wanted:
            bundle = _bundle_of(key)
            if bundle is not None:
                bundles.setdefault(bundle, set()).add(key)
        gone: set[str] = set()
        for some in self._each(lambda each: self._remove(*each), list(bundles.items())):
            gone |= some
        return len(gone) + sum(self._each(self._delete_one, [key for key in wanted if key not in gone]))

    def list(self, prefix: str) -> Iterator[str]:
        """Keys under a prefix that ends with `/`, in no order; unreadable bundles are passed over."""
        yield from (each.key for each in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The objects under a prefix that ends with `/`, in no order; unreadable bundles are passed over."""
        yield from self._bucket.list(checked(prefix.rstrip("/")))
        part, _, day = prefix.partition("/")
        if f"{part}/" not in _IN_BUNDLES:
            return
        bundles = list(self._bucket.list(f"{BUNDLES}/{day}".rstrip("/")))
        for some in _some(bundles):
            for held in self._each(self._held, some):
                yield from (each for each in held if each.key.startswith(prefix))

    def folders(self, prefix: str) -> set[str]:
        """The segments that follow a prefix ending with `/` in keys that go on behind them, and perhaps in none."""
        bundles = self._bucket.folders(BUNDLES) if prefix in _IN_BUNDLES else set()
        return self._bucket.folders(checked(prefix.rstrip("/"))) | bundles

    def list_of_crash(self, crash_id: str, prefix: str) -> Iterator[str]:
        """Keys that begin so, up to the crash id and further, of objects of this crash."""
        for each in self._bucket.list(checked(prefix).rpartition("/")[0], after=prefix):
            if not each.key.startswith(prefix):
                break
            yield each.key
        found = self._indexed(bundle_key(crash_id))
        if found is not None:
            yield from (key for key in found.entries if key.startswith(prefix))

    def check(self) -> None:
        """Write an object, list, read and delete it; raises what of it failed."""
        key = f"{CHECK}/{uuid.uuid4().hex}"
        self._bucket.put(key, key.encode(), len(key))
        listed = any(each.key == key for each in self._bucket.list(CHECK))
        read = self._bucket.get(key).decode()
        self._bucket.delete(key)
        if read != key or not listed or self._bucket.head(key) is not None:
            raise StorageError(
                "blobs_inconsistent",
                f"{self._bucket.url}: what was written is not what is read, listed or deleted at once.",
                "The server must be strongly consistent, as S3 is.",
            )

    def close(self) -> None:
        """End the threads, and delete local copies."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()
        self._spool.close()

    def _upload(self, draft: SpoolDraft) -> None:
        with draft.payload() as data:
            self._bucket.put(draft.key, data, draft.size_bytes)

    def _delete_one(self, key: str) -> bool:
        if self._bucket.head(key) is None:
            return False
        self._bucket.delete(key)
        return True

    def _entry(self, key: str) -> Entry | None:
        """Where an object lies in its bundle now; None when it is in none."""
        bundle = _bundle_of(key)
        found = self._indexed(bundle) if bundle is not None else None
        return found.entries.get(key) if found is not None else None

    def _bundled_data(self, key: str) -> bytes | None:
        bundle = _bundle_of(key)
        if bundle is None:
            return None
        for _ in range(_ATTEMPTS):
            found = self._kept(bundle) or self._indexed(bundle)
            entry = found.entries.get(key) if found is not None else None
            if found is None or entry is None:
                return None  # what is not in a bundle once never comes into it
            if not entry.size_bytes:
                return b""
            try:
                at = found.objects_at + entry.at
                return checked_data(entry, self._bucket.part(bundle, at, entry.size_bytes, found.e_tag)[1])
            except (Changed, NotFound):
                self._forget(bundle)
        raise _restless(bundle)

    def _remove(self, bundle: str, keys: set[str]) -> set[str]:
        """Take objects out of their bundle; which of them were there."""
        for _ in range(_ATTEMPTS):
            found = self._indexed(bundle)
            gone = keys & found.entries.keys() if found is not None else set()
            if found is None or not gone:
                return set()
            try:
                if len(gone) == len(found.entries):
                    # Nobody adds to a bundle, so what was all of it still is.
                    self._bucket.delete(bundle)
                else:
                    self._write_without(bundle, found, gone)
                return gone
            except (Changed, NotFound):
                continue
            finally:
                self._forget(bundle)
        raise _restless(bundle)

    def _write_without(self, bundle: str, found: _Indexed, gone: set[str]) -> None:
        head, pieces = self._bucket.stream(bundle)
        data = b"".join(pieces)
        if head.e_tag != found.e_tag:
            raise Changed(bundle)
        kept = [
            Object(entry.key, checked_data(entry, data[at : at + entry.size_bytes]))
            for entry in found.entries.values()
            if entry.key not in gone and (at := found.objects_at + entry.at)
        ]
        anew = b"".join(bundled(kept))
        self._bucket.put(bundle, anew, len(anew), found.e_tag)

    def _kept(self, bundle: str) -> _Indexed | None:
        with self._lock:
            return self._indexes.get(bundle)

    def _forget(self, bundle: str) -> None:
        with self._lock:
            self._indexes.pop(bundle, None)

    def _indexed(self, bundle: str) -> _Indexed | None:
        """A bundle as it is now; None when there is none. Raises `StorageError` (`blobs_unreadable`)."""
        kept = self._kept(bundle)
        if kept is not None:
            head = self._bucket.head(bundle)
            if head is not None and head.e_tag == kept.e_tag:
                return kept
            self._forget(bundle)
        try:
            head, first = self._bucket.part(bundle, 0, FIRST_READ_BYTES)
            index = index_of(bundle, first, lambda end: self._bucket.part(bundle, 0, end, head.e_tag)[1])
        except NotFound:
            return None
        except Changed:
            return self._indexed(bundle)
        found = _Indexed(head.e_tag, index)
        with self._lock:
            self._indexes[bundle] = found
            while len(self._indexes) > _INDEXES_KEPT:
                self._indexes.popitem(last=False)
        return found

    def _held(self, bundle: Listed) -> Sequence[Listed]:
        try:
            found = self._indexed(bundle.key)
        except (StorageAway, StorageFull):
            raise
        except StorageError as error:  # one that is damaged must not keep anybody from the others
            _logger.error("bundle %s is passed over: %s", bundle.key, error.message)
            return []
        entries = found.entries.values() if found is not None else ()
        return [Listed(entry.key, entry.size_bytes, bundle.stored_at) for entry in entries]

    def _each(self, do: Callable[[T], R], items: Sequence[T]) -> Sequence[R]:
        """Do it with each, many at once; raises the first failure, when all were tried."""
        if len(items) < 2:
            return [do(item) for item in items]
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="blobs")
            doing = [self._threads.submit(do, item) for item in items]
        wait(doing)
        return [each.result() for each in doing]


def _bundle_of(key: str) -> str | None:
    """The bundle that an object may be in."""
    crash_id = crash_id_in(key) if key.startswith(_IN_BUNDLES) else None
    return bundle_key(crash_id) if crash_id is not None else None


def _restless(bundle: str) -> MissionControlError:
    return StorageError("blobs_busy", f"{bundle} changes all the time.", "Try again.")


def _some(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + _AT_ONCE * 4] for at in range(0, len(items), _AT_ONCE * 4))
