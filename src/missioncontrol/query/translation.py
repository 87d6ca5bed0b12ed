"""SQL of other engines as DuckDB's: the queries that people have for the predecessors' tables.

`presto` (Athena, Trino) for the tables of maps, `postgres` for those of jsonb. sqlglot parses and writes; here is what
it leaves alone. Only ever changes text: what the outcome may do is decided by the fence, as of any query. Runs in the
process that runs the query, within its limits, since a hostile text can take any time to parse.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from missioncontrol.errors import BadRequest
from missioncontrol.query.time_formats import joda_format

if TYPE_CHECKING:
    import duckdb

DIALECTS = ("duckdb", "presto", "postgres")
TEXT_DAYS = ("activity_date", "submission_date")
"""Columns of crash_aggregates that are text for Presto's queries, as in the table that those were written for."""

Node = Any
"""An expression of sqlglot, which is imported only where a query is translated."""
_SHOWN = 400
_MACROS = (
    # Integers divide to integers in both dialects; which they are is only known where the query is bound.
    "mc_divide(a, b) AS CASE WHEN contains(typeof(a), 'INT') AND contains(typeof(b), 'INT') AND"
    " NOT contains(typeof(a), 'INTERVAL') THEN trunc(a / b) ELSE a / b END",
)


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known that translated queries call."""
    for macro in _MACROS:
        connection.execute(f"CREATE MACRO {macro}")


def translate(query: str, dialect: str) -> str:
    """The query in DuckDB's SQL. Raises `BadRequest`: `sql_invalid`, `sql_refused`."""
    if dialect == "duckdb":
        return query
    from sqlglot import exp

    tree = _parsed(query, dialect)
    if not isinstance(tree, exp.Query):
        raise BadRequest(
            "sql_refused", "Refused: only one SELECT over the lake's tables is run.", "Write a SELECT."
        )
    try:
        return str(tree.transform(_changed, dialect).sql(dialect="duckdb"))
    except RecursionError:
        raise _too_deep() from None


def shown(text: str, dialect: str) -> str:
    """What was made of a query, short, for hints."""
    return f"Translated from {dialect}: {text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''}"


def _parsed(query: str, dialect: str) -> Node:
    import sqlglot
    from sqlglot.errors import ParseError, SqlglotError

    try:
        trees = [tree for tree in sqlglot.parse(query, read=dialect) if tree is not None]
    except ParseError as error:
        found: dict[str, Any] = error.errors[0] if error.errors else {}
        where = f"line {found.get('line')}, column {found.get('col')}: " if found.get("line") else ""
        message = f"{where}{found.get('description') or 'it is not understood'}"[:300]
        raise BadRequest("sql_invalid", message, f"The SQL is read as {dialect}'s.") from None
    except SqlglotError as error:
        raise BadRequest("sql_invalid", str(error)[:300], f"The SQL is read as {dialect}'s.") from None
    except RecursionError:
        raise _too_deep() from None
    if len(trees) != 1:
        what = f"{len(trees)} statements" if trees else "no statement"
        raise BadRequest(
            "sql_refused" if trees else "sql_invalid", f"There is {what} in the query.", "Send one SELECT."
        )
    return trees[0]


def _too_deep() -> BadRequest:
    return BadRequest("sql_refused", "Refused: expressions nested this deep.", "Write it flatter.")


def _changed(node: Node, dialect: str) -> Node:
    """What sqlglot does not change, or not as the lake's tables need it."""
    from sqlglot import exp

    if isinstance(node, exp.Div):
        return exp.func("mc_divide", node.this, node.expression)
    if isinstance(node, exp.ApproxDistinct) and node.args.get("accuracy"):
        return exp.ApproxDistinct(this=node.this)
    changes = _PRESTO if dialect == "presto" else _POSTGRES
    name = node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__
    change = changes.get(name)
    return change(node) if change else node


