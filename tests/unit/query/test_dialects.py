"""Queries written for Presto and PostgreSQL, translated and run in the real worker process."""

import io
import json
from datetime import date
from typing import Any

import pytest
from query_lake import SmallLake

from missioncontrol.config import Query
from missioncontrol.errors import MissionControlError
from missioncontrol.lake.tables import CRASH_STATS
from missioncontrol.query.sql import SqlRunner


def crash_row(day: int, dimensions: dict[str, str], **stats: float) -> dict[str, Any]:
    when = date(2016, 3, day)
    return {
        "submission_date": when,
        "activity_date": when,
        "dimensions": list(dimensions.items()),
        "stats": list({**dict.fromkeys(CRASH_STATS, 0.0), **stats}.items()),
    }


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> SmallLake:
    lake = SmallLake(tmp_path_factory.mktemp("crashes"))
    nightly = {"channel": "nightly", "build_id": "20160314030201", "e10s_cohort": "test"}
    lake.add(
        [
            crash_row(14, nightly, usage_hours=200.0, main_crashes=3.0, plugin_crashes=5.0),
            crash_row(14, {"channel": "release", "build_id": "2016"}, usage_hours=1000.0, main_crashes=1.0),
        ],
        "crash_aggregates",
    )
    lake.add([crash_row(15, nightly, usage_hours=300.0, main_crashes=2.0)], "crash_aggregates")
    return lake


def run(lake: SmallLake, query: str, dialect: str) -> Any:
    sink = io.BytesIO()
    settings = Query(threads=1, memory_limit_mb=256, timeout_s=20)
    SqlRunner(lake.reader, lambda: lake.registry, settings, lake.folder / "spill").run(
        query, sink, dialect=dialect
    )
    return json.loads(sink.getvalue())


def values(lake: SmallLake, query: str, dialect: str) -> list[list[Any]]:
    return [list(row.values()) for row in run(lake, query, dialect)]


def refusal(lake: SmallLake, query: str, dialect: str) -> MissionControlError:
    with pytest.raises(MissionControlError) as raised:
        run(lake, query, dialect)
    return raised.value


RATES = [
    "SELECT dimensions['channel'] AS channel, sum(stats['usage_hours']) AS usage_hours, "
    "1000 * sum(stats['main_crashes']) / sum(stats['usage_hours']) AS rate "
    "FROM crash_aggregates GROUP BY dimensions['channel']",
    "SELECT dimensions['channel'] AS channel, sum(usage_hours) AS usage_hours, "
    "1000 * sum(main_crashes) / sum(usage_hours) AS rate FROM aggregates GROUP BY dimensions['channel'];",
]
PLUGINS = [
    "SELECT sum(stats['plugin_crashes']) / sum(stats['usage_hours']) FROM crash_aggregates "
    "WHERE dimensions['channel'] = 'nightly' AND activity_date = '2016-03-14'",
    "SELECT sum(plugin_crashes) / sum(usage_hours) FROM crash_aggregates "
    "WHERE dimensions['channel'] = 'nightly' AND activity_date = '2016-03-14'",
]
BUILDS = r"""
WITH channel_rates AS (
  SELECT dimensions['build_id'] AS build_id, sum({crashes}) AS main_crashes, sum({hours})/1000 AS usage_kilohours,
    dimensions['e10s_cohort'] AS e10s_cohort
  FROM crash_aggregates
  WHERE dimensions['experiment_id'] is null
    AND regexp_like(dimensions['build_id'], '^\d{{14}}$')
    AND dimensions['build_id'] > date_format(date_add('day', {days}, now()), '%Y%m%d')
    AND dimensions['channel'] = 'nightly'
  GROUP BY dimensions['build_id'], dimensions['e10s_cohort'])
SELECT parse_datetime(build_id, 'yyyyMMddHHmmss') AS build_date, e10s_cohort, sum(main_crashes) AS crashes,
  sum(main_crashes)/sum(usage_kilohours) AS rate
FROM channel_rates WHERE usage_kilohours > 0
GROUP BY 1, 2 HAVING sum(usage_kilohours) > 0 ORDER BY 1, 2
"""


