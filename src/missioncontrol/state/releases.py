"""Releases: which build of which version went out on which channel, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import BadRequest
from missioncontrol.state.database import Database, releases
from missioncontrol.state.moments import aware


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published build. `published_at` is aware; text without a zone is taken as UTC."""

    application: str
    channel: str
    version: str
    build_id: str
    published_at: datetime


def parse_releases(text: bytes, name: str) -> list[Release]:
    """A JSON list of releases. Raises `BadRequest` naming the entry that is wrong."""
    try:
        found = msgspec.json.decode(text, type=list[Release])
    except msgspec.DecodeError as error:
        hint = 'A list of {"application", "channel", "version", "build_id", "published_at"}.'
        raise BadRequest("releases_invalid", f"{name}: {error}", hint) from None
    return [msgspec.structs.replace(r, published_at=aware(r.published_at)) for r in found]


class Releases:
    """The table of releases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, entries: Sequence[Release]) -> int:
        """Store releases; one that is known gets the new publication time. Returns how many were not known."""
        new = 0
        with self._database.engine().begin() as connection:
            for entry in entries:
                same = sa.and_(*(releases.c[k] == getattr(entry, k) for k in _KEY))
                known = connection.execute(
                    sa.update(releases).where(same).values(published_at=entry.published_at)
                ).rowcount
                if not known:
                    connection.execute(sa.insert(releases).values(msgspec.structs.asdict(entry)))
                    new += 1
        return new

    def list(self, application: str | None = None, channel: str | None = None) -> list[Release]:
        """Releases by publication time, oldest first."""
        query = sa.select(releases).order_by(releases.c.published_at)
        if application is not None:
            query = query.where(releases.c.application == application)
        if channel is not None:
            query = query.where(releases.c.channel == channel)
        with self._database.engine().connect() as connection:
            rows = connection.execute(query).all()
        return [Release(r.application, r.channel, r.version, r.build_id, aware(r.published_at)) for r in rows]

    def version_of(self, application: str, channel: str, build_id: str) -> str | None:
        """The version that a build was first published as."""
        query = (
            sa.select(releases.c.version)
            .where(releases.c.application == application, releases.c.channel == channel)
            .where(releases.c.build_id == build_id)
            .order_by(releases.c.published_at)
        )
        with self._database.engine().connect() as connection:
            found: str | None = connection.execute(query.limit(1)).scalar()
        return found


_KEY = ("application", "channel", "version", "build_id")
