"""Trino and Spark SQL on the lake on S3, told of it by the product: they answer as the product does.

One lake, one Trino and one session of Spark for all tests here.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from deploy.local.process import free_ports
from deploy.local.s3 import S3Server
from deploy.local.spark import spark_settings
from deploy.local.trino import TrinoServer
from tests.support.asked_lake import AskedLake
from tests.support.example_queries import DIALECTS, examples
from tests.support.s3 import BUCKET, s3_environment
from tests.support.snippets import blocks

from missioncontrol.lake.tables import Column

pytestmark = [pytest.mark.apt, pytest.mark.timeout(1200)]

EXAMPLES = examples()
GUIDE = blocks("how-to/query-from-trino-and-spark.md")
NEXT = "a further query"
EXACT = 384
"""Clients that a sketch counts exactly; it estimates more."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?")
SMALL = {
    # A table's log in one part instead of fifty, and no compiling of what is over at once.
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}
Answer = list[list[Any]]
Answers = Callable[[list[str]], list[Answer]]
NOT_ELSEWHERE = {"Clients, and those without a crash": {"Trino"}, "Clients with bounds": {"Trino", "Spark"}}
"""What the page says of: sketches."""


@pytest.fixture(scope="module")
def lake(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskedLake]:
    environment = {**s3_environment(s3), "MC_LAKE__URL": f"s3://{BUCKET}/asked"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        made = AskedLake(tmp_path_factory.mktemp("lake"), environment)
        made.fill()
        yield made
        made.close()


class Trino:
    """The server, asked by its own command line."""

    def __init__(self, server: TrinoServer, scratch: Path) -> None:
        self._server, self._scratch = server, scratch

    @property
    def catalog(self) -> dict[str, str]:
        """Its settings of the lake."""
        return properties((self._server.folder / "catalog" / "lake.properties").read_text())

    def run(self, statements: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        path = self._scratch / "statements.sql"
        path.write_text(statements)
        command = [str(self._server.program), "--timezone", "UTC", "--file", str(path), *options]
        done = subprocess.run(command, cwd=self._scratch, capture_output=True, text=True, timeout=600)
        assert not check or done.returncode == 0, f"{done.stderr}\n{self._server.last_words()}"
        return done

    def answers(self, queries: Iterable[str]) -> list[Answer]:
        """The rows of each."""
        listed = list(queries)
        said = self.run(
            "".join(f"{query};\nSELECT '{NEXT}' AS {NEXT.split()[-1]};\n" for query in listed),
            "--output-format", "JSON",
        ).stdout  # fmt: skip
        found: list[Answer] = [[]]
        for line in said.splitlines():
            row = list(json.loads(line).values())
            if row == [NEXT]:
                found.append([])
            else:
                found[-1].append(row)
        assert len(found) == len(listed) + 1 and not found[-1]
        return found[:-1]


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture(scope="module")
def trino(s3: S3Server, lake: AskedLake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    server = TrinoServer(tmp_path_factory.mktemp("trino"), *free_ports(1), s3)
    try:
        server.create()
        server.start()
        asked = Trino(server, tmp_path_factory.mktemp("scratch"))
        asked.run(lake.commands.run("lake", "views", "--dialect", "trino").stdout)
        yield asked
    finally:
        server.stop()


def spark_answers(lake: AskedLake, s3: S3Server, scratch: Path, queries: Iterable[str]) -> list[Answer]:
    """The rows of each query, in a session that the guide's program makes: with other jars, and smaller."""
    (scratch / "lake.sql").write_text(lake.commands.run("lake", "views", "--dialect", "spark").stdout)
    [(_, program)] = GUIDE["Spark"]
    by_package = '.config("spark.jars.packages", packages)'
    assert by_package in program
    ours = spark_settings(s3, scratch, "1500m")
    request = {
        "settings": {**{name: value for name, value in ours.items() if "fs.s3a" not in name}, **SMALL},
        "program": program.replace(by_package, ".config(map=settings)"),
        "queries": list(queries),
    }
    command = [sys.executable, str(Path(__file__).with_name("query_in_spark.py")), json.dumps(request)]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "TZ": "UTC"}
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-5000:]
    return [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("rows ")]


def plain(value: Any) -> Any:
    """A value in a form that does not depend on the engine: numbers as such, instants as seconds since 1970."""
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        moment = datetime.fromisoformat(value.removesuffix(" UTC").removesuffix("Z"))
        return moment.replace(tzinfo=UTC).timestamp()
    return value


def same(left: Any, right: Any) -> bool:
    """Equal; numbers to 1e-9 of their size, instants to a millisecond, which is what Trino reads of them."""
    if isinstance(left, float | int) and isinstance(right, float | int):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9) or (
            left > 1e9 and abs(left - right) < 0.0011
        )
    return bool(left == right)


def ordered(rows: Answer) -> Answer:
    """Without an order that a query did not ask for; numbers are compared as far as they are alike everywhere."""
    made = [[plain(value) for value in row] for row in rows]
    return sorted(made, key=lambda row: [f"{v:.5e}" if isinstance(v, float | int) else str(v) for v in row])


def difference(left: Answer, right: Answer) -> str:
    """The first difference of two answers; empty: none."""
    if len(left) != len(right):
        return f"{len(left)} rows and {len(right)}"
    for one, other in zip(ordered(left), ordered(right), strict=True):
        if len(one) != len(other) or not all(map(same, one, other)):
            return f"\n  {one}\n  {other}"
    return ""


