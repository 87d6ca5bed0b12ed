"""What somebody may who shows neither session nor token. A pure decision; `docs/adr/0015-access.md` has the cases.

A single-user installation (loopback only, no users, no tokens) lets whoever sits at it do everything, but only
directly: not through a proxy, not under another host name (a foreign name may have been made to point at this
machine), and not for the page of another site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import msgspec

from missioncontrol.access.reader import Reader
from missioncontrol.access.scopes import ALL, implied, parse_scopes
from missioncontrol.errors import BadRequest, ConfigError

_NEED_ACCOUNTS = frozenset({"protected", "reprocess", "admin"})
"""Nobody gets these from an installation that can be reached from elsewhere before it has an account."""


class Approach(msgspec.Struct, frozen=True):
    """How an anonymous request came."""

    direct: bool
    """No proxy says that it passed the request on."""
    host: str
    """The header Host."""
    foreign_page: bool
    """A browser says that another site's page sent it, and could read the answer."""


def anonymous_reader(
    listens_on: str, has_accounts: bool, allowed: Sequence[str], approach: Approach
) -> Reader:
    """Who an anonymous request is. `allowed`: the scopes of `access.anonymous`."""
    reachable = not is_loopback(listens_on)
    if not reachable and not has_accounts and _at_home(approach):
        return Reader("local", ALL, "local")
    scopes = implied(allowed)
    if not has_accounts:
        scopes -= _NEED_ACCOUNTS
    return Reader("anonymous", scopes, "anonymous", no_accounts=not has_accounts)


def anonymous_scopes(allowed: Sequence[str]) -> tuple[str, ...]:
    """`access.anonymous`, checked; raises `ConfigError` (`anonymous_invalid`)."""
    if not allowed:
        return ()
    try:
        scopes = parse_scopes(allowed)
    except BadRequest as error:
        raise ConfigError("anonymous_invalid", f"access.anonymous: {error.message}", error.hint) from None
    if "admin" in scopes:
        hint = "Make a user instead: missioncontrol user add NAME --scope admin"
        raise ConfigError("anonymous_invalid", "access.anonymous: nobody unknown can be `admin`.", hint)
    return scopes


def is_loopback(host: str) -> bool:
    """Whether an address or name of a host is surely this machine's own, reached from nowhere else."""
    name = host.lower()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _at_home(approach: Approach) -> bool:
    return approach.direct and not approach.foreign_page and is_loopback(_without_port(approach.host))


def _without_port(host: str) -> str:
    """The name of a header Host; whatever is no plain name or address stays as it is, and is no loopback one."""
    name, _, port = host.rpartition(":")
    return name if port.isdigit() and (name.endswith("]") or ":" not in name) else host
