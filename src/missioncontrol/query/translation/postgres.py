"""What sqlglot does not know of PostgreSQL: time formats, regular expressions, numbers without a scale, jsonb."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser

from missioncontrol.query.fence import refused
from missioncontrol.query.translation import postgres_json
from missioncontrol.query.translation.time_formats import Piece, from_postgres
from missioncontrol.query.translation.trees import Rule, bare, call, cast, rewrite, text_of

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


_SPECIFIER = re.compile(r"%%|%(?:(?P<place>\d+)\$)?(?P<kind>.?)", re.DOTALL)


def _pieces(arguments: list[Any]) -> list[Piece]:
    pattern = text_of(arguments[1]) if len(arguments) == 2 else None
    if pattern is None:
        raise refused("a time format that is no literal text", "Write it in quotes.")
    return from_postgres(pattern)


def _to_char(arguments: list[Any]) -> exp.Expr:
    """The pieces one behind the other; the time itself is written once."""
    pieces = _pieces(arguments)
    if len(pieces) <= 1:
        return _written(arguments[0], pieces[0]) if pieces else exp.Literal.string("")
    time = exp.to_identifier("mc_time")
    body = functools.reduce(
        lambda made, piece: exp.DPipe(this=made, expression=_written(time.copy(), piece)),
        pieces[1:],
        _written(time.copy(), pieces[0]),
    )
    each = exp.Lambda(this=body, expressions=[time])
    listed = call("LIST_TRANSFORM", exp.Array(expressions=[arguments[0]]), each)
    return exp.Bracket(this=listed, expressions=[exp.Literal.number(1)], offset=1)


def _written(value: exp.Expr, piece: Piece) -> exp.Expr:
    if not piece.pattern:
        return cast(call("QUARTER", value), "TEXT")
    text = call("STRFTIME", value, exp.Literal.string(piece.pattern))
    text = call(piece.case.upper(), text) if piece.case else text
    return (
        call("RPAD", text, exp.Literal.number(piece.width), exp.Literal.string(" ")) if piece.width else text
    )


def _read(arguments: list[Any]) -> exp.Expr:
    pattern = "".join(piece.pattern for piece in _pieces(arguments))
    return call("STRPTIME", arguments[0], exp.Literal.string(pattern))


def _to_timestamp(arguments: list[Any]) -> exp.Expr:
    if len(arguments) == 1:
        return exp.UnixToTime(this=arguments[0])
    return cast(_read(arguments), "TIMESTAMPTZ")


def _regexp_matches(arguments: list[Any]) -> exp.Expr:
    """A row for the match, or with the flag g for each one: its groups as an array."""
    pattern, flags = _pattern("regexp_matches", arguments)
    value, whole = arguments[0], exp.Literal.string(pattern)
    found = call("REGEXP_EXTRACT_ALL", value, whole, exp.Literal.number(0))
    number = exp.to_identifier("mc_number")
    groups = [
        exp.Bracket(
            this=call("REGEXP_EXTRACT_ALL", value.copy(), whole.copy(), exp.Literal.number(g)),
            expressions=[number.copy()],
            offset=1,
        )
        for g in _group_numbers(pattern)
    ]
    count = call("LEN", found)
    if "g" not in flags:
        count = call("LEAST", count, exp.Literal.number(1))
    rows = call("RANGE", exp.Literal.number(1), exp.Add(this=count, expression=exp.Literal.number(1)))
    each = exp.Lambda(this=exp.Array(expressions=groups), expressions=[number])
    return call("UNNEST", call("LIST_TRANSFORM", rows, each))


def _pattern(name: str, arguments: list[Any]) -> tuple[str, str]:
    """The pattern, with the flags that belong into it, and all flags."""
    given = [text_of(a) for a in arguments[1:]]
    if (
        len(given) not in (1, 2)
        or None in given
        or set(given[1] or "" if len(given) == 2 else "") - set("gi")
    ):
        raise refused(
            f"{name}() with a computed pattern, or flags other than g and i", "Write both in quotes."
        )
    flags = (given[1] or "") if len(given) == 2 else ""
    return ("(?i)" if "i" in flags else "") + (given[0] or ""), flags


def _format(arguments: list[Any]) -> exp.Expr:
    """%s and %2$s; null is nothing."""
    template = text_of(arguments[0]) if arguments else None
    if template is None:
        raise refused("format() with a computed template", "Write it in quotes, or use ||.")
    parts: list[Any] = []
    last = following = 0
    for found in _SPECIFIER.finditer(template):
        parts.append(exp.Literal.string(template[last : found.start()]))
        last = found.end()
        if found[0] == "%%":
            parts.append(exp.Literal.string("%"))
            continue
        following = int(found["place"] or following + 1)
        if found["kind"] != "s" or not 1 <= following < len(arguments):
            raise refused(f"{found[0][:20]!r} in format()", "Known: %s and %1$s, each with a value.")
        parts.append(cast(arguments[following].copy(), "TEXT"))
    parts.append(exp.Literal.string(template[last:]))
    return call("CONCAT", *parts)


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
        "FORMAT": _format,
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
    pattern, _ = _pattern("regexp_match", arguments)
    return exp.Array(expressions=[_extract(arguments[0].copy(), pattern, g) for g in _group_numbers(pattern)])


def _group_numbers(pattern: str) -> Sequence[int]:
    return range(1, _groups(pattern) + 1) or [0]


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


def _summed(node: exp.Expr) -> exp.Expr | None:
    """The sum of a column of integers is a numeric, which is divided as one; that of literals an integer."""
    postgres_json.numbers(node)
    if not any(_is_value(c) for c in node.find_all(exp.Column)):
        return None
    whole: exp.Expr = node
    while isinstance(whole.parent, exp.Filter | exp.Window) and whole.arg_key == "this":
        whole = whole.parent
    made: exp.Expr = exp.Mul(this=whole.copy(), expression=cast(exp.Literal.number(1), "DECIMAL(1, 0)"))
    if isinstance(whole.parent, exp.Select) and whole.arg_key == "expressions":
        made = exp.Alias(this=made, alias=exp.to_identifier(whole.sql("duckdb").lower(), quoted=True))
    else:
        made = exp.Paren(this=made)
    if whole is node:
        return made
    whole.replace(made)
    return None


def _is_value(column: exp.Expr) -> bool:
    """Whether it is summed, rather than asked in the condition of a CASE."""
    node: Any = column
    while not isinstance(node, exp.Sum):
        asked = isinstance(node.parent, exp.If | exp.Case) and node.arg_key == "this"
        if asked or isinstance(node.parent, exp.Predicate):
            return False
        node = node.parent
    return True


def _joined(node: exp.Expr) -> exp.Expr | None:
    """An array and an element."""
    left, right = node.this, node.expression
    if _is_array(left) and isinstance(right, exp.Literal) and not right.is_string:
        return call("LIST_APPEND", left, right)
    if _is_array(right) and isinstance(left, exp.Literal) and not left.is_string:
        return call("LIST_PREPEND", left, right)
    return None


def _is_array(node: object) -> bool:
    node = bare(node)
    if isinstance(node, exp.Cast):
        return bool(node.to.this == exp.DataType.Type.ARRAY)
    return isinstance(node, exp.Array | exp.ArrayAgg)


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
    exp.DPipe: _joined,
    **postgres_json.RULES,
    exp.Sum: _summed,
}
