"""How long versions have been in the field, and which of their windows a summary adds up. Pure functions.

After the predecessor's method (mozilla/missioncontrol, `etl/measuresummary.py`), with its faults mended: versions are
compared by number, a version is its own builds and no other's, all majors are compared at the very same ages, and one
window of data is enough. docs/reference/http-api.md lists each difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.query.fielded_builds import Build
from missioncontrol.query.summary_scope import Combination
from missioncontrol.query.versions import version_key

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release

WINDOW_US = WINDOW_S * 1_000_000

HOUR_US = 3_600_000_000
NOISY_US = 24 * HOUR_US
"""The first day, "as it tends to be very noisy"."""
LONG_US = 48 * HOUR_US
"""A version that was in the field for longer is judged without its first day."""
MAJORS_BACK = {"esr": 7}
USUAL_MAJORS_BACK = 3
POINTS = 3
STRAY_SHARE = 1e-4
"""A newer version with a smaller share of the last day's usage is not believed to be out."""


class Version(msgspec.Struct, frozen=True):
    """A version on one combination: since when it is out, and its last window. Microseconds since the epoch."""

    name: str
    builds: tuple[Build, ...]
    start_us: int
    last_us: int


class Period(msgspec.Struct, frozen=True):
    """A line of a summary: a version or a major, and the windows (both ends included) that it adds up."""

    name: str
    field_us: int
    builds: tuple[Build, ...]
    whole: tuple[int, int]
    adjusted: tuple[int, int]
    """At the ages at which the newest major is known."""


def published_us(combination: Combination, releases: Sequence[Release]) -> dict[str, int]:
    """When each version was first published: the window of it. `releases` come by time, the oldest first."""
    published: dict[str, int] = {}
    for release in releases:
        of = (release.application.lower(), release.channel.lower())
        if of == (combination.application, combination.channel):
            at_us = int(release.published_at.timestamp()) * 1_000_000
            published.setdefault(release.version, at_us - at_us % WINDOW_US)
    return published


def versions_of(builds: Sequence[Build], published_us: Mapping[str, int]) -> list[Version]:
    """The versions of one combination that are out, in ascending order.

    A version starts when it was published, else with its first window. One that is published after its last window
    is not out yet; nor is one that is newer than all others and hardly used, unless its publication is known.
    """
    named: dict[str, list[Build]] = {}
    for build in builds:
        named.setdefault(build.name, []).append(build)
    found = [
        Version(
            name,
            tuple(own),
            published_us.get(name, min(b.first_us for b in own)),
            max(b.last_us for b in own),
        )
        for name, own in named.items()
    ]
    found = [v for v in found if v.start_us <= v.last_us]
    found.sort(key=lambda v: (version_key(v.name), v.name))
    least = STRAY_SHARE * sum(b.recent_hours for b in builds)
    while len(found) > 1 and found[-1].name not in published_us and _recent(found[-1]) < least:
        found.pop()
    return found


def periods_of(versions: Sequence[Version], channel: str) -> list[Period]:
    """The lines of a summary: point releases, the newest first, then majors, the newest first."""
    if not versions:
        return []
    current = _major(versions[-1])
    back = MAJORS_BACK.get(channel, USUAL_MAJORS_BACK)
    majors = _majors([v for v in versions if _major(v) >= current - back])
    reference_us = majors[-1].last_us - majors[-1].start_us
    points = [v for v in versions[-POINTS:] if _major(v) == current] if channel != "nightly" else []
    return [*reversed(list(_periods(points, None))), *reversed(list(_periods(majors, reference_us)))]


def _majors(versions: Iterable[Version]) -> list[Version]:
    grouped: dict[int, list[Version]] = {}
    for version in versions:
        grouped.setdefault(_major(version), []).append(version)
    return [
        Version(
            str(major),
            tuple(b for v in own for b in v.builds),
            min(v.start_us for v in own),
            max(v.last_us for v in own),
        )
        for major, own in sorted(grouped.items())
    ]


def _periods(versions: Sequence[Version], reference_us: int | None) -> Iterable[Period]:
    """In the field until the next one starts, the newest until its last window."""
    ends = [*(v.start_us for v in versions[1:]), *(v.last_us for v in versions[-1:])]
    for version, end_us in zip(versions, ends, strict=True):
        start_us, field_us = version.start_us, end_us - version.start_us
        if field_us < 0:
            continue  # the next one was out before
        compared_us = field_us if reference_us is None else reference_us
        # The ages that are compared must be the same for all, so whether the first day counts must be too.
        skipped_us = NOISY_US if compared_us > LONG_US else 0
        own_skipped_us = NOISY_US if field_us > LONG_US and compared_us > LONG_US else 0
        yield Period(
            version.name,
            field_us,
            version.builds,
            (start_us + own_skipped_us, end_us),
            (start_us + skipped_us, start_us + compared_us),
        )


def _recent(version: Version) -> float:
    return sum(b.recent_hours for b in version.builds)


def _major(version: Version) -> int:
    return version_key(version.name)[1]
