"""The query engine: DuckDB in memory over the Parquet files of the lake's snapshots.

One connection for the process, opened at the first query (an idle product never loads DuckDB), a cursor a
query. Calls block: run them in threads. Every query has a deadline and a memory limit; nothing is ever
written.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from missioncontrol.config import Query as Settings
from missioncontrol.errors import StorageError
from missioncontrol.lake.tables import CRASHES, lake_tables
from missioncontrol.query import sketch_functions
from missioncontrol.query.aggregates import AggregateQuery, ValuesQuery, as_aggregate
from missioncontrol.query.crash_rows import counting_rows
from missioncontrol.query.kept_answers import KeptAnswers
from missioncontrol.query.relation import Span, view
from missioncontrol.query.rows import ARROW_BATCH_ROWS, Deadline, Rows, duckdb_failures
from missioncontrol.query.statement import Compiler, Parameter, Statement
from missioncontrol.query.versions import newest_first
from missioncontrol.registry.model import Registry

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from missioncontrol.lake.snapshot import LakeReader


_EVERY = 2**62
_FEW_ROWS = 10_000
"""In a file. A schema of our own spares reading its footer first, and costs more for each row."""
_WORD = re.compile(r"\w+")
_ALL = 10_000_000
"""More rows than any of our own questions has answers."""


class Values(msgspec.Struct, frozen=True):
    """The distinct values of one dimension; `has_null`: some rows have none."""

    dimension: str
    values: list[str]
    has_null: bool
    complete: bool


class Engine:
    """Answers aggregate queries. Thread-safe."""

    def __init__(
        self, reader: LakeReader, registry_source: Callable[[], Registry], settings: Settings
    ) -> None:
        self.reader = reader
        self.settings = settings
        self._registry_source = registry_source
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._knows_sketches = False
        self._answers = KeptAnswers()

    def registry(self) -> Registry:
        """What is declared now."""
        return self._registry_source()

    def aggregate(self, query: AggregateQuery, narrow: bool = False) -> Rows:
        """Rows of sums; use it as a context manager. As tuples, times are ISO 8601 text with Z.

        `narrow`: sums of integers have 64 bits, as formats with types need; else they are exact whatever they are.
        Raises `TooSlow` (`query_timeout`), `BadRequest` (`query_memory`) and `StorageError`.
        """
        if query.people:
            self._learn_sketches()
        try:
            return self._run(self._compiler(rollups=True).compile(query, narrow), by_arrow=True)
        except StorageError:
            # A rollup can be deleted between looking and reading; the base files of a new snapshot are there.
            return self._run(self._compiler(rollups=False).compile(query, narrow), by_arrow=True)

    def values(self, query: ValuesQuery) -> Values:
        """The distinct values of a dimension: versions the newest first, all others in the order of text."""
        with self.aggregate(as_aggregate(query)) as rows:
            found: list[str | None] = [row[0] for batch in rows.batches() for row in batch]
            texts = [v for v in found if v is not None]
            ordered = newest_first(texts) if query.dimension == "version" else texts
            return Values(query.dimension, ordered, len(texts) < len(found), rows.complete)

    def over(
        self,
        table: str,
        sql: str,
        parameters: Sequence[Parameter] = (),
        span: Span = Span(),
        columns: Sequence[str] = (),
    ) -> list[tuple[Any, ...]]:
        """All rows of SQL of our own, in which `{relation}` stands for what `relation()` says."""
        return self._all(sql.replace("{relation}", self.relation(table, span, columns)), parameters)

    def over_people(
        self, table: str, sql: str, parameters: Sequence[Parameter] = (), span: Span = Span()
    ) -> list[tuple[Any, ...]]:
        """As `over()`, of SQL that counts people by sketches."""
        self._learn_sketches()
        return self.over(table, sql, parameters, span)

    def arrow(self, sql: str, parameters: Sequence[Parameter] = ()) -> Iterator[pa.RecordBatch]:
        """The answer to SQL of our own in Arrow batches, for millions of rows; see `relation()` for what it reads.

        Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
        """
        with self._run(Statement(sql, tuple(parameters), (), _EVERY), by_arrow=True) as rows:
            yield from rows.arrow()[1]

    def over_sums(
        self, columns: Sequence[str], sql: str, parameters: Sequence[Parameter] = (), span: Span = Span()
    ) -> list[tuple[Any, ...]]:
        """As `over()`, of error_aggregates with these columns only, from slim rollups where those hold them."""

        def ask(rollups: bool) -> list[tuple[Any, ...]]:
            relation = self._compiler(rollups).relation("error_aggregates", columns, span)
            return self._all(sql.replace("{relation}", relation), parameters)

        try:
            return ask(rollups=True)
        except StorageError:
            return ask(rollups=False)  # as in `aggregate()`

    def over_crashes(
        self, sql: str, parameters: Sequence[Parameter] = (), span: Span = Span()
    ) -> list[tuple[Any, ...]]:
        """All rows of SQL of our own, in which `{crashes}` stands for the crashes within `span` that count.

        Of their columns it has those that the SQL names: of some 200 the others would be most of the work of planning.
        """
        named = set(_WORD.findall(sql))
        declared = lake_tables(self.registry())[CRASHES].columns
        columns = [c for c in declared if c.name in named and c.name != "submission_date"]
        return self._all(sql.replace("{crashes}", counting_rows(self.reader, columns, span)), parameters)

    def relation(self, table: str, span: Span = Span(), columns: Sequence[str] = ()) -> str:
        """A table's files within `span`, at the snapshot of now, as a relation of SQL.

        It has all columns, or at least `columns`: of small files then no footer is read to find out which there are.
        """
        snapshot = self.reader.snapshot(table)
        declared = lake_tables(self.registry())[table].columns
        if snapshot:
            # A lake of an earlier version lacks columns until its stream has started.
            held = {c.name for c in snapshot.columns}
            declared = (*snapshot.columns, *(c for c in declared if c.name not in held))
        files = [f for f in snapshot.files if span.wants(f)] if snapshot else []
        if columns and sum(file.rows for file in files) < _FEW_ROWS * len(files):
            return self._compiler(rollups=False).relation(table, list(dict.fromkeys(columns)), span)
        return view(files, declared)

    def _all(self, sql: str, parameters: Sequence[Parameter]) -> list[tuple[Any, ...]]:
        return self.rows(Statement(sql, tuple(parameters), (), _ALL))[0]

    def rows(self, statement: Statement) -> tuple[list[tuple[Any, ...]], bool]:
        """At most `limit` rows of a statement of our own, and whether that is all of them.

        Raises `TooSlow` (`query_timeout`), `BadRequest` (`query_memory`) and `StorageError`.
        """
        return self._answers.of(statement, self._read)

    def _read(self, statement: Statement) -> tuple[list[tuple[Any, ...]], bool]:
        with self._run(statement) as rows:
            return [row for batch in rows.batches() for row in batch], rows.complete

    def close(self) -> None:
        """Close the connection; the next query opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
                self._knows_sketches = False

    def _learn_sketches(self) -> None:
        """Install the functions that count people, at the first question for them."""
        self._cursor().close()
        with self._lock:
            if not self._knows_sketches and self._connection is not None:
                sketch_functions.install(self._connection)
                self._knows_sketches = True

    def _compiler(self, rollups: bool) -> Compiler:
        return Compiler(self.reader, self._registry_source(), self._texts, rollups)

    def _texts(self, statement: Statement) -> list[str]:
        with self._run(msgspec.structs.replace(statement, limit=1_000_000)) as rows:
            return [row[0] for batch in rows.batches() for row in batch]

    def _run(self, statement: Statement, by_arrow: bool = False) -> Rows:
        with duckdb_failures():
            cursor = self._cursor()
        deadline = Deadline(cursor, self.settings.timeout_s)
        parameters = list(statement.parameters)
        try:
            with duckdb_failures():
                if by_arrow:
                    # The reader runs the query: what fails must fail here, where another way can be taken.
                    reader = cursor.sql(statement.sql, params=parameters).to_arrow_reader(ARROW_BATCH_ROWS)
                    return Rows(cursor, statement.columns, deadline, statement.limit, lambda _: reader)
                cursor.execute(statement.sql, parameters)
                return Rows(cursor, statement.columns, deadline, statement.limit)
        except BaseException:
            deadline.cancel()
            cursor.close()
            raise

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is None:
                self._connection = _connect(self.settings)
            return self._connection.cursor()


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{settings.memory_limit_mb}MB",
        "threads": settings.threads,
        "temp_directory": "",
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=config)
    # Files are immutable and never reused, so a footer that was read once stays right.
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection
