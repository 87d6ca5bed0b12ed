"""What a search asks, as frozen values: all names are fields that exist and that the reader may see."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from missioncontrol.query.supersearch.fields import SearchField

Operator = Literal["terms", "=", "~", "^", "$", "@", "<", "<=", ">", ">=", "null", "true"]
RANGES = ("<=", ">=", "<", ">")
Value = str | int | float | bool | datetime | None


class Condition(msgspec.Struct, frozen=True):
    """One value of one parameter."""

    field: SearchField
    operator: Operator
    value: Value = None
    negated: bool = False


class Shown(msgspec.Struct, frozen=True):
    """A field under the name that it was asked for by."""

    label: str
    field: SearchField


class Order(msgspec.Struct, frozen=True):
    """A field to sort by."""

    field: SearchField
    descending: bool


class Interval(msgspec.Struct, frozen=True):
    """The width of a histogram's bars."""

    width: float
    """In microseconds for dates; 0: by the calendar."""
    unit: Literal["", "week", "month", "quarter", "year"] = ""


class Facet(msgspec.Struct, frozen=True):
    """Something to be counted, and what to count within each of its terms."""

    label: str
    kind: Literal["terms", "histogram", "cardinality"]
    field: SearchField
    interval: Interval = Interval(0)
    inner: tuple[Facet, ...] = ()


class Search(msgspec.Struct, frozen=True):
    """A search of crashes."""

    conditions: tuple[Condition, ...]
    columns: tuple[Shown, ...]
    facets: tuple[Facet, ...] = ()
    facets_size: int = 50
    """Most terms of a facet, and of a facet within each term."""
    order: tuple[Order, ...] = ()
    """Then the newest first."""
    offset: int = 0
    number: int = 100
    weighted: bool = False
    """Counts stand for all crashes, also those that the throttle left out."""
    only_query: bool = False
    """The query itself is the answer."""

    @property
    def fields(self) -> tuple[SearchField, ...]:
        """Every field that it names."""
        named = [c.field for c in self.conditions] + [c.field for c in self.columns]
        named += [o.field for o in self.order]
        return tuple(dict.fromkeys([*named, *(f for facet in self.facets for f in _named(facet))]))


def _named(facet: Facet) -> list[SearchField]:
    return [facet.field, *(f for inner in facet.inner for f in _named(inner))]
