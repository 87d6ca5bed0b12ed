"""The process that runs one SQL query of a user and ends: `python -m missioncontrol.query.worker`.

A query can ask for more memory or time than any check foresees (`repeat('x', 10^10)` allocates outside of
DuckDB's limit and ignores interrupts), so it runs where it can take nothing with it: limited by the operating
system in memory, CPU time and file size, in a DuckDB that can read no file but the lake's and write none but what
it spills. Ends when the process that started it ends.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.processes import end_with_stdin
from missioncontrol.query import dialect, formats, sketch_functions
from missioncontrol.query.error_place import place
from missioncontrol.query.fence import Checked, check, clean_message
from missioncontrol.query.job import Failure, Job, Report
from missioncontrol.query.rows import Deadline, ResultColumn, Rows, too_large, too_slow
from missioncontrol.query.views import View

if TYPE_CHECKING:
    import duckdb

GRACE_S = 1.0
"""How long after its deadline a query may take to notice it."""
_ROOM_MB = 384
_SHOWN = 400


def main() -> None:
    """Read a job from stdin, write the answer to stdout and the report to stderr."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    end_with_stdin()
    report = _run_guarded(job)
    sys.stderr.buffer.write(b"\n" + msgspec.json.encode(report) + b"\n")
    sys.stderr.buffer.flush()
    # Threads of a query that ignores its interrupt must not keep the process.
    os._exit(0)


def _run_guarded(job: Job) -> Report:
    import duckdb

    seen: list[str] = []
    try:
        return _run(job, seen)
    except MissionControlError as error:
        failure = Failure(error.status, error.code, error.message, error.hint)
    except duckdb.InterruptException:
        failure = _failure(too_slow(job.timeout_s))
    except (duckdb.OutOfMemoryException, MemoryError):
        failure = _failure(too_large())
    except duckdb.Error as error:
        failure = _failure(_sql_failed(error))
    except OSError as error:
        failure = Failure(500, "query_failed", f"The answer could not be written: {error.strerror}", "")
    return Report(failure=failure, protected=seen)


def _sql_failed(error: Exception) -> BadRequest:
    return BadRequest("sql_failed", clean_message(error))


def _failure(error: MissionControlError) -> Failure:
    return Failure(error.status, error.code, error.message, error.hint)


def _run(job: Job, seen: list[str]) -> Report:
    """Answer; `seen` gets the names of tables whose protected columns can be read, before any is."""
    connection = _connect(job)
    with_sketches = sketch_functions.needed(job.query)
    if with_sketches:
        sketch_functions.install(connection)
    if job.dialect != "duckdb":
        import missioncontrol.query.translation.translator  # noqa: F401 - as pyarrow: before the limits
    _limit_process(job)
    query = _in_duckdb(connection, job)
    if not with_sketches and sketch_functions.needed(query):
        sketch_functions.install(connection)
    try:
        return _answer(connection, query, job, seen)
    except BadRequest as error:
        raise _explained(error, query, job) from None


def _in_duckdb(connection: duckdb.DuckDBPyConnection, job: Job) -> str:
    """The query as DuckDB is to run it, and DuckDB as the dialect expects it."""
    if job.dialect == "duckdb":
        return job.query
    from missioncontrol.query.translation import macros
    from missioncontrol.query.translation.translator import translate

    macros.install(connection, job.dialect)
    return translate(job.query, job.dialect)


def _explained(error: BadRequest, query: str, job: Job) -> BadRequest:
    """Where in the user's text it is; of a translated one, the text that DuckDB speaks of."""
    if error.code not in ("sql_failed", "sql_invalid"):
        return error
    if job.dialect == "duckdb":
        at = place(str(error.__context__), query)
        said = f"{error.message} (line {at[0]}, column {at[1]})" if at else error.message
        return BadRequest(error.code, said, error.hint)
    text = " ".join(query[:_SHOWN].split()) + ("..." if len(query) > _SHOWN else "")
    return BadRequest(error.code, error.message, f"Translated from {job.dialect}: {text}")


