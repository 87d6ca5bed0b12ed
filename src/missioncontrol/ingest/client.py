"""Which address a submission comes from, behind proxies or not.

The address serves the lookup of the country and is dropped at once: nothing here stores or logs it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from missioncontrol.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """The addresses and networks whose X-Forwarded-For is believed."""

    def __init__(self, trusted: Sequence[str], setting: str = "edge.trusted_proxies") -> None:
        """Take addresses and networks as text; raises `ConfigError` (`trusted_proxies_invalid`)."""
        try:
            self._networks = [ipaddress.ip_network(entry.strip(), strict=False) for entry in trusted]
        except ValueError as error:
            raise ConfigError(
                "trusted_proxies_invalid",
                f"{setting}: {error}",
                "Give addresses or networks such as 10.0.0.0/8.",
            ) from None

    def client_address(self, peer: str | None, forwarded: str) -> str | None:
        """The peer, or the right-most untrusted address of X-Forwarded-For; None when it is unreadable."""
        address = _parse(peer or "")
        if not self._networks or address is None or not self._trusts(address):
            return None if address is None else str(address)
        for hop in reversed(forwarded.split(",") if forwarded else ()):
            address = _parse(hop)
            if address is None or not self._trusts(address):
                break
        return None if address is None else str(address)

    def trusts(self, peer: str | None) -> bool:
        """Whether the peer is a proxy that is believed."""
        address = _parse(peer or "")
        return address is not None and self._trusts(address)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _parse(text: str) -> Address | None:
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
