"""Versions as they were published: the builds of a version taken together, in the order of publication.

Verdicts are of versions, never of builds. A version is published when the earliest of its builds is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from missioncontrol.clock import WINDOW_S
from missioncontrol.query.versions import version_key
from missioncontrol.state.release_model import Release, StatusSince

ACCEPTED, INFERRED = "accepted", "inferred"
_REASONS = {"excluded": "it was excluded", "worse": "it was judged worse"}


def tick_of(moment: datetime) -> int:
    """The 5-minute window that holds an instant, counted from the epoch."""
    return int(moment.timestamp() // WINDOW_S)


def moment_of(tick: int) -> datetime:
    """Start of a window; what no calendar has is drawn to the epoch or to the year 9999."""
    return _EPOCH + timedelta(seconds=min(max(tick, 0), _LAST_TICK) * WINDOW_S)


@dataclass(frozen=True)
class Label:
    """A status, known at the look at tick `look` and later ones; `by_person`: somebody gave it, and no verdict."""

    look: int
    status: str
    by_person: bool


@dataclass(frozen=True)
class Version:
    """One version of a channel. `unfit`: why it is no predecessor for others; empty: it is one.

    labels: all statuses that it had, oldest first, the present one last.
    """

    version: str
    published_at: datetime
    builds: tuple[str, ...]
    unfit: str = ""
    inferred: bool = False
    labels: tuple[Label, ...] = ()

    @cached_property
    def published(self) -> int:
        """Tick of publication: the window in which it was published is its first."""
        return tick_of(self.published_at)

    def label_at(self, look: int) -> Label | None:
        """The status that is known at the look at tick `look`."""
        return next((label for label in reversed(self.labels) if label.look <= look), None)

    def known_at(self, look: int) -> Version:
        """The version as the look at tick `look` knows it."""
        label = self.label_at(look)
        return self if label is None else replace(self, unfit=_REASONS.get(label.status, ""))


def versions_of(known: Iterable[Release], application: str, channel: str) -> tuple[Version, ...]:
    """The versions of a channel, oldest first; those of one instant in the order of their numbers."""
    by_version: dict[str, list[Release]] = {}
    for release in known:
        if release.application == application and release.channel == channel:
            by_version.setdefault(release.version, []).append(release)
    found = [_version(version, releases) for version, releases in by_version.items()]
    return tuple(sorted(found, key=lambda each: (each.published_at, version_key(each.version), each.version)))


def owner_of(versions: Sequence[Version]) -> Callable[[str | None, str | None], str]:
    """From a row's version and build id to the version that it counts for.

    That is what its build was published as (the first of several, unless it names another of them); a row whose build
    is not known counts for the version that it names.
    """
    builds: dict[str, tuple[str, ...]] = {}
    for each in versions:
        for build in each.builds:
            builds[build] = (*builds.get(build, ()), each.version)

    def owner(version: str | None, build_id: str | None) -> str:
        published_as = builds.get(build_id, ()) if build_id else ()
        return (version or "") if not published_as or version in published_as else published_as[0]

    return owner


def _version(version: str, releases: list[Release]) -> Version:
    # A time that was only inferred counts where nobody knows one.
    known = [release for release in releases if release.origin != INFERRED] or releases
    earliest = min(known, key=lambda release: (release.published_at, release.build_id or ""))
    builds = tuple(sorted({release.build_id for release in releases if release.build_id}))
    unfit = next((release.status for release in releases if release.status != ACCEPTED), "")
    inferred = earliest.origin == INFERRED
    labels = tuple(map(_label, releases[0].statuses))
    return Version(version, earliest.published_at, builds, _REASONS.get(unfit, ""), inferred, labels)


def _label(said: StatusSince) -> Label:
    """A status is known, as a row is, when the window that it was given in has ended."""
    return Label(0 if said.since is None else tick_of(said.since) + 1, said.status, bool(said.by))


_LAST_TICK = 844_000_000
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
