"""What sqlglot does not know of Presto: times, regular expressions, maps, and days that are text.

The predecessor's table had its days as text. They are here too, and are taken as dates where a query compares
them with a date or asks for a part of them.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.presto import Presto
from sqlglot.parsers.presto import PrestoParser

from missioncontrol.query.fence import refused
from missioncontrol.query.translation import presto_maps
from missioncontrol.query.translation.time_formats import from_joda
from missioncontrol.query.translation.trees import Rule, bare, call, cast, is_day, kind, rewrite, text_of

_KINDS = ("DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR")
_PARTS = {
    "DOW": "ISODOW", "DAY_OF_WEEK": "ISODOW", "DAYOFWEEK": "ISODOW", "DOY": "DOY", "DAY_OF_YEAR": "DOY",
    "YOW": "ISOYEAR", "YEAR_OF_WEEK": "ISOYEAR", "DAY_OF_MONTH": "DAY",
}  # fmt: skip
"""Parts of a time -> their names in DuckDB."""
_RENAMED = {"EVERY": "BOOL_AND", "GEOMETRIC_MEAN": "GEOMEAN", "MAP_UNION": "MAP_CONCAT"}


def _joda(arguments: list[Any]) -> str:
    pattern = text_of(arguments[1]) if len(arguments) == 2 else None
    if pattern is None:
        raise refused("a time format that is no literal text", "Write it in quotes.")
    return from_joda(pattern)


def _parse_datetime(arguments: list[Any]) -> exp.Expr:
    pattern, value = _joda(arguments), arguments[0]
    if pattern.endswith("%z"):
        value = call("REGEXP_REPLACE", value, exp.Literal.string("Z$"), exp.Literal.string("+00"))
    return cast(exp.StrToTime(this=value, format=exp.Literal.string(pattern)), "TIMESTAMPTZ")


def _format_datetime(arguments: list[Any]) -> exp.Expr:
    return exp.TimeToStr(this=arguments[0], format=exp.Literal.string(_joda(arguments)))


def _split(arguments: list[Any]) -> exp.Expr:
    if len(arguments) == 3:
        return call("MC_SPLIT", *arguments)
    return exp.Split(this=arguments[0], expression=arguments[1])


def _format(arguments: list[Any]) -> exp.Expr:
    """As printf; %s takes any value."""
    template = text_of(arguments[0]) if arguments else None
    if template is None:
        raise refused("format() with a computed template", "Write it in quotes, or use ||.")
    kinds = re.findall(r"%[-#+ 0,(]*\d*(?:\.\d+)?([a-zA-Z%])", template)
    values = iter(arguments[1:])
    given = [
        cast(v, "TEXT") if k in "sS" else v
        for k, v in zip((k for k in kinds if k not in "%n"), values, strict=False)
    ]
    return call("PRINTF", arguments[0], *given, *values)


def _at_timezone(arguments: list[Any]) -> exp.Expr:
    return exp.AtTimeZone(this=arguments[0], zone=arguments[1])


class _Parser(PrestoParser):
    FUNCTIONS: ClassVar[dict[str, Any]] = {
        **PrestoParser.FUNCTIONS,
        "PARSE_DATETIME": _parse_datetime,
        "FORMAT_DATETIME": _format_datetime,
        "SPLIT": _split,
        "SLICE": lambda args: call("MC_SLICE", *args),
        "LOG": lambda args: call("LOG", *args),
        "FORMAT": _format,
        "AT_TIMEZONE": _at_timezone,
        "CHECKSUM": lambda args: _without("checksum()"),
        "APPROX_SET": lambda args: _without("approx_set()"),
    }


class MissionControlPresto(Presto):
    """Presto as it is read here."""

    Parser = _Parser


READER = MissionControlPresto()


def _without(what: str) -> exp.Expr:
    raise refused(f"{what}, which has no equivalent")


def adapt(root: exp.Expr) -> None:
    """Change a tree of Presto's into one that can be written as DuckDB's."""
    rewrite(root, _RULES)


def _days_in_comparison(node: exp.Expr) -> None:
    """A day beside a date is a date, beside a computed text it is a text."""
    sides = [node.this, *(node.args.get(k) for k in ("expression", "low", "high")), *node.expressions]
    days = [side for side in sides if is_day(side)]
    kinds = {kind(side) for side in sides} - {None}
    if days and kinds:
        _cast_all(days, next(k for k in _KINDS if k in kinds))


def _cast_all(days: list[Any], wanted: str) -> None:
    for day in days:
        day.replace(cast(day.copy(), wanted))


def _of_date(node: exp.Expr) -> None:
    _cast_all([v for k, v in node.args.items() if is_day(v)], "DATE")


def _written_time(node: exp.Expr) -> None:
    _of_date(node)
    _week(node)


def _read_time(node: exp.Expr) -> None:
    _of_text(node)
    _week(node)


def _week(node: exp.Expr) -> None:
    """%v is the ISO week, as strftime's %V."""
    pattern = text_of(node.args.get("format"))
    if pattern and "%v" in pattern:
        node.set(
            "format", exp.Literal.string(re.sub(r"%(%|v)", lambda m: "%V" if m[1] == "v" else m[0], pattern))
        )


