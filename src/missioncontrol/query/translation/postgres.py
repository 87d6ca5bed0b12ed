"""What sqlglot does not know of PostgreSQL: time formats, regular expressions, numbers without a scale, jsonb."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser

from missioncontrol.query.fence import refused
from missioncontrol.query.translation import postgres_json
from missioncontrol.query.translation.time_formats import Piece, from_postgres
from missioncontrol.query.translation.trees import Rule, call, cast, rewrite, text_of

_RENAMED = {
    "EVERY": "BOOL_AND",
    "CARDINALITY": "LEN",
    "JSON_BUILD_OBJECT": "JSON_OBJECT",
    "JSONB_BUILD_OBJECT": "JSON_OBJECT",
    "JSON_BUILD_ARRAY": "JSON_ARRAY",
    "JSONB_BUILD_ARRAY": "JSON_ARRAY",
    "JSON_AGG": "JSON_GROUP_ARRAY",
    "JSONB_AGG": "JSON_GROUP_ARRAY",
    "ROW_TO_JSON": "TO_JSON",
    "TO_JSONB": "TO_JSON",
}


def _pieces(arguments: list[Any]) -> list[Piece]:
    pattern = text_of(arguments[1]) if len(arguments) == 2 else None
    if pattern is None:
        raise refused("a time format that is no literal text", "Write it in quotes.")
    return from_postgres(pattern)


def _to_char(arguments: list[Any]) -> exp.Expr:
    made: exp.Expr | None = None
    for piece in _pieces(arguments):
        part = _written(arguments[0].copy(), piece)
        made = part if made is None else exp.DPipe(this=made, expression=part)
    return exp.Paren(this=made or exp.Literal.string(""))


def _written(value: exp.Expr, piece: Piece) -> exp.Expr:
    if not piece.pattern:
        return cast(call("QUARTER", value), "TEXT")
    text = call("STRFTIME", value, exp.Literal.string(piece.pattern))
    return call(piece.case.upper(), text) if piece.case else text


def _read(arguments: list[Any]) -> exp.Expr:
    pattern = "".join(piece.pattern for piece in _pieces(arguments))
    return call("STRPTIME", arguments[0], exp.Literal.string(pattern))


def _to_timestamp(arguments: list[Any]) -> exp.Expr:
    if len(arguments) == 1:
        return exp.UnixToTime(this=arguments[0])
    return cast(_read(arguments), "TIMESTAMPTZ")


def _regexp_matches(arguments: list[Any]) -> exp.Expr:
    raise refused("regexp_matches(), which gives rows", "Use regexp_match().")


class _Parser(PostgresParser):
    FUNCTIONS: ClassVar[dict[str, Any]] = {
        **PostgresParser.FUNCTIONS,
        "TO_CHAR": _to_char,
        "TO_DATE": lambda args: cast(_read(args), "DATE"),
        "TO_TIMESTAMP": _to_timestamp,
        "REGEXP_MATCHES": _regexp_matches,
        "REGEXP_MATCH": lambda args: _regexp_match(args),
        "REGEXP_SPLIT_TO_TABLE": lambda args: call("UNNEST", call("STR_SPLIT_REGEX", *args)),
        "LOG": lambda args: call("LOG", *args),
    }


class MissionControlPostgres(Postgres):
    """PostgreSQL as it is read here."""

    Parser = _Parser


READER = MissionControlPostgres()


def adapt(root: exp.Expr) -> None:
    """Change a tree of PostgreSQL's into one that can be written as DuckDB's."""
    rewrite(root, _RULES)


def _regexp_match(arguments: list[Any]) -> exp.Expr:
    """The captured groups as an array, or the whole match as its only element."""
    pattern = text_of(arguments[1]) if len(arguments) > 1 else None
    if pattern is None or len(arguments) != 2:
        raise refused("regexp_match() with a computed pattern or flags", "Write the pattern in quotes.")
    groups = range(1, _groups(pattern) + 1) if _groups(pattern) else [0]
    found = [_extract(arguments[0].copy(), pattern, g) for g in groups]
    return exp.Array(expressions=found)


def _extract(value: Any, pattern: str, group: int) -> exp.Expr:
    return call("MC_REGEXP_EXTRACT", value, exp.Literal.string(pattern), exp.Literal.number(group))


def _groups(pattern: str) -> int:
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "", re.sub(r"\\.", "", pattern))
    return len(re.findall(r"\((?!\?)", plain))


def _substring(node: exp.Expr) -> exp.Expr | None:
    """substring(x from 'pattern')."""
    pattern = text_of(node.args.get("start"))
    return None if pattern is None else _extract(node.this, pattern, min(1, _groups(pattern)))


def _similar(node: exp.Expr) -> exp.Expr:
    """SIMILAR TO: `%` and `_` as in LIKE, the rest a regular expression over the whole text."""
    pattern = text_of(node.expression)
    if pattern is None:
        raise refused("SIMILAR TO with a computed pattern", "Write it in quotes.")
    wanted = re.sub(r"\\.|[%_.^$]", lambda m: _SIMILAR.get(m[0], m[0]), pattern)
    return call("REGEXP_FULL_MATCH", node.this, exp.Literal.string(wanted))


_SIMILAR = {"%": "(?s:.*)", "_": "(?s:.)", ".": r"\.", "^": r"\^", "$": r"\$"}


def _cast_type(node: exp.Expr) -> exp.Expr | None:
    """A number without a scale keeps its digits, a text is cut at its length, '{1,2}' is an array."""
    to = node.args["to"]
    if to.this == exp.DataType.Type.DECIMAL and not to.expressions:
        node.set("to", exp.DataType.build("DOUBLE"))
    elif to.this in (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR) and to.expressions:
        return call("LEFT", cast(node.this, "TEXT"), to.expressions[0].this)
    elif to.this == exp.DataType.Type.ARRAY and (text_of(node.this) or "").startswith("{"):
        listed = (text_of(node.this) or "").replace("{", "[").replace("}", "]")
        node.set("this", exp.Literal.string(listed))
    return None


def _function(node: exp.Expr) -> exp.Expr | None:
    name = str(node.this).upper()
    if name in _RENAMED:
        node.set("this", _RENAMED[name])
        return None
    return postgres_json.function(node)


_RULES: dict[type[exp.Expr], Rule] = {
    exp.Substring: _substring,
    exp.SimilarTo: _similar,
    exp.Cast: _cast_type,
    exp.Anonymous: _function,
    **postgres_json.RULES,
}
