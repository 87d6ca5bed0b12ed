"""From a query in another dialect to one in DuckDB's.

Parsing and writing are sqlglot's; what it does not know of the dialects is in `presto.py` and `postgres.py`. Never
decides what may be run: its result is checked as any other query. Runs where a hostile query can do no harm, in the
limited process of the query, and refuses what is nested too deep or too long.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable

from sqlglot import ErrorLevel, exp
from sqlglot.errors import ParseError, TokenError, UnsupportedError

from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.query.fence import refused
from missioncontrol.query.translation import postgres, presto

MAX_BYTES = 250_000
"""Of a query to be translated: a tree takes some thousand times its text."""
_DEPTH = 5000
_STACK_BYTES = 64 * 1024 * 1024
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NAMES = {"presto": "Presto's SQL", "postgres": "PostgreSQL's SQL"}


def translate(query: str, dialect: str) -> str:
    """The query in DuckDB's SQL. Raises `BadRequest`: `sql_invalid`, `sql_refused`, `sql_too_long`."""
    size = len(query.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = f"The query has {size} bytes; {MAX_BYTES} are allowed in another dialect."
        raise BadRequest("sql_too_long", message, "Write it in DuckDB's SQL, which may be longer.")
    return _deep(lambda: _guarded(query, dialect))


def _deep(work: Callable[[], str]) -> str:
    """Run it in a thread whose stack bears a deep recursion."""
    done: list[str] = []
    failed: list[BaseException] = []

    def body() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    before = sys.getrecursionlimit(), threading.stack_size(_STACK_BYTES)
    sys.setrecursionlimit(_DEPTH)
    try:
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(before[0])
        threading.stack_size(before[1])
    if failed:
        raise failed[0].with_traceback(None)
    return done[0]


def _guarded(query: str, dialect: str) -> str:
    try:
        return _translated(query, dialect)
    except ParseError as error:
        raise _invalid(_described(error), dialect) from None
    except TokenError:
        raise _invalid("A text, a name or a comment has no end", dialect) from None
    except UnsupportedError as error:
        raise refused(_plain(str(error))) from None
    except RecursionError:
        raise refused("expressions nested this deep", "Write it flatter.") from None
    except (MissionControlError, MemoryError):
        raise
    except Exception as error:  # its parser is not proof against everything that a person may write
        raise _invalid(f"It is not understood ({type(error).__name__})", dialect) from None


def _translated(query: str, dialect: str) -> str:
    logging.getLogger("sqlglot").disabled = True
    rules = {"presto": presto, "postgres": postgres}[dialect]
    found = rules.READER.parse(query, error_level=ErrorLevel.IMMEDIATE)
    statements = [s for s in found if s is not None and not isinstance(s, exp.Semicolon)]
    if not statements:
        raise BadRequest("sql_invalid", "There is no statement in the query.", "Write one SELECT.")
    if len(statements) > 1:
        raise refused(f"{len(statements)} statements", "Send one SELECT at a time.")
    tree = statements[0]
    if not isinstance(tree, exp.Query | exp.Values):
        raise refused(f"a {_statement(tree)} statement", "Write a SELECT.")
    root = exp.Paren(this=tree)
    rules.adapt(root)
    return str(root.this.sql("duckdb", comments=False, unsupported_level=ErrorLevel.RAISE))


def _statement(tree: object) -> str:
    if isinstance(tree, exp.Command):
        return str(tree.this).upper()[:40]
    return type(tree).__name__.upper()


def _described(error: object) -> str:
    """Where and what, without colours and with little of the query."""
    found = getattr(error, "errors", None) or [{}]
    first = found[0]
    what = _plain(str(first.get("description") or error)).removesuffix(".")
    near = f"{first.get('start_context') or ''}"[-30:] + f"{first.get('highlight') or ''}"[:30]
    if not first.get("line"):
        return what
    return f"{what}, line {first['line']}, column {first['col']}, at {near!r}"


def _plain(message: str) -> str:
    message = re.sub(r"<class '[\w.]*?(\w+)'>", r"\1", _COLOURS.sub("", message[:2000]))
    return " ".join(message.split())[:300]


def _invalid(message: str, dialect: str) -> BadRequest:
    hint = f"The query is read as {_NAMES[dialect]} (dialect {dialect})."
    return BadRequest("sql_invalid", message + ".", hint)