def _of_text(node: exp.Expr) -> None:
    values = [node.this, node.args.get("expression"), *node.expressions]
    _cast_all([v for v in values if is_day(v)], "VARCHAR")


def _of_interval(node: exp.Expr) -> exp.Expr | None:
    """A date and an interval of days is a date; DuckDB makes it a timestamp."""
    shifted = isinstance(bare(node.expression), exp.Interval)
    if shifted or is_day(node.expression):
        _of_date(node)
    if shifted and kind(node.this) == "DATE":
        return cast(exp.Paren(this=node.copy()), "DATE")
    return None


def _still_date(node: exp.Expr) -> exp.Expr | None:
    """A date plus days is a date; DuckDB makes it a timestamp."""
    _of_date(node)
    return cast(node.copy(), "DATE") if kind(node.this) == "DATE" else None


def _whole_units(node: exp.Expr) -> exp.Expr:
    """Whole units between two times; DuckDB's own counts the boundaries that are crossed."""
    _of_date(node)
    return call(
        "DATE_SUB", exp.Literal.string(str(node.args["unit"].name).lower()), node.expression, node.this
    )


def _extract(node: exp.Expr) -> exp.Expr | None:
    """Sunday is the seventh day."""
    _of_date(node)
    part = _PARTS.get(node.this.name.upper())
    if part:
        node.set("this", exp.Var(this=part))
    return None


def _bound(name: str) -> Rule:
    """The greatest or least of values is null when one is; DuckDB leaves nulls out. Each value is written once."""

    def rule(node: exp.Expr) -> exp.Expr:
        return call(name, exp.Array(expressions=[node.this, *node.expressions]))

    return rule


def _zone(node: exp.Expr) -> exp.Expr | None:
    """Plain timestamps of a session in UTC are instants; the result is what the clocks of the zone show."""
    if kind(node.this) != "TIMESTAMPTZ":
        node.set("this", cast(node.this, "TIMESTAMPTZ"))
    return None


def _split_part(node: exp.Expr) -> exp.Expr:
    """Null behind the last part."""
    _of_text(node)
    return call("MC_SPLIT_PART", node.this, node.args["delimiter"], node.args["part_index"])


def _regexp_extract(node: exp.Expr) -> exp.Expr:
    group = node.args.get("group") or exp.Literal.number(0)
    return call("MC_REGEXP_EXTRACT", node.this, node.expression, group)


def _regexp_replace(node: exp.Expr) -> exp.Expr:
    given = node.args.get("replacement")
    wanted = text_of(given) if given is not None else ""
    made: exp.Expr = call("MC_REPLACEMENT", given)
    if wanted is not None:
        made = exp.Literal.string(_replacement(wanted))
    return call("REGEXP_REPLACE", node.this, node.expression, made, exp.Literal.string("g"))


