"""Sessions: who is signed in with a browser. A cookie holds a random id; here stands its hash."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from missioncontrol.state.database import Database, sessions, users
from missioncontrol.state.moments import aware
from missioncontrol.state.users import User

SEEN_EVERY = timedelta(minutes=10)


class Sessions:
    """The sessions of one installation. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, sha256: str, user: str, now: datetime, expires_at: datetime) -> None:
        """Sign a user in under the hash of a session's id. Sessions that are over are deleted."""
        values = {"sha256": sha256, "user": user, "created_at": now, "seen_at": now, "expires_at": expires_at}
        with self._database.engine().begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.expires_at <= now))
            connection.execute(sa.insert(sessions).values(values))

    def user(self, sha256: str, now: datetime) -> User | None:
        """Whose session it is; None when it is over, or when the user is disabled or gone."""
        query = (
            sa.select(users, sessions.c.seen_at, sessions.c.expires_at)
            .join(sessions, sessions.c.user == users.c.name)
            .where(sessions.c.sha256 == sha256)
        )
        with self._database.engine().connect() as connection:
            row = connection.execute(query).first()
        if row is None or row.disabled or aware(row.expires_at) <= now:
            return None
        if now - aware(row.seen_at) > SEEN_EVERY:
            with self._database.engine().begin() as connection:
                connection.execute(sa.update(sessions).where(sessions.c.sha256 == sha256).values(seen_at=now))
        return User(row.name, tuple(row.scopes.split()), aware(row.created_at), False, row.subject or "")

    def end(self, sha256: str) -> None:
        """Sign out; does nothing when there is no such session."""
        with self._database.engine().begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.sha256 == sha256))