@pytest.mark.parametrize("query", RATES)
def test_rates_by_channel(crashes: SmallLake, query: str) -> None:
    found = sorted(run(crashes, query, "presto"), key=lambda r: r["channel"])
    assert found == [
        {"channel": "nightly", "usage_hours": 500.0, "rate": 10.0},
        {"channel": "release", "usage_hours": 1000.0, "rate": 1.0},
    ]


@pytest.mark.parametrize("query", PLUGINS)
def test_plugin_crashes_of_one_day(crashes: SmallLake, query: str) -> None:
    assert values(crashes, query, "presto") == [[0.025]]


@pytest.mark.parametrize(
    ("crashes_column", "hours"),
    [("stats['main_crashes']", "stats['usage_hours']"), ("main_crashes", "usage_hours")],
)
def test_rates_by_build(crashes: SmallLake, crashes_column: str, hours: str) -> None:
    old = BUILDS.format(crashes=crashes_column, hours=hours, days=-40000)
    assert run(crashes, old, "presto") == [
        {"build_date": "2016-03-14T03:02:01Z", "e10s_cohort": "test", "crashes": 5.0, "rate": 10.0}
    ]
    assert run(crashes, BUILDS.format(crashes=crashes_column, hours=hours, days=-120), "presto") == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(main_crashes) / sum(usage_hours) FROM crash_aggregates "
        "WHERE dimensions->>'channel' = 'nightly' AND submission_date = '2016-03-14'",
        "SELECT sum((stats->>'main_crashes')::numeric) / sum((stats->>'usage_hours')::numeric) FROM aggregates "
        "WHERE dimensions->>'channel' = 'nightly' AND submission_date = '2016-03-14'",
    ],
)
def test_postgres_reads_maps_as_jsonb(crashes: SmallLake, query: str) -> None:
    assert values(crashes, query, "postgres") == [[0.015]]


DAYS_AS_TEXT = [
    "submission_date = '2016-03-14'",
    "submission_date LIKE '%-14'",
    "substr(submission_date, 9) = '14'",
    "date_parse(submission_date, '%Y-%m-%d') = timestamp '2016-03-14 00:00:00'",
    "submission_date = DATE '2016-03-14'",
    "from_iso8601_date(submission_date) = DATE '2016-03-14'",
    "date(submission_date) < date('2016-03-15')",
    "cast(submission_date as date) < DATE '2016-03-15'",
    "submission_date < DATE '2016-03-15' AND activity_date BETWEEN DATE '2016-03-01' AND current_date",
    "submission_date < date_format(timestamp '2016-03-15 00:00:00', '%Y-%m-%d')",
    "submission_date IN (DATE '2016-03-14')",
    "day(submission_date) = 14 AND date_trunc('month', submission_date) = DATE '2016-03-01'",
    "date_diff('day', submission_date, DATE '2016-03-15') = 1",
    "submission_date < current_date - interval '7' day AND day(date(activity_date)) = 14",
]


@pytest.mark.parametrize("table", ["crash_aggregates", "aggregates"])
def test_days_are_text_in_presto_and_dates_where_a_date_is_meant(crashes: SmallLake, table: str) -> None:
    counts = ", ".join(f"count_if({condition})" for condition in DAYS_AS_TEXT)
    asked = f"SELECT {counts} FROM {table}"
    assert values(crashes, asked, "presto") == [[2] * len(DAYS_AS_TEXT)]
    typed = f"SELECT typeof(submission_date), typeof(activity_date) FROM {table} LIMIT 1"
    assert values(crashes, typed, "presto") == [["VARCHAR", "VARCHAR"]]
    assert values(crashes, typed, "postgres") == [["DATE", "DATE"]]


def test_every_table_can_be_asked_in_every_dialect(crashes: SmallLake) -> None:
    named = run(crashes, "SELECT DISTINCT table_name AS t FROM information_schema.columns", "presto")
    for dialect in ("presto", "postgres"):
        for name in sorted(row["t"] for row in named):
            counted = values(crashes, f"SELECT count(*) FROM {name} AS t", dialect)
            assert counted[0][0] == (3 if name in ("crash_aggregates", "aggregates") else 0)


