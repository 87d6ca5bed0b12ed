"""Small pieces of syntax trees that both dialects' rules are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

Rule = Callable[[exp.Expr], exp.Expr | None]
"""What takes the place of a node; None leaves it, perhaps changed."""
DAYS = frozenset({"submission_date", "activity_date"})
"""Columns of days, which are text in one dialect and dates in the other."""
_ZONED = frozenset({"TIMESTAMPTZ", "TIMESTAMPLTZ"})
_TEXTS = frozenset({"VARCHAR", "TEXT", "CHAR", "NCHAR", "NVARCHAR"})


def rewrite(tree: exp.Expr, rules: Mapping[type[exp.Expr], Rule]) -> None:
    """Apply the rule of each node's type, inner nodes first. The root itself stays."""
    for node in reversed(list(tree.walk(bfs=False))):
        rule = rules.get(type(node))
        if rule is None or node is tree:
            continue
        made = rule(node)
        if made is not None and made is not node:
            node.replace(made)


def call(name: str, *arguments: object) -> exp.Expr:
    """A function that is written as it is named."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def cast(node: exp.Expr, kind: str) -> exp.Expr:
    """The node as another type, by its name in DuckDB."""
    return exp.Cast(this=node, to=exp.DataType.build(kind, dialect="duckdb"))


def bare(node: object) -> object:
    """The node without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def text_of(node: object) -> str | None:
    """What a literal text says; None for anything else."""
    node = bare(node)
    return str(node.this) if isinstance(node, exp.Literal) and node.is_string else None


def is_day(node: object) -> bool:
    """Whether it is a column of days."""
    return isinstance(node, exp.Column) and node.name.lower() in DAYS


def kind(node: object) -> str | None:
    """DATE, TIMESTAMP, TIMESTAMPTZ or VARCHAR, where the text of the query shows it; None otherwise."""
    node = bare(node)
    if isinstance(node, exp.Cast | exp.TryCast):
        return _kind_of_type(node.to)
    if isinstance(node, exp.Date | exp.CurrentDate | exp.FromISO8601Date | exp.TsOrDsToDate):
        return "DATE"
    if isinstance(node, exp.CurrentTimestamp | exp.UnixToTime | exp.FromISO8601Timestamp):
        return "TIMESTAMPTZ"
    if isinstance(node, exp.StrToTime | exp.Localtimestamp):
        return "TIMESTAMP"
    if isinstance(node, exp.TimeToStr | exp.Substring | exp.DPipe | exp.Concat):
        return "VARCHAR"
    if isinstance(node, exp.DateAdd | exp.DateSub | exp.DateTrunc | exp.TimestampTrunc | exp.Add | exp.Sub):
        return _kind_of_sum(node)
    return None


def _kind_of_sum(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Add | exp.Sub) and not isinstance(bare(node.expression), exp.Interval):
        return None
    return kind(node.this)


def _kind_of_type(given: exp.DataType) -> str | None:
    name = given.this.name if hasattr(given.this, "name") else str(given.this)
    if name in _ZONED:
        return "TIMESTAMPTZ"
    if name in _TEXTS:
        return "VARCHAR"
    return name if name in ("DATE", "TIMESTAMP") else None
