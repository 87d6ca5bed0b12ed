"""The record of who saw which protected thing, when and how."""

from __future__ import annotations

import builtins
from datetime import datetime

import msgspec
import sqlalchemy as sa

from missioncontrol.state.database import Database, access_log
from missioncontrol.state.moments import aware

_MOST_CHARACTERS = 500


class Seen(msgspec.Struct, frozen=True):
    """Somebody was shown something protected."""

    at: datetime
    who: str
    """Name of the user or token; `anonymous`, or `local` for whoever sits at a single-user installation."""
    how: str
    """`session`, `token`, `local` or `anonymous`."""
    kind: str
    """What kind of thing: `sql`, `sample`, ..."""
    thing: str
    """Which one."""
    address: str
    """Of the client."""


class AccessLog:
    """The record of one installation. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, seen: Seen) -> None:
        """Keep an entry before the thing is shown; raises when it cannot be kept, and then nothing is shown."""
        values = msgspec.structs.asdict(seen) | {"thing": seen.thing[:_MOST_CHARACTERS]}
        with self._database.engine().begin() as connection:
            connection.execute(sa.insert(access_log).values(values))

    def list(self, limit: int = 100, who: str | None = None) -> builtins.list[Seen]:
        """The newest entries first."""
        query = sa.select(access_log).order_by(access_log.c.id.desc()).limit(limit)
        if who is not None:
            query = query.where(access_log.c.who == who)
        with self._database.engine().connect() as connection:
            rows = connection.execute(query).all()
        return [Seen(aware(r.at), r.who, r.how, r.kind, r.thing, r.address) for r in rows]

    def forget(self, before: datetime) -> None:
        """Drop entries that are older."""
        with self._database.engine().begin() as connection:
            connection.execute(sa.delete(access_log).where(access_log.c.at < before))
