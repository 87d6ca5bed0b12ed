"""Releases: which build of which version went out on which channel, when, and what is said of it."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import NotFound
from missioncontrol.state.database import Database, releases, write_first
from missioncontrol.state.moments import aware
from missioncontrol.state.release_model import (
    STATUSES,
    Change,
    Origin,
    Release,
    Status,
    Version,
    check,
    group,
    with_change,
    with_entry,
)

__all__ = ["STATUSES", "Change", "Origin", "Release", "Releases", "Status", "Stored", "Version"]

_LONGEST_WHO = 200
_UNSAID = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands where no time is looked at: the clock may be anywhere."""
_VersionKey = tuple[str, str, str]


class Stored(msgspec.Struct, frozen=True):
    """What became of entries."""

    new: int
    """Builds that were not known."""
    replaced: int
    """Versions whose time of publication had been inferred and is now known."""


class Releases:
    """The table of releases. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, entries: Sequence[Release]) -> Stored:
        """Store releases. One that is known gets the new time and origin; one that is inferred changes none.

        Status and note count for all builds of the version; those of a version that somebody labelled (`changed_by`)
        stay, unless the entry is somebody's word too. Raises `BadRequest` (`bad_release`, `bad_time`).
        """
        said: dict[_VersionKey, list[Release]] = {}
        for entry in map(check, entries):
            said.setdefault(_key(entry), []).append(entry)
        new = replaced = 0
        with self._database.engine().begin() as connection:
            write_first(connection)
            known = _known(connection, {(a, c) for a, c, _ in said})
            for key, of_version in said.items():
                before = after = known.get(key, [])
                for entry in of_version:
                    after = with_entry(after, entry)
                new += len(after) - len(before)
                replaced += _is_inferred(before) and not _is_inferred(after)
                _write(connection, key, before, after)
        return Stored(new, replaced)

    def change(
        self, application: str, channel: str, version: str, change: Change, who: str, now: datetime
    ) -> Version:
        """Say something of a version, which need not be known if its time is said; gives what is known now.

        Raises `BadRequest` (`no_change`, `no_publication_time`, `bad_release`, `bad_time`).
        """
        time = change.published_at
        subject = check(Release(
            application, channel, version, "", time or _UNSAID, note=change.note or "",
            changed_by=who[:_LONGEST_WHO], changed_at=now,
        ))  # fmt: skip
        ids = [check(msgspec.structs.replace(subject, build_id=b)).build_id for b in change.build_ids]
        change = msgspec.structs.replace(
            change,
            build_ids=tuple(ids),
            published_at=None if time is None else subject.published_at,
            note=None if change.note is None else subject.note,
        )
        key = _key(subject)
        with self._database.engine().begin() as connection:
            write_first(connection)
            before = _known(connection, {key[:2]}).get(key, [])
            after = with_change(subject, before, change)
            _write(connection, key, before, after)
        return group(after)[0]

    def remove(
        self, application: str, channel: str, version: str, build_id: str | None = None
    ) -> builtins.list[Release]:
        """Forget a version, or one build of it; gives what it was. Raises `NotFound` (`unknown_release`)."""
        key = (application.strip(), channel.strip(), version.strip())
        with self._database.engine().begin() as connection:
            write_first(connection)
            before = _known(connection, {key[:2]}).get(key, [])
            gone = [b for b in before if build_id is None or b.build_id == build_id.strip()]
            if not gone:
                what = f"build {build_id[:80]} of {version[:80]}" if build_id is not None else version[:80]
                hint = "`missioncontrol release list` has all."
                raise NotFound(
                    "unknown_release", f"There is no {what} of {application[:80]} on {channel[:80]}.", hint
                )
            _write(connection, key, before, [b for b in before if b not in gone])
        return gone

    def list(self, application: str | None = None, channel: str | None = None) -> builtins.list[Release]:
        """Releases by publication time, oldest first."""
        query = sa.select(releases).order_by(releases.c.published_at, *_KEY)
        if application is not None:
            query = query.where(releases.c.application == application)
        if channel is not None:
            query = query.where(releases.c.channel == channel)
        with self._database.engine().connect() as connection:
            return [_release(row) for row in connection.execute(query)]

    def versions(self, application: str | None = None, channel: str | None = None) -> builtins.list[Version]:
        """Releases by version, by publication time, oldest first."""
        return group(self.list(application, channel))

    def version_of(self, application: str, channel: str, build_id: str) -> str | None:
        """The version that a build was first published as, if anybody said so."""
        query = (
            sa.select(releases.c.version)
            .where(releases.c.application == application, releases.c.channel == channel)
            .where(releases.c.build_id == build_id, releases.c.origin != "inferred")
            .order_by(releases.c.published_at)
        )
        with self._database.engine().connect() as connection:
            found: str | None = connection.execute(query.limit(1)).scalar()
        return found


_KEY = (releases.c.application, releases.c.channel, releases.c.version, releases.c.build_id)


def _key(release: Release) -> _VersionKey:
    return release.application, release.channel, release.version


def _is_inferred(builds: Sequence[Release]) -> bool:
    return bool(builds) and all(build.origin == "inferred" for build in builds)


def _known(
    connection: sa.Connection, channels: Iterable[tuple[str, str]]
) -> dict[_VersionKey, builtins.list[Release]]:
    """All builds of these channels, by version."""
    found: dict[_VersionKey, list[Release]] = {}
    for application, channel in sorted(channels):
        query = sa.select(releases).where(
            releases.c.application == application, releases.c.channel == channel
        )
        for row in connection.execute(query.order_by(*_KEY)):
            release = _release(row)
            found.setdefault(_key(release), []).append(release)
    return found


def _write(
    connection: sa.Connection, key: _VersionKey, before: Sequence[Release], after: Sequence[Release]
) -> None:
    """Let a version have the builds `after`."""
    if list(before) == list(after):
        return
    of_version = sa.and_(*(column == value for column, value in zip(_KEY, key, strict=False)))
    connection.execute(sa.delete(releases).where(of_version))
    if after:
        connection.execute(sa.insert(releases), [msgspec.structs.asdict(release) for release in after])


def _release(row: sa.Row[Any]) -> Release:
    return Release(
        row.application, row.channel, row.version, row.build_id, aware(row.published_at), row.status,
        row.origin, row.note, row.changed_by, aware(row.changed_at),
    )  # fmt: skip
