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


def value_of(field: SearchField) -> str:
    """The field's value: text, a number, a truth, an instant, or a list of texts."""
    stored = dialect.name(field.home)
    kind = _STORED.get(field.stored, "DOUBLE")
    if field.stored == "text_map":
        stored, kind = f"{stored}[{dialect.text(field.name)}]", "VARCHAR"
    if field.many:
        return f"CASE WHEN json_valid({stored}) THEN list_distinct(from_json({stored}, {_LIST})) END"
    wanted = _SQL_KINDS.get(field.kind, "BIGINT" if field.whole else "DOUBLE")
    return stored if wanted == kind else f"TRY_CAST({stored} AS {wanted})"


def matching(conditions: Sequence[Condition]) -> Sql:
    """All conditions: those of one field that ask for values are alternatives, everything else holds together."""
    alternatives: dict[str, list[Sql]] = {}
    together: list[Sql] = []
    for condition in conditions:
        sql = _one(condition)
        if condition.negated:
            # A crash without a value is none that has it.
            together.append(Sql(f"({sql.text}) IS NOT TRUE", sql.values))
        elif condition.operator in RANGES:
            together.append(sql)
        else:
            alternatives.setdefault(condition.field.name, []).append(sql)
    parts = [*together, *(_any(choices) for choices in alternatives.values())]
    text = " AND ".join(f"({part.text})" for part in parts) or "true"
    return Sql(text, tuple(v for part in parts for v in part.values))


def _any(choices: Sequence[Sql]) -> Sql:
    return Sql(" OR ".join(f"({c.text})" for c in choices), tuple(v for c in choices for v in c.values))


def _one(condition: Condition) -> Sql:
    field, operator, value = condition.field, condition.operator, condition.value
    if operator == "null":
        stored = dialect.name(field.home)
        return Sql(f"{value_of(field)} IS NULL" if field.stored == "text_map" else f"{stored} IS NULL")
    if isinstance(value, datetime):
        # Instants were parsed, so writing them out is safe; as literals they prune row groups by their statistics.
        return Sql(f"{value_of(field)} {operator} {dialect.instant(value)}")
    if operator == "true":
        return Sql(value_of(field))
    if field.kind in ("keyword", "text"):
        return _in_list(field, condition) if field.many else _text(value_of(field), condition)
    return Sql(f"{value_of(field)} {operator} ?", (_bound(value),))


def _in_list(field: SearchField, condition: Condition) -> Sql:
    if condition.operator in ("terms", "=") and field.kind == "keyword":
        return Sql(f"list_contains({value_of(field)}, ?)", (_bound(condition.value),))
    item = _text("item", condition)
    return Sql(f"list_bool_or(list_transform({value_of(field)}, lambda item: {item.text}))", item.values)


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
        return Sql(f"list_has_all({split}, ?::VARCHAR[])", (words,))
    if operator == "terms":
        return Sql(f"{value} = ?", (wanted,))
    function = {"~": "contains", "^": "starts_with", "$": "ends_with"}[operator]
    if free:
        return Sql(f"{function}(lower({value}), lower(?))", (wanted,))
    return Sql(f"{function}({value}, ?)", (wanted,))


def _bound(value: object) -> Parameter:
    assert isinstance(value, str | int | float)
    return value  # type: ignore[return-value]