PRESTO: list[tuple[str, Any]] = [
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 / 2.0", 3.5),
    ("1 / 0", None),
    ("map(array['a'], array[1])['b']", None),
    ("element_at(map(array['a'], array[1]), 'a')", 1),
    ("map_keys(map(array['a'], array[1]))", ["a"]),
    ("cardinality(array[1, 2]) + cardinality(map(array['a'], array[1]))", 3),
    ("regexp_like('abc', '^a')", True),
    (r"regexp_extract('a1b2', '([a-z])(\d)', 2)", "1"),
    (r"regexp_extract('abc', '\d')", None),
    (r"regexp_replace('a1b2', '(\d)', '<$1>')", "a<1>b<2>"),
    (r"regexp_replace('a1b2', '\d')", "ab"),
    ("split('a,b,c', ',', 2)", ["a", "b,c"]),
    ("split_part('a.b', '.', 2)", "b"),
    ("parse_datetime('20160314030201', 'yyyyMMddHHmmss')", "2016-03-14T03:02:01Z"),
    (
        "parse_datetime('2016-03-14T05:06:07.123Z', 'yyyy-MM-dd''T''HH:mm:ss.SSSZ')",
        "2016-03-14T05:06:07.123000Z",
    ),
    ("format_datetime(timestamp '2016-03-04 15:06:07', 'd MMM yy h:mm a')", "4 Mar 16 3:06 PM"),
    (
        "date_format(timestamp '2016-03-04 15:06:07', '%Y-%m-%d %H:%i:%s|%e %c %k|%b %M %a %W|%T|%r|%j %y|%x %v')",
        "2016-03-04 15:06:07|4 3 15|Mar March Fri Friday|15:06:07|03:06:07 PM|064 16|2016 09",
    ),
    ("date_parse('4 Mar 2016 17:05', '%e %b %Y %k:%i')", "2016-03-04T17:05:00Z"),
    ("to_unixtime(from_unixtime(1458000000))", 1458000000.0),
    ("date_add('day', -120, date '2016-03-14')", "2015-11-15"),
    ("date_trunc('month', date '2016-03-14')", "2016-03-01"),
    ("date_diff('hour', timestamp '2016-03-14 00:30:00', timestamp '2016-03-14 02:30:00')", 2),
    ("try_cast('x' AS integer)", None),
    ("try(cast('x' AS integer))", None),
    ("if(1 > 2, 3)", None),
    ('json_extract_scalar(\'{"a": {"b": "x"}}\', \'$.a.b\')', "x"),
    ("transform(array[1, 2], x -> x + 1)", [2, 3]),
    ("filter(array[1, 2], x -> x > 1)", [2]),
    ("reduce(array[1, 2], 0, (s, x) -> s + x, s -> s * 10)", 30),
    ("any_match(array[1, 2], x -> x > 1)", True),
    ("map_filter(map(array['a', 'b'], array[1, 2]), (k, v) -> v > 1)", {"b": 2}),
    ("transform_values(map(array['a'], array[1]), (k, v) -> v + 1)", {"a": 2}),
    ("'a' || 'b'", "ab"),
    ("'a%b' LIKE 'a!%b' ESCAPE '!'", True),
    ("greatest(1, 2) + least(1, 2)", 3),
    ("greatest(1, NULL)", None),
    ("rand() < 1 AND random(5) < 5 AND random(3, 5) >= 3", True),
    ("date_format(from_unixtime(1458000000) AT TIME ZONE 'America/Los_Angeles', '%H')", "17"),
    ("date '2016-03-14' < now() - interval '7' day", True),
    ("slice(array[1, 2, 3], 2, 2)", [2, 3]),
    ("log(2, 8)", 3.0),
    ("cast('abcdef' AS varchar(3))", "abc"),
    ("day_of_week(date '2016-03-13')", 7),
    ("U&'\\00e9;' || 'ü;''' /* ; */ -- ;", "é;ü;'"),
]
POSTGRES: list[tuple[str, Any]] = [
    ("7 / 2", 3),
    ("7::numeric / 2", 3.5),
    ("'2.123456'::numeric", 2.123456),
    ("date_trunc('month', timestamp '2016-03-14 05:00:00')", "2016-03-01T00:00:00Z"),
    ("to_char(timestamp '2016-03-14 15:06:07', 'YYYY-MM-DD HH24:MI:SS')", "2016-03-14 15:06:07"),
    ("to_char(date '2016-03-14', 'FMDay, DD Mon YYYY \"W\"IW Q')", "Monday, 14 Mar 2016 W11 1"),
    ("to_char(date '2016-03-14', 'MON')", "MAR"),
    ("to_date('20160314', 'YYYYMMDD')", "2016-03-14"),
    ("to_timestamp('20160314030201', 'YYYYMMDDHH24MISS')", "2016-03-14T03:02:01Z"),
    ("date '2016-03-14' < now() - interval '7 days'", True),
    ("'abc' ~ 'B' OR 'abc' !~* 'B'", False),
    ("'abc' ~* 'B' AND 'abc' ILIKE 'A%' AND 'abc' SIMILAR TO '(a|b)%'", True),
    ("extract(epoch from timestamp '2016-03-14')", 1457913600.0),
    ("substring('abcdefghij' from 1 for 8)", "abcdefgh"),
    ("substring('foobar' from 'o(.)b')", "o"),
    ("split_part('a.b', '.', 2)", "b"),
    (r"regexp_replace('a1b2', '\d', 'x')", "axb2"),
    (r"regexp_replace('a1b2', '(\d)', '<\1>', 'g')", "a<1>b<2>"),
    (r"(regexp_match('a1', 'a(\d)'))[1]", "1"),
    ("'abcdef'::varchar(3)", "abc"),
    ("'{1,7}'::int[]", [1, 7]),
    ("cardinality(array[1, 2])", 2),
    ("'{\"a\": {\"b\": 1}}'::jsonb #>> '{a,b}'", "1"),
    ("'{\"a\": 1}'::jsonb @> '{\"a\": 1}'", True),
    ("array[1, 2] @> array[1]", True),
    ("jsonb_build_object('a', 1)", {"a": 1}),
    ("$$a;b$$ || E'\\n' -- ;", "a;b\n"),
    ("div(7, 2)", 3),
]


