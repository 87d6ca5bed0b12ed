"""When each build began to arrive: the first time from which pings of it came steadily.

Reads sums of `error_aggregates` by 5-minute window of arrival and looks at nothing else, so that neither the order of
its rows nor how they are cut into commits matters.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span

TABLE = "error_aggregates"
STRETCH_S, STRETCHES = 1800, 4
"""Steady is: so many half hours one after another with enough pings each. A tester's run rarely lasts two hours, and
publication is known two hours after it."""
LEAST_PINGS = 10
"""In each half hour: below that, nothing could be said of the build anyway."""
LEAST_SHARE = 0.001
"""Of the channel's pings in each half hour. Builds that testers run before publication, and those that only a few never
left, have less; a rollout to one user in a hundred has more as soon as sessions of it end."""
ONSET_SHARE = 0.1
"""The first window has at least that share of what windows of its half hour have on average: a single ping before the
rest is no beginning."""
HISTORY_S = 86_400
"""How far back `Arrival.hours_before` looks: a whole day, for some are silent at night."""
_EARLY_S = 86_400
"""What arrived longer than this before the build was made came while a clock was wrong. A day, since build ids are
dates in some time zone."""


class Arrival(msgspec.Struct, frozen=True):
    """A build that arrived steadily."""

    application: str
    channel: str
    version: str
    build_id: str
    """Empty where pings say none."""
    since: datetime
    """Start of the first window."""
    hours_before: int
    """In how many clock hours of the day before it the channel had pings; few: nobody could have seen the beginning."""


Channel = tuple[str, str]
"""Application and channel."""


def channels(engine: Engine) -> list[Channel]:
    """All that pings came of; those that say none of the two are left out. Raises as `Engine.over()` does."""
    return [(application, channel) for application, channel in engine.over(TABLE, _CHANNELS)]


def arrivals(
    engine: Engine,
    since: datetime | None,
    until: datetime,
    of: Channel | None = None,
    build_ids: list[str] | None = None,
) -> list[Arrival]:
    """The steady arrivals in windows that began at `since` or later and had ended by `until`, by time.

    Of a build that arrived steadily before `since` too, `Arrival.since` is about where the windows begin. `of`,
    `build_ids`: only of these. Without either a whole history takes much time and memory. Raises as `Engine.over()`.
    """
    last = until - timedelta(seconds=WINDOW_S)
    first = since or datetime(1970, 1, 1, tzinfo=UTC)
    application, channel = of or ("", "")
    wanted = (first, last, of is None, application, channel, build_ids is None, build_ids or [""])
    rows = engine.over(TABLE, _SQL, wanted, Span(since, last))
    found = [
        Arrival(application, channel, version, build_id, datetime.fromtimestamp(begins, UTC), hours)
        for application, channel, version, build_id, begins, hours in rows
    ]
    return sorted(found, key=lambda a: (a.since, a.application, a.channel, a.version, a.build_id))


def _stretches(column: str, by: str) -> str:
    """For each stretch from a row on, the sum over its windows."""
    return ",\n    ".join(
        f"sum(pings) OVER (PARTITION BY {by} ORDER BY begins RANGE BETWEEN {k * STRETCH_S} FOLLOWING"
        f" AND {(k + 1) * STRETCH_S - 1} FOLLOWING) AS {column}{k}"
        for k in range(STRETCHES)
    )


_STEADY = " AND ".join(f"b{k} >= {LEAST_PINGS} AND b{k} >= {LEAST_SHARE} * c{k}" for k in range(STRETCHES))

_CHANNELS = """
SELECT DISTINCT application, channel FROM {relation}
WHERE application IS NOT NULL AND channel IS NOT NULL ORDER BY ALL
"""
_SQL = rf"""
WITH sums AS (
  SELECT application, channel, version, coalesce(build_id, '') AS build_id,
    epoch_us(window_start) // 1000000 AS begins, sum("count") AS pings
  FROM {{relation}}
  WHERE window_start BETWEEN ? AND ? AND "count" > 0
    AND application IS NOT NULL AND channel IS NOT NULL AND (? OR (application = ? AND channel = ?))
  GROUP BY ALL
), channels AS (
  SELECT application, channel, begins, sum(pings) AS pings FROM sums GROUP BY ALL
), totals AS (
  SELECT application, channel, begins,
    {_stretches("c", "application, channel")}
  FROM channels
), wanted AS (
  SELECT * FROM sums
  WHERE version IS NOT NULL AND (? OR list_contains(?, build_id)) AND begins >= coalesce(epoch(CASE
    WHEN regexp_full_match(build_id, '20\d{{6}}(\d\d){{0,3}}') THEN try_strptime(build_id[:8], '%Y%m%d')
  END) - {_EARLY_S}, begins)
), builds AS (
  SELECT *,
    {_stretches("b", "application, channel, version, build_id")}
  FROM wanted
), steady AS (
  SELECT application, channel, version, build_id, min(begins) AS since
  FROM builds JOIN totals USING (application, channel, begins)
  WHERE {_STEADY} AND pings >= {ONSET_SHARE} * b0 * {WINDOW_S} / {STRETCH_S}
  GROUP BY ALL
)
SELECT steady.application, steady.channel, version, build_id, since, count(DISTINCT channels.begins // 3600)
FROM steady LEFT JOIN channels ON channels.application = steady.application
  AND channels.channel = steady.channel AND channels.begins >= since - {HISTORY_S} AND channels.begins < since
GROUP BY ALL
"""
