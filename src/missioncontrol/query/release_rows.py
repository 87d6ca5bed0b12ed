"""Releases as they are shown: a row a version, in the order in which people look for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from missioncontrol.query.versions import version_key
from missioncontrol.state.release_model import Origin, Status, Version


class BuildRow(msgspec.Struct, frozen=True):
    """One build of a version."""

    build_id: str
    published_at: datetime
    origin: Origin


class StatusRow(msgspec.Struct, frozen=True):
    """A status, from `since` on (None: from ever), until the next."""

    status: Status
    since: datetime | None
    by: str | None
    """None: nobody, a verdict, or the reader may not see names of people."""


class VersionRow(msgspec.Struct, frozen=True):
    """One version of a channel; see `Version`."""

    application: str
    channel: str
    version: str
    build_ids: list[str]
    published_at: datetime
    origin: Origin
    status: Status
    note: str
    changed_at: datetime | None
    changed_by: str | None
    """None: nobody, or the reader may not see names of people."""
    builds: list[BuildRow]
    status_since: datetime | None
    """None: from ever."""
    status_by: str | None
    """As `changed_by`, of the status alone."""
    statuses: list[StatusRow]
    """All that it had, oldest first; the last is the present one."""


def version_row(version: Version, named: bool = True) -> VersionRow:
    """The row of a version; `named`: with who changed it."""
    builds = [BuildRow(b.build_id, b.published_at, b.origin) for b in version.builds]
    statuses = [StatusRow(s.status, s.since, (s.by or None) if named else None) for s in version.statuses]
    return VersionRow(
        version.application, version.channel, version.version, version.build_ids, version.published_at,
        version.origin, version.status, version.note, version.changed_at,
        (version.changed_by or None) if named else None, builds, statuses[-1].since, statuses[-1].by, statuses,
    )  # fmt: skip


def version_rows(versions: Iterable[Version], named: bool = True) -> list[VersionRow]:
    """By application and channel; in each the newest version first by number, of equal ones the last published."""
    newest = sorted(versions, key=lambda v: (version_key(v.version), v.published_at, v.version), reverse=True)
    in_order = sorted(newest, key=lambda v: (v.application, v.channel))
    return [version_row(version, named) for version in in_order]
