"""API tokens: for programs, made by somebody, shown once, and from then on known by their hash only."""

from __future__ import annotations

import builtins
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import NotFound
from missioncontrol.state.database import Database, tokens
from missioncontrol.state.moments import aware

USED_EVERY = timedelta(minutes=10)
"""How exactly the last use is known: each note of it is a write."""


class Token(msgspec.Struct, frozen=True):
    """One token, without what it is known by."""

    id: str
    name: str
    owner: str
    """Name of the user whose it is: it can do no more than that user. Empty: made on the command line for nobody."""
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None
    """To ten minutes."""


class Tokens:
    """The tokens of one installation. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: Token, sha256: str) -> None:
        """Keep a new token under the hash (hex) of its text."""
        values = msgspec.structs.asdict(token)
        values.update(owner=token.owner or None, scopes=" ".join(token.scopes), sha256=sha256)
        with self._database.engine().begin() as connection:
            connection.execute(sa.insert(tokens).values(values))

    def find(self, token_id: str) -> tuple[Token, str] | None:
        """A token and the hash of its text."""
        with self._database.engine().connect() as connection:
            row = connection.execute(sa.select(tokens).where(tokens.c.id == token_id)).first()
        return (_token(row), row.sha256) if row else None

    def list(self, owner: str | None = None) -> builtins.list[Token]:
        """All tokens, or those of a user, the newest first."""
        query = sa.select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id)
        if owner is not None:
            query = query.where(tokens.c.owner == owner)
        with self._database.engine().connect() as connection:
            return [_token(row) for row in connection.execute(query)]

    def any(self) -> bool:
        """Whether there ever was a token: revoked and expired ones count."""
        with self._database.engine().connect() as connection:
            return connection.execute(sa.select(tokens.c.id).limit(1)).first() is not None

    def revoke(self, token_id: str, now: datetime, owner: str | None = None) -> Token:
        """The token, which no longer works; once more changes nothing. `owner`: only if it is that user's.

        Raises `NotFound` (`unknown_token_id`).
        """
        found = self.find(token_id)
        if found is None or (owner is not None and found[0].owner != owner):
            hint = "See `missioncontrol token list`; the id is not the token itself."
            # Someone who pastes the token instead of its id must not find it in a log.
            raise NotFound("unknown_token_id", f"There is no token of the id {token_id[:8]!r}.", hint)
        if found[0].revoked_at is None:
            with self._database.engine().begin() as connection:
                connection.execute(sa.update(tokens).where(tokens.c.id == token_id).values(revoked_at=now))
        token, _ = self.find(token_id) or found
        return token

    def used(self, token: Token, now: datetime) -> None:
        """Note that it was used, unless that was noted a moment ago."""
        if token.used_at is None or now - token.used_at > USED_EVERY:
            with self._database.engine().begin() as connection:
                connection.execute(sa.update(tokens).where(tokens.c.id == token.id).values(used_at=now))


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        row.id,
        row.name,
        row.owner or "",
        tuple(row.scopes.split()),
        aware(row.created_at),
        aware(row.expires_at),
        aware(row.revoked_at),
        aware(row.used_at),
    )
