"""The rows of one running query, read in batches and never past the limit or the deadline.

A `Rows` owns its cursor: use it as a context manager. Knows nothing of formats. A cursor gives tuples of whatever
its types are; Arrow, which our own questions are read by, gives record batches or tuples of what `columns` makes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from missioncontrol.errors import BadRequest, MissionControlError, StorageError, TooSlow

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH_ROWS = 2000
ARROW_BATCH_ROWS = 65_536

Translate = Callable[[Exception], MissionControlError]


class ResultColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of an answer."""

    name: str
    type: str
    title: str = ""
    unit: str = ""


class Deadline:
    """Interrupts a cursor when its time is up."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._ends = time.monotonic() + timeout_s
        self._timer = threading.Timer(timeout_s, cursor.interrupt)
        self._timer.daemon = True
        self._timer.start()

    def check(self) -> None:
        """Raise `TooSlow` when the time is up: an interrupt between two fetches would be lost."""
        if time.monotonic() > self._ends:
            raise too_slow(self._timeout_s)

    def cancel(self) -> None:
        """Stop watching."""
        self._timer.cancel()


class Rows:
    """At most `limit` rows of a query, read once: of an executed cursor, or by Arrow where `open_arrow` is given."""

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        columns: tuple[ResultColumn, ...],
        deadline: Deadline,
        limit: int | None,
        open_arrow: Callable[[int], pa.RecordBatchReader] | None = None,
        failure: Translate | None = None,
    ) -> None:
        self.columns = columns
        self.limit = limit
        self.count = 0
        """Rows read so far."""
        self.complete = True
        """False once there turned out to be more rows than `limit`."""
        self._cursor = cursor
        self._deadline = deadline
        self._open_arrow = open_arrow
        self._failure = failure

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the query and free what it holds."""
        self._deadline.cancel()
        self._cursor.close()

    def batches(self) -> Iterator[list[tuple[Any, ...]]]:
        """The rows in bounded lists; raises `TooSlow` and `BadRequest`."""
        if self._open_arrow:
            from missioncontrol.query.columns import values_of

            for batch in self.arrow()[1]:
                yield list(zip(*map(values_of, batch.columns), strict=True))
            return
        while self.complete:
            self._deadline.check()
            with duckdb_failures(self._failure):
                batch = self._cursor.fetchmany(BATCH_ROWS)
            if not batch:
                return
            kept = self._keep(len(batch))
            if kept:
                yield batch[:kept]

    def arrow(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema, and the rows as Arrow record batches; only of rows that were opened for Arrow."""
        assert self._open_arrow
        with duckdb_failures(self._failure):
            reader = self._open_arrow(ARROW_BATCH_ROWS)
        return reader.schema, self._arrow_batches(reader)

    def _arrow_batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while self.complete:
            self._deadline.check()
            try:
                with duckdb_failures(self._failure):
                    batch = reader.read_next_batch()
            except StopIteration:
                return
            kept = self._keep(batch.num_rows)
            if kept:
                yield batch.slice(0, kept)

    def _keep(self, size: int) -> int:
        """How many rows of a batch are within the limit."""
        kept = size if self.limit is None else min(size, self.limit - self.count)
        self.count += kept
        self.complete = kept == size
        return kept


class duckdb_failures:  # noqa: N801 - reads as a statement: `with duckdb_failures():`
    """Turns what DuckDB raises, also through Arrow, into errors of the product; `other` for all but time and memory."""

    def __init__(self, other: Translate | None = None) -> None:
        self._other = other or query_failed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and _is_of_query(error):
            raise self._translated(error) from None

    def _translated(self, error: Exception) -> MissionControlError:
        # Arrow passes on the words of an error, not its type.
        said = str(error)
        if "INTERRUPT Error" in said:
            return too_slow(None)
        if "Out of Memory Error" in said or isinstance(error, MemoryError):
            return too_large()
        return self._other(error)


def _is_of_query(error: Exception) -> bool:
    import duckdb

    if isinstance(error, duckdb.Error | MemoryError):
        return True
    return type(error).__module__.startswith("pyarrow") or (
        isinstance(error, OSError) and " Error: " in str(error)
    )


def query_failed(error: Exception) -> MissionControlError:
    """The error of a query of ours that should have worked."""
    return StorageError("query_failed", f"The query failed: {str(error).splitlines()[0]}")


def too_slow(timeout_s: float | None) -> TooSlow:
    """The refusal of a query that ran out of time."""
    after = f" after {timeout_s:g} s" if timeout_s else ""
    return TooSlow(
        "query_timeout", f"The query was stopped{after}: it took too long.", "Ask for fewer days or columns."
    )


def too_large() -> BadRequest:
    """The refusal of a query that needs more memory than it may have."""
    hint = "Ask for fewer rows, groups or columns, or raise query.memory_limit_mb."
    return BadRequest("query_memory", "The query needs more memory than it may use.", hint)
