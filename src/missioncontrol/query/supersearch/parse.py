"""From the parameters of an address to a `Search`.

Every name is looked up in the fields that the reader may see; nothing else reaches SQL. Whatever is not understood is
refused with what was meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from missioncontrol.errors import BadRequest
from missioncontrol.query.supersearch.conditions import parse_condition
from missioncontrol.query.supersearch.fields import SearchField, SearchFields
from missioncontrol.query.supersearch.model import Condition, Facet, Interval, Order, Search, Shown

DEFAULT_COLUMNS = ("uuid", "date", "signature", "product", "version")
DEFAULT_FACETS = ("signature",)
DEFAULT_DAYS = 7
DEFAULT_RESULTS, MOST_RESULTS = 100, 1000
DEFAULT_TERMS, MOST_TERMS = 50, 10_000
MOST_FACETS, MOST_LEVELS, MOST_CONDITIONS = 40, 4, 500
_MOST_OFFSET = 10**9
_PLAIN = (
    "_columns", "_results_number", "_results_offset", "_sort", "_facets", "_facets_size", "_return_query", "_weighted",
)  # fmt: skip
_PREFIXES = ("_aggs", "_histogram", "_histogram_interval", "_cardinality")
_SECOND_US = 1_000_000
_UNITS = {
    "s": 1, "second": 1, "m": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400,
    "w": 604_800, "week": 604_800,
}  # fmt: skip
_CALENDAR = ("week", "month", "quarter", "year")

Pairs = Sequence[tuple[str, str]]


def parse_search(
    pairs: Pairs,
    fields: SearchFields,
    now: datetime,
    may_read_protected: bool,
    most_results: int = MOST_RESULTS,
) -> Search:
    """The search that the parameters ask for.

    Raises `BadRequest` (`unknown_field`, `unknown_parameter`, `bad_value`, `bad_operator`, `bad_regex`, `bad_number`,
    `bad_facet`, `bad_interval`, `not_sortable`, `too_many`) and `Forbidden` (`protected_field`).
    """
    grouped: dict[str, list[str]] = {}
    for key, value in pairs:
        # A command line can hold halves of characters, which no store can.
        grouped.setdefault(_text(key), []).append(_text(value))
    return _Reading(grouped, fields, may_read_protected).search(now, most_results)


class _Reading:
    """One set of parameters."""

    def __init__(self, grouped: Mapping[str, list[str]], fields: SearchFields, protected: bool) -> None:
        self._given, self._fields, self._protected = grouped, fields, protected

    def search(self, now: datetime, most_results: int) -> Search:
        self._refuse_unknown()
        conditions = self._conditions()
        size = self._number("_facets_size", DEFAULT_TERMS, MOST_TERMS)
        facets = self._facets()  # also when none is wanted: a name that may not be used is refused
        return Search(
            conditions=(*conditions, *_default_dates(conditions, self._fields, now)),
            columns=self._columns(),
            facets=facets if size else (),
            facets_size=size,
            order=tuple(self._order(name) for name in self._given.get("_sort", ()) if name),
            offset=self._number("_results_offset", 0, _MOST_OFFSET),
            number=self._number("_results_number", min(DEFAULT_RESULTS, most_results), most_results),
            weighted=self._flag("_weighted"),
            only_query=self._flag("_return_query"),
        )

    def _refuse_unknown(self) -> None:
        for key in self._given:
            if not key.startswith("_") or key in _PLAIN:
                continue
            prefix, _, rest = key.partition(".")
            if prefix in _PREFIXES and rest:
                if prefix == "_histogram_interval":
                    self._field(rest)  # also where no histogram asks for it
                continue
            close = difflib.get_close_matches(key[:80], [*_PLAIN, *_PREFIXES], 1)
            hint = f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(_PLAIN)}."
            raise BadRequest("unknown_parameter", f"There is no parameter {key[:80]!r}.", hint)

    def _conditions(self) -> list[Condition]:
        found = []
        for key, values in self._given.items():
            if not key.startswith("_"):
                field = self._field(key)
                found += [parse_condition(key, field, value) for value in values]
        if len(found) > MOST_CONDITIONS:
            raise BadRequest("too_many", f"There are more than {MOST_CONDITIONS} conditions.")
        return found

    def _columns(self) -> tuple[Shown, ...]:
        names = [name for name in self._given.get("_columns", ()) if name] or DEFAULT_COLUMNS
        return tuple(Shown(name, self._field(name)) for name in dict.fromkeys(names))

    def _order(self, name: str) -> Order:
        field = self._field(name.removeprefix("-"))
        if field.many:
            raise BadRequest("not_sortable", f"{field.name} is a list; crashes cannot be sorted by it.")
        return Order(field, name.startswith("-"))

    def _facets(self) -> tuple[Facet, ...]:
        found = [self._leaf(name) for name in self._given.get("_facets", DEFAULT_FACETS) if name]
        for key, values in self._given.items():
            prefix, _, rest = key.partition(".")
            if not rest or prefix not in ("_aggs", "_histogram", "_cardinality"):
                continue
            if prefix == "_cardinality":
                found.append(self._leaf(key))
                continue
            path = rest.split(".")
            if prefix == "_histogram":
                path[0] = f"_histogram.{path[0]}"
            found += [self._nested(path, value) for value in values if value]
        merged = _merged(found)
        if sum(map(_size, merged)) > MOST_FACETS:
            raise BadRequest("too_many", f"There are more than {MOST_FACETS} things to be counted.")
        return merged

    def _nested(self, path: Sequence[str], leaf: str) -> Facet:
        if len(path) >= MOST_LEVELS:
            raise BadRequest("bad_facet", f"Counts go at most {MOST_LEVELS} levels deep.")
        facet = self._leaf(leaf)
        for step in reversed(path):
            outer = self._leaf(step)
            if outer.kind == "cardinality":
                raise BadRequest(
                    "bad_facet", f"Nothing can be counted within {step[:80]!r}: it is one number."
                )
            facet = Facet(outer.label, outer.kind, outer.field, outer.interval, (facet,))
        return facet

    def _leaf(self, name: str) -> Facet:
        """`version`, `_cardinality.version` or `_histogram.date`."""
        prefix, _, rest = name.partition(".")
        if not name.startswith("_"):
            return Facet(name, "terms", self._field(name))
        if prefix == "_cardinality" and rest:
            return Facet(f"cardinality_{rest}", "cardinality", self._field(rest))
        if prefix == "_histogram" and rest:
            field = self._field(rest)
            return Facet(f"histogram_{rest}", "histogram", field, self._interval(rest, field))
        hint = "A field, _cardinality.FIELD or _histogram.FIELD."
        raise BadRequest("bad_facet", f"{name[:80]!r} is nothing that can be counted.", hint)

    def _interval(self, name: str, field: SearchField) -> Interval:
        text = self._given.get(f"_histogram_interval.{name}", [""])[-1]
        if field.kind == "date":
            return _of_time(name, text or "day")
        if field.kind != "number":
            hint = "Histograms are of dates and numbers."
            raise BadRequest("bad_facet", f"{name} is a {field.kind} and has no histogram.", hint)
        try:
            width = float(text or "1")
        except ValueError:
            width = 0
        if not 0 < width < 1e18:
            raise BadRequest("bad_interval", f"_histogram_interval.{name}: {text[:80]!r} is no width.")
        return Interval(width)

    def _field(self, name: str) -> SearchField:
        return self._fields.find(name, self._protected)

    def _number(self, name: str, default: int, most: int) -> int:
        text = self._given.get(name, [""])[-1] or str(default)
        if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= most):
            raise BadRequest("bad_number", f"{name} must be a number from 0 to {most:,}.")
        return int(text)

    def _flag(self, name: str) -> bool:
        return self._given.get(name, ["0"])[-1].lower() not in ("0", "false", "")


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def _default_dates(conditions: Sequence[Condition], fields: SearchFields, now: datetime) -> list[Condition]:
    """The last seven days, or the seven before the upper bound, unless a lower bound is given."""
    date = next((f for f in fields if f.name == "date"), None)
    bounds = [c for c in conditions if c.field.name == "date" and not c.negated]
    if date is None or any(c.operator in (">", ">=") for c in bounds):
        return []
    upper = [c.value for c in bounds if isinstance(c.value, datetime)]
    try:
        return [Condition(date, ">=", min([*upper, now]) - timedelta(days=DEFAULT_DAYS))]
    except OverflowError:
        return []


def _of_time(name: str, text: str) -> Interval:
    if text in _CALENDAR:
        return Interval(0, text)  # type: ignore[arg-type]
    found = re.fullmatch(r"([0-9]{0,6})(\.0+)?([a-z]*)", text)
    count = int(found[1] or "1") if found else 0
    # Without a unit, days: `1` is a day.
    seconds = _UNITS.get(found[3] or "d", 0) if found and (found[1] or found[3]) else 0
    if not count * seconds:
        hint = "As in minute, hour, day, week, month, quarter, year, 12h or 7d."
        raise BadRequest("bad_interval", f"_histogram_interval.{name}: {text[:80]!r} is no interval.", hint)
    return Interval(count * seconds * _SECOND_US)


def _merged(facets: Sequence[Facet]) -> tuple[Facet, ...]:
    """Facets of the same label as one with all that is within."""
    found: dict[str, Facet] = {}
    for facet in facets:
        known = found.get(facet.label)
        inner = _merged([*(known.inner if known else ()), *facet.inner])
        found[facet.label] = Facet(facet.label, facet.kind, facet.field, facet.interval, inner)
    return tuple(found.values())


def _size(facet: Facet) -> int:
    return 1 + sum(map(_size, facet.inner))