def of_table(name: str, columns: Iterable[Column], engine: str) -> str:
    """A query that reads every value of every column of a table."""
    quote = "`" if engine == "Spark" else '"'
    size = "length" if engine == "Trino" else "octet_length"
    asked = ["count(*)"]
    for column in columns:
        c = f"{quote}{column.name}{quote}"
        asked.append(f"count({c})")
        match column.type:
            case "timestamp" | "date" | "int64":
                asked += [f"min({c})", f"max({c})"]
            case "float64":
                asked += [f"sum({c})"]
            case "string":
                asked += [f"sum(length({c}))"]
            case "bool":
                asked += [f"sum(CASE WHEN {c} THEN 1 ELSE 0 END)"]
            case "binary" | "sketch":
                asked += [f"sum({size}({c}))"]
            case "text_map" | "number_map":
                asked += [f"sum(cardinality({c}))"]
    return f"SELECT {', '.join(asked)} FROM {name}"


def of_tables(lake: AskedLake, engine: str) -> dict[str, str]:
    """Table -> the query that reads all of it."""
    return {name: of_table(name, columns, engine) for name, columns in lake.tables().items()}


@pytest.fixture(scope="module")
def expected(lake: AskedLake) -> dict[str, Answer]:
    """What the product answers to each example, the same in each of its dialects, and about each table."""
    found: dict[str, Answer] = {}
    for title, texts in EXAMPLES.items():
        for dialect, query in texts:
            if dialect in DIALECTS:
                rows = lake.answer(query, dialect)
                assert rows, f"{title} ({dialect}): no rows, which compares nothing"
                wrong = difference(found.setdefault(title, rows), rows)
                assert not wrong, f"{title} ({dialect}): {wrong}"
    clients = [row[1] for row in found["Clients, and those without a crash"]]
    assert min(clients) < EXACT < max(clients) - EXACT / 10, "one of the two ways to count them is not seen"
    return found | {name: lake.answer(query, "duckdb") for name, query in of_tables(lake, "duckdb").items()}


def compared(engine: str, lake: AskedLake, expected: dict[str, Answer], answers: Answers, bare: str) -> None:
    """Ask an engine the examples that are for it, about each table, and how many rows the `bare` table of crashes has
    at its version; every difference is told."""
    asked = [(title, text) for title, texts in EXAMPLES.items() for name, text in texts if name == engine]
    asked += of_tables(lake, engine).items()
    asked.append(("a version", f"SELECT count(*) FROM {bare} {lake.version('crashes')}"))
    expected = {**expected, "a version": [[lake.rows("crashes")]]}
    found = answers([query for _, query in asked])
    wrong = {
        title: told
        for (title, _), rows in zip(asked, found, strict=True)
        if (told := difference(expected[title], rows))
    }
    assert not wrong, "\n".join(f"{title}: {told}" for title, told in wrong.items())


def test_trino_answers_the_examples_and_reads_every_column_as_the_product_does(
    lake: AskedLake, expected: dict[str, Answer], trino: Trino
) -> None:
    compared("Trino", lake, expected, trino.answers, "lake.tables.crashes FOR VERSION AS OF")


def test_spark_answers_the_examples_and_reads_every_column_as_the_product_does(
    lake: AskedLake, expected: dict[str, Answer], s3: S3Server, tmp_path: Path
) -> None:
    bare = f"delta.`s3a://{BUCKET}/asked/crashes` VERSION AS OF"
    compared("Spark", lake, expected, partial(spark_answers, lake, s3, tmp_path), bare)


def test_trino_sees_what_is_committed_later_and_versions_before_it(lake: AskedLake, trino: Trino) -> None:
    [[[before]]] = trino.answers(["SELECT count(*) FROM crashes"])
    version = lake.version("crashes")
    lake.add_crash("seen at once")
    [newest, [[now]], [[then]]] = trino.answers(
        [
            dict(EXAMPLES["The newest crashes"])["Trino"],
            "SELECT count(*) FROM crashes",
            f"SELECT count(*) FROM lake.tables.crashes FOR VERSION AS OF {version}",
        ]
    )
    assert newest[0][1] == "seen at once" and now == before + 1
    assert then == lake.rows("crashes") - 1


def test_a_column_that_is_declared_later_breaks_no_view_and_is_there_when_trino_is_told(
    lake: AskedLake, trino: Trino
) -> None:
    query = "SELECT sum(usage_hours) FROM error_aggregates"
    before = trino.answers([query])
    lake.declare("""
        [measure.gc_pauses]
        title = "GC pauses"
        unit = "samples"
        per = "usage_hours"
        worse = "up"
        from = "main"
        histogram = "GC_MS"
        at_least = 150
    """)
    assert trino.answers([query]) == before
    told = lake.commands.run("lake", "views", "--dialect", "trino").stdout
    # Tables that it knows already are refused, views are made anew.
    trino.run(told, "--ignore-errors", check=False)
    assert trino.answers(["SELECT count(gc_pauses) FROM error_aggregates", query]) == [[[0]], *before]


def test_the_catalog_is_that_of_the_guide(trino: Trino, s3: S3Server) -> None:
    shown = properties(dict(GUIDE["Trino"])["properties"])
    here = {"s3.endpoint": s3.endpoint, "local.location": trino.catalog["local.location"]}
    assert trino.catalog == {**shown, **here}


def test_every_example_says_who_answers_it() -> None:
    for title, texts in EXAMPLES.items():
        engines = {engine for engine, _ in texts}
        assert engines & set(DIALECTS), title
        missing = {"Trino", "Spark"} - engines
        assert missing == NOT_ELSEWHERE.get(title, set()), title
