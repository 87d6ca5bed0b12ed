"""Which versions the columns of the page are. Pure.

As the predecessor had it: point releases of the newest major, then majors; or versions one by one. Order is by number
of version, the newest first. Hours count from the epoch, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from missioncontrol.query.field_time import MAJORS_BACK, POINTS, USUAL_MAJORS_BACK
from missioncontrol.query.hour_sums import HOUR_S
from missioncontrol.query.versions import is_version, version_key
from missioncontrol.state.release_model import Version
from missioncontrol.web.channel.address import Columns

MOST_VERSIONS = 8
_BETA_STAGES = (2, 3)
"""Beta and release candidate, as `version_key` has them."""


class Out(msgspec.Struct, frozen=True):
    """A version that is out. `published_at` None: nobody knows; then `start_hour` is that of its first data."""

    version: str
    start_hour: int
    published_at: datetime | None = None
    inferred: bool = False
    build_ids: tuple[str, ...] = ()
    excluded: bool = False


class Column(msgspec.Struct, frozen=True):
    """A version, or a major with all its versions, from the publication of the first on."""

    name: str
    versions: tuple[Out, ...]
    """Ascending."""

    @property
    def first(self) -> Out:
        """The version with which it began."""
        return min(self.versions, key=lambda one: one.start_hour)

    @property
    def start_hour(self) -> int:
        """The hour in which it began."""
        return self.first.start_hour

    @property
    def names(self) -> list[str]:
        """Its versions."""
        return [one.version for one in self.versions]

    @property
    def whole_major(self) -> bool:
        """Whether it is several versions together."""
        return len(self.versions) > 1


def shipped(known: Sequence[Version], now: datetime) -> list[Out]:
    """Versions that were published by now, ascending by number."""
    found = [
        Out(
            one.version,
            int(one.published_at.timestamp()) // HOUR_S,
            one.published_at.astimezone(UTC),
            one.origin == "inferred",
            tuple(one.build_ids),
            one.status == "excluded",
        )
        for one in known
        if one.published_at <= now
    ]
    return sorted(found, key=lambda one: (version_key(one.version), one.version))


def unpublished(first_hours: Mapping[str, int]) -> list[Out]:
    """Versions that there is data of and that nobody published, ascending by number."""
    found = [Out(version, hour) for version, hour in first_hours.items() if is_version(version)]
    return sorted(found, key=lambda one: (version_key(one.version), one.version))


def usual_columns(out: Sequence[Out]) -> Columns:
    """Betas where the newest version is one."""
    return "betas" if out and _is_beta(out[-1]) else "releases"


def offered_columns(out: Sequence[Out]) -> list[Columns]:
    """What can be chosen."""
    kinds: list[Columns] = ["releases", "majors", "points"]
    return [*kinds, "betas"] if any(map(_is_beta, out)) else kinds


def columns_of(out: Sequence[Out], which: Columns, channel: str | None) -> list[Column]:
    """The columns, the newest first; `out` ascending."""
    if which == "points":
        return [Column(one.version, (one,)) for one in reversed(out[-MOST_VERSIONS:])]
    if which == "betas":
        betas = [one for one in out if _is_beta(one)]
        return [Column(one.version, (one,)) for one in reversed(betas[-MOST_VERSIONS:])]
    majors = _majors(out)[: MAJORS_BACK.get(channel or "", USUAL_MAJORS_BACK) + 1]
    if which == "majors" or not majors or not majors[0].whole_major:
        return majors
    points = [Column(one.version, (one,)) for one in reversed(majors[0].versions[-POINTS:])]
    return [*points, *majors]


def _majors(out: Sequence[Out]) -> list[Column]:
    """The newest first. A version that is no number stands for itself."""
    grouped: dict[str, list[Out]] = {}
    for one in out:
        name = str(version_key(one.version)[1]) if is_version(one.version) else one.version
        grouped.setdefault(name, []).append(one)
    return [
        Column(f"{name}.x" if len(own) > 1 else own[0].version, tuple(own))
        for name, own in reversed(list(grouped.items()))
    ]


def _is_beta(one: Out) -> bool:
    key = version_key(one.version)
    return key[0] == 1 and key[5] in _BETA_STAGES
