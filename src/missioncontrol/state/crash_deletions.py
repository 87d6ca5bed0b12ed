"""The record of crashes that were deleted: which, when, and by whom. Kept for ever; holds nothing of the crash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from missioncontrol.state.database import Database, crash_deletions, once_more, write_first
from missioncontrol.state.moments import aware

_LONGEST_WHO = 200


class Deletion(msgspec.Struct, frozen=True):
    """A crash that is deleted, or is to be."""

    crash_id: str
    who: str
    asked_at: datetime
    done_at: datetime | None
    """When nothing of it was left; None: it was begun and not finished."""


class CrashDeletions:
    """The record of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, crash_ids: Sequence[str], who: str, now: datetime) -> None:
        """Note that crashes are to be deleted, before anything is; the first one who asked stays the one who did."""
        with self._database.engine().begin() as connection:
            write_first(connection, crash_deletions)
            wanted = crash_deletions.c.crash_id.in_(list(crash_ids))
            known = set(connection.execute(sa.select(crash_deletions.c.crash_id).where(wanted)).scalars())
            rows = [
                {"crash_id": crash_id, "who": who[:_LONGEST_WHO], "asked_at": now, "done_at": None}
                for crash_id in dict.fromkeys(crash_ids)
                if crash_id not in known
            ]
            if rows:
                connection.execute(sa.insert(crash_deletions), rows)

    @once_more
    def finish(self, crash_ids: Sequence[str], now: datetime) -> None:
        """Note that nothing of them is left."""
        wanted = crash_deletions.c.crash_id.in_(list(crash_ids))
        with self._database.engine().begin() as connection:
            connection.execute(sa.update(crash_deletions).where(wanted).values(done_at=now))

    def known(self, crash_ids: Sequence[str]) -> frozenset[str]:
        """Which of these are in the record."""
        query = sa.select(crash_deletions.c.crash_id).where(crash_deletions.c.crash_id.in_(list(crash_ids)))
        with self._database.engine().connect() as connection:
            return frozenset(connection.execute(query).scalars())

    def to_look_after(self, since: datetime) -> list[Deletion]:
        """Those that were not finished, and those that were asked for since then."""
        due = sa.or_(crash_deletions.c.done_at.is_(None), crash_deletions.c.asked_at >= since)
        return self._found(sa.select(crash_deletions).where(due))

    def newest(self, limit: int = 100) -> list[Deletion]:
        """The newest first."""
        order = (crash_deletions.c.asked_at.desc(), crash_deletions.c.crash_id)
        return self._found(sa.select(crash_deletions).order_by(*order).limit(limit))

    def _found(self, query: sa.Select[tuple[object, ...]]) -> list[Deletion]:
        with self._database.engine().connect() as connection:
            rows = connection.execute(query).all()
        return [
            Deletion(r.crash_id, r.who, aware(r.asked_at), aware(r.done_at) if r.done_at else None)
            for r in rows
        ]
