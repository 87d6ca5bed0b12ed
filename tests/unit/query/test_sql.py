"""SQL of users in the real worker process."""

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from query_lake import SmallLake, row

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest, MissionControlError, TooSlow
from missioncontrol.lake.tables import SHAPES
from missioncontrol.query.formats import Envelope, Format
from missioncontrol.query.sql import SqlRunner


def runner(lake: SmallLake, **settings: Any) -> SqlRunner:
    query = Query(**{"threads": 1, "memory_limit_mb": 256, **settings})
    return SqlRunner(lake.reader, lambda: lake.registry, query, lake.folder / "spill")


def run(
    lake: SmallLake,
    query: str,
    form: Format = "json",
    envelope: Envelope = "list",
    max_rows: int | None = None,
) -> bytes:
    sink = io.BytesIO()
    runner(lake).run(query, sink, form, envelope, max_rows=max_rows)
    return sink.getvalue()


def rows(lake: SmallLake, query: str) -> Any:
    return json.loads(run(lake, query))


def test_an_empty_product_has_every_table_with_its_columns(lake: SmallLake) -> None:
    found = rows(
        lake, "SELECT table_name, count(*) AS n FROM information_schema.columns GROUP BY 1 ORDER BY 1"
    )
    assert {t["table_name"] for t in found} == {
        *SHAPES,
        "error_aggregates_v2",
        "aggregates",
        "crash_free_users",
    }
    assert all(t["n"] > 3 for t in found)
    assert rows(lake, "SELECT * FROM error_aggregates_v2") == []


def test_values_of_all_kinds_become_json(lake: SmallLake) -> None:
    query = """
        SELECT TIMESTAMPTZ '2018-03-28 02:00:00+02' AS t, TIMESTAMP '2018-03-28 00:00:00.25' AS u, DATE '2018-03-28' AS d,
            [TIMESTAMPTZ '2018-03-28 00:00:00Z'] AS l, {'t': TIMESTAMP '2018-03-28 00:00:00'} AS s,
            MAP {'k': 1.5::DECIMAL(4,2)} AS m, 170141183460469231731687303715884105727::HUGEINT AS h,
            'nan'::DOUBLE AS n, '-inf'::FLOAT AS i, '\\xAA'::BLOB AS b,
            '{"a": [1]}'::JSON AS j, NULL AS z, 0.1::DOUBLE AS f, TIME '10:00' AS c, MAP {1: DATE '2018-03-28'} AS k;
    """
    assert rows(lake, query) == [
        {
            "t": "2018-03-28T00:00:00Z",
            "u": "2018-03-28T00:00:00.250000Z",
            "d": "2018-03-28",
            "l": ["2018-03-28T00:00:00Z"],
            "s": {"t": "2018-03-28T00:00:00Z"},
            "m": {"k": 1.5},
            "h": 2**127 - 1,
            "n": None,
            "i": None,
            "b": "qg==",
            "j": {"a": [1]},
            "z": None,
            "f": 0.1,
            "c": "10:00:00",
            "k": {"1": "2018-03-28"},
        }
    ]


def test_order_survives_and_a_comment_at_the_end_does_no_harm(lake: SmallLake) -> None:
    found = rows(
        lake,
        "SELECT i, TIMESTAMPTZ '2018-03-28 00:00:00Z' AS t FROM range(5000) r(i) ORDER BY i DESC -- done",
    )
    assert [r["i"] for r in found] == list(range(4999, -1, -1))


def test_columns_of_one_name_are_all_shown(lake: SmallLake) -> None:
    assert rows(lake, "SELECT 1 AS a, 2 AS a, 3 AS a_1") == [{"a": 1, "a_1": 2, "a_1_1": 3}]


def test_an_answer_is_cut_at_the_limit_and_says_so(lake: SmallLake) -> None:
    body = json.loads(run(lake, "FROM range(10)", envelope="columns", max_rows=3))
    assert body == {
        "columns": [{"name": "range", "type": "BIGINT"}],
        "results": [{"range": 0}, {"range": 1}, {"range": 2}],
        "complete": False,
        "limit": 3,
    }


