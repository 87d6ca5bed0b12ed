"""What of SQL is let through: one SELECT over the lake's tables, with functions that reveal nothing of the
machine.

Works on the syntax tree that DuckDB itself makes of the query, never on its text, and allows by list:
statement types, node types, tables and table functions that are not listed are refused. Never runs the query.
Behind it stand two more fences (`worker.py`): DuckDB without access to any file but the lake's, and limits of
the operating system.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from missioncontrol.errors import BadRequest

if TYPE_CHECKING:
    import duckdb

MAX_QUERY_BYTES = 1_000_000

_NODES = frozenset(
    {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
    | {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "COLUMN_DATA"}
    | {"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"}
    | {"ORDER_DEFAULT", "ASCENDING", "DESCENDING"}
)
_TABLE_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "generate_subscripts"}
)
_REFUSED_FUNCTIONS = frozenset(
    {
        "getenv",
        "getvariable",
        "current_setting",
        "query",
        "query_table",
        "write_log",
        "parse_duckdb_log_message",
    }
    | {
        "json_execute_serialized_sql",
        "json_serialize_plan",
        "currval",
        "nextval",
        "setval",
        "setseed",
        "sleep_ms",
    }
    | {
        "in_search_path",
        "current_connection_id",
        "current_query_id",
        "current_transaction_id",
        "txid_current",
    }
    | {"hive_partition_component", "stats", "vector_type", "get_block_size", "current_query"}
)
_REFUSED_PREFIXES = (
    "read_",
    "parquet_",
    "duckdb_",
    "pragma_",
    "pg_",
    "inet_",
    "sniff_",
    "glob",
    "has_",
    "__internal",
)
_ALLOWED_PG = frozenset({"pg_typeof"})
_INFORMATION = frozenset({"tables", "columns"})
_CTE_NAME = re.compile(r"[\w $-]+")
_LINE = re.compile(r"\s*\n\s*LINE \d+:.*", re.DOTALL)
_PATH = re.compile(r"(?:[\w.=~-]*/){2,}[\w.=~-]*")


class Checked(msgspec.Struct, frozen=True):
    """A query that was let through."""

    text: str
    """Without a final semicolon."""
    tables: frozenset[str]
    """Names of the views it reads."""
    reads_information: bool
    """It asks `information_schema` which tables there are."""


def check(connection: duckdb.DuckDBPyConnection, query: str, tables: Sequence[str]) -> Checked:
    """Let the query through, or raise `BadRequest`: `sql_invalid`, `sql_refused`, `unknown_table`,
    `sql_too_long`.
    """
    refuse_long(query)
    text = _one_select(connection, query)
    nodes = list(_walk(_tree(connection, text)))
    ctes = {name.lower() for name in _cte_names(nodes)}
    for node in nodes:
        _refuse_node(node)
        _refuse_function(node)
    read, information = _tables(nodes, ctes, tables)
    return Checked(text, read, information)


def refuse_long(query: str) -> None:
    """Raise `BadRequest` (`sql_too_long`) for a query that no person wrote."""
    size = len(query.encode("utf-8", "surrogatepass"))
    if size > MAX_QUERY_BYTES:
        raise BadRequest("sql_too_long", f"The query has {size} bytes; {MAX_QUERY_BYTES} are allowed.")


def clean_message(error: Exception) -> str:
    """DuckDB's own message without the quoted line, suggestions of settings and paths of files."""
    # Cut first: a message can hold a megabyte of the user's, and the patterns take their time on it.
    message = (
        _LINE.sub("", str(error)[:4000]).split("\n\n")[0].split("Possible solutions")[0].split(' Use "SET')[0]
    )
    return _PATH.sub("<file>", " ".join(message.split()))[:1000]


