"""Fields and conditions as expressions of DuckDB's SQL, values bound.

A value that cannot be read as what its field is (an old row, a declaration that was changed) is null: it matches
nothing and is counted nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from missioncontrol.query import dialect
from missioncontrol.query.statement import Parameter
from missioncontrol.query.supersearch.conditions import WORD_BREAK, words_of
from missioncontrol.query.supersearch.fields import SearchField
from missioncontrol.query.supersearch.model import RANGES, Condition

_LIST = dialect.text('["VARCHAR"]')
_SQL_KINDS = {"keyword": "VARCHAR", "text": "VARCHAR", "bool": "BOOLEAN", "date": "TIMESTAMP WITH TIME ZONE"}
_STORED = {"string": "VARCHAR", "bool": "BOOLEAN", "timestamp": "TIMESTAMP WITH TIME ZONE", "int64": "BIGINT"}


class Sql(msgspec.Struct, frozen=True):
    """A piece of SQL and the values of its `?` in order."""

    text: str
    values: tuple[Parameter, ...] = ()


def stored_of(field: SearchField) -> str:
    """What is stored of the field: a column or an entry of a map."""
    column = dialect.name(field.home)
    return f"{column}[{dialect.text(field.name)}]" if field.stored == "text_map" else column


def value_of(field: SearchField) -> str:
    """The field's value: text, a number, a truth, an instant, or a list of texts."""
    stored = stored_of(field)
    if field.many:
        return items_of(stored)
    kind = "VARCHAR" if field.stored == "text_map" else _STORED.get(field.stored, "DOUBLE")
    wanted = _SQL_KINDS.get(field.kind, "BIGINT" if field.whole else "DOUBLE")
    return stored if wanted == kind else f"TRY_CAST({stored} AS {wanted})"


def items_of(stored: str) -> str:
    """The different texts of a list that is stored as JSON. One without escapes is cut, which is ten times faster."""
    plain = f"starts_with({stored}, '[\"') AND ends_with({stored}, '\"]') AND NOT contains({stored}, '\\')"
    cut = f"string_split({stored}[3:-3], '\",\"')"
    parsed = f"CASE WHEN json_valid({stored}) THEN from_json({stored}, {_LIST}) END"
    return f"list_distinct(CASE WHEN {plain} THEN {cut} ELSE {parsed} END)"


def matching(conditions: Sequence[Condition]) -> Sql:
    """All conditions: those of one field that ask for values are alternatives, everything else holds together."""
    parts: dict[int | str, list[Sql]] = {}
    # What is cheap leaves less for what is dear.
    for condition in sorted(conditions, key=_cost):
        sql = _one(condition)
        if condition.negated:
            # A crash without a value is none that has it.
            sql = Sql(f"({sql.text}) IS NOT TRUE", sql.values)
        alone = condition.negated or condition.operator in RANGES
        parts.setdefault(len(parts) if alone else condition.field.name, []).append(sql)
    choices = [_any(part) for part in parts.values()]
    text = " AND ".join(f"({choice.text})" for choice in choices) or "true"
    return Sql(text, tuple(v for choice in choices for v in choice.values))


def _cost(condition: Condition) -> int:
    if condition.operator == "null":
        return 0
    if condition.field.many or (condition.field.kind == "text" and condition.operator == "terms"):
        return 3
    return {"=": 0, "terms": 0, "true": 0, "@": 4}.get(
        condition.operator, 0 if condition.operator in RANGES else 2
    )


def _any(choices: Sequence[Sql]) -> Sql:
    return Sql(" OR ".join(f"({c.text})" for c in choices), tuple(v for c in choices for v in c.values))


def _one(condition: Condition) -> Sql:
    field, operator, value = condition.field, condition.operator, condition.value
    if operator == "null":
        return Sql(f"{stored_of(field)} IS NULL")
    if isinstance(value, datetime):
        # Instants were parsed, so writing them out is safe; as literals they prune row groups by their statistics.
        return Sql(f"{value_of(field)} {operator} {dialect.instant(value)}")
    if operator == "true":
        return Sql(value_of(field))
    if field.kind in ("keyword", "text"):
        return _in_list(field, condition) if field.many else _text(value_of(field), condition)
    return Sql(f"{value_of(field)} {operator} ?", (_bound(value),))


def _in_list(field: SearchField, condition: Condition) -> Sql:
    stored, items = stored_of(field), value_of(field)
    if condition.operator in ("terms", "=") and field.kind == "keyword":
        wanted = _bound(condition.value)
        # Few lists have the text at all: only those are taken apart.
        quoted = msgspec.json.encode(wanted).decode()
        return Sql(f"contains({stored}, ?) AND list_contains({items}, ?)", (quoted, wanted))
    item = _text("item", condition)
    return Sql(f"list_bool_or(list_transform({items}, lambda item: {item.text}))", item.values)


def _text(value: str, condition: Condition) -> Sql:
    operator, wanted = condition.operator, _bound(condition.value)
    if operator in RANGES:
        return Sql(f"TRY_CAST({value} AS HUGEINT) {operator} ?", (wanted,))
    if operator == "@":
        return Sql(f"regexp_full_match({value}, ?, 's')", (wanted,))
    if operator == "=":
        return Sql(f"{value} = ?", (wanted,))
    # Sentences are searched without regard to case, names with it.
    free = condition.field.kind == "text"
    if free and operator == "terms":
        words = words_of(str(wanted))
        split = f"string_split_regex(lower({value}), {dialect.text(WORD_BREAK)})"
        # Few texts have the words in them at all: only those are taken apart.
        some = " AND ".join([f"contains(lower({value}), ?)"] * len(words))
        return Sql(
            f"CASE WHEN {some} THEN list_has_all({split}, ?::VARCHAR[]) ELSE false END", (*words, words)
        )
    if operator == "terms":
        return Sql(f"{value} = ?", (wanted,))
    function = {"~": "contains", "^": "starts_with", "$": "ends_with"}[operator]
    if free:
        return Sql(f"{function}(lower({value}), lower(?))", (wanted,))
    return Sql(f"{function}({value}, ?)", (wanted,))


def _bound(value: object) -> Parameter:
    assert isinstance(value, str | int | float)
    return value  # type: ignore[return-value]