def test_an_exact_limit_is_no_cut(lake: SmallLake) -> None:
    assert json.loads(run(lake, "FROM range(3)", envelope="columns", max_rows=3))["complete"] is True


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_arrow_and_parquet_keep_types(filled: SmallLake, form: Format) -> None:
    body = run(
        filled,
        "SELECT window_start, sum(main_crashes)::BIGINT AS n FROM error_aggregates GROUP BY 1 ORDER BY 1",
        form,
    )
    table = pa.ipc.open_stream(body).read_all() if form == "arrow" else pq.read_table(pa.BufferReader(body))
    assert table.schema.field("window_start").type == pa.timestamp("us", tz="UTC")
    assert table["n"].to_pylist() == [8, None, 7]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_arrow_and_parquet_are_cut_at_the_limit(lake: SmallLake, form: Format) -> None:
    body = run(lake, "FROM range(200000)", form, max_rows=100_001)
    table = pa.ipc.open_stream(body).read_all() if form == "arrow" else pq.read_table(pa.BufferReader(body))
    assert table.num_rows == 100_001


def test_a_type_that_parquet_cannot_hold_is_refused(lake: SmallLake) -> None:
    with pytest.raises(BadRequest) as refusal:
        run(lake, "SELECT INTERVAL 1 MONTH AS i", "parquet")
    assert refusal.value.code == "not_in_format"


def test_csv_ndjson_and_table_hold_the_same_rows(lake: SmallLake) -> None:
    query = "SELECT 'a,b' AS t, NULL AS n, [1] AS l, true AS b, '[red]x' AS r"
    assert run(lake, query, "csv") == b't,n,l,b,r\r\n"a,b",,[1],true,[red]x\r\n'
    assert run(lake, query, "ndjson") == b'{"t":"a,b","n":null,"l":[1],"b":true,"r":"[red]x"}\n'
    header, values = run(lake, query, "table").decode().splitlines()
    assert header.split() == ["t", "n", "l", "b", "r"]
    assert values.split() == ["a,b", "[1]", "true", "[red]x"]


def test_partition_columns_can_be_asked_for_and_old_files_read_null(filled: SmallLake) -> None:
    query = """
        SELECT submission_date, sum(main_crashes) AS n, any_value(content_crashes) AS c
        FROM error_aggregates GROUP BY 1 ORDER BY 1
    """
    assert rows(filled, query) == [
        {"submission_date": "2018-03-28", "n": 8, "c": None},
        {"submission_date": "2018-03-29", "n": 7, "c": None},
    ]


def test_an_unknown_column_is_explained_without_internals(filled: SmallLake) -> None:
    with pytest.raises(BadRequest) as refusal:
        run(filled, "SELECT nope FROM error_aggregates")
    assert refusal.value.code == "sql_failed"
    assert '"nope" not found' in refusal.value.message
    assert "LINE" not in refusal.value.message


def test_a_dialect_that_is_not_understood_is_refused(lake: SmallLake) -> None:
    with pytest.raises(BadRequest) as refusal:
        runner(lake).run("SELECT 1", io.BytesIO(), dialect="oracle")
    assert refusal.value.code == "unknown_dialect"


def test_files_beside_the_tables_cannot_be_read_even_past_the_check(
    filled: SmallLake, tmp_path: Path
) -> None:
    """The second fence alone: the check is not asked."""
    import duckdb

    from missioncontrol.query import sketch_functions
    from missioncontrol.query.views import views
    from missioncontrol.query.worker import _fence

    secret = filled.folder / "lake" / "secret.csv"
    secret.write_text("a\n1\n")
    link = filled.folder / "lake" / "error_aggregates" / "link.csv"
    link.symlink_to("/etc/passwd")
    with duckdb.connect(config={"python_enable_replacements": False}) as connection:
        sketch_functions.install(connection)
        _fence(connection, views(filled.reader, filled.registry))
        assert connection.execute("SELECT count(*) FROM error_aggregates").fetchall() == [(5,)]
        for statement in (
            f"FROM '{secret}'",
            f"FROM '{link}'",
            f"SELECT * FROM read_text('{link}')",
            "SELECT * FROM read_text('/etc/passwd')",
            f"SELECT * FROM glob('{filled.folder}/**')",
            f"COPY (SELECT 1) TO '{filled.folder}/lake/evil.csv'",
            f"ATTACH '{filled.folder}/lake/x.db'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
            "SET allowed_paths = ['/']",
            "SET lock_configuration = false",
            f"FROM '{filled.folder}/lake/error_aggregates/../secret.csv'",
            "FROM secret",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement).fetchall()
    assert not (filled.folder / "lake" / "evil.csv").exists()


