"""Queries to begin with: those of the documentation, and two in DuckDB's SQL with parameters."""

from __future__ import annotations

import msgspec

from missioncontrol.web.sql.view import SqlForm


class Example(msgspec.Struct, frozen=True):
    """A query and what it answers."""

    title: str
    form: SqlForm


EXAMPLES = (
    Example(
        "Main crashes per 1,000 hours by day",
        SqlForm(
            """SELECT submission_date, sum(main_crashes) AS main_crashes, sum(usage_hours) AS usage_hours,
       1000 * sum(main_crashes) / sum(usage_hours) AS rate
FROM error_aggregates
WHERE application = {{application}} AND channel = {{channel}}
  AND submission_date >= current_date - {{days:number}}
GROUP BY 1 ORDER BY 1""",
            values={"application": "Firefox", "channel": "release", "days": "14"},
        ),
    ),
    Example(
        "Signatures of the last days",
        SqlForm(
            """SELECT signature, sum(crashes) AS crashes, count(DISTINCT version) AS versions
FROM crash_signature_counts
WHERE application = {{application}} AND submission_date >= current_date - {{days:number}}
GROUP BY 1 ORDER BY 2 DESC LIMIT 50""",
            values={"application": "Firefox", "days": "7"},
        ),
    ),
    Example(
        "Rates by channel",
        SqlForm(
            """SELECT dimensions['channel'] AS channel, sum(stats['usage_hours']) AS usage_hours,
       1000 * sum(stats['main_crashes']) / sum(stats['usage_hours']) AS rate
FROM crash_aggregates GROUP BY dimensions['channel']""",
            "presto",
        ),
    ),
    Example(
        "Plugin crashes per hour on nightly, one day",
        SqlForm(
            """SELECT sum(stats['plugin_crashes']) / sum(stats['usage_hours']) FROM crash_aggregates
WHERE dimensions['channel'] = 'nightly' AND activity_date = '2016-03-14'""",
            "presto",
        ),
    ),
    Example(
        "Rates of recent builds",
        SqlForm(
            """WITH channel_rates AS (
  SELECT dimensions['build_id'] AS build_id, sum(stats['main_crashes']) AS main_crashes,
         sum(stats['usage_hours'])/1000 AS usage_kilohours, dimensions['e10s_cohort'] AS e10s_cohort
  FROM crash_aggregates
  WHERE dimensions['experiment_id'] is null AND regexp_like(dimensions['build_id'], '^\\d{14}$')
    AND dimensions['build_id'] > date_format(date_add('day', -120, now()), '%Y%m%d')
    AND dimensions['channel'] = 'nightly'
  GROUP BY dimensions['build_id'], dimensions['e10s_cohort'])
SELECT parse_datetime(build_id, 'yyyyMMddHHmmss') AS build_date, e10s_cohort,
       sum(main_crashes) AS crashes, sum(main_crashes)/sum(usage_kilohours) AS rate
FROM channel_rates WHERE usage_kilohours > 0
GROUP BY 1, 2 HAVING sum(usage_kilohours) > 0 ORDER BY 1, 2""",
            "presto",
        ),
    ),
    Example(
        "Main crashes per hour on nightly, one day",
        SqlForm(
            """SELECT sum(main_crashes) / sum(usage_hours) FROM crash_aggregates
WHERE dimensions->>'channel' = 'nightly' AND submission_date = '2016-03-14'""",
            "postgres",
        ),
    ),
)