@pytest.mark.parametrize(("dialect", "cases"), [("presto", PRESTO), ("postgres", POSTGRES)])
def test_expressions_mean_what_they_meant(
    crashes: SmallLake, dialect: str, cases: list[tuple[str, Any]]
) -> None:
    """All in one query each, since each query is a process."""
    select = ", ".join(f"{text}\n AS c{i}" for i, (text, _) in enumerate(cases))
    found = run(crashes, f"SELECT {select};", dialect)[0]
    wrong = [(t, found[f"c{i}"], v) for i, (t, v) in enumerate(cases) if found[f"c{i}"] != v]
    assert not wrong


@pytest.mark.parametrize(
    ("dialect", "query", "found"),
    [
        (
            "presto",
            "SELECT t.k, sum(v) FROM crash_aggregates CROSS JOIN UNNEST(stats) AS t(k, v) WHERE v > 4 GROUP BY 1 ORDER BY 1",
            [["plugin_crashes", 5.0], ["usage_hours", 1500.0]],
        ),
        ("presto", "SELECT x, n FROM UNNEST(ARRAY['a', 'b']) WITH ORDINALITY AS t(x, n) ORDER BY n", [["a", 1], ["b", 2]]),
        ("presto", "SELECT x, y FROM UNNEST(ARRAY[1, 2], ARRAY['a']) AS t(x, y) ORDER BY 1", [[1, "a"], [2, None]]),
        (
            "presto",
            "SELECT count_if(x > 1), arbitrary(1), max_by(y, x), min_by(y, x), array_agg(y ORDER BY x), "
            "approx_distinct(x), approx_distinct(x, 0.02), approx_percentile(x, 0.5), every(x > 0), map_agg(y, x) "
            "FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS t(x, y)",
            [[2, 1, "c", "a", ["a", "b", "c"], 3, 3, 2, True, {"a": 1, "b": 2, "c": 3}]],
        ),
        (
            "presto",
            "SELECT c, row_number() OVER (ORDER BY h DESC) FROM (SELECT dimensions['channel'] AS c, sum(usage_hours) AS h "
            "FROM aggregates GROUP BY 1) ORDER BY 2 LIMIT 1",
            [["release", 1]],
        ),
        ("presto", "VALUES (1, 'a')", [[1, "a"]]),
        (
            "postgres",
            "SELECT e.key, sum(e.value::float) FROM crash_aggregates, jsonb_each_text(stats) AS e(key, value) "
            "WHERE e.value::float > 4 GROUP BY 1 ORDER BY 1",
            [["plugin_crashes", 5.0], ["usage_hours", 1500.0]],
        ),
        ("postgres", "SELECT DISTINCT jsonb_object_keys(dimensions) AS k FROM aggregates ORDER BY 1", [["build_id"], ["channel"], ["e10s_cohort"]]),
        (
            "postgres",
            "SELECT dimensions->'channel', sum(stats->>'usage_hours'), sum((stats->>'usage_hours')::float) FROM aggregates "
            "WHERE dimensions ? 'e10s_cohort' AND dimensions @> '{\"channel\":\"nightly\"}' AND stats->>'usage_hours' > 1 "
            "GROUP BY 1",
            [["nightly", 500.0, 500.0]],
        ),
        (
            "postgres",
            "SELECT d::date, count(a.usage_hours) FROM generate_series('2016-03-13'::date, '2016-03-14', '1 day') AS d "
            "LEFT JOIN crash_aggregates a ON a.submission_date = d::date GROUP BY 1 ORDER BY 1",
            [["2016-03-13", 0], ["2016-03-14", 2]],
        ),
        (
            "postgres",
            "SELECT DISTINCT ON (y) y, x, percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM (VALUES (1, 'a'), (3, 'a')) AS t(x, y) "
            "GROUP BY GROUPING SETS ((y, x), (y)) ORDER BY y, x DESC",
            [["a", None, 2.0]],
        ),
        (
            "postgres",
            "SELECT string_agg(y, ',' ORDER BY x DESC), count(*) FILTER (WHERE x > 1) FROM (VALUES (1, 'a'), (3, 'b')) AS t(x, y)",
            [["b,a", 1]],
        ),
        ("postgres", "SELECT t.x, l.y FROM (VALUES (1), (2)) AS t(x), LATERAL (SELECT t.x * 2 AS y) AS l ORDER BY 1", [[1, 2], [2, 4]]),
    ],
)  # fmt: skip
def test_queries_mean_what_they_meant(crashes: SmallLake, dialect: str, query: str, found: Any) -> None:
    assert values(crashes, query, dialect) == found


