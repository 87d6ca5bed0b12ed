"""Whose address counts, with and without proxies."""

from __future__ import annotations

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.ingest.client import TrustedProxies

PROXIES = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]


def test_without_trusted_proxies_the_peer_counts_whatever_is_forwarded() -> None:
    assert TrustedProxies([]).client_address("203.0.113.5", "198.51.100.1") == "203.0.113.5"


def test_an_untrusted_peer_cannot_forward() -> None:
    assert TrustedProxies(PROXIES).client_address("203.0.113.5", "198.51.100.1") == "203.0.113.5"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("1.1.1.1, 198.51.100.1, 10.1.1.1, 192.0.2.7", "198.51.100.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ('"[2001:4860::1]:4711"', "2001:4860::1"),
        ("2001:4860::1", "2001:4860::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("", "10.0.0.1"),
        ("10.0.0.9", "10.0.0.9"),
        ("198.51.100.1, garbage", None),
        ("198.51.100.1,", None),
    ],
)
def test_behind_a_trusted_proxy_the_right_most_untrusted_address_counts(
    forwarded: str, client: str | None
) -> None:
    assert TrustedProxies(PROXIES).client_address("10.0.0.1", forwarded) == client
    assert TrustedProxies(PROXIES).client_address("::ffff:10.0.0.1", forwarded) == client


@pytest.mark.parametrize("peer", [None, "", "unix"])
def test_a_peer_without_an_address_has_no_client(peer: str | None) -> None:
    assert TrustedProxies(PROXIES).client_address(peer, "198.51.100.1") is None


def test_a_trusted_proxy_that_is_no_address_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"trusted_proxies.*example"):
        TrustedProxies(["proxy.example"])
