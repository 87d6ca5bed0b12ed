"""Rates over time by version, as rows that Grafana makes lines of.

Versions are those that were published last: clients can make up any number of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.query.aggregates import unknown
from missioncontrol.query.published import named_by_builds
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.state.release_model import Release, group
from missioncontrol.web.address import INTERVALS, Interval
from missioncontrol.web.grafana.asked import Asked
from missioncontrol.web.measure.lookup import Course, Lookup, Selection
from missioncontrol.web.measure.question import floor
from missioncontrol.web.measure.sums import observed

MOST_VERSIONS = 20
USUAL_VERSIONS = 6
PER = "usage_hours"
_MOST_ROWS = 50_000
_FINE, _HOURLY = timedelta(hours=12), timedelta(days=14)


class Rate(msgspec.Struct, frozen=True):
    """One interval of a version. `time`: its start, in milliseconds since the epoch; null: nothing to divide by, and in
    all numbers: a gap begins.
    """

    time: int
    version: str
    rate: float | None
    """Per 1,000 usage hours."""
    count: float | None
    usage_hours: float | None


def newest_versions(releases: Iterable[Release], asked: Asked, most: int, now: datetime) -> tuple[str, ...]:
    """The versions of a channel that were published last by now and before the end of the span, the newest first."""
    end = min(asked.last, now)
    known = [v for v in group(releases) if asked.wants(v.application, v.channel) and v.published_at <= end]
    return tuple(dict.fromkeys(v.version for v in reversed(known)))[:most]


def rates(
    lookup: Lookup,
    registry: Registry,
    asked: Asked,
    measure: str,
    versions: Sequence[str],
    interval: str = "",
    releases: Iterable[Release] = (),
) -> list[Rate]:
    """The rates of these versions, by time, in whole intervals. Without an interval one that suits the span.

    asked: of one application and channel. releases: what is known of them: a build counts for the version that it was
    published as. A gap has one row without numbers, of its first interval, so that no line is drawn through it.
    Raises `BadRequest` (`unknown_measure`, `unknown_interval`, `too_many_versions`, `range_too_long`) and as
    `Lookup.points()`.
    """
    _refuse(registry, measure, versions, interval)
    if not versions:
        return []
    chosen = cast("Interval", interval) if interval else _usual_interval(asked)
    step = INTERVALS[chosen]
    of = Selection(
        asked.application,
        asked.channel,
        named=named_by_builds(releases, asked.application, asked.channel),
    )
    start, end = floor(asked.first, step), floor(asked.last, step) + step
    courses = lookup.points(of, measure, PER, "version", versions, start, end, chosen)
    if sum(len(course.places) for course in courses) > _MOST_ROWS:
        message = f"The range holds more than {_MOST_ROWS:,} intervals of versions."
        raise BadRequest("range_too_long", message, "Choose a longer interval or a shorter range.")
    step_s = int(step.total_seconds())
    found = [rate for course in courses for rate in _rates_of(course, registry.measures[measure], step_s)]
    return sorted(found, key=lambda rate: (rate.time, rate.version))


def _rates_of(course: Course, measure: Measure, step_s: int) -> Iterator[Rate]:
    """Where hours were used and nobody crashed there were no crashes, as on the pages."""
    version, before = course.group or "", None
    for place, value, hours in sorted(zip(course.places, course.values, course.per, strict=True)):
        if before is not None and place > before + step_s:
            yield Rate(1000 * (before + step_s), version, None, None, None)
        count = observed(value, hours, measure)
        yield Rate(
            1000 * place, version, 1000 * count / hours if hours and count is not None else None, count, hours
        )
        before = place


def _usual_interval(asked: Asked) -> Interval:
    span = asked.last - asked.first
    return "5min" if span <= _FINE else "hour" if span <= _HOURLY else "day"


def _refuse(registry: Registry, measure: str, versions: Sequence[str], interval: str) -> None:
    for name in (measure, PER):
        if name not in registry.measures:
            raise unknown("measure", name, registry.measures)
    if interval and interval not in INTERVALS:
        raise unknown("interval", interval, INTERVALS)
    if len(versions) > MOST_VERSIONS:
        raise BadRequest("too_many_versions", f"At most {MOST_VERSIONS} versions at once.", "Choose fewer.")
