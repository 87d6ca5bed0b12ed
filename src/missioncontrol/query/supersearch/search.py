"""Searches of crashes run over the lake as it is now.

Blocks: run it in threads. Each statement has the engine's deadline and memory limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import CRASHES, Column, lake_tables
from missioncontrol.query.crash_rows import counting_rows
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Statement
from missioncontrol.query.supersearch.answer import counts_of, hits_of, iso
from missioncontrol.query.supersearch.expressions import Sql
from missioncontrol.query.supersearch.fields import SearchFields
from missioncontrol.query.supersearch.model import Search
from missioncontrol.query.supersearch.parse import MOST_RESULTS, Pairs, parse_search
from missioncontrol.query.supersearch.statement import counting, listing, needed

_MOST_TERMS = 300_000
"""Of all facets of an answer together."""
_MOST_SIGNATURES = 1000


class Found(msgspec.Struct, frozen=True):
    """The answer to a search."""

    hits: list[dict[str, Any]]
    total: int | float
    """Number of all crashes that match; weighted if that was asked for."""
    facets: dict[str, Any]
    errors: list[Any] = []


class FirstSeen(msgspec.Struct, frozen=True):
    """When a signature came up."""

    signature: str
    first_date: str
    first_build: str | None


class CrashSearch:
    """Answers searches. Thread-safe."""

    def __init__(
        self, engine: Engine, fields: Callable[[], SearchFields], now: Callable[[], datetime]
    ) -> None:
        self._engine, self._now = engine, now
        self.fields = fields
        """The searchable fields in force."""

    def parse(self, pairs: Pairs, may_read_protected: bool, most_results: int = MOST_RESULTS) -> Search:
        """The search that parameters ask for; raises `BadRequest` and `Forbidden`, see `parse_search()`."""
        return parse_search(pairs, self.fields(), self._now(), may_read_protected, most_results)

    def run(self, search: Search) -> Found:
        """The hits and counts. Raises `BadRequest` (`too_many`, `query_memory`), `TooSlow` and `StorageError`."""
        relation = self._relation(needed(search), *_days(search))
        rows, complete = self._rows(counting(search), relation, _MOST_TERMS)
        if not complete:
            hint = "Lower _facets_size or count fewer things within one another."
            raise BadRequest("too_many", f"The facets have more than {_MOST_TERMS:,} terms.", hint)
        total, facets = counts_of(search, rows)
        hits = []
        if search.number and total:
            hits = hits_of(search, self._rows(listing(search), relation, search.number)[0])
        return Found(hits, total, facets)

    def query_of(self, search: Search) -> dict[str, Any]:
        """The two statements of a search over the table `crashes`, with the values of their `?`."""
        counts, hits = counting(search), listing(search)
        return {
            "counts": {"sql": counts.text.replace("{relation}", CRASHES), "values": counts.values},
            "hits": {"sql": hits.text.replace("{relation}", CRASHES), "values": hits.values},
        }

    def first_seen(self, signatures: Sequence[str]) -> list[FirstSeen]:
        """Of each signature that there is, the first crash and the smallest build id. Raises `BadRequest`."""
        wanted = list(dict.fromkeys(signatures))
        if len(wanted) > _MOST_SIGNATURES:
            raise BadRequest("too_many", f"Ask for at most {_MOST_SIGNATURES:,} signatures at once.")
        text = (
            "SELECT signature, epoch_us(min(date)), min(build) FROM {relation} "
            f"WHERE signature IN ({', '.join('?' * len(wanted))}) GROUP BY 1 ORDER BY 1"
        )
        relation = self._relation(["signature", "date", "build"], None, None)
        rows, _ = self._rows(Sql(text, tuple(wanted)), relation, _MOST_SIGNATURES) if wanted else ([], True)
        return [FirstSeen(name, iso(first), build) for name, first, build in rows]

    def _relation(self, names: Sequence[str], first: date | None, last: date | None) -> str:
        columns: dict[str, Column] = {
            c.name: c for c in lake_tables(self._engine.registry())[CRASHES].columns
        }
        wanted = [columns[name] for name in names if name in columns]
        days = Span(dates=(first or date.min, last or date.max), dates_range=True)
        return counting_rows(self._engine.reader, wanted, days)

    def _rows(self, sql: Sql, relation: str, most: int) -> tuple[list[tuple[Any, ...]], bool]:
        text = sql.text.replace("{relation}", relation)
        return self._engine.rows(Statement(text, sql.values, (), most))


def _days(search: Search) -> tuple[date | None, date | None]:
    """The days of receipt that can hold what matches."""
    bounds = [c for c in search.conditions if c.field.name == "date" and not c.negated]
    lower = [c.value.date() for c in bounds if c.operator in (">", ">=") and isinstance(c.value, datetime)]
    upper = [c.value.date() for c in bounds if c.operator in ("<", "<=") and isinstance(c.value, datetime)]
    # The day in a crash id and the instant of receipt are read one after the other: midnight may lie between.
    first = max(lower) - _SLACK if lower and max(lower) > date.min else None
    last = min(upper) + _SLACK if upper and min(upper) < date.max else None
    return first, last


_SLACK = timedelta(days=1)