def _replacement(text: str) -> str:
    text = re.sub(r"\\(.)", lambda m: "\0" if m[1] == "$" else m[1], text).replace("\\", r"\\")
    return re.sub(r"\$(\d)", r"\\\1", text).replace("\0", "$")


def _approx_distinct(node: exp.Expr) -> None:
    node.set("accuracy", None)


def _approx_quantile(node: exp.Expr) -> None:
    quantile = node.args.get("quantile")
    if node.args.get("weight") or not isinstance(quantile, exp.Literal | exp.Array):
        raise refused("approx_percentile() with weights", "Write approx_percentile(x, 0.5).")
    node.set("accuracy", None)


def _random(node: exp.Expr) -> exp.Expr | None:
    given = [node.args[k] for k in ("this", "lower", "upper", "expression") if node.args.get(k) is not None]
    if not given:
        return None
    low, high = given if len(given) == 2 else (exp.Literal.number(0), given[0])
    width = exp.Paren(this=exp.Sub(this=exp.Paren(this=high), expression=exp.Paren(this=low.copy())))
    floor = cast(call("FLOOR", exp.Mul(this=call("RANDOM"), expression=width)), "BIGINT")
    return exp.Paren(this=exp.Add(this=exp.Paren(this=low.copy()), expression=floor))


def _cast_type(node: exp.Expr) -> exp.Expr | None:
    """A text of a given length is cut; a decimal without a scale has none."""
    to = node.args["to"]
    if to.this in (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR) and to.expressions:
        size = to.expressions[0].this
        return call("LEFT", type(node)(this=node.this, to=exp.DataType.build("TEXT")), size)
    if to.this == exp.DataType.Type.DECIMAL and not to.expressions:
        node.set("to", exp.DataType.build("DECIMAL(38, 0)"))
    return None


def _renamed(node: exp.Expr) -> exp.Expr | None:
    name = str(node.this).upper()
    if name in _RENAMED:
        node.set("this", _RENAMED[name])
        return None
    return presto_maps.function(node)


def _quiet(change: Any) -> Rule:
    def rule(node: exp.Expr) -> exp.Expr | None:
        change(node)
        return None

    return rule


_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)
_DATED = (
    exp.Year, exp.Month, exp.Day, exp.Quarter, exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear, exp.WeekOfYear,
    exp.Week, exp.LastDay,
)  # fmt: skip
_WORDED = (
    exp.Substring,
    exp.Like,
    exp.Concat,
    exp.DPipe,
    exp.RegexpLike,
    exp.Replace,
    exp.Split,
    exp.Length,
)
_RULES: dict[type[exp.Expr], Rule] = {
    **{t: _quiet(_days_in_comparison) for t in _COMPARED},
    **{t: _quiet(_of_date) for t in _DATED},
    **{t: _quiet(_of_text) for t in _WORDED},
    exp.TimeToStr: _quiet(_written_time),
    exp.StrToTime: _quiet(_read_time),
    exp.Add: _of_interval,
    exp.Sub: _of_interval,
    exp.DateDiff: _whole_units,
    exp.Extract: _extract,
    exp.Greatest: _bound("MC_GREATEST"),
    exp.Least: _bound("MC_LEAST"),
    exp.SplitPart: _split_part,
    exp.ConcatWs: lambda node: call("CONCAT_WS", *node.expressions),
    exp.DateAdd: _still_date,
    exp.DateTrunc: _still_date,
    exp.TimestampTrunc: _still_date,
    exp.AtTimeZone: _zone,
    exp.RegexpExtract: _regexp_extract,
    exp.RegexpReplace: _regexp_replace,
    exp.ApproxDistinct: _quiet(_approx_distinct),
    exp.ApproxQuantile: _quiet(_approx_quantile),
    exp.Rand: _random,
    exp.Cast: _cast_type,
    exp.TryCast: _cast_type,
    exp.Anonymous: _renamed,
    exp.ArraySize: presto_maps.cardinality,
    exp.Reduce: presto_maps.reduce,
    exp.Unnest: presto_maps.unnest,
}