MEMORY_BOMBS = [
    "SELECT len(range(2000000000))",
    "SELECT length(repeat('x', 1000000000))",
    "SELECT string_agg(repeat('x', 100000), '') FROM range(1000000)",
    "WITH RECURSIVE t AS (SELECT 'x'::VARCHAR a UNION ALL SELECT a || a FROM t) SELECT max(length(a)) FROM t",
]


@pytest.mark.parametrize("query", MEMORY_BOMBS)
def test_a_query_that_wants_all_memory_ends_alone(lake: SmallLake, query: str) -> None:
    with pytest.raises(MissionControlError) as refusal:
        runner(lake, timeout_s=10).run(query, io.BytesIO())
    assert refusal.value.code in ("query_memory", "query_timeout")
    assert rows(lake, "SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE a.range + b.range = 7",
        "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT max(x) FROM t",
        "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))",  # does not notice an interrupt
        "FROM range(1000000000000)",
    ],
)
def test_a_query_past_its_time_is_stopped(lake: SmallLake, query: str) -> None:
    class Sink(io.BytesIO):
        def write(self, data: Any) -> int:
            return len(data)

    with pytest.raises(TooSlow) as refusal:
        runner(lake, timeout_s=0.7).run(query, Sink())
    assert (refusal.value.code, refusal.value.status) == ("query_timeout", 503)


@pytest.mark.parametrize("form", ["arrow", "parquet", "csv"])
def test_a_query_past_its_time_is_stopped_in_every_format(lake: SmallLake, form: Format) -> None:
    class Sink(io.BytesIO):
        def write(self, data: Any) -> int:
            return len(data)

    with pytest.raises(TooSlow):
        runner(lake, timeout_s=1).run("SELECT i, i * 2 FROM range(1000000000000) r(i)", Sink(), form)


def test_an_error_while_rows_come_is_told_in_every_format(lake: SmallLake) -> None:
    for form in ("json", "arrow"):
        with pytest.raises(BadRequest) as refusal:
            run(
                lake,
                "SELECT CASE WHEN i = 199999 THEN error('boom') ELSE i::VARCHAR END FROM range(200000) r(i)",
                form,
            )
        assert (refusal.value.code, "boom" in refusal.value.message) == ("sql_failed", True)


def test_a_long_error_message_is_cut(lake: SmallLake) -> None:
    with pytest.raises(BadRequest) as refusal:
        run(lake, "SELECT error(repeat('a', 2000000))")
    assert len(refusal.value.message) <= 1000


def test_a_reader_that_goes_away_ends_the_query(lake: SmallLake) -> None:
    class Gone(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    before = threading.active_count()
    with pytest.raises(BrokenPipeError):
        runner(lake).run("FROM range(1000000000)", Gone())
    assert threading.active_count() <= before + 1


def test_the_worker_gets_no_environment_of_the_server(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from missioncontrol.query.sql import _environment

    monkeypatch.setenv("MC_SECRET", "s3cret")
    assert "s3cret" not in str(_environment())


def test_rows_of_any_table_can_be_joined(filled: SmallLake) -> None:
    query = "SELECT count(*) AS n FROM error_aggregates a JOIN error_aggregates_v2 b USING (window_start, os_name)"
    filled.add([row(0, main_crashes=1)])
    assert rows(filled, query)[0]["n"] > 0


def test_a_query_ends_with_the_process_that_asked(lake: SmallLake) -> None:
    script = f"""
import sys
from pathlib import Path
sys.path[:0] = {[p for p in sys.path if p]!r}
from query_lake import SmallLake
from missioncontrol.config import Query
from missioncontrol.query.sql import SqlRunner
lake = SmallLake(Path({str(lake.folder)!r}))
SqlRunner(lake.reader, lambda: lake.registry, Query(), lake.folder / "spill").run(
    "SELECT levenshtein(repeat('a', 300000), repeat('b', 300000))", sys.stdout.buffer)
"""
    asking = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    worker = wait_for(lambda: workers_of(asking.pid))[0]
    asking.kill()
    asking.communicate()
    wait_for(lambda: not Path(f"/proc/{worker}").exists())


def workers_of(pid: int) -> list[int]:
    listed = [task.joinpath("children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    children = [int(child) for each in listed for child in each]
    return [c for c in children if b"missioncontrol.query.worker" in Path(f"/proc/{c}/cmdline").read_bytes()]


def wait_for(what: Callable[[], Any]) -> Any:
    """What the condition gives once it holds; the test fails when it does not within 20 seconds."""
    for _ in range(400):
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")
