"""SQL of Presto and PostgreSQL over the predecessors' tables: the values that those engines give."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from typing import Any

import pytest
from query_lake import SmallLake, row

from missioncontrol.config import Query
from missioncontrol.query.sql import SqlRunner

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
    "SELECT count(*) FROM crash_aggregates WHERE submission_date >= cast(date '2016-03-15' - interval '1' day AS varchar)": [(4,)],
    "SELECT count(*) FROM crash_aggregates WHERE submission_date < current_date - interval '7' day": [(4,)],
    "SELECT k, n FROM crash_aggregates CROSS JOIN UNNEST(dimensions) WITH ORDINALITY AS t(k, v, n) WHERE v = '20160301'": [("build_id", 2)],
    "SELECT greatest(1, null, 3), greatest(1, 2.5), least(greatest(1, 4), 3), concat_ws('-', 'a', null, 'b')": [(None, 2.5, 3, "a-b")],
    "SELECT extract(year_of_week FROM date '2016-01-01'), day_of_week(date '2016-03-13'), date_diff('month', date '2016-01-31', date '2016-03-01')": [
        (2015, 7, 1)],
    "SELECT split_to_map('a=1,b=2', ',', '=')['b'], split_part('a', ',', 2), format('%s of %,d', 3, 12345)": [("2", None, "3 of 12,345")],
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
    'SELECT 7/2, 7/2/2': [(3, 1)],
    "SELECT regexp_extract('a1','z')": [(None,)],
    "SELECT regexp_replace('a1b2','([a-z])([0-9])','$2$1')": [('1a2b',)],
    "SELECT split_part('a,b', ',', 5)": [(None,)],
    "SELECT split('a,b,c', ',', 2)": [(['a', 'b,c'],)],
    "SELECT date_add('day', -120, DATE '2016-03-14')": [('2015-11-15',)],
    "SELECT cast(date_add('day', -1, DATE '2016-03-14') AS varchar)": [('2016-03-13',)],
    "SELECT cast(DATE '2016-03-14' - interval '1' day AS varchar)": [('2016-03-13',)],
    "SELECT date_trunc('week', DATE '2016-03-16')": [('2016-03-14',)],
    "SELECT date_diff('hour', TIMESTAMP '2016-03-01 00:59:00', TIMESTAMP '2016-03-01 01:01:00')": [(0,)],
    "SELECT extract(dow FROM DATE '2016-03-13')": [(7,)],
    'SELECT slice(ARRAY[1,2,3],2,2)': [([2, 3],)],
    'SELECT cast(random(10) AS bigint) BETWEEN 0 AND 9, count_if(random(1000000) > 1) > 0 FROM (VALUES 1,2,3) t(x)': [(True, True)],
    'SELECT reduce(ARRAY[1,2,3], 0, (s, x) -> s + x, s -> s * 10)': [(60,)],
    "SELECT x, y FROM UNNEST(ARRAY['a','b'], ARRAY[1,2]) AS t(x, y) ORDER BY 1": [('a', 1), ('b', 2)],
    "SELECT TIMESTAMP '2016-03-01 01:02:03.5'": [('2016-03-01T01:02:03.500000Z',)],
    "SELECT parse_datetime('2016-03-01T02', 'yyyy-MM-dd''T''HH')": [('2016-03-01T02:00:00Z',)],
    "SELECT format_datetime(TIMESTAMP '2016-03-01 03:02:17', 'd MMM yyyy H:mm')": [('1 Mar 2016 3:02',)],
    "SELECT date_format(TIMESTAMP '2016-03-01 13:02:17', '%i %s %k %e %c %M %T %W')": [('02 17 13 1 3 March 13:02:17 Tuesday',)],
    "SELECT format('%s-%05d-%.2f', 'a', 3, 1.5)": [('a-00003-1.50',)],
    "SELECT any_match(ARRAY[1,2], x -> x > 1), map_filter(map(ARRAY['a','b'],ARRAY[1,2]), (k,v) -> v > 1)": [(True, {'b': 2})],
    "SELECT map_agg(x, y) FROM (VALUES ('a',1)) t(x,y)": [({'a': 1},)],
    'SELECT cast(1.5 AS decimal)': [(2,)],
}  # fmt: skip
POSTGRES = {
    "SELECT sum(main_crashes) / sum(usage_hours) FROM crash_aggregates WHERE dimensions->>'channel' = 'nightly' AND submission_date = '2016-03-14'": [
        (0.03,)],
    "SELECT dimensions->>'channel' AS c, sum((stats->>'usage_hours')::float), sum(stats->>'main_crashes') FROM aggregates GROUP BY 1 ORDER BY c DESC": [
        ("nightly", 200.0, 6.0), ("beta", 1000.0, 9.0)],
    "SELECT count(*) FROM crash_aggregates WHERE dimensions ? 'experiment_id'": [(1,)],
    "SELECT sum(main_crashes) / sum(count), sum(count) / 4, 1000 * sum(main_crashes) / sum(count) FROM error_aggregates": [(3.5, 0.5, 3500.0)],
    "SELECT sum(CASE WHEN main_crashes > 8 THEN 1 ELSE 0 END) / count(*), count(*) / 2, (sum(main_crashes) FILTER (WHERE count = 2)) / 2 FROM error_aggregates": [
        (0, 0, 3.5)],
    "WITH s AS (SELECT sum(main_crashes) AS m, sum(count) AS n FROM error_aggregates) SELECT m / n, m FROM s": [(3.5, 7)],
    "SELECT channel, sum(main_crashes) OVER (PARTITION BY channel) / 2 FROM error_aggregates GROUP BY channel, main_crashes": [("beta", 3.5)],
    "SELECT channel FROM error_aggregates GROUP BY channel HAVING sum(main_crashes) > 6 ORDER BY sum(main_crashes) DESC": [("beta",)],
    "SELECT dimensions #>> '{channel}', c.stats #>> '{usage_hours}' FROM crash_aggregates c WHERE dimensions->>'channel' = 'beta'": [("beta", "1000.0")],
    "SELECT e.key FROM crash_aggregates c CROSS JOIN LATERAL jsonb_each_text(c.dimensions) AS e(key, value) WHERE e.value = '20160301'": [("build_id",)],
    "SELECT m[1] || m[2] FROM regexp_matches('a1b2', '([a-z])([0-9])', 'g') AS m": [("a1",), ("b2",)],
    "SELECT regexp_matches('xyz', '[0-9]')": [],
    "SELECT (regexp_match('AbC', 'B(c)', 'i'))[1], format('%2$s %1$s 100%%', 'a', 7), to_char(date '2016-05-02', 'Month|FMMonth|FMDD')": [
        ("C", "7 a 100%", "May      |May|2")],
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
    "SELECT extract(epoch FROM timestamp '1970-01-02'), 'abc' SIMILAR TO 'a.*', '5'::int + 1": [(86400.0, False, 6)],
    'SELECT 7/2, 7/2/2': [(3, 1)],
    'SELECT 1.2345::numeric': [(1.2345,)],
    "SELECT 'abc' SIMILAR TO '(a|x)%', 'ac' SIMILAR TO 'a_'": [(True, True)],
    "SELECT to_char(DATE '2016-03-01','FMDD Mon YYYY')": [('1 Mar 2016',)],
    "SELECT substring('abc123' from '[0-9]+')": [('123',)],
    "SELECT (regexp_matches('a1b2','([a-z])([0-9])'))[2]": [('1',)],
    "SELECT 1 = ANY('{1,2}'::int[]), ARRAY[1,2] || 3": [(True, [1, 2, 3])],
    "SELECT every(x > 0), string_agg(x::text, ',' ORDER BY x DESC) FROM (VALUES (1),(2)) t(x)": [(True, '2,1')],
    'SELECT a FROM (VALUES (1),(NULL)) t(a) ORDER BY a DESC': [(None,), (1,)],
    "SELECT format('%s-%s', 'a', 3), array_length(ARRAY[1,2],1)": [('a-3', 2)],
    "SELECT d::date FROM generate_series('2016-03-01'::date, '2016-03-02'::date, '1 day') AS g(d)": [('2016-03-01',), ('2016-03-02',)],
    "SELECT to_timestamp('20160301','YYYYMMDD')": [('2016-03-01T00:00:00Z',)],
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
