"""Parameters in the text of a query: `{{channel}}`, `{{hours:number}}`, `{{day:date}}`.

A value becomes a literal of SQL, so none can change what the query does: text in quotes, a number, a date. Within
a quoted text (`'%{{part}}%'`) it is a part of it. Nothing in comments or quoted names is a parameter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Literal, cast

import msgspec

from missioncontrol.errors import BadRequest

Kind = Literal["text", "number", "date"]
LONGEST_VALUE = 1000
_MOST = 30
_PLACE = re.compile(r"\{\{\s*([A-Za-z_]\w{0,39})\s*(?::\s*(text|number|date)\s*)?\}\}")
# The parts of a query of which none begins within another. An unclosed one ends with the query.
_PART = re.compile(
    rf"""'(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z) | {_PLACE.pattern}""",
    re.DOTALL | re.VERBOSE,
)


class Placeholder(msgspec.Struct, frozen=True):
    """A parameter of a query."""

    name: str
    kind: Kind = "text"


def placeholders(query: str) -> list[Placeholder]:
    """The parameters in the order in which they come first.

    Raises `BadRequest` (`bad_parameter`) for one with two types, and for too many.
    """
    found: dict[str, Placeholder] = {}
    for part in _PART.finditer(query):
        places = [part] if part[1] else _PLACE.finditer(part[0]) if part[0].startswith("'") else ()
        for place in places:
            name, kind = place[1], place[2]
            known = found.get(name)
            if known is None or known.kind == "text":
                found[name] = Placeholder(name, cast(Kind, kind or "text"))
            elif kind not in (None, known.kind):
                raise BadRequest("bad_parameter", f"The parameter {name!r} is a {known.kind} and a {kind}.")
    if len(found) > _MOST:
        raise BadRequest("bad_parameter", f"The query has {len(found)} parameters; {_MOST} are allowed.")
    return list(found.values())


def filled(query: str, values: Mapping[str, str]) -> str:
    """The query with a literal in place of each parameter.

    Raises `BadRequest` (`missing_parameter`, `bad_parameter`).
    """
    known = placeholders(query)
    missing = [p.name for p in known if not values.get(p.name, "").strip() and p.kind != "text"]
    missing += [p.name for p in known if p.name not in values and p.kind == "text"]
    if missing:
        names = ", ".join(missing)
        raise BadRequest("missing_parameter", f"Without a value: {names}.", "Fill them in above the query.")
    raw = {p.name: _checked(p, values[p.name]) for p in known}
    literals = {p.name: _literal(p.kind, raw[p.name]) for p in known}

    def fill(part: re.Match[str]) -> str:
        if part[1]:
            return literals[part[1]]
        if part[0].startswith("'"):
            return _PLACE.sub(lambda place: raw[place[1]].replace("'", "''"), part[0])
        return part[0]

    return _PART.sub(fill, query)


def _checked(parameter: Placeholder, value: str) -> str:
    if len(value) > LONGEST_VALUE or "\0" in value:
        message = f"The value of {parameter.name!r} has {len(value):,} characters."
        raise BadRequest("bad_parameter", message, f"At most {LONGEST_VALUE:,}, none of them null.")
    if parameter.kind == "text":
        return value
    value = value.strip()
    try:
        good = _is_number(value) if parameter.kind == "number" else bool(date.fromisoformat(value))
    except ValueError:
        good = False
    if not good:
        hint = "As 12, -0.5 or 1e6." if parameter.kind == "number" else "As 2026-01-31."
        message = f"{parameter.name!r}: {value[:40]!r} is no {parameter.kind}."
        raise BadRequest("bad_parameter", message, hint)
    return value


def _is_number(value: str) -> bool:
    return re.fullmatch(
        r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value, re.ASCII | re.IGNORECASE
    ) is not None and (math.isfinite(float(value)))


def _literal(kind: Kind, value: str) -> str:
    if kind == "number":
        return f"({value})" if value[0] in "+-" else value
    quoted = "'" + value.replace("'", "''") + "'"
    return f"DATE {quoted}" if kind == "date" else quoted
