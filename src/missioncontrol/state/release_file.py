"""Files of releases: a JSON list, read whole or refused with what is wrong in it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.state.release_model import Release, Status, check

_HINT = 'A list of {"application", "channel", "version", "build_id", "published_at"}; "status" and "note" if you like.'


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    application: str
    channel: str
    version: str
    build_id: str
    published_at: datetime
    status: Status | None = None
    note: str | None = None


def parse_releases(text: bytes, name: str, who: str = "import", now: datetime | None = None) -> list[Release]:
    """The releases of a file, each build once; one with a status or a note is the word of `who` at `now`.

    Raises `BadRequest` (`releases_invalid`) naming the entry that is wrong, or the two that contradict each other.
    """
    try:
        found = msgspec.json.decode(text, type=list[_Entry])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("releases_invalid", f"{name}: {error}", _HINT) from None
    builds: dict[tuple[str, ...], tuple[int, Release]] = {}
    labels: dict[tuple[str, ...], tuple[int, Release]] = {}
    for place, entry in enumerate(found):
        try:
            release = check(_release(entry, who, now))
        except BadRequest as error:
            raise BadRequest("releases_invalid", f"{name}: $[{place}]: {error.message}", error.hint) from None
        version = (release.application, release.channel, release.version)
        _refuse_another(builds, (*version, release.build_id), place, release, name)
        if release.changed_by:
            label = msgspec.structs.replace(release, build_id="", published_at=_NO_TIME)
            _refuse_another(labels, version, place, label, name)
    return [release for _, release in builds.values()]


_NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def _release(entry: _Entry, who: str, now: datetime | None) -> Release:
    release = Release(
        entry.application, entry.channel, entry.version, entry.build_id, entry.published_at,
        entry.status or "accepted", note=entry.note or "",
    )  # fmt: skip
    if entry.status is None and entry.note is None:
        return release
    return msgspec.structs.replace(release, changed_by=who, changed_at=now)


def _refuse_another(
    said: dict[tuple[str, ...], tuple[int, Release]],
    key: tuple[str, ...],
    place: int,
    release: Release,
    name: str,
) -> None:
    """Keep what is said for `key`; saying the same once more is fine."""
    first, known = said.setdefault(key, (place, release))
    if known != release:
        what = " ".join(part for part in key if part)[:200]
        message = f"{name}: $[{first}] and $[{place}] say different things of {what}."
        raise BadRequest("releases_invalid", message, "Keep one of them.")