REFUSED = [
    "COPY (SELECT 1) TO 'x'",
    "ATTACH 'x.db'",
    "PRAGMA version",
    "SET threads = 1",
    "CALL range(3)",
    "INSTALL httpfs",
    "EXPLAIN SELECT 1",
    "SHOW TABLES",
    "DESCRIBE pings",
    "CREATE TABLE t AS SELECT 1",
    "DELETE FROM pings",
    "SELECT 1 INTO x",
    "SELECT 1; SELECT 2",
    "SELECT 1;; DROP VIEW pings",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
    'WITH "/etc/passwd" AS (SELECT 1) SELECT 1',
    'WITH "x.csv" AS (SELECT 1) SELECT * FROM "x.csv"',
    "SELECT * FROM read_parquet('x')",
    "SELECT * FROM \"read_text\"('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM duckdb_settings()",
    "SELECT getenv('HOME')",
    "SELECT \"getenv\"('HOME')",
    "SELECT current_setting('home_directory')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(10)",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT json_execute_serialized_sql('x')",
    "SELECT (SELECT getenv('HOME') WHERE 1 IN (SELECT 1)) ORDER BY getenv('HOME')",
    "",
    ";",
    "SELECT (",
    "SELECT 'x",
]


@pytest.mark.parametrize("dialect", ["presto", "postgres"])
def test_the_fence_stands_behind_the_translation(crashes: SmallLake, dialect: str) -> None:
    codes = {q: refusal(crashes, q, dialect) for q in REFUSED}
    known = ("sql_refused", "sql_invalid", "unknown_table")
    assert {q: e.code for q, e in codes.items() if e.code not in known or e.status != 400} == {}


