"""S3-compatible servers: how they are reached, and what their failures mean.

Address, region and keys come from the usual environment variables (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_ALLOW_HTTP), which obstore and deltalake read by themselves. Never keeps a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal

import msgspec

from missioncontrol.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from obstore.store import S3Store

_TIMEOUT_S, _CONNECT_S = 60, 5
_RETRIES, _RETRY_S = 4, 15
"""Whoever waits for an answer is told soon that there is none; what must not be lost is tried again by its owner."""

_DEBUG = "\n\nDebug source"
"""What follows in a message of obstore repeats it at length."""

_DELTA_OPTIONS = {
    # Commits are puts that succeed only while nobody else has made the object.
    "aws_conditional_put": "etag",
    "timeout": f"{_TIMEOUT_S}s",
    "connect_timeout": f"{_CONNECT_S}s",
    "max_retries": str(_RETRIES),
    "retry_timeout": f"{_RETRY_S}s",
}
_KEYS = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE",
)  # fmt: skip


def delta_options() -> dict[str, str]:
    """What `deltalake` is told beside the environment. Raises `StorageError` (`s3_no_keys`)."""
    _refuse_without_keys()
    return _DELTA_OPTIONS


def _refuse_without_keys() -> None:
    """Without keys clients ask an address that only machines of Amazon have; other servers' keys are never there."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint and "amazonaws.com" not in endpoint and not any(os.environ.get(name) for name in _KEYS):
        raise StorageError(
            "s3_no_keys",
            "AWS_ENDPOINT_URL names an S3 server, but there are no keys for it.",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of the process.",
        )


@cache
def store(url: str) -> S3Store:
    """The objects below s3://bucket/prefix, by their names relative to it. Thread-safe.

    Raises `ConfigError` (`s3_client_missing`, `s3_settings`) and `StorageError` (`s3_no_keys`).
    """
    _refuse_without_keys()
    try:
        # The whole before a part of it: two threads that load both at once would have half of each.
        import obstore
        from obstore.exceptions import BaseError
    except ImportError:
        raise ConfigError(
            "s3_client_missing",
            "There is no client for S3 in this installation.",
            "Install Mission Control with the extra `scale`: pip install 'missioncontrol[scale]'.",
        ) from None
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    try:
        return obstore.store.S3Store(
            bucket,
            prefix=prefix or None,
            # Settings of the connection do not come from the environment once some are given.
            client_options={
                "timeout": timedelta(seconds=_TIMEOUT_S),
                "connect_timeout": timedelta(seconds=_CONNECT_S),
                "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on"),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)},
        )
    except (BaseError, ValueError) as error:
        raise ConfigError("s3_settings", f"{url} cannot be used: {plain(str(error))}") from None


def read_by_parts(url: str, name: str, part_bytes: int) -> Iterator[bytes]:
    """The bytes of an object that is not empty and does not change, by a request for each part.

    A request has its time up to the last byte of its answer: one for all of a large object would have too little.
    """
    import obstore

    at, size_bytes = 0, 1
    while at < size_bytes:
        found = obstore.get(store(url), name, options={"range": (at, at + part_bytes)})
        size_bytes = found.meta["size"]
        piece = bytes(found.bytes())
        if not piece:
            return
        at += len(piece)
        yield piece


def own_variables() -> dict[str, str]:
    """What a process that is to reach the server needs of the environment; holds keys."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


class Trouble(msgspec.Struct, frozen=True):
    """What a failure means."""

    kind: Literal["full", "bucket", "credentials", "away"]
    what: str
    """The end of a sentence that begins with the name of the place."""
    hint: str


_TROUBLES: tuple[tuple[str, Trouble], ...] = (
    (
        r"QuotaExceeded|StorageFull|InsufficientStorage|507 Insufficient|No space left|os error 28",
        Trouble(
            "full", "has no room left", "Make room in the bucket, or raise its quota; it goes on by itself."
        ),
    ),
    (
        r"NoSuchBucket|InvalidBucketName",
        Trouble("bucket", "names a bucket that does not exist", "Make the bucket, or correct the setting."),
    ),
    (
        r"SignatureDoesNotMatch|InvalidAccessKeyId|UserNotFound|AccessDenied|ExpiredToken|TokenRefreshRequired"
        r"|RequestTimeTooSkewed|InvalidToken|lacked the necessary (privileges|authentication)|40[13] (Forbidden|Unauth)"
        r"|credential|169\.254\.169\.254",
        Trouble(
            "credentials",
            "is refused to these keys",
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the process, the bucket's policy, and the clock.",
        ),
    ),
    (
        r"error sending request|onnection (refused|reset|closed)|timed out|dns error|operation was canceled"
        r"|\b50[0-4] [A-Z]|SlowDown|InternalError|builder error|error decoding response",
        Trouble(
            "away",
            "does not answer",
            "Is the server of AWS_ENDPOINT_URL up? (Without TLS it takes AWS_ALLOW_HTTP=true.) It is tried again.",
        ),
    ),
)


def trouble(error: BaseException) -> Trouble | None:
    """What an error of obstore or deltalake means; None: nothing that is of S3."""
    text = str(error).partition(_DEBUG)[0]
    return next((found for pattern, found in _TROUBLES if re.search(pattern, text)), None)


def plain(text: str) -> str:
    """What the server said, on one line: its code and message where it said those."""
    said = re.search(r"<Code>(.*?)</Code>(?:<Message>(.*?)</Message>)?", text, re.DOTALL)
    if said:
        return ": ".join(part for part in said.groups() if part)
    lines = re.sub(r"\x1b\[[0-9;]*m|↳", "", text.partition(_DEBUG)[0]).splitlines()
    return " ".join(" ".join(lines).split())[:300]
