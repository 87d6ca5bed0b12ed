"""Releases: which build of which version went out on which channel, when, and what is said of it."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import NotFound
from missioncontrol.state.database import Database, release_statuses, releases, write_first
from missioncontrol.state.moments import aware
from missioncontrol.state.release_model import (
    STATUSES,
    Change,
    Origin,
    Release,
    Status,
    StatusSince,
    Version,
    check,
    group,
    with_change,
    with_entry,
)

__all__ = [
    "STATUSES",
    "Change",
    "Origin",
    "Release",
    "Releases",
    "Status",
    "StatusSince",
    "Stored",
    "Version",
]

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

        Status and note count for all builds of the version; those of a version that is known stay, unless the entry is
        somebody's word (`changed_by`) or the first after what was inferred.
        Raises `BadRequest` (`bad_release`, `bad_time`).
        """
        said: dict[_VersionKey, list[Release]] = {}
        for entry in map(check, entries):
            said.setdefault(_key(entry), []).append(entry)
        new = replaced = 0
        with self._database.engine().begin() as connection:
            write_first(connection, releases)
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
            write_first(connection, releases)
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
            write_first(connection, releases)
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
        given = (("application", application), ("channel", channel))
        wanted = [(name, value) for name, value in given if value is not None]
        for name, value in wanted:
            query = query.where(releases.c[name] == value)
        with self._database.engine().connect() as connection:
            rows = connection.execute(query).all()
            statuses = _known_statuses(connection, wanted)
        return [_release(row, statuses) for row in rows]

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
        rows = connection.execute(query.order_by(*_KEY)).all()
        statuses = _known_statuses(connection, [("application", application), ("channel", channel)])
        for row in rows:
            release = _release(row, statuses)
            found.setdefault(_key(release), []).append(release)
    return found


def _known_statuses(
    connection: sa.Connection, wanted: Sequence[tuple[str, str]]
) -> dict[_VersionKey, tuple[StatusSince, ...]]:
    """What is kept of the statuses of versions where these columns have these values, oldest first."""
    query = sa.select(release_statuses).order_by(release_statuses.c.nth)
    for name, value in wanted:
        query = query.where(release_statuses.c[name] == value)
    found: dict[_VersionKey, tuple[StatusSince, ...]] = {}
    for row in connection.execute(query):
        key = row.application, row.channel, row.version
        found[key] = (*found.get(key, ()), StatusSince(row.status, aware(row.since), row.said_by))
    return found


def _write(
    connection: sa.Connection, key: _VersionKey, before: Sequence[Release], after: Sequence[Release]
) -> None:
    """Let a version have the builds `after`."""
    if list(before) == list(after):
        return
    _replace(connection, releases, key, [_plain(release) for release in after])
    statuses = after[0].statuses if after else ()
    if statuses != (before[0].statuses if before else ()):
        _replace(connection, release_statuses, key, [
            {**dict(zip(_OF_VERSION, key, strict=True)), "nth": nth, "status": one.status, "since": one.since,
             "said_by": one.by}
            for nth, one in enumerate(statuses)
        ])  # fmt: skip


_OF_VERSION = ("application", "channel", "version")


def _replace(
    connection: sa.Connection, table: sa.Table, key: _VersionKey, rows: Sequence[dict[str, Any]]
) -> None:
    """Let a version have these rows of a table and no others."""
    columns = (table.c[name] for name in _OF_VERSION)
    of_version = sa.and_(*(column == value for column, value in zip(columns, key, strict=True)))
    connection.execute(sa.delete(table).where(of_version))
    if rows:
        connection.execute(sa.insert(table), rows)


def _plain(release: Release) -> dict[str, Any]:
    """The row of a build."""
    row = msgspec.structs.asdict(release)
    del row["statuses"]
    return row


def _release(row: sa.Row[Any], statuses: Mapping[_VersionKey, tuple[StatusSince, ...]]) -> Release:
    return Release(
        row.application, row.channel, row.version, row.build_id, aware(row.published_at), row.status,
        row.origin, row.note, row.changed_by, aware(row.changed_at),
        statuses.get((row.application, row.channel, row.version), ()),
    )  # fmt: skip
