"""A verdict asked for by hand: from what was said on the command line to the courses of one or all measures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from missioncontrol.errors import NotFound
from missioncontrol.health.judging import course
from missioncontrol.health.model import Course, Subject
from missioncontrol.health.published import Version, moment_of, tick_of, versions_of
from missioncontrol.health.signatures import with_signatures
from missioncontrol.health.sums import ChannelSums, find_version, read_sums
from missioncontrol.query.engine import Engine
from missioncontrol.state.releases import Release
from missioncontrol.verdict.grid import LIFE_HOURS


def courses(
    engine: Engine,
    known: Sequence[Release],
    application: str,
    channel: str,
    version: str | None,
    measure: str | None,
    as_of: datetime | None,
) -> list[Course]:
    """The course of each measure asked for, with the signatures of what is worse.

    version None: the newest published (by `as_of`); measure None: all with a denominator; as_of None: the newest window
    of the channel. Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`, `query_memory`), `TooSlow` and
    `StorageError`.
    """
    published = versions_of(known, application, channel)
    judged = _asked(published, version, application, channel, as_of)
    life_end = judged.published_at + timedelta(hours=LIFE_HOURS, minutes=5)
    until = life_end if as_of is None else as_of
    wanted = None if measure is None else [measure]
    sums = read_sums(engine, known, application, channel, min(until, life_end), [judged.version], wanted)
    if as_of is None:
        newest = moment_of(sums.newest) if sums.newest is not None else judged.published_at
        until = max(newest, judged.published_at)
    found = []
    for name in _told(sums, measure is not None):
        told = course(sums, Subject(application, channel, judged.version, name), until)
        account = with_signatures(engine, sums, told.account)
        found.append(msgspec.structs.replace(told, account=account))
    return found


def _told(sums: ChannelSums, all_of_them: bool) -> list[str]:
    """Of all measures those that any version has; at least the first."""
    had = frozenset[str]().union(*sums.cells.measured.values())
    return [name for place, name in enumerate(sums.measures) if all_of_them or not place or name in had]


def _asked(
    published: Sequence[Version],
    version: str | None,
    application: str,
    channel: str,
    as_of: datetime | None,
) -> Version:
    if version is not None:
        return find_version(published, version, application, channel)
    out = [each for each in published if as_of is None or tick_of(each.published_at) <= tick_of(as_of)]
    if not out:
        raise NotFound(
            "no_release",
            f"No release of {application} is known to have been published on {channel}.",
            "Say what was published: missioncontrol import releases FILE.",
        )
    return out[-1]
