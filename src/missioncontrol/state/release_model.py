"""What is known of releases, and what becomes of it when more is said: pure functions, no storage.

A release is a build that was published. Status and note belong to its version: all builds of a version have the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec

from missioncontrol.clock import system_clock, utc
from missioncontrol.errors import BadRequest
from missioncontrol.state.moments import aware

Status = Literal["accepted", "excluded", "worse"]
"""accepted: others may be compared with it; excluded: not; worse: not, since it was judged worse."""
Origin = Literal["imported", "set", "inferred"]
"""Who knew the time of publication: a file, a person or program here, or nobody: it is that of the first arrivals."""
STATUSES: tuple[Status, ...] = get_args(Status)


class StatusSince(msgspec.Struct, frozen=True):
    """A status of a version, from an instant on until the next one."""

    status: Status
    since: datetime | None = None
    """None: from ever, since it was given when the version was first made known."""
    by: str = ""
    """Who gave it; empty: nobody did, or a verdict."""


_LONGEST_NAME = 200
_LONGEST_NOTE = 500
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Release(msgspec.Struct, frozen=True):
    """One published build. `published_at` is aware; text without a zone is taken as UTC."""

    application: str
    channel: str
    version: str
    build_id: str
    """Empty: not said."""
    published_at: datetime
    status: Status = "accepted"
    origin: Origin = "imported"
    note: str = ""
    """Why it has that status, or what is to be known of its time."""
    changed_by: str = ""
    """Who said something of the version last; empty: nobody, so that status and note may change by themselves."""
    changed_at: datetime | None = None
    statuses: tuple[StatusSince, ...] = ()
    """All that its version had, oldest first, the present one last; empty: `status` from ever."""


class Version(msgspec.Struct, frozen=True):
    """All builds of a version of a channel."""

    application: str
    channel: str
    version: str
    published_at: datetime
    """The earliest that was imported or set; inferred ones count only where there is no other."""
    origin: Origin
    """Of that time."""
    status: Status
    note: str
    changed_by: str
    changed_at: datetime | None
    builds: list[Release]
    """By publication."""
    statuses: tuple[StatusSince, ...]
    """All that it had, oldest first; at least one, the last is `status`."""

    @property
    def build_ids(self) -> list[str]:
        """The ids of its builds, by publication."""
        return [build.build_id for build in self.builds if build.build_id]


class Change(msgspec.Struct, frozen=True):
    """What somebody says of a version; null: nothing of that."""

    build_ids: tuple[str, ...] = ()
    """The builds that `published_at` is of; none: the version, whichever builds it has."""
    published_at: datetime | None = None
    status: Status | None = None
    note: str | None = None


def group(releases: Iterable[Release]) -> list[Version]:
    """The versions of these releases, by publication, oldest first."""
    builds: dict[tuple[str, str, str], list[Release]] = {}
    for release in releases:
        builds.setdefault((release.application, release.channel, release.version), []).append(release)
    found = [_version(sorted(of, key=_when)) for of in builds.values()]
    return sorted(found, key=lambda v: (v.published_at, v.application, v.channel, v.version))


def with_entry(known: Sequence[Release], entry: Release) -> list[Release]:
    """The builds of a version once `entry` is said of one of them.

    An inferred entry changes nothing of a build that is known. Status and note of an entry count for the whole version
    if the version was not known, or only inferred, or if the entry is somebody's word (`changed_by`).
    """
    same = next((build for build in known if build.build_id == entry.build_id), None)
    if same is not None and entry.origin == "inferred":
        return list(known)
    label = _label_with_entry(known, entry)
    return [_labelled(build, label) for build in (*(b for b in known if b is not same), entry)]


def with_change(subject: Release, known: Sequence[Release], change: Change) -> list[Release]:
    """The builds of a version once `change` is said by `subject.changed_by` at `subject.changed_at`.

    Nobody's word (`changed_by` empty) changes nothing of what somebody said. subject: names the version; its other
    fields are not looked at. Raises `BadRequest` (`no_change`, `no_publication_time`).
    """
    time = change.published_at
    if time is None and change.status is None and change.note is None:
        hint = "A time of publication, a status or a note."
        raise BadRequest("no_change", f"Nothing is said of {subject.version}.", hint)
    if known and known[0].changed_by and not subject.changed_by:
        return list(known)
    ids = {build.build_id for build in known}
    if time is None and (not known or not ids.issuperset(change.build_ids)):
        what = f"build {change.build_ids[0]} of " if known else ""
        message = f"When {what}{subject.version} on {subject.channel} was published is not known."
        raise BadRequest("no_publication_time", message, "Say its time of publication too.")
    builds = list(known)
    if time is not None:
        builds = _timed(subject, builds, change.build_ids, time)
    return [_labelled(build, _label(subject, known, change)) for build in builds]


def check(release: Release) -> Release:
    """The release with texts trimmed; raises `BadRequest` (`bad_release`, `bad_time`) for what cannot be kept."""
    names = {
        name: getattr(release, name).strip() for name in ("application", "channel", "version", "build_id")
    }
    for name, text in names.items():
        if (not text and name != "build_id") or len(text) > _LONGEST_NAME or not text.isprintable():
            hint = f"Printable text of 1 to {_LONGEST_NAME} characters."
            raise BadRequest("bad_release", f"{name}: {text[:80]!r} cannot be kept.", hint)
    note = " ".join(release.note.split())
    if len(note) > _LONGEST_NOTE or not note.isprintable():
        hint = f"Printable text of at most {_LONGEST_NOTE} characters."
        raise BadRequest("bad_release", f"note: {note[:80]!r} cannot be kept.", hint)
    return msgspec.structs.replace(release, **names, note=note, published_at=check_time(release.published_at))


def check_time(moment: datetime) -> datetime:
    """The instant as aware UTC; raises `BadRequest` (`bad_time`) for one that no release has."""
    try:
        found = aware(moment)
    except OverflowError:
        found = _LATEST
    if not _EARLIEST <= found < _LATEST:
        hint = "ISO 8601, as in 2026-11-20T12:00:00Z."
        raise BadRequest("bad_time", f"Nothing was published at {moment.isoformat()}.", hint)
    return found


def _when(release: Release) -> tuple[datetime, str]:
    return release.published_at, release.build_id


def _basis(builds: Sequence[Release]) -> list[Release]:
    """The builds whose time is the version's: the earliest of them."""
    return [build for build in builds if build.origin != "inferred"] or list(builds)