HOSTILE = {
    "parentheses": "SELECT " + "(" * 10_000 + "1" + ")" * 10_000,
    "open": "SELECT " + "(" * 200_000,
    "not": "SELECT " + "NOT " * 10_000 + "true",
    "functions": "SELECT " + "f(" * 10_000 + "1" + ")" * 10_000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 10_000 + "pings" + ")" * 10_000,
    "sum": "SELECT " + "+".join(["1"] * 100_000),
    "megabyte": "SELECT " + "1," * 499_000 + "1",
    "endless text": "SELECT '" + "x" * 900_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("dialect", ["presto", "postgres"])
def test_a_hostile_query_ends_alone(crashes: SmallLake, dialect: str, name: str) -> None:
    error = refusal(crashes, HOSTILE[name], dialect)
    assert error.code in (
        "sql_refused",
        "sql_invalid",
        "sql_too_long",
        "query_memory",
        "query_timeout",
        "sql_failed",
    )
    assert len(error.message) + len(error.hint) < 2000


def test_what_does_not_parse_is_told_in_the_words_of_the_dialect(crashes: SmallLake) -> None:
    error = refusal(crashes, "SELECT a b c FROM pings", "presto")
    assert (error.code, error.message) == (
        "sql_invalid",
        "Invalid expression / Unexpected token, line 1, column 12, at 'SELECT a b c'.",
    )
    assert error.hint == "The query is read as Presto's SQL (dialect presto)."


def test_an_error_of_the_translation_shows_what_was_run(crashes: SmallLake) -> None:
    error = refusal(crashes, "SELECT date_format(now(), '%Y'), nope(1)", "presto")
    assert error.code == "sql_failed"
    assert error.hint == "Translated from presto: SELECT STRFTIME(CURRENT_TIMESTAMP, '%Y'), NOPE(1)"


@pytest.mark.parametrize(
    ("dialect", "query", "said"),
    [
        ("presto", "SELECT parse_datetime('x', 'yyyyGG')", "'GG' in the time format"),
        ("postgres", "SELECT to_char(1, '999')", "'9' in the time format"),
        ("presto", "SELECT approx_percentile(x, w, 0.5) FROM (VALUES (1, 2)) AS t(x, w)", "with weights"),
    ],
)
def test_what_has_no_equivalent_is_refused_by_name(
    crashes: SmallLake, dialect: str, query: str, said: str
) -> None:
    error = refusal(crashes, query, dialect)
    assert (error.code, said in error.message) == ("sql_refused", True)


def test_sketches_are_found_in_what_is_run(crashes: SmallLake) -> None:
    assert run(crashes, "SELECT distinct_count(clients) AS n FROM client_aggregates", "presto") == [
        {"n": 0.0}
    ]


def test_other_days_files_stay_unread(crashes: SmallLake) -> None:
    """A filter on a day of text reaches the files as one on dates does."""
    import duckdb

    from missioncontrol.query.views import views

    with duckdb.connect() as connection:
        for view in views(crashes.reader, crashes.registry, "presto"):
            if view.name == "crash_aggregates":
                connection.execute(view.sql)
        plan = connection.execute(
            "EXPLAIN ANALYZE SELECT count(*) FROM crash_aggregates WHERE submission_date = '2016-03-15'"
        ).fetchall()
    assert "Scanning Files: 1/2" in str(plan) or "Total Files Read: 1" in str(plan)
