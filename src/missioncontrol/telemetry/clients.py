"""Who sent the pings of an hour, and who of them had at least one of a measure: the rows of client_aggregates.

Ids are held only until the batch is made into rows; what is kept of them are sketches.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from missioncontrol.lake.sketches import sketch
from missioncontrol.registry import Registry
from missioncontrol.telemetry.fact import Fact

HOUR_S = 3600
Key = tuple[Any, ...]


class _Ids:
    """The distinct ids of one row."""

    __slots__ = ("clients", "sessions")

    def __init__(self) -> None:
        self.clients: set[str] = set()
        self.sessions: set[str] = set()


class ClientRows:
    """Collects the client rows of one batch."""

    def __init__(self, registry: Registry) -> None:
        names = [d.name for d in registry.keys]
        self._positions = [names.index(d.name) for d in registry.client_keys]
        counted = {m.name for m in registry.client_measures}
        self._measures = {i: name for i, name in enumerate(registry.measures) if name in counted}
        self._rows: defaultdict[Key, _Ids] = defaultdict(_Ids)

    def add(self, received_ns: int, fact: Fact) -> None:
        """Take in the client of one counted ping, if it says which it is."""
        client = fact.client
        if client is None:
            return
        received_s = received_ns // 1_000_000_000
        key = (received_s - received_s % HOUR_S, *[fact.key[p] for p in self._positions])
        session = None if fact.session is None else client + fact.session
        self._note((*key, None), client, session)
        for index, value in fact.values:
            if value > 0 and index in self._measures:
                self._note((*key, self._measures[index]), client, session)

    def rows(self) -> list[Key]:
        """(start of the hour in seconds since the epoch, *client_keys, measure, clients, sessions)."""
        return [
            (*key, sketch(ids.clients), sketch(ids.sessions) if ids.sessions else None)
            for key, ids in self._rows.items()
        ]

    def _note(self, key: Key, client: str, session: str | None) -> None:
        ids = self._rows[key]
        ids.clients.add(client)
        if session is not None:
            ids.sessions.add(session)
