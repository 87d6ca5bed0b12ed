"""Releases that nobody named: published, as far as one can tell, when a build of theirs began to arrive.

What cannot be told is said in the note and kept out of comparisons: of a build that came before there was a history,
and of one that was old when it came. What somebody imported or set is never changed, and replaces what was inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.health.arrivals import STRETCH_S, STRETCHES, Arrival, Channel, arrivals, channels
from missioncontrol.query.engine import Engine
from missioncontrol.query.versions import is_version
from missioncontrol.state.release_model import Release, check
from missioncontrol.state.releases import Releases

RECENT = timedelta(seconds=2 * STRETCH_S * STRETCHES)
"""How far back a look goes that is repeated every few minutes: whatever becomes steady is seen in many of them."""
LEAST_HOURS_BEFORE = 6
"""With pings of the channel in fewer of the 24 hours before, the beginning of an arrival is that of the history, or the
end of an outage."""
LONGEST_SHELF = timedelta(days=60)
"""A build older than that when it comes first was published long ago, and not to these users."""
MIXED = ("", "Other")
"""No application and no channel, but what is left of many."""
_STAMP = re.compile(r"20\d{6}(?:\d\d){0,3}", re.ASCII)


class Skipped(msgspec.Struct, frozen=True):
    """A build that arrives steadily and of which no release is made."""

    application: str
    channel: str
    version: str
    build_id: str
    why: str


class Inferred(msgspec.Struct, frozen=True):
    """What one look came to."""

    releases: list[Release]
    """Those that were not known before."""
    skipped: list[Skipped]


def infer(
    engine: Engine, releases: Releases, now: datetime, recent: bool = False, store: bool = True
) -> Inferred:
    """Find the builds that arrive steadily and are not known, and keep them as releases; once more does nothing.

    recent: only those that arrived so in the last hours. store: False only says what would be kept. Raises as
    `arrivals()` does.
    """
    known = releases.list()
    wanted: dict[Channel, list[str] | None] = {}
    if recent:
        lately, _ = new_releases(arrivals(engine, now - RECENT, now), known, now)
        for release in lately:
            ids = wanted.setdefault((release.application, release.channel), [])
            assert ids is not None
            ids.append(release.build_id)
    else:
        wanted = dict.fromkeys(channels(engine))
    made: list[Release] = []
    skipped: list[Skipped] = []
    for channel, build_ids in wanted.items():
        # A channel at a time: it bounds the memory. The whole history: a build may have begun long before it is seen.
        found, not_made = new_releases(arrivals(engine, None, now, channel, build_ids), known, now)
        made += found
        skipped += not_made
    if store and made:
        releases.put(made)
    return Inferred(made, skipped)


def new_releases(
    found: Iterable[Arrival], known: Sequence[Release], now: datetime
) -> tuple[list[Release], list[Skipped]]:
    """Releases of the arrivals that are not known, and those of which none can be made."""
    stamped = {(r.application, r.channel, r.build_id) for r in known if built_on(r.build_id)}
    builds = {(r.application, r.channel, r.version, r.build_id) for r in known}
    made, skipped = [], []
    for arrival in found:
        # An id that is a date names one build, whatever version it was published as: pings of a beta name another.
        if (arrival.application, arrival.channel, arrival.build_id) in stamped:
            continue
        if (arrival.application, arrival.channel, arrival.version, arrival.build_id) in builds:
            continue
        why = _refusal(arrival)
        release = _release(arrival, now)
        if not why:
            try:
                made.append(check(release))
            except BadRequest as error:
                why = error.message
        if why:
            skipped.append(Skipped(*_names(arrival), why))
    return made, skipped


def built_on(build_id: str) -> datetime | None:
    """The day that a build id begins with, if it is a date."""
    if not _STAMP.fullmatch(build_id):
        return None
    try:
        return datetime.strptime(build_id[:8], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _names(arrival: Arrival) -> tuple[str, str, str, str]:
    return arrival.application, arrival.channel, arrival.version, arrival.build_id


def _refusal(arrival: Arrival) -> str:
    if arrival.application in MIXED or arrival.channel in MIXED:
        return "Many kinds of builds share this application or channel."
    if not is_version(arrival.version):
        return "The version is no number, so nobody can tell what came before it."
    return ""


def _release(arrival: Arrival, now: datetime) -> Release:
    built = built_on(arrival.build_id)
    release = Release(*_names(arrival), arrival.since, origin="inferred", changed_at=now)
    if arrival.hours_before < LEAST_HOURS_BEFORE:
        known = built is not None and built <= arrival.since
        when = (
            "the time is the date in the build id" if known else "the time is when they were first seen here"
        )
        return msgspec.structs.replace(
            release,
            published_at=built if built is not None and known else arrival.since,
            status="excluded",
            note=f"Its first pings came before there was a history to compare with, or in an outage; {when}.",
        )
    if built is not None and arrival.since - built > LONGEST_SHELF:
        days = (arrival.since - built).days
        return msgspec.structs.replace(
            release, status="excluded", note=f"It came here {days} days after it was built."
        )
    return release
