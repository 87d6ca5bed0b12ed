"""Rates over time by version, as rows that Grafana makes lines of.

Versions are those that were published last: clients can make up any number of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.query.aggregates import AggregateQuery, unknown
from missioncontrol.query.engine import Engine
from missioncontrol.query.filters import TextFilter, WindowFilter, parse_instant
from missioncontrol.registry.model import Measure, Registry
from missioncontrol.state.release_model import Release, group
from missioncontrol.web.grafana.asked import Asked, milliseconds
from missioncontrol.web.measure.sums import observed

MOST_VERSIONS = 20
USUAL_VERSIONS = 6
PER = "usage_hours"
INTERVALS = {"5min": 300, "hour": 3600, "day": 86400}
_MOST_ROWS = 50_000
_FINE, _HOURLY = timedelta(hours=12), timedelta(days=14)


class Rate(msgspec.Struct, frozen=True):
    """One interval of a version. `time`: its start, in milliseconds since the epoch; null: nothing to divide by."""

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
    engine: Engine, asked: Asked, measure: str, versions: Sequence[str], interval: str = ""
) -> list[Rate]:
    """The rates of these versions, by time. Without an interval one that suits the span.

    Raises `BadRequest` (`unknown_measure`, `unknown_interval`, `too_many_versions`, `range_too_long`) and as
    `Engine.aggregate()`.
    """
    _refuse(engine.registry(), measure, versions, interval)
    if not versions:
        return []
    query = AggregateQuery(
        measures=tuple(dict.fromkeys((measure, PER))),
        dimensions=("window_start", "version"),
        filters=(
            *(TextFilter(n, "in", (v,)) for n, v in _places(asked)),
            TextFilter("version", "in", tuple(versions)),
            TextFilter("experiment_id", "null"),
            WindowFilter("range", (asked.first, asked.last)),
        ),
        limit=_MOST_ROWS,
        interval_s=INTERVALS[interval or _usual_interval(asked)],
    )
    with engine.aggregate(query, narrow=True) as rows:
        names = [column.name for column in rows.columns]
        declared = engine.registry().measures[measure]
        found = [_rate(dict(zip(names, row, strict=True)), declared) for b in rows.batches() for row in b]
        if not rows.complete:  # what is cut off is the newest
            message = f"The range holds more than {_MOST_ROWS:,} intervals of versions."
            raise BadRequest("range_too_long", message, "Choose a longer interval or a shorter range.")
    return sorted(found, key=lambda rate: (rate.time, rate.version))


def _rate(row: dict[str, object], measure: Measure) -> Rate:
    """Where hours were used and nobody crashed there were no crashes, as on the pages."""
    start = row["window_start"]
    moment = start if isinstance(start, datetime) else parse_instant("window_start", str(start))
    hours = _number(row[PER])
    count = observed(_number(row[measure.name]), hours, measure)
    rate = 1000 * count / hours if hours and count is not None else None
    return Rate(milliseconds(moment), str(row["version"]), rate, count, hours)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _places(asked: Asked) -> list[tuple[str, str]]:
    places = (("application", asked.application), ("channel", asked.channel))
    return [(name, value) for name, value in places if value is not None]


def _usual_interval(asked: Asked) -> str:
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