def _version(builds: list[Release]) -> Version:
    first = min(_basis(builds), key=_when)
    return Version(
        first.application, first.channel, first.version, first.published_at, first.origin, first.status,
        first.note, first.changed_by, first.changed_at, builds, _statuses(first),
    )  # fmt: skip


def _timed(
    subject: Release, builds: list[Release], build_ids: Sequence[str], time: datetime
) -> list[Release]:
    """The builds with a time of publication. Where none is named the first gets it, and none stays before it."""
    said: dict[str, datetime] = dict.fromkeys(build_ids, time)
    if not said and builds:
        said = {b.build_id: time for b in _basis(builds) if b.published_at < time}
        said[min(_basis(builds), key=_when).build_id] = time
    elif not said:
        said = {"": time}
    found = {build.build_id: build for build in builds}
    for build_id in said:
        known = found.get(build_id, msgspec.structs.replace(subject, build_id=build_id))
        found[build_id] = msgspec.structs.replace(known, published_at=time, origin="set")
    return list(found.values())


def _label_with_entry(known: Sequence[Release], entry: Release) -> Release:
    """Status, note and who said so, once an entry is said."""
    if not known or (entry.origin != "inferred" and _nobodys_guess(known)):
        return msgspec.structs.replace(entry, statuses=(StatusSince(entry.status, None, entry.changed_by),))
    before = known[0]
    again = before.changed_by and (entry.status, entry.note) == (before.status, before.note)
    if again or not entry.changed_by:
        return before
    statuses = _statuses(before)
    if entry.status != before.status:
        statuses = _followed_by(statuses, entry)
    return msgspec.structs.replace(entry, statuses=statuses)


def _label(subject: Release, known: Sequence[Release], change: Change) -> Release:
    """Status, note and who said so, once a change is said."""
    before = known[0] if known else None
    if before is None or (change.published_at is not None and _nobodys_guess(known)):
        status, note = change.status or "accepted", ""  # what was inferred of its time no longer holds
        statuses: tuple[StatusSince, ...] = (
            StatusSince(status, None, subject.changed_by if change.status else ""),
        )
    else:
        status, statuses = change.status or before.status, _statuses(before)
        note = before.note if status == before.status else ""  # it told the reason of the status before
        # Somebody who accepts what was accepted says so again: after it was judged worse that withdraws the verdict.
        if status != before.status or (change.status == "accepted" and subject.changed_by):
            statuses = _followed_by(statuses, msgspec.structs.replace(subject, status=status))
    note = change.note if change.note is not None else note
    return msgspec.structs.replace(subject, status=status, note=note, statuses=statuses)


def _nobodys_guess(known: Sequence[Release]) -> bool:
    """Whether nobody said anything of a version: time and status are inferred, and end with the first word."""
    return not known[0].changed_by and all(build.origin == "inferred" for build in known)


def _statuses(build: Release) -> tuple[StatusSince, ...]:
    return build.statuses or (StatusSince(build.status),)


def _followed_by(statuses: tuple[StatusSince, ...], said: Release) -> tuple[StatusSince, ...]:
    """With the status that was said at `changed_at`; a clock that went back puts nothing before what is known."""
    since = said.changed_at or utc(system_clock())
    last = statuses[-1].since
    return (*statuses, StatusSince(said.status, max(last, since) if last else since, said.changed_by))


def _labelled(build: Release, label: Release) -> Release:
    return msgspec.structs.replace(
        build, status=label.status, note=label.note, changed_by=label.changed_by, changed_at=label.changed_at,
        statuses=label.statuses,
    )  # fmt: skip
