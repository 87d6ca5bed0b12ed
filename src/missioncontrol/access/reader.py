"""The one who asks, as every part sees it: a name, what it may, and how it is known."""

from __future__ import annotations

from typing import Literal

import msgspec

from missioncontrol.errors import Forbidden, MissionControlError, Unauthorized

Kind = Literal["anonymous", "local", "session", "token"]
"""`local`: whoever sits at a single-user installation."""


class Reader(msgspec.Struct, frozen=True):
    """Who asks. `scopes` hold what they imply."""

    name: str
    scopes: frozenset[str]
    kind: Kind
    token_id: str = ""
    """Of the token, for `token`."""
    no_accounts: bool = False
    """The installation can be reached from elsewhere and has neither users nor tokens."""

    @property
    def known(self) -> bool:
        """Whether it is somebody who showed who they are."""
        return self.kind in ("session", "token")

    def may(self, scope: str) -> bool:
        """Whether it has the scope."""
        return scope in self.scopes

    def demand(self, scope: str) -> None:
        """Raises `Unauthorized` (`sign_in`, `no_users`) or `Forbidden` (`missing_scope`) without the scope."""
        if not self.may(scope):
            raise refusal(self, scope)


def refusal(reader: Reader, scope: str) -> MissionControlError:
    """What somebody without the scope is told."""
    if reader.known:
        return Forbidden(
            "missing_scope",
            f"{reader.name} does not have the scope `{scope}`.",
            f"Sign in as somebody who has it, or use a token made with --scope {scope}.",
        )
    if reader.no_accounts:
        return Unauthorized(
            "no_users",
            f"This needs the scope `{scope}`, and this server, which can be reached from elsewhere, has no users yet.",
            "Make the first one on the server: missioncontrol user add NAME",
        )
    return Unauthorized(
        "sign_in",
        f"This needs the scope `{scope}`.",
        "Sign in at /login, or send a token: `Authorization: Bearer mc_...`.",
    )