def _one_select(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    statements = _parsed(connection, query)
    if not statements:
        raise BadRequest("sql_invalid", "There is no statement in the query.", "Write one SELECT.")
    if len(statements) > 1:
        raise refused(f"{len(statements)} statements", "Send one SELECT at a time.")
    kind = statements[0].type.name
    if kind != "SELECT":
        raise refused(
            f"a {kind} statement" if kind != "MULTI" else "a PIVOT without IN (...)", "Write a SELECT."
        )
    return _without_semicolon(connection, query)


def _parsed(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    import duckdb

    try:
        return connection.extract_statements(query)
    except duckdb.Error as error:
        raise BadRequest("sql_invalid", clean_message(error), "The SQL is DuckDB's.") from None


def _without_semicolon(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """The text before the semicolon that ends it: the one after which there is no statement."""
    import duckdb

    place = query.rfind(";")
    for _ in range(100):
        if place < 0:
            return query
        try:
            if not connection.extract_statements(query[place + 1 :]) and connection.extract_statements(
                query[:place]
            ):
                query = query[:place]
        except duckdb.Error:
            pass  # inside a text or a comment
        place = query.rfind(";", 0, place)
    return query


def _tree(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any]:
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()[0]
    try:
        tree: dict[str, Any] = msgspec.json.decode(row[0])
    except RecursionError:
        raise refused("expressions nested this deep", "Write it flatter.") from None
    if tree.get("error"):
        raise refused("this statement", str(tree.get("error_message", "")))
    return tree


def _walk(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree, without recursion."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _cte_names(nodes: Sequence[dict[str, Any]]) -> Iterator[str]:
    for node in nodes:
        entries = (node.get("cte_map") or {}).get("map", []) if isinstance(node.get("cte_map"), dict) else []
        for entry in entries:
            if not _CTE_NAME.fullmatch(entry["key"]):
                raise refused(f"a WITH named {entry['key'][:80]!r}", "Use letters, digits and underscores.")
            yield entry["key"]


def _refuse_node(node: dict[str, Any]) -> None:
    kind = node.get("type")
    # Expressions have a class; what they may do is decided by their function's name.
    if isinstance(kind, str) and "class" not in node and kind not in _NODES:
        what = kind.lower().removesuffix("_node").replace("_", " ")
        raise refused(f"SHOW, DESCRIBE and SUMMARIZE ({what})" if kind == "SHOW_REF" else what)
    if node.get("at_clause"):
        raise refused("AT")


def _refuse_function(node: dict[str, Any]) -> None:
    name = node.get("function_name")
    if isinstance(name, str) and name.lower() not in _ALLOWED_PG:
        lowered = name.lower()
        if lowered in _REFUSED_FUNCTIONS or lowered.startswith(_REFUSED_PREFIXES):
            raise refused(f"the function {name[:80]}()")
    if node.get("type") == "TABLE_FUNCTION" and "class" not in node:
        function = (node.get("function") or {}).get("function_name", "?")
        if function.lower() not in _TABLE_FUNCTIONS:
            raise refused(
                f"the table function {function[:80]}()", f"Allowed: {', '.join(sorted(_TABLE_FUNCTIONS))}."
            )


def _tables(
    nodes: Sequence[dict[str, Any]], ctes: set[str], tables: Sequence[str]
) -> tuple[frozenset[str], bool]:
    read: set[str] = set()
    information = False
    for node in nodes:
        if node.get("type") != "BASE_TABLE" or "class" in node:
            continue
        catalog, schema, name = (
            str(node.get(k) or "").lower() for k in ("catalog_name", "schema_name", "table_name")
        )
        if schema == "information_schema" and name in _INFORMATION and catalog in ("", "memory", "system"):
            information = True
        elif schema in ("", "main") and catalog in ("", "memory") and name in tables:
            read.add(name)
        elif schema or catalog or name not in ctes:
            raise _unknown_table(
                ".".join(filter(None, (catalog, schema, str(node.get("table_name"))))), tables
            )
    return frozenset(read), information


def _unknown_table(name: str, tables: Sequence[str]) -> BadRequest:
    close = difflib.get_close_matches(name[:80].lower(), tables, 1)
    hint = f"Did you mean {close[0]}?" if close else f"Tables: {', '.join(tables)}."
    return BadRequest("unknown_table", f"There is no table {name[:80]!r}.", hint)


def refused(what: str, hint: str = "") -> BadRequest:
    """The error of something that is not let through."""
    return BadRequest("sql_refused", f"Refused: {what}. Only one SELECT over the lake's tables is run.", hint)
