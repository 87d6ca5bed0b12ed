"""Replays the past of a channel, release by release, each from the sums that were known of it and those before it.

Reads the lake once a release, so that memory is that of one release and its predecessors. Needs the statistics, so only
commands call it, never the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from missioncontrol.errors import NotFound
from missioncontrol.health.calibration import Calibration, PastRelease, Replayed, calibrated, replayed
from missioncontrol.health.judging import judged
from missioncontrol.health.model import Subject
from missioncontrol.health.sums import measured, read_sums
from missioncontrol.query.engine import Engine
from missioncontrol.state.release_model import Release, group


def calibrate(
    engine: Engine,
    releases: Sequence[Release],
    application: str,
    channel: str,
    measures: Sequence[str] | None,
    now: datetime,
    done: Callable[[PastRelease], None] = lambda _: None,
) -> list[Calibration]:
    """The calibration of each measure (None: all that can be judged) on the releases of a channel published by `now`.

    `done` is told of each release that is through. Raises `NotFound` (`no_release`) where the channel has none,
    `BadRequest` (`not_judged`, `query_memory`), `TooSlow` and `StorageError`.
    """
    names = [measure.name for measure in measured(engine.registry(), measures)]
    past = past_releases(releases, application, channel, now)
    if not past:
        raise NotFound(
            "no_release",
            f"No release of {application} on {channel} is known to have been published.",
            "Say what was published: missioncontrol import releases FILE.",
        )
    found: dict[str, list[tuple[PastRelease, Replayed | None]]] = {name: [] for name in names}
    for release in past:
        sums = read_sums(engine, releases, application, channel, now, [release.version], names)
        for name in names:
            subject = Subject(application, channel, release.version, name)
            told = judged(sums, subject, now)
            found[name].append((release, replayed(release, told.course, told.claims)))
        done(release)
    made = [calibrated(application, channel, name, outcomes, now) for name, outcomes in found.items()]
    return [one for one in made if one.releases]


def past_releases(
    releases: Sequence[Release], application: str, channel: str, now: datetime
) -> list[PastRelease]:
    """The versions of a channel that were published by `now`, oldest first, with what is said of them."""
    versions = group(one for one in releases if (one.application, one.channel) == (application, channel))
    return [
        PastRelease(one.version, one.published_at, one.status, one.note, one.changed_by)
        for one in versions
        if one.published_at <= now
    ]
