"""What every route of the Crash Stats API has in common: who may what, and how it refuses.

A refusal has Socorro's `error` beside our code, message and hint.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from fastapi import Request

from missioncontrol.errors import Forbidden, MissionControlError
from missioncontrol.web.api_route import ApiRoute


def everyone(_: Request) -> bool:
    """Every reader may."""
    return True


def unrecorded(_: Request, kind: str, thing: str) -> None:
    """Nobody writes down who saw what."""


class CrashAccess(msgspec.Struct, frozen=True):
    """What the reader of a request may do."""

    may_read_protected: Callable[[Request], bool] = everyone
    may_reprocess: Callable[[Request], bool] = everyone
    note: Callable[[Request, str, str], None] = unrecorded
    """Writes down that the reader is about to see something protected: its kind, and which."""

    def require_protected(self, request: Request, what: str) -> None:
        """Raises `Forbidden` (`protected`); asked before anything is looked up, so it tells nothing of a crash."""
        if not self.may_read_protected(request):
            hint = "Sign in, or send a token with the scope `protected`."
            raise Forbidden("protected", f"{what} are protected.", hint)

    def require_reprocess(self, request: Request) -> None:
        """Raises `Forbidden` (`scope_missing`)."""
        if not self.may_reprocess(request):
            hint = "Send a token with the scope `reprocess`."
            raise Forbidden("scope_missing", "Processing crashes again needs the scope `reprocess`.", hint)


class CrashRoute(ApiRoute):
    """A route of the Crash Stats API."""

    open_methods = ApiRoute.open_methods | {"POST"}

    def refusal(self, error: MissionControlError) -> dict[str, str]:
        """Ours, and Socorro's `error`."""
        return {**error.as_dict(), "error": f"{error.message} {error.hint}".strip()}
