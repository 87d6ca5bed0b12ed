"""Users: who may sign in, and what each may do.

A user signs in with a password, of which only a hash is kept here, or comes from an OpenID provider and is known by
its subject there. The hash never leaves through `User`, so that nothing that shows users can show it.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import Database, sessions, tokens, users
from missioncontrol.state.moments import aware


class User(msgspec.Struct, frozen=True):
    """One user. `subject` is empty for one with a password."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    disabled: bool = False
    subject: str = ""


class Users:
    """The users of one installation. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, scopes: Sequence[str], now: datetime, password_hash: str = "", subject: str = ""
    ) -> User:
        """A new user; raises `BadRequest` (`user_exists`)."""
        values = {
            "name": name, "scopes": " ".join(scopes), "created_at": now, "disabled": False,
            "password_hash": password_hash or None, "subject": subject or None,
        }  # fmt: skip
        try:
            with self._database.engine().begin() as connection:
                connection.execute(sa.insert(users).values(values))
        except sa.exc.IntegrityError:
            hint = "`missioncontrol user list` shows all; `user password` sets another password."
            raise BadRequest("user_exists", f"There is a user {name} already.", hint) from None
        return User(name, tuple(scopes), now, False, subject)

    def get(self, name: str) -> User | None:
        """The user of that name."""
        return self._one(users.c.name == name)

    def of_subject(self, subject: str) -> User | None:
        """The user that an OpenID provider knows by this subject."""
        return self._one(users.c.subject == subject)

    def password_hash(self, name: str) -> str | None:
        """What the password is verified with; None when there is no such user or it has no password."""
        with self._database.engine().connect() as connection:
            found: str | None = connection.execute(
                sa.select(users.c.password_hash).where(users.c.name == name)
            ).scalar()
            return found

    def list(self) -> builtins.list[User]:
        """All users by name."""
        with self._database.engine().connect() as connection:
            return [_user(row) for row in connection.execute(sa.select(users).order_by(users.c.name))]

    def any(self) -> bool:
        """Whether there is a user at all, disabled ones too."""
        with self._database.engine().connect() as connection:
            return connection.execute(sa.select(users.c.name).limit(1)).first() is not None

    def set_password(self, name: str, password_hash: str) -> None:
        """Another password; whoever is signed in as this user is signed out. Raises `NotFound`."""
        self._change(name, password_hash=password_hash)

    def rehash(self, name: str, password_hash: str) -> None:
        """The same password under another hash: nobody is signed out."""
        with self._database.engine().begin() as connection:
            connection.execute(
                sa.update(users).where(users.c.name == name).values(password_hash=password_hash)
            )

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Lock a user out, or let it in again; its tokens don't work meanwhile. Raises `NotFound`."""
        self._change(name, disabled=disabled)

    def set_scopes(self, name: str, scopes: Sequence[str]) -> None:
        """Other scopes, at once also for its sessions and tokens. Raises `NotFound`."""
        with self._database.engine().begin() as connection:
            changed = connection.execute(
                sa.update(users).where(users.c.name == name).values(scopes=" ".join(scopes))
            )
            _refuse_unknown(name, changed.rowcount)

    def remove(self, name: str, now: datetime) -> None:
        """Forget a user; its sessions end and its tokens are revoked. Raises `NotFound` (`unknown_user`)."""
        with self._database.engine().begin() as connection:
            gone = connection.execute(sa.delete(users).where(users.c.name == name))
            _refuse_unknown(name, gone.rowcount)
            connection.execute(sa.delete(sessions).where(sessions.c.user == name))
            # Or a later user of the same name would inherit them.
            of_user = sa.and_(tokens.c.owner == name, tokens.c.revoked_at.is_(None))
            connection.execute(sa.update(tokens).where(of_user).values(revoked_at=now))

    def _change(self, name: str, **values: Any) -> None:
        with self._database.engine().begin() as connection:
            changed = connection.execute(sa.update(users).where(users.c.name == name).values(values))
            _refuse_unknown(name, changed.rowcount)
            connection.execute(sa.delete(sessions).where(sessions.c.user == name))

    def _one(self, condition: sa.ColumnElement[bool]) -> User | None:
        with self._database.engine().connect() as connection:
            row = connection.execute(sa.select(users).where(condition)).first()
        return _user(row) if row else None


def _refuse_unknown(name: str, rows: int) -> None:
    if not rows:
        raise NotFound("unknown_user", f"There is no user {name[:100]}.", "See `missioncontrol user list`.")


def _user(row: sa.Row[Any]) -> User:
    return User(
        row.name, tuple(row.scopes.split()), aware(row.created_at), bool(row.disabled), row.subject or ""
    )
