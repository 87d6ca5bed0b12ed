"""From rows to an answer in Socorro's shapes: hits as objects, facets as `{term, count, facets}`.

A histogram of dates has ISO 8601 texts as terms, of numbers numbers; a cardinality is `{"value": n}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.query.supersearch.fields import SearchField
from missioncontrol.query.supersearch.model import Facet, Search
from missioncontrol.query.supersearch.statement import MOST_BARS, steps

Row = tuple[Any, ...]
Json = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hits_of(search: Search, rows: Iterable[Row]) -> list[Json]:
    """An object a crash with all the wanted columns; what a crash lacks is null."""
    return [
        {shown.label: _value(shown.field, value) for shown, value in zip(search.columns, row, strict=True)}
        for row in rows
    ]


def counts_of(search: Search, rows: Iterable[Row]) -> tuple[int | float, Json]:
    """The total, and the facets. Raises `BadRequest` (`too_many`) for a histogram with too many bars."""
    total: int | float = 0
    levels = [len(step.path) - 1 for step in steps(search.facets)]
    found = _Found()
    for step, *keys, rank, count in rows:
        if step < 0:
            total = _count(count)
        else:
            level = levels[step]
            term = keys[level] if level < len(keys) else ""
            found.setdefault((step, *keys[:level]), []).append((rank, term, count))
    numbered = {id(step.facet): step.number for step in steps(search.facets)}
    return total, {f.label: _facet(f, (), found, numbered) for f in search.facets}


_Found = dict[tuple[Any, ...], list[tuple[int, str, float]]]
"""(step, terms above) -> (rank, term, count) of each term."""


def _facet(facet: Facet, above: tuple[str, ...], found: _Found, numbered: dict[int, int]) -> Any:
    rows = sorted(found.get((numbered[id(facet)], *above), []))
    if facet.kind == "cardinality":
        return {"value": int(rows[0][2]) if rows else 0}
    if facet.kind == "histogram" and len(rows) > MOST_BARS:
        hint = f"Give a wider _histogram_interval.{facet.label.removeprefix('histogram_')}."
        raise BadRequest("too_many", f"{facet.label} has more than {MOST_BARS:,} bars.", hint)
    terms = []
    for _, term, count in rows:
        shown: Json = {"term": _term(facet, term), "count": _count(count)}
        if facet.inner:
            shown["facets"] = {f.label: _facet(f, (*above, term), found, numbered) for f in facet.inner}
        terms.append(shown)
    return terms


def _value(field: SearchField, value: Any) -> Any:
    if value is None:
        return None
    if field.many:
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return [value]
    return iso(value) if field.kind == "date" else value


def _term(facet: Facet, text: str) -> str | int | float:
    kind = "keyword" if facet.field.many else facet.field.kind
    if kind == "date":
        return iso(int(text))
    if kind != "number":
        return text
    return int(text) if facet.field.whole and text.removeprefix("-").isdigit() else float(text)


def iso(microseconds: int) -> str:
    """An instant in ISO 8601 with its offset from UTC."""
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return str(microseconds)


def _count(value: float) -> int | float:
    """A count; weighted ones are whole where they can be."""
    return int(value) if float(value).is_integer() else float(value)
