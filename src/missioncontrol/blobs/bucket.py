"""A bucket of an S3 server, by obstore: single requests, and what their failures mean.

Credentials, region and endpoint come from the AWS_* variables of the environment. A request that fails for want of the
server is tried again for some seconds, not longer: whoever waits shall hear of it. Every object is uploaded by one
request, so that what is stopped in the middle leaves nothing behind, no part of an upload either.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from missioncontrol.blobs.protocol import Listed, unknown
from missioncontrol.errors import (
    ConfigError,
    MissionControlError,
    NotFound,
    StorageAway,
    StorageError,
    StorageFull,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=30)
"""Of a request with a small body, from its beginning to the end of the answer."""
_TRANSFER = timedelta(minutes=30)
"""Of one with a large body."""
_SILENCE = timedelta(seconds=30)
"""Of a server that is asked for a large object. The client counts the time of its own body too, so this is no bound for
an upload: over a slow line it takes longer."""
_SMALL_BYTES = 8 << 20
_MOST_BYTES = 5 << 30
"""That S3 takes in one request."""
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_FULL = ("XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "InsufficientCapacity")
_NO_SPACE = "no space left on device"


class Head(msgspec.Struct, frozen=True):
    """What the server says of an object."""

    size_bytes: int
    e_tag: str


class Changed(Exception):
    """The object is no more what it was when it was looked at, or is gone."""


class Bucket:
    """One bucket, or what lies under a prefix in it. Thread-safe."""

    def __init__(self, url: str) -> None:
        """`url` is `s3://bucket/prefix`."""
        parts = urlsplit(url)
        self.url, self._name, self._prefix = url, parts.netloc, parts.path.strip("/")
        self._small = self._store({"timeout": _ANSWER})
        self._large = self._store({"timeout": _TRANSFER, "read_timeout": _SILENCE})
        self._upload = self._store({"timeout": _TRANSFER})

    def put(self, key: str, data: Any, size_bytes: int, e_tag: str | None = None) -> None:
        """Write an object of these bytes (anything with a buffer), durably; with `e_tag` only in place of that one.

        Raises `Changed` then.
        """
        import obstore
        from obstore.exceptions import PreconditionError

        if size_bytes > _MOST_BYTES:
            raise StorageError(
                "blobs_too_large", f"{key}: {size_bytes:,} bytes are more than an object may have."
            )
        store = self._small if size_bytes <= _SMALL_BYTES else self._upload
        mode: Any = "overwrite" if e_tag is None else {"e_tag": e_tag}
        try:
            with self._failures(key, writes=True):
                obstore.put(store, key, data, mode=mode, use_multipart=False)
        except PreconditionError:
            raise Changed(key) from None

    def get(self, key: str) -> bytes:
        """The bytes; raises `NotFound`."""
        import obstore

        with self._failures(key):
            return bytes(obstore.get(self._large, key).bytes())

    def stream(self, key: str) -> tuple[Head, Iterator[bytes]]:
        """Of which object the bytes are, and they in pieces; raises `NotFound`."""
        import obstore

        with self._failures(key):
            found = obstore.get(self._large, key)
            head = Head(found.meta["size"], found.meta["e_tag"] or "")
            pieces = iter(found)

        def read() -> Iterator[bytes]:
            while True:
                with self._failures(key):
                    piece = next(pieces, None)
                if piece is None:
                    return
                yield bytes(piece)

        return head, read()

    def part(self, key: str, start: int, size_bytes: int, e_tag: str | None = None) -> tuple[Head, bytes]:
        """Bytes from within; with `e_tag` of that object only. Raises `NotFound`, and `Changed` then."""
        import obstore
        from obstore.exceptions import PreconditionError

        options: Any = {"range": (start, start + size_bytes), **({"if_match": e_tag} if e_tag else {})}
        try:
            with self._failures(key):
                found = obstore.get(self._small, key, options=options)
                return Head(found.meta["size"], found.meta["e_tag"] or ""), bytes(found.bytes())
        except PreconditionError:
            raise Changed(key) from None

    def head(self, key: str) -> Head | None:
        """What the server says of an object; None: there is none."""
        import obstore

        try:
            with self._failures(key):
                found = obstore.head(self._small, key)
        except NotFound:
            # An answer without a body does not say whether it is the object, the bucket or the user that is missing.
            try:
                return self.part(key, 0, 1)[0]
            except NotFound:
                return None
        return Head(found["size"], found["e_tag"] or "")

    def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        import obstore

        with self._failures(key, writes=True):
            obstore.delete(self._small, key)

    def list(self, prefix: str, after: str | None = None) -> Iterator[Listed]:
        """The objects under a prefix of whole segments, in the order of their keys, those behind `after`."""
        import obstore

        with self._failures(prefix):
            found = iter(obstore.list(self._small, prefix, offset=after, chunk_size=1000))
        while True:
            with self._failures(prefix):
                some = next(found, None)
            if some is None:
                return
            yield from (Listed(each["path"], each["size"], each["last_modified"]) for each in some)

    def folders(self, prefix: str) -> set[str]:
        """The segments that follow a prefix of whole segments in keys that go on behind them."""
        import obstore

        with self._failures(prefix):
            found = obstore.list_with_delimiter(self._small, prefix)
        return {each.rpartition("/")[2] for each in found["common_prefixes"]}

    def _store(self, client: ClientConfig) -> S3Store:
        try:
            import obstore
        except ImportError:
            raise ConfigError(
                "blobs_no_client", "obstore, by which S3 is reached, is not installed.", "pip install obstore"
            ) from None
        from obstore.exceptions import BaseError

        if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("true", "1", "yes"):
            client["allow_http"] = True
        try:
            return obstore.store.S3Store(
                self._name,
                prefix=self._prefix or None,
                client_options={"connect_timeout": _CONNECT, **client},
                retry_config={
                    "max_retries": 4,
                    "retry_timeout": timedelta(seconds=10),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=100),
                        "max_backoff": timedelta(seconds=2),
                        "base": 2,
                    },
                },
            )
        except (BaseError, ValueError) as error:
            raise ConfigError(
                "blobs_invalid",
                f"{self.url}: {_first_line(error)}",
                "Check the AWS_* variables of the environment.",
            ) from None

    @contextmanager
    def _failures(self, key: str, writes: bool = False) -> Iterator[None]:
        """Turn the client's errors into ours, but for `PreconditionError`."""
        from obstore.exceptions import BaseError, PreconditionError

        try:
            yield
        except PreconditionError:
            raise
        except (BaseError, FileNotFoundError, OSError) as error:
            raise self._meaning(key, str(error), writes) from None

    def _meaning(self, key: str, text: str, writes: bool) -> MissionControlError:
        """What an error of the client says: a word of the server, the status of its answer, or nothing from it."""
        first = _first_line(text)
        said = _CODE.search(text)
        code = said[1] if said else ""
        answered = _STATUS.search(text)
        status = int(answered[1]) if answered else 0
        if status == 507 or code in _FULL or _NO_SPACE in text.lower():
            return StorageFull(
                "blobs_full", f"There is no room left for {key} in {self.url}.", "Make room there."
            )
        if code == "NoSuchBucket":
            return StorageAway(
                "blobs_no_bucket",
                f"There is no bucket {self._name}.",
                "Make it, or check blobs.url and AWS_ENDPOINT_URL.",
            )
        if status == 404 and not writes and code in ("", "NoSuchKey"):
            return unknown(key)
        if status in (401, 403, 404):
            return StorageAway(
                "blobs_forbidden",
                f"{self.url}: the server refuses ({status} {code}).",
                "Check the AWS_* variables and the policy of the bucket: docs/how-to/several-machines.md",
            )
        return StorageAway(
            "blobs_unavailable",
            f"{self.url} cannot be {'written' if writes else 'read'}: {code or first}.",
            "Does the server of AWS_ENDPOINT_URL run, and can it be reached from here?",
        )


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0][:300]
