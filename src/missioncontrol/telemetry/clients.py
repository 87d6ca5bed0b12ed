"""Who sent the pings of an hour, and who of them had at least one of a measure: the rows of client_aggregates.

Ids are held only until the batch is made into rows; what is kept of them are sketches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from missioncontrol.lake.sketches import sketch
from missioncontrol.lake.tables import lake_tables
from missioncontrol.registry import Registry
from missioncontrol.telemetry.fact import Fact

HOUR_S = 3600
Key = tuple[Any, ...]


class ClientRows:
    """Collects the client rows of one batch."""

    def __init__(self, registry: Registry) -> None:
        names = [d.name for d in registry.keys]
        self._positions = [names.index(d.name) for d in registry.client_keys]
        counted = [m.name for m in registry.client_measures]
        self._places = {i: 2 + 2 * counted.index(n) for i, n in enumerate(registry.measures) if n in counted}
        columns = lake_tables(registry)["client_aggregates"].columns
        self.columns = [c.name for c in columns if c.name != "submission_date"]
        """Names of the values of a row."""
        self._width = 2 + 2 * len(counted)
        self._rows: defaultdict[Key, dict[int, set[str]]] = defaultdict(dict)
        """Key -> place of a sketch column -> ids."""

    def add(self, received_ns: int, fact: Fact) -> None:
        """Take in the client of one counted ping, if it says which it is."""
        client = fact.client
        if client is None:
            return
        received_s = received_ns // 1_000_000_000
        row = self._rows[(received_s - received_s % HOUR_S, *[fact.key[p] for p in self._positions])]
        session = None if fact.session is None else client + fact.session
        _note(row, 0, client, session)
        for index, value in fact.values:
            if index in self._places and value > 0:
                _note(row, self._places[index], client, session)

    def rows(self) -> list[Key]:
        """The values of `columns`, a tuple a row; the hour in seconds since the epoch."""
        return [(*key, *self._sketches(ids)) for key, ids in self._rows.items()]

    def _sketches(self, ids: dict[int, set[str]]) -> Iterator[bytes | None]:
        for place in range(self._width):
            yield sketch(ids[place]) if place in ids else None


def _note(row: dict[int, set[str]], place: int, client: str, session: str | None) -> None:
    row.setdefault(place, set()).add(client)
    if session is not None:
        row.setdefault(place + 1, set()).add(session)
