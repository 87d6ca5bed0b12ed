"""From the text of a value to a condition: `!` negates, then an operator, then what is compared.

Which operators a field has depends on its kind; what fits none is refused with the operators that fit.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from missioncontrol.errors import BadRequest
from missioncontrol.query.supersearch.fields import SearchField
from missioncontrol.query.supersearch.model import RANGES, Condition, Operator

_OPERATORS: tuple[Operator, ...] = (">=", "<=", ">", "<", "=", "~", "^", "$", "@")
_OF_TEXT = ("=", "~", "^", "$", "@")
_TRUE = {"true", "t", "1", "yes", "y"}
_FALSE = {"false", "f", "0", "no", "n"}
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}([T ].*)?", re.ASCII)
_LONGEST = 10_000
WORD_BREAK = r"[^\pL\pN_]+"
"""Between words, in RE2's language."""


def parse_condition(name: str, field: SearchField, text: str) -> Condition:
    """The condition that `name=text` sets; raises `BadRequest` (`bad_value`, `bad_operator`, `bad_regex`)."""
    if len(text) > _LONGEST:
        raise BadRequest("bad_value", f"{name}: a value has at most {_LONGEST:,} characters.")
    negated = text.startswith("!")
    rest = text[1:] if negated else text
    if rest == "__null__":
        return Condition(field, "null", None, negated)
    if rest == "__true__":
        if field.kind != "bool":
            raise _refused(name, field, "__true__")
        return Condition(field, "true", None, negated)
    operator, value = _split(field, rest)
    if not value:
        hint = f"For crashes without a value say {name}=__null__, for those with one {name}=!__null__."
        raise BadRequest("bad_value", f"{name}: there is nothing after {text!r}.", hint)
    if field.kind == "date":
        return Condition(field, _ranged(name, field, operator), parse_instant(name, value), negated)
    if field.kind == "bool":
        return _bool(name, field, operator, value, negated)
    if field.kind == "number":
        return _number(name, field, operator, value, negated)
    return _text(name, field, operator, value, negated)


def parse_instant(name: str, text: str) -> datetime:
    """An ISO 8601 instant, UTC where it says nothing else; a day is its midnight. Raises `BadRequest`."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = f"As in {name}=>=2026-11-01 or {name}=<2026-11-26T12:00:00; a + in an address is written %2B."
        raise BadRequest("bad_value", f"{name}: {text[:80]!r} is no time.", hint) from None


def _split(field: SearchField, text: str) -> tuple[Operator, str]:
    operator: Operator = next((o for o in _OPERATORS if text.startswith(o)), "terms")
    value = text.removeprefix(operator) if operator != "terms" else text
    if field.kind in ("keyword", "text") and operator in RANGES and not _is_range(field, value):
        return "terms", text  # names of Rust begin with <
    if field.name == "version" and operator == "terms" and text.endswith("b"):
        return "^", text  # all betas of a version
    return operator, value


def _is_range(field: SearchField, value: str) -> bool:
    return field.kind == "keyword" and not field.many and _INTEGER.fullmatch(value) is not None


def _ranged(name: str, field: SearchField, operator: Operator) -> Operator:
    if operator not in RANGES:
        raise BadRequest(
            "bad_operator", f"{name} is a time and needs an operator.", f"As in {name}=>=2026-11-01."
        )
    return operator


def _bool(name: str, field: SearchField, operator: Operator, value: str, negated: bool) -> Condition:
    if operator not in ("terms", "="):
        raise _refused(name, field, operator)
    if value.lower() not in _TRUE | _FALSE:
        raise BadRequest("bad_value", f"{name}: {value[:80]!r} is neither true nor false.")
    return Condition(field, "=", value.lower() in _TRUE, negated)


def _number(name: str, field: SearchField, operator: Operator, value: str, negated: bool) -> Condition:
    if operator in ("~", "^", "$", "@"):
        raise _refused(name, field, operator)
    number: int | float | None = None
    if _INTEGER.fullmatch(value):
        number = int(value)
    elif _NUMBER.fullmatch(value):
        number = float(value)
    if number is None or abs(number) > 1e300:
        raise BadRequest("bad_value", f"{name}: {value[:80]!r} is no number.")
    return Condition(field, "=" if operator == "terms" else operator, number, negated)


def _text(name: str, field: SearchField, operator: Operator, value: str, negated: bool) -> Condition:
    if operator in RANGES:
        return Condition(field, operator, int(value), negated)
    if operator == "@":
        _check_regex(name, value)
    if operator == "terms" and field.kind == "text" and not words_of(value):
        raise BadRequest("bad_value", f"{name}: there is no word in {value[:80]!r}.", f"Try {name}=~...")
    return Condition(field, operator, value, negated)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # By the very library that takes the values apart: both sides agree what a word is.
    split = pc.split_pattern_regex(pa.array([text.lower()]), WORD_BREAK)[0].as_py()
    return [word for word in split if word]


def _check_regex(name: str, pattern: str) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        said = str(error).partition(": ")[2] or str(error)
        hint = "Regular expressions are RE2's; they match the whole value."
        raise BadRequest("bad_regex", f"{name}: {said[:200]}.", hint) from None


def _refused(name: str, field: SearchField, operator: str) -> BadRequest:
    fitting = {"number": ("=", *RANGES), "bool": ("__true__",), "date": RANGES}.get(field.kind, _OF_TEXT)
    hint = f"Operators: {' '.join([*fitting, '__null__'])}, each negated by ! before it."
    return BadRequest("bad_operator", f"{name} is a {field.kind} and has no operator {operator}.", hint)