def _answer(connection: duckdb.DuckDBPyConnection, query: str, job: Job, seen: list[str]) -> Report:
    import duckdb

    checked = check(connection, query, [v.name for v in job.views])
    sensitive = [v for v in _read(checked, job.views) if v.protected]
    if job.with_protected:
        seen += [v.name for v in sensitive]
    wanted = list(job.views) if checked.reads_information else _read(checked, job.views)
    _fence(connection, wanted)
    cursor = connection.cursor()
    deadline = Deadline(cursor, job.timeout_s or threading.TIMEOUT_MAX)
    try:
        opened = _opened(cursor, checked.text, job, deadline)
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise (_withheld(error, query, sensitive, job) or _sql_failed(error)) from None
    with opened as rows:
        formats.write(rows, job.form, sys.stdout.buffer, job.envelope)
        sys.stdout.buffer.flush()
        return Report(list(rows.columns), rows.count, rows.complete, seen)


def _connect(job: Job) -> duckdb.DuckDBPyConnection:
    import duckdb

    if job.form in formats.TYPED_FORMATS:
        import pyarrow.parquet  # noqa: F401 - loaded before the limits, so that its own needs don't count
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{job.memory_limit_mb}MB",
            "threads": job.threads,
            "temp_directory": job.spill_path,
            "max_temp_directory_size": f"{job.spill_limit_mb}MB",
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _fence(connection: duckdb.DuckDBPyConnection, wanted: Sequence[View]) -> None:
    """Create the views, then take away everything that is not needed to read them."""
    for view in wanted:
        connection.execute(view.sql)
    files = [path for view in wanted for path in view.files]
    connection.execute(f"SET GLOBAL allowed_paths = {dialect.texts(files)}")
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")


def _withheld(error: Exception, query: str, sensitive: Sequence[View], job: Job) -> BadRequest | None:
    """The refusal of a column that this reader does not have; None when the error is another."""
    import duckdb

    if job.with_protected or not isinstance(error, duckdb.BinderException):
        return None
    text = query.lower()
    named = [f"{v.name}.{c}" for v in sensitive for c in v.protected if c.lower() in text]
    if not named:
        return None
    hint = f"With the scope `protected` there are also: {', '.join(named)}."
    return BadRequest("sql_failed", clean_message(error), hint)


def _read(checked: Checked, views: Iterable[View]) -> list[View]:
    """The views that the query reads, and those that they use."""
    names = set(checked.tables)
    for view in views:
        if view.name in checked.tables:
            names.update(view.uses)
    return [v for v in views if v.name in names]


def _opened(cursor: duckdb.DuckDBPyConnection, text: str, job: Job, deadline: Deadline) -> Rows:
    if job.form in formats.TYPED_FORMATS:
        relation = cursor.sql(text)
        named = zip(relation.columns, relation.types, strict=True)
        columns = tuple(ResultColumn(name, str(kind)) for name, kind in named)
        return Rows(cursor, columns, deadline, job.max_rows, relation.to_arrow_reader, _sql_failed)
    cursor.execute(text)
    description = cursor.description or []
    columns = tuple(ResultColumn(str(d[0]), str(d[1])) for d in description)
    if any("TIME ZONE" in c.type for c in columns):
        cursor.abort()
        cursor.execute(_without_zones(text, columns))
    return Rows(cursor, columns, deadline, job.max_rows, failure=_sql_failed)


def _without_zones(text: str, columns: Sequence[ResultColumn]) -> str:
    """The query with its zoned times, at any depth, as plain UTC ones: fetching zoned ones takes another
    library.
    """
    select = ", ".join(
        f"CAST(c{i} AS {_plain_type(c.type)})" if "TIME ZONE" in c.type else f"c{i}"
        for i, c in enumerate(columns)
    )
    aliases = ", ".join(f"c{i}" for i in range(len(columns)))
    return f"SELECT {select} FROM ({text}\n) AS q({aliases})"


def _plain_type(kind: str) -> str:
    return kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP").replace("TIME WITH TIME ZONE", "VARCHAR")


def _limit_process(job: Job) -> None:
    """Limits that hold whatever the query does. What the process has by now is not counted."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, job.spill_limit_mb * 1024 * 1024)
    if job.timeout_s:
        _limit(resource.RLIMIT_CPU, int((job.timeout_s + GRACE_S) * job.threads) + 2)
    with contextlib.suppress(OSError):
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _limit(resource.RLIMIT_AS, used + (job.memory_limit_mb + _ROOM_MB) * 1024 * 1024)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (allowed, allowed))


if __name__ == "__main__":
    main()
