"""What a route demands: `dependencies=[require("protected")]`, `[require("symbols")]`, `[PUBLIC]`; without any, `read`.

The demand of `read` and the refusal of forged requests are made for every route by one dependency of the whole
application, so that a route that forgets to say anything is neither open nor unsafe.
"""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from missioncontrol.access.reader import Reader
from missioncontrol.access.scopes import SCOPES
from missioncontrol.web.auth.visit import visit_of
from missioncontrol.web.same_origin import refuse_cross_site

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Demands a scope of whoever asks; gives the reader."""

    def __init__(self, scope: str) -> None:
        assert scope == "" or scope in SCOPES, scope
        self.scope = scope

    async def __call__(self, request: Request) -> Reader:
        """Raises `Unauthorized` (`sign_in`, ...) or `Forbidden` (`missing_scope`)."""
        visit = visit_of(request)
        if self.scope:
            if visit.trouble is not None:
                raise visit.trouble
            visit.reader.demand(self.scope)
        return visit.reader


def require(scope: str) -> Any:
    """A dependency that lets nobody through without the scope; as a parameter's it gives the `Reader`."""
    return Depends(Guard(scope))


PUBLIC: Any = Depends(Guard(""))
"""The dependency of a route that is open to everybody, also to those with a bad token."""

_READ = Guard("read")


async def guard_every_route(request: Request) -> None:
    """Refuses requests that change something and come from another site's page, and, where a route demands
    nothing itself, those who may not read. Raises `Forbidden` (`cross_site`, ...) and `Unauthorized`.
    """
    visit = visit_of(request)
    # A foreign page does not know a token, so a request that carries one was not forged.
    if request.method not in _SAFE_METHODS and visit.reader.kind != "token":
        refuse_cross_site(request, visit.base_url)
    if not _has_guard(getattr(request.scope.get("route"), "dependant", None)):
        await _READ(request)


def _has_guard(dependant: Dependant | None) -> bool:
    return dependant is not None and any(
        isinstance(inner.call, Guard) or _has_guard(inner) for inner in dependant.dependencies
    )
