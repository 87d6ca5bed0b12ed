"""The texts that somebody is known by: API tokens and ids of sessions. Only their hashes are kept.

They are random enough (256 bits) that a plain hash cannot be turned back.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

import msgspec

PREFIX = "mc_"
"""Makes a token recognisable, also for scanners of leaked secrets."""
_TOKEN = re.compile(r"mc_([a-z0-9]{10})_[A-Za-z0-9_-]{43}", re.ASCII)
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class NewSecret(msgspec.Struct, frozen=True):
    """A text to hand out once, and what is kept of it."""

    text: str
    sha256: str
    id: str = ""


def new_token() -> NewSecret:
    """`mc_<id>_<secret>`."""
    token_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(10))
    text = f"{PREFIX}{token_id}_{secrets.token_urlsafe(32)}"
    return NewSecret(text, digest(text), token_id)


def new_session() -> NewSecret:
    """The id of a session."""
    text = secrets.token_urlsafe(32)
    return NewSecret(text, digest(text))


def token_id(text: str) -> str | None:
    """The id in a token's text; None when it is no token."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else None


def digest(text: str) -> str:
    """What is kept: SHA-256, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same(text: str, sha256: str) -> bool:
    """Whether it is the text of the hash, in a time that says nothing about how much of it is right."""
    return hmac.compare_digest(digest(text), sha256)
