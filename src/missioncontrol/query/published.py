"""What builds were published as: pings of a beta say 61.0 where its release is 61.0b3.

The first page and the pages of channels count every build for the version that it was published as. Where versions are
read without their builds, only those releases matter whose pings do not say their name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from missioncontrol.query import dialect
from missioncontrol.query.versions import version_key
from missioncontrol.state.release_model import Release, Version, group

if TYPE_CHECKING:
    from missioncontrol.query.hour_sums import Builds

COLUMN = "published_version"
"""What the relation of `with_published()` calls the version that a build was published as."""
COLUMNS = ("version", "build_id")
"""What it is made of."""
Named = tuple[tuple[str, str], ...]
"""(build id, the version that it was published as), of one channel."""
_NUMBERS = re.compile(r"\d+(\.\d+)*", re.ASCII)
_BETA = 2


class NamedReleases:
    """Versions and builds of the releases; made again only when these are others."""

    def __init__(self) -> None:
        self._held: tuple[Sequence[Release], list[Version], Builds] = ([], [], {})

    def of(self, releases: Sequence[Release]) -> tuple[list[Version], Builds]:
        """The versions, and what each build was published as."""
        if self._held[0] != releases:
            versions = group(releases)
            self._held = (releases, versions, builds_of(versions))
        return self._held[1:]


def builds_of(versions: Iterable[Version]) -> dict[tuple[str, str, str], str]:
    """What each build was published as, by application, channel and build id."""
    return {
        (one.application, one.channel, build): one.version
        for one in versions
        for build in one.build_ids
        if build
    }


def named_by_builds(releases: Iterable[Release], application: str | None, channel: str | None) -> Named:
    """The builds of a channel whose pings may not say what they were published as: those of betas and release
    candidates, of ESRs, and of what is no number (`61.0b3`, `60.2.0esr`); a nightly says its own (`61.0a1`).
    """
    return tuple(
        sorted(
            (build, version)
            for (of, on, build), version in builds_of(group(releases)).items()
            if (of, on) == (application, channel) and not _said_by_pings(version)
        )
    )


def _said_by_pings(version: str) -> bool:
    known, *_, stage, _, _ = version_key(version)
    return _NUMBERS.fullmatch(version) is not None or (known == 1 and stage < _BETA)


def with_published(named: Named) -> str:
    """`{relation}`, with a column more: the version that a row's build was published as, else that of its pings."""
    if not named:
        return "{relation}"
    builds, versions = (dialect.texts(column) for column in zip(*named, strict=True))
    return (
        f"(SELECT r.*, coalesce(b.published, r.version) AS {COLUMN} FROM {{relation}} AS r LEFT JOIN "
        f"(SELECT unnest({builds}) AS build, unnest({versions}) AS published) AS b ON r.build_id = b.build)"
    )


def published_sql(named: Named) -> str:
    """The same of one row, as an expression of `version` and `build_id`."""
    by_version: dict[str, list[str]] = {}
    for build, version in named:
        by_version.setdefault(version, []).append(dialect.text(build))
    cases = " ".join(
        f"WHEN build_id IN ({', '.join(builds)}) THEN {dialect.text(version)}"
        for version, builds in by_version.items()
    )
    return f"CASE {cases} ELSE version END" if cases else "version"
