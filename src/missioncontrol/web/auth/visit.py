"""One request's reader and where it comes from. `gate` makes it; routes and pages ask it.

Whatever shows something protected calls `record()` before it answers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from fastapi import Request
from starlette.types import Scope

from missioncontrol.access.reader import Reader
from missioncontrol.errors import MissionControlError

if TYPE_CHECKING:
    from missioncontrol.state.access_log import Seen

NOBODY = Reader("anonymous", frozenset(), "anonymous")
_KEY = "missioncontrol.visit"
_MOST_REMEMBERED = 1000


class Visit(msgspec.Struct, frozen=True):
    """Who sent the request, and how it came here."""

    reader: Reader
    address: str = ""
    """Of the client, as far as it is believed."""
    https: bool = False
    base_url: str = ""
    """Address of this server as the browser knows it, without a slash at the end."""
    session: str = ""
    """Id of the session, for readers who are signed in."""
    trouble: MissionControlError | None = None
    """Why the request must be refused wherever something is shown: a bad token, too many requests."""


class Record:
    """Writes down who saw what. Thread-safe; blocks."""

    def __init__(self, add: Callable[[Seen], None]) -> None:
        self._add = add
        self._lock = threading.Lock()
        self._last: OrderedDict[tuple[str, str, str, str], datetime] = OrderedDict()

    def note(self, request: Request, kind: str, thing: str, every: timedelta | None = None) -> None:
        """Note that the reader is about to see it; `every`: once in that time, for pages that renew themselves."""
        from missioncontrol.state.access_log import Seen

        visit = visit_of(request)
        now = datetime.now(UTC)
        key = (visit.reader.name, visit.address, kind, thing)
        if every is not None and not self._due(key, now, every):
            return
        self._add(Seen(now, visit.reader.name, visit.reader.kind, kind, thing, visit.address))

    def _due(self, key: tuple[str, str, str, str], now: datetime, every: timedelta) -> bool:
        with self._lock:
            last = self._last.get(key)
            if last is not None and now - last < every:
                return False
            self._last[key] = now
            while len(self._last) > _MOST_REMEMBERED:
                self._last.popitem(last=False)
            return True


def visit_of(request: Request) -> Visit:
    """The visit of a request; one that passed no gate is nobody's."""
    found = request.scope.get(_KEY)
    return found if isinstance(found, Visit) else Visit(NOBODY)


def reader_of(request: Request) -> Reader:
    """Who asks."""
    return visit_of(request).reader


def remember(scope: Scope, visit: Visit) -> None:
    """Give a request its visit."""
    scope[_KEY] = visit