def _parse_datetime(node: Node) -> Node:
    from sqlglot import exp

    form = node.args.get("format") if isinstance(node, exp.ParseDatetime) else None
    parsed = exp.func("strptime", node.this, exp.Literal.string(joda_format(_literal(form))))
    return exp.AtTimeZone(this=parsed, zone=exp.Literal.string("UTC"))


def _format_datetime(node: Node) -> Node:
    from sqlglot import exp

    moment, form = node.expressions
    return exp.func("strftime", moment, exp.Literal.string(joda_format(_literal(form))))


def _at_timezone(node: Node) -> Node:
    from sqlglot import exp

    return exp.AtTimeZone(this=node.expressions[0], zone=node.expressions[1])


def _to_iso8601(node: Node) -> Node:
    from sqlglot import exp

    return exp.func("strftime", node.expressions[0], exp.Literal.string("%Y-%m-%dT%H:%M:%SZ"))


def _size(node: Node) -> Node:
    """Of maps as well as of arrays."""
    from sqlglot import exp

    return exp.Anonymous(this="cardinality" if _is_map(node.this) else "len", expressions=[node.this])


def _unnest(node: Node) -> Node:
    """UNNEST(map) AS t(k, v): a key and a value a row, which DuckDB writes as a subquery."""
    from sqlglot import exp

    alias = node.args.get("alias")
    columns = alias.columns if alias else []
    if len(node.expressions) != 1 or len(columns) != 2 or node.args.get("offset"):
        return node
    parts = [
        exp.alias_(exp.func("unnest", exp.func(f, node.expressions[0].copy())), c.name)
        for f, c in zip(("map_keys", "map_values"), columns, strict=True)
    ]
    inner = exp.Subquery(this=exp.select(*parts), alias=exp.TableAlias(this=alias.this))
    return inner


def _json_key(node: Node) -> Node:
    """`dimensions->>'channel'` is the map's value."""
    from sqlglot import exp

    keys = [part.this for part in node.expression.find_all(exp.JSONPathKey)]
    if not _is_map(node.this) or len(keys) != 1:
        return node
    return exp.Bracket(this=node.this, expressions=[exp.Literal.string(keys[0])])


def _has_key(node: Node) -> Node:
    from sqlglot import exp

    return exp.func("map_contains", node.this, node.expression) if _is_map(node.this) else node


def _contains(node: Node) -> Node:
    """`dimensions @> '{"channel": "nightly"}'`: each of these has its value."""
    from sqlglot import exp

    if not _is_map(node.this):
        return node
    try:
        wanted = json.loads(
            _literal(node.expression.this if isinstance(node.expression, exp.Cast) else node.expression)
        )
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise BadRequest(
            "sql_invalid",
            "After @> a JSON object is expected.",
            """As in dimensions @> '{"channel": "nightly"}'.""",
        )
    terms = [
        exp.EQ(
            this=exp.Bracket(this=node.this.copy(), expressions=[exp.Literal.string(key)]),
            expression=exp.Literal.string(str(value)),
        )
        for key, value in wanted.items()
    ]
    return exp.paren(exp.and_(*terms)) if terms else exp.true()


def _object_keys(node: Node) -> Node:
    from sqlglot import exp

    return exp.func("unnest", exp.func("map_keys", node.expressions[0]))


def _is_map(node: Any) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Column) and node.name.lower() in ("dimensions", "stats")


def _literal(node: Any) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise BadRequest(
        "sql_invalid", "A format has to be written as a text.", "As in parse_datetime(x, 'yyyyMMdd')."
    )


_Change = Callable[[Node], Node]
_PRESTO: dict[str, _Change] = {
    "ParseDatetime": _parse_datetime,
    "format_datetime": _format_datetime,
    "at_timezone": _at_timezone,
    "to_iso8601": _to_iso8601,
    "ArraySize": _size,
    "Unnest": _unnest,
}
_POSTGRES: dict[str, _Change] = {
    "JSONExtractScalar": _json_key,
    "JSONExtract": _json_key,
    "JSONBContainsTopKey": _has_key,
    "JSONBContains": _has_key,
    "ArrayContainsAll": _contains,
    "jsonb_object_keys": _object_keys,
}
