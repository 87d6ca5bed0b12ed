"""SQL of Presto and PostgreSQL over the predecessors' tables: the values that those engines give."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from query_lake import SmallLake, row

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.query.sql import SqlRunner
from missioncontrol.query.time_formats import joda_format

DAY = date(2016, 3, 14)
NEW = f"{date.today() - timedelta(days=5):%Y%m%d}093000"  # noqa: DTZ011 - a build of late


def crash(channel: str, hours: float, crashes: float, **dimensions: str) -> dict[str, Any]:
    return {
        "activity_date": DAY - timedelta(days=channel == "beta"),
        "submission_date": DAY,
        "dimensions": list({"channel": channel, **dimensions}.items()),
        "stats": list({"usage_hours": hours, "main_crashes": crashes, "plugin_crashes": 2 * crashes}.items()),
    }


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> SmallLake:
    lake = SmallLake(tmp_path_factory.mktemp("dialects"))
    lake.add(
        [
            crash("nightly", 100.0, 4.0, build_id=NEW, e10s_cohort="test"),
            crash("nightly", 50.0, 1.0, build_id=NEW, e10s_cohort="control"),
            crash("nightly", 50.0, 1.0, build_id=NEW, e10s_cohort="control", experiment_id="x"),
            crash("beta", 1000.0, 9.0, build_id="20160301"),
        ],
        "crash_aggregates",
    )
    lake.add([row(0, channel="beta", main_crashes=7, count=2, usage_hours=2.0)])
    return lake


def ask(lake: SmallLake, dialect: str, query: str) -> Any:
    sink = io.BytesIO()
    SqlRunner(lake.reader, lambda: lake.registry, Query(), lake.folder / "spill").run(
        query, sink, dialect=dialect
    )
    return [tuple(r.values()) for r in json.loads(sink.getvalue())]


PRESTO = {
    "SELECT dimensions['channel'] AS channel, sum(stats['usage_hours']) AS h, 1000 * sum(stats['main_crashes']) / sum(stats['usage_hours']) AS r"
    " FROM crash_aggregates GROUP BY dimensions['channel'] ORDER BY 1": [("beta", 1000.0, 9.0), ("nightly", 200.0, 30.0)],
    "SELECT sum(stats['plugin_crashes']) / sum(stats['usage_hours']) FROM crash_aggregates"
    " WHERE dimensions['channel'] = 'nightly' AND activity_date = '2016-03-14'": [(0.06,)],
    "SELECT sum(plugin_crashes) / sum(usage_hours) FROM aggregates WHERE element_at(dimensions, 'channel') = 'nightly';": [(0.06,)],
    r"""WITH channel_rates AS (
        SELECT dimensions['build_id'] AS build_id, sum(stats['main_crashes']) AS main_crashes,
               sum(stats['usage_hours']) / 1000 AS usage_kilohours, dimensions['e10s_cohort'] AS e10s_cohort
        FROM crash_aggregates
        WHERE dimensions['experiment_id'] is null AND regexp_like(dimensions['build_id'], '^\d{14}$')
          AND dimensions['build_id'] > date_format(date_add('day', -120, now()), '%Y%m%d') AND dimensions['channel'] = 'nightly'
        GROUP BY dimensions['build_id'], dimensions['e10s_cohort'])
    SELECT parse_datetime(build_id, 'yyyyMMddHHmmss') AS build_date, e10s_cohort, sum(main_crashes) AS crashes,
           sum(main_crashes) / sum(usage_kilohours) AS rate
    FROM channel_rates WHERE usage_kilohours > 0 GROUP BY 1, 2 HAVING sum(usage_kilohours) > 0 ORDER BY 1, 2""": [
        (f"{NEW[:4]}-{NEW[4:6]}-{NEW[6:8]}T09:30:00Z", "control", 1.0, 20.0),
        (f"{NEW[:4]}-{NEW[4:6]}-{NEW[6:8]}T09:30:00Z", "test", 4.0, 40.0),
    ],
    "SELECT count(*) FROM crash_aggregates WHERE submission_date LIKE '2016-03%' AND substr(activity_date, 9, 2) = '13'": [(1,)],
    "SELECT count(*) FROM crash_aggregates WHERE date_parse(submission_date, '%Y-%m-%d') > timestamp '2016-03-01 00:00:00'": [(4,)],
    "SELECT count(*) FROM crash_aggregates WHERE submission_date > date_format(now() - interval '7' day, '%Y-%m-%d')": [(0,)],
    "SELECT count(*) FROM crash_aggregates WHERE submission_date = DATE '2016-03-14' AND date(activity_date) < from_iso8601_date(submission_date)": [(1,)],
    "SELECT count(*) FROM crash_aggregates WHERE cast(submission_date as date) BETWEEN date '2016-03-01' AND date '2016-03-31'": [(4,)],
    "SELECT k, count(*) FROM crash_aggregates CROSS JOIN UNNEST(dimensions) AS t(k, v) GROUP BY k ORDER BY 2 DESC, 1": [
        ("build_id", 4), ("channel", 4), ("e10s_cohort", 3), ("experiment_id", 1)],
    "SELECT x FROM UNNEST(ARRAY[3, 4]) AS t(x)": [(3,), (4,)],
    "SELECT approx_distinct(dimensions['channel']), approx_distinct(dimensions['channel'], 0.01) FROM crash_aggregates": [(2, 2)],
    "SELECT cardinality(dimensions) FROM crash_aggregates WHERE dimensions['channel'] = 'beta'": [(2,)],
    "SELECT 7 / 2, 7.0 / 2, -7 / 2, count(*) / 3 FROM crash_aggregates": [(3.0, 3.5, -3.0, 1.0)],
    "SELECT sum(main_crashes) / sum(count) FROM error_aggregates_v2 WHERE channel = 'beta'": [(3.0,)],
    "SELECT regexp_replace('a-b-c', '-', '+'), regexp_extract('v45.0', '(\\d+)', 1), split_part('a,b', ',', 2), strpos('abc', 'c')": [
        ("a+b+c", "45", "b", 3)],
    "SELECT count_if(usage_hours > 60), max_by(dimensions['channel'], usage_hours), arbitrary(1) FROM crash_aggregates": [(2, "beta", 1)],
    "SELECT format_datetime(timestamp '2016-03-14 05:06:07', 'yyyy/MM/dd HH''h'''), date_format(timestamp '2016-03-14 05:06:07', '%H:%i:%s')": [
        ("2016/03/14 05h", "05:06:07")],
    "SELECT date_diff('day', date '2016-03-01', date '2016-03-14'), cast(date_trunc('month', date '2016-03-14') AS date), if(1 = 1, 'y', 'n'), try_cast('x' AS bigint)": [
        (13, "2016-03-01", "y", None)],
    "SELECT to_unixtime(from_unixtime(100)), json_extract_scalar('{\"a\": \"b\"}', '$.a'), greatest(1, 2), coalesce(null, 'c') || ';--'": [
        (100.0, "b", 2, "c;--")],
    "SELECT channel, n, sum(n) OVER (ORDER BY channel) FROM (VALUES ('a', 1), ('b', 2)) AS t(channel, n) -- a comment": [("a", 1, 1), ("b", 2, 3)],
}  # fmt: skip
POSTGRES = {
    "SELECT sum(main_crashes) / sum(usage_hours) FROM crash_aggregates WHERE dimensions->>'channel' = 'nightly' AND submission_date = '2016-03-14'": [
        (0.03,)],
    "SELECT dimensions->>'channel' AS c, sum((stats->>'usage_hours')::float), sum(stats->>'main_crashes') FROM aggregates GROUP BY 1 ORDER BY c DESC": [
        ("nightly", 200.0, 6.0), ("beta", 1000.0, 9.0)],
    "SELECT count(*) FROM crash_aggregates WHERE dimensions ? 'experiment_id'": [(1,)],
    "SELECT count(*) FROM crash_aggregates WHERE dimensions @> '{\"channel\": \"nightly\", \"e10s_cohort\": \"control\"}'": [(2,)],
    "SELECT count(*) FROM crash_aggregates WHERE dimensions->>'build_id' ~ '^\\d{8}$' OR dimensions->>'channel' ILIKE 'BETA'": [(1,)],
    "SELECT DISTINCT jsonb_object_keys(dimensions) AS k FROM crash_aggregates ORDER BY 1": [("build_id",), ("channel",), ("e10s_cohort",), ("experiment_id",)],
    "SELECT submission_date - activity_date, date_trunc('month', submission_date)::date FROM crash_aggregates WHERE dimensions->>'channel' = 'beta'": [
        (1, "2016-03-01")],
    "SELECT count(*) FROM crash_aggregates WHERE submission_date > now() - interval '7 days'": [(0,)],
    "SELECT 7 / 2, 7 / 2.0, to_char(timestamp '2016-03-14 05:06:07', 'YYYY-MM-DD HH24:MI'), substring('20160314' from 1 for 4)": [
        (3.0, 3.5, "2016-03-14 05:06", "2016")],
    "SELECT string_agg(c, ',' ORDER BY c) FROM (SELECT DISTINCT ON (dimensions->>'channel') dimensions->>'channel' AS c FROM crash_aggregates) q": [
        ("beta,nightly",)],
    "SELECT count(*) FILTER (WHERE usage_hours > 60), percentile_cont(0.5) WITHIN GROUP (ORDER BY usage_hours) FROM crash_aggregates": [(2, 75.0)],
    "SELECT extract(epoch FROM timestamp '1970-01-02'), 'abc' SIMILAR TO 'a.*', '5'::int + 1": [(86400.0, True, 6)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "query", "expected"),
    [*(("presto", q, e) for q, e in PRESTO.items()), *(("postgres", q, e) for q, e in POSTGRES.items())],
)
def test_queries_give_the_values_of_their_engine(
    old: SmallLake, dialect: str, query: str, expected: Any
) -> None:
    found = ask(old, dialect, query)
    assert [tuple(pytest.approx(v) if isinstance(v, float) else v for v in r) for r in expected] == found


@pytest.mark.parametrize("dialect", ["presto", "postgres"])
@pytest.mark.parametrize(
    "query",
    [
        "COPY crash_aggregates TO '/tmp/x'", "ATTACH '/tmp/x'", "SET enable_external_access = true", "INSTALL httpfs",
        "DROP TABLE pings", "DELETE FROM pings", "CREATE TABLE x AS SELECT 1", "CALL pragma_version()", "PRAGMA version",
        "SELECT 1; SELECT 2", "SELECT * FROM read_parquet('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')",
        "SELECT getenv('HOME')", "SELECT * FROM query('SELECT 1')", "SELECT pg_read_file('/etc/passwd')", "FROM '/etc/passwd'",
        "WITH pings AS (SELECT * FROM read_csv('/etc/passwd')) SELECT * FROM pings", "EXPLAIN SELECT 1", "", ";", "SELECT FROM WHERE",
        "SELECT * FROM nowhere", "SELECT " + "(" * 3000 + "1" + ")" * 3000, "SELECT 'open",
    ],
)  # fmt: skip
def test_nothing_else_gets_past_the_fence(old: SmallLake, dialect: str, query: str, tmp_path: Path) -> None:
    with pytest.raises(MissionControlError) as refused:
        ask(old, dialect, query)
    assert 400 <= refused.value.status < 500
    assert "\x1b" not in refused.value.message
    assert len(refused.value.message) < 1200


def test_an_error_says_what_was_run(old: SmallLake) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(old, "presto", "SELECT no_such_function(stats['x']) FROM crash_aggregates")
    assert refused.value.code == "sql_failed"
    assert refused.value.hint.startswith("Translated from presto: SELECT")


def test_a_huge_query_is_refused_or_answered_in_time(old: SmallLake) -> None:
    query = "SELECT " + " + ".join(["1"] * 50_000)
    with pytest.raises(MissionControlError) as refused:
        ask(old, "presto", query)
    assert 400 <= refused.value.status < 600


@pytest.mark.parametrize(
    ("joda", "duckdb"),
    [
        ("yyyyMMddHHmmss", "%Y%m%d%H%M%S"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%g"),
        ("d MMM yy '100%'", "%-d %b %y 100%%"),
        ("''yyyy''", "'%Y'"),
    ],
)
def test_formats_of_java_become_those_of_duckdb(joda: str, duckdb: str) -> None:
    assert joda_format(joda) == duckdb


def test_an_unknown_letter_of_a_format_is_told() -> None:
    with pytest.raises(BadRequest, match="'Q'"):
        joda_format("yyyy-QQ")
