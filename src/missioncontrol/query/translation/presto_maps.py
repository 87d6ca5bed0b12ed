"""Maps, lambdas and UNNEST of Presto."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from missioncontrol.query.fence import refused
from missioncontrol.query.translation.trees import bare, call

_MAP_COLUMNS = frozenset({"dimensions", "stats"})
_MAP_FUNCTIONS = frozenset(
    {
        "MAP_FILTER",
        "TRANSFORM_VALUES",
        "TRANSFORM_KEYS",
        "MAP_AGG",
        "MAP_CONCAT",
        "HISTOGRAM",
        "MAP_FROM_ENTRIES",
        "MAP",
    }
)


def is_map(node: object) -> bool:
    """Whether the text of the query shows that it is a map."""
    node = bare(node)
    if isinstance(node, exp.Column):
        return node.name.lower() in _MAP_COLUMNS
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper() in _MAP_FUNCTIONS
    return isinstance(node, exp.Map | exp.MapFromEntries | exp.ToMap | exp.VarMap | exp.MapCat)


def cardinality(node: exp.Expr) -> exp.Expr:
    """The size of a map or an array."""
    return call("CARDINALITY" if is_map(node.this) else "LEN", node.this)


def unnest(node: exp.Expr) -> exp.Expr | None:
    """A map gives two columns, an array one; which is which, the number of names tells."""
    alias, given = node.args.get("alias"), node.expressions
    names = list(alias.columns) if alias else []
    maps = _maps_among(given, len(names))
    if len(given) == 1 and not any(maps):
        return None
    offset = node.args.get("offset")
    select = exp.Select(expressions=[p for g, m in zip(given, maps, strict=True) for p in _columns(g, m)])
    if offset is not None:
        length = call("LEN", _columns(given[0], maps[0])[0].expressions[0].copy())
        numbers = call("RANGE", exp.Literal.number(1), exp.Add(this=length, expression=exp.Literal.number(1)))
        select.append("expressions", call("UNNEST", numbers))
        names.append(offset if isinstance(offset, exp.Identifier) else exp.to_identifier("ordinality"))
    table = alias.this if alias and alias.this else exp.to_identifier("unnested")
    made = exp.TableAlias(this=table, columns=names)
    return exp.Lateral(this=exp.Subquery(this=select), alias=made)


def _maps_among(given: list[Any], names: int) -> list[bool]:
    if names == 2 * len(given):
        return [True] * len(given)
    if names == len(given):
        return [False] * len(given)
    return [is_map(g) for g in given]


def _columns(given: exp.Expr, is_a_map: bool) -> list[Any]:
    if not is_a_map:
        return [call("UNNEST", given.copy())]
    return [call("UNNEST", call(f"MAP_{part}", given.copy())) for part in ("KEYS", "VALUES")]


def function(node: exp.Expr) -> exp.Expr | None:
    """Functions with lambdas over maps and arrays that are written otherwise."""
    name, given = str(node.this).upper(), node.expressions
    if name in ("ANY_MATCH", "ALL_MATCH", "NONE_MATCH") and len(given) == 2:
        return _match(name, given[0], given[1])
    if name == "MAP_FILTER" and len(given) == 2:
        return call("MAP_FROM_ENTRIES", call("LIST_FILTER", *_over_entries(given)))
    if name in ("TRANSFORM_VALUES", "TRANSFORM_KEYS") and len(given) == 2:
        return _transformed(name, given)
    if name == "MAP_AGG" and len(given) == 2:
        return call("MAP", call("LIST", given[0]), call("LIST", given[1]))
    return None


def _match(name: str, values: exp.Expr, test: exp.Expr) -> exp.Expr:
    if name == "ALL_MATCH":
        test = test.copy()
        test.set("this", exp.Not(this=exp.Paren(this=test.this)))
    found = call("LEN", call("LIST_FILTER", values, test))
    zero = exp.Literal.number(0)
    compared = (
        exp.GT(this=found, expression=zero) if name == "ANY_MATCH" else exp.EQ(this=found, expression=zero)
    )
    return exp.Paren(this=compared)


def _over_entries(given: list[Any]) -> list[Any]:
    """The entries of the map, and the lambda of key and value as one of an entry."""
    entry = exp.to_identifier("mc_entry")
    body = _with_entry(given[1])
    return [call("MAP_ENTRIES", given[0]), exp.Lambda(this=body, expressions=[entry])]


def _with_entry(given: Any) -> Any:
    if not isinstance(given, exp.Lambda) or len(given.expressions) != 2:
        raise refused("a map function without a lambda of key and value", "Write (k, v) -> ...")
    key, value = (part.name for part in given.expressions)
    fields = {
        key: exp.Dot(this=exp.to_identifier("mc_entry"), expression=exp.to_identifier("key")),
        value: exp.Dot(this=exp.to_identifier("mc_entry"), expression=exp.to_identifier("value")),
    }
    return _replaced(given.this, fields)


def _transformed(name: str, given: list[Any]) -> exp.Expr:
    entries, changed = _over_entries(given)
    part = "KEYS" if name == "TRANSFORM_VALUES" else "VALUES"
    kept = call(f"MAP_{part}", given[0].copy())
    made = call("LIST_TRANSFORM", entries, changed)
    return call("MAP", kept, made) if name == "TRANSFORM_VALUES" else call("MAP", made, kept)


def reduce(node: exp.Expr) -> exp.Expr:
    """The last lambda is applied to the result."""
    finish = node.args.get("finish")
    made = call("LIST_REDUCE", node.this, node.args["merge"], node.args["initial"])
    if not isinstance(finish, exp.Lambda) or len(finish.expressions) != 1:
        return made
    return exp.Paren(this=_replaced(finish.this, {finish.expressions[0].name: made}))


def _replaced(body: Any, names: dict[str, Any]) -> Any:
    """The body of a lambda with its parameters replaced."""

    def swap(node: Any) -> Any:
        lone = isinstance(node, exp.Identifier) and not isinstance(
            node.parent, exp.Column | exp.Dot | exp.Lambda
        )
        column = isinstance(node, exp.Column) and not node.table
        return names[node.name].copy() if (lone or column) and node.name in names else node

    return body.copy().transform(swap)
