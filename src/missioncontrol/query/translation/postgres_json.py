"""jsonb of PostgreSQL: the columns `dimensions` and `stats` are JSON in this dialect.

A value taken as text (`stats->>'usage_hours'`) that is added, compared with a number or summed is taken as a number
there, cast or not.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from missioncontrol.query.translation.trees import Rule, bare, call, cast, text_of

_JSON_COLUMNS = frozenset({"dimensions", "stats"})
_EACH = frozenset({"JSONB_EACH_TEXT", "JSON_EACH_TEXT", "JSONB_EACH", "JSON_EACH"})
_KEYS = frozenset({"JSONB_OBJECT_KEYS", "JSON_OBJECT_KEYS"})
_ELEMENTS = frozenset({"JSONB_ARRAY_ELEMENTS", "JSON_ARRAY_ELEMENTS"})
_ELEMENT_TEXTS = frozenset({"JSONB_ARRAY_ELEMENTS_TEXT", "JSON_ARRAY_ELEMENTS_TEXT"})


def function(node: exp.Expr) -> exp.Expr | None:
    """Functions that give rows, and those of paths."""
    name = str(node.this).upper()
    if name in _KEYS:
        return call("UNNEST", call("JSON_KEYS", *node.expressions))
    if name in _ELEMENTS:
        return call("UNNEST", call("JSON_EXTRACT", *node.expressions, exp.Literal.string("$[*]")))
    if name in _ELEMENT_TEXTS:
        return call("UNNEST", call("JSON_EXTRACT_STRING", *node.expressions, exp.Literal.string("$[*]")))
    if name in ("JSONB_EXTRACT_PATH_TEXT", "JSON_EXTRACT_PATH_TEXT"):
        steps = [text_of(e) for e in node.expressions[1:]]
        if None not in steps:
            return call("JSON_EXTRACT_STRING", node.expressions[0], _steps([s or "" for s in steps]))
    return None


def _steps(parts: list[str]) -> exp.Expr:
    return exp.Literal.string("$" + "".join(f"[{p}]" if p.isdigit() else f'."{p}"' for p in parts))


def _table(node: exp.Expr) -> exp.Expr | None:
    """A function in FROM: pairs of key and value; rows of keys."""
    given = node.this
    if isinstance(given, exp.Anonymous) and str(given.this).upper() in _EACH:
        return _each(given, node.args.get("alias"))
    rows = isinstance(given, exp.Anonymous) and str(given.this).upper() == "UNNEST"
    if rows and isinstance(given.expressions[0], exp.Anonymous):
        alias = node.args.get("alias")
        table = alias.this if alias and alias.this else exp.to_identifier("unnested")
        names = list(alias.columns) if alias and alias.columns else [table.copy()]
        return _lateral(exp.Select(expressions=[given]), table, names)
    return None


def _each(given: exp.Anonymous, alias: Any) -> exp.Expr:
    value: exp.Expr = exp.column("value")
    if str(given.this).upper().endswith("_TEXT"):
        value = call("JSON_EXTRACT_STRING", value, exp.Literal.string("$"))
    pairs = exp.Table(this=call("JSON_EACH", *given.expressions))
    select = exp.Select(
        expressions=[exp.column("key"), exp.Alias(this=value, alias=exp.to_identifier("value"))],
        from_=exp.From(this=pairs),
    )
    table = alias.this if alias and alias.this else exp.to_identifier("each")
    return _lateral(select, table, list(alias.columns) if alias else [])


def _lateral(select: exp.Select, table: Any, names: list[Any]) -> exp.Expr:
    alias = exp.TableAlias(this=table, columns=names)
    return exp.Lateral(this=exp.Subquery(this=select), alias=alias)


def _has_key(node: exp.Expr) -> exp.Expr:
    return call("MC_HAS_KEY", node.this, node.expression)


def _has_any(node: exp.Expr) -> exp.Expr:
    return call("MC_HAS_ANY", node.this, node.expression)


def _has_all(node: exp.Expr) -> exp.Expr:
    return call("MC_HAS_ALL", node.this, node.expression)


def _contains(node: exp.Expr) -> exp.Expr | None:
    """`@>` of jsonb; that of arrays stays."""
    if _is_json(node.this) or _is_json(node.expression):
        return call("JSON_CONTAINS", cast(node.this, "JSON"), cast(node.expression, "JSON"))
    return None


def _is_json(node: object) -> bool:
    node = bare(node)
    if isinstance(node, exp.Column):
        return node.name.lower() in _JSON_COLUMNS
    if isinstance(node, exp.Cast):
        return node.to.this in (exp.DataType.Type.JSON, exp.DataType.Type.JSONB)
    return isinstance(node, exp.JSONExtract) or (text_of(node) or "").startswith('{"')


def _path(node: exp.Expr) -> exp.Expr | None:
    """`#>` and `#>>` with a literal path."""
    path = text_of(node.expression)
    if path is None:
        return None
    name = "JSON_EXTRACT_STRING" if isinstance(node, exp.JSONBExtractScalar) else "JSON_EXTRACT"
    return call(name, node.this, _steps([part.strip() for part in path.strip("{}").split(",")]))


def numbers(node: exp.Expr) -> None:
    """Texts out of JSON among the operands become numbers."""
    operands = [node.this, node.args.get("expression"), node.args.get("low"), node.args.get("high")]
    compared = isinstance(node, exp.Predicate)
    if compared and not any(_is_number(o) for o in operands):
        return
    for operand in operands:
        taken = bare(operand)
        if isinstance(taken, exp.JSONExtractScalar | exp.JSONBExtractScalar):
            taken.replace(cast(taken.copy(), "DOUBLE"))


def _is_number(node: object) -> bool:
    node = bare(node)
    if isinstance(node, exp.Neg):
        node = node.this
    return isinstance(node, exp.Literal) and not node.is_string


def _numeric(node: exp.Expr) -> exp.Expr | None:
    numbers(node)
    return None


_CALCULATING = (
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Sum, exp.Avg, exp.Stddev, exp.Variance, exp.Neg,
    exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.NEQ, exp.Between,
)  # fmt: skip
RULES: dict[type[exp.Expr], Rule] = {
    **dict.fromkeys(_CALCULATING, _numeric),
    exp.JSONArrayAgg: lambda node: call("JSON_GROUP_ARRAY", node.this),
    exp.JSONBContainsTopKey: _has_key,
    exp.JSONBContainsAnyTopKeys: _has_any,
    exp.JSONBContainsAllTopKeys: _has_all,
    exp.ArrayContainsAll: _contains,
    exp.JSONBExtractScalar: _path,
    exp.JSONBExtract: _path,
    exp.Table: _table,
    exp.Lateral: _table,
}
