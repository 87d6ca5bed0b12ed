"""What of SQL is let through, tried on DuckDB's own parser."""

from collections.abc import Iterator

import duckdb
import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.query.fence import MAX_QUERY_BYTES, check, clean_message

TABLES = ("error_aggregates", "error_aggregates_v2", "pings", "discards")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "FROM discards",
        "select * from MAIN.Error_Aggregates e join memory.main.discards d using (window_start)",
        "WITH t AS (SELECT channel, sum(count) c FROM error_aggregates GROUP BY ALL) SELECT rank() OVER (ORDER BY c) FROM t",
        "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t WHERE x < 5) SELECT max(x) FROM t",
        "SELECT * FROM (PIVOT error_aggregates ON channel IN ('release') USING sum(count))",
        "UNPIVOT (SELECT 1 a, 2 b) ON a, b",
        "SELECT list_transform([1], lambda x: x + 1), unnest([1]), COLUMNS('c.*') FROM error_aggregates USING SAMPLE 10%",
        "SELECT DISTINCT ON (channel) * FROM error_aggregates ORDER BY window_start DESC NULLS LAST LIMIT 10 OFFSET 2",
        "SELECT count(*) FILTER (WHERE version LIKE '5%') FROM error_aggregates GROUP BY ROLLUP(channel) HAVING true",
        "VALUES (1), (2)",
        "SELECT * FROM range(3) UNION ALL SELECT * FROM generate_series(1, 3) EXCEPT SELECT 1 INTERSECT SELECT 2",
        "SELECT EXISTS (FROM discards), (SELECT max(count) FROM discards), 1 IN (SELECT 2), CASE WHEN true THEN 1 END",
        "SELECT * FROM error_aggregates ASOF JOIN discards USING (window_start)",
        "SELECT * FROM error_aggregates, LATERAL (SELECT window_start) QUALIFY row_number() OVER () = 1",
        "SELECT table_name, column_name FROM information_schema.columns",
        "SELECT pg_typeof(1), headers ->> '$.Date' FROM pings",
    ],
)
def test_what_an_analyst_writes_is_let_through(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    assert check(connection, query, TABLES).text == query


REFUSED = [
    "PRAGMA version",
    "CALL range(3)",
    "EXPLAIN SELECT 1",
    "SET threads = 1",
    "RESET threads",
    "ATTACH 'x.db'",
    "DETACH x",
    "INSTALL httpfs",
    "LOAD httpfs",
    "COPY (SELECT 1) TO 'x'",
    "COPY error_aggregates FROM 'x'",
    "EXPORT DATABASE 'x'",
    "IMPORT DATABASE 'x'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "DROP VIEW pings",
    "DELETE FROM pings",
    "INSERT INTO pings VALUES (1)",
    "UPDATE pings SET body = ''",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "USE memory",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "DESCRIBE pings",
    "SUMMARIZE pings",
    "SELECT * FROM (DESCRIBE pings)",
    "SELECT * FROM (SHOW TABLES)",
    "SELECT * FROM (SUMMARIZE pings)",
    "PIVOT error_aggregates ON channel USING sum(count)",
    "SELECT 1; SELECT 2",
    "SELECT 1;; DROP VIEW pings",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM READ_TEXT('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_csv('x')",
    "SELECT * FROM read_parquet('x')",
    "SELECT * FROM parquet_scan('x')",
    "SELECT * FROM read_json('x')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM parquet_metadata('x')",
    "SELECT * FROM sniff_csv('x')",
    "FROM system.main.read_text('x')",
    "SELECT * FROM \"read_text\"('x')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM pragma_version()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table(['pings'])",
    "SELECT * FROM seq_scan('x')",
    "SELECT * FROM json_execute_serialized_sql('x')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM histogram('pings', 'channel')",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM which_secret('x', 'y')",
    "SELECT getenv('HOME')",
    "SELECT current_setting('home_directory')",
    "SELECT getvariable('x')",
    "SELECT pg_get_viewdef(1)",
    "SELECT json_serialize_plan('SELECT 1')",
    "SELECT write_log('x')",
    "SELECT sleep_ms(10000)",
    "SELECT pg_sleep(10)",
    "SELECT nextval('x')",
    "SELECT (SELECT getenv('HOME') FROM discards WHERE 1 IN (SELECT 1))",
    "SELECT 1 ORDER BY getenv('HOME')",
    "SELECT sum(1) OVER (ORDER BY getenv('HOME'))",
    "SELECT list_transform([1], lambda x: getenv('HOME'))",
    "SELECT * FROM discards AT (VERSION => 1)",
    'WITH "/etc/passwd" AS (SELECT 1) SELECT 1',
    'WITH "x.csv" AS (SELECT 1) FROM "x.csv"',
]


@pytest.mark.parametrize("query", REFUSED)
def test_everything_else_is_refused(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(connection, query, TABLES)
    assert refusal.value.code in ("sql_refused", "sql_invalid")


@pytest.mark.parametrize(
    "query",
    [
        "FROM '/etc/passwd'",
        "FROM 'file.csv'",
        'FROM "../x.parquet"',
        "FROM 's3://b/x.parquet'",
        "FROM connection",
        "FROM sqlite_master",
        "FROM pg_catalog.pg_views",
        "FROM information_schema.views",
        "FROM duckdb_views",
        "FROM main.'x.csv'",
        "FROM other.main.pings",
        "SELECT (SELECT count(*) FROM '/etc/passwd')",
        "WITH t AS (FROM 'x.csv') FROM t",
        "FROM t",
    ],
)
def test_only_tables_of_the_lake_can_be_read(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(connection, query, TABLES)
    assert refusal.value.code in ("unknown_table", "sql_invalid")


def test_a_refusal_names_what_was_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(connection, "SELECT * FROM read_text('/etc/passwd')", TABLES)
    assert "read_text()" in refusal.value.message
    with pytest.raises(BadRequest) as refusal:
        check(connection, "FROM error_agregates", TABLES)
    assert refusal.value.hint == "Did you mean error_aggregates?"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1 ; ; -- x;y", "SELECT 1 "),
        ("SELECT ';' AS a", "SELECT ';' AS a"),
        ("SELECT ';' AS a; /* ; */", "SELECT ';' AS a"),
        ("SELECT 1 -- c", "SELECT 1 -- c"),
    ],
)
def test_a_final_semicolon_is_cut_and_no_other(
    connection: duckdb.DuckDBPyConnection, query: str, text: str
) -> None:
    assert check(connection, query, TABLES).text == text


@pytest.mark.parametrize("query", ["", ";", "-- nothing", "selec 1", "SELECT (", "\x00", "SELECT 'x"])
def test_what_is_no_sql_is_refused_with_the_parsers_words(
    connection: duckdb.DuckDBPyConnection, query: str
) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(connection, query, TABLES)
    assert refusal.value.code == "sql_invalid"
    assert "LINE 1" not in refusal.value.message


@pytest.mark.parametrize(
    "query",
    [
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT " + "[" * 900 + "]" * 900,
        "SELECT " + "+".join(["1"] * 50_000),
    ],
)
def test_a_query_nested_without_end_is_refused(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    with pytest.raises(BadRequest):
        check(connection, query, TABLES)


def test_a_query_longer_than_any_person_writes_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(connection, "SELECT '" + "x" * MAX_QUERY_BYTES + "'", TABLES)
    assert refusal.value.code == "sql_too_long"


def test_a_message_shows_no_path_and_no_setting() -> None:
    message = clean_message(
        Exception('IO Error: No files found in "/srv/data/lake/x.parquet"\n\nLINE 1: SELECT\n  ^')
    )
    assert message == 'IO Error: No files found in "<file>"'
