"""A real MaxMind database file, written here byte by byte (MaxMind DB format 2.0)."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

Value = dict[str, "Value"] | list[str] | str | bytes
MARKER = b"\xab\xcd\xefMaxMind.com"


def field(value: Value) -> bytes:
    """One value of the data section: control byte, size, payload (MaxMind DB format 2.0)."""
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(field(k) + field(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(field, value))
    if isinstance(value, str):
        text = value.encode()
        assert len(text) < 29
        return bytes([2 << 5 | len(text)]) + text
    return value


def number(value: int, size_bytes: int) -> bytes:
    """An unsigned number; the reader insists on the size that the format gives each."""
    return {2: b"\xa2", 4: b"\xc4", 8: b"\x08\x02"}[size_bytes] + value.to_bytes(size_bytes, "big")


def write_database(path: Path, records: dict[str, Value]) -> None:
    """A database of IPv4 networks: a binary tree with 24-bit records, the data behind it, the metadata last."""
    tree: list[list[int | str | None]] = [[None, None]]
    for network in map(ipaddress.ip_network, records):
        node = 0
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        for bit in bits[:-1]:
            child = tree[node][int(bit)]
            if not isinstance(child, int):
                tree.append([None, None])
                child = tree[node][int(bit)] = len(tree) - 1
            node = child
        tree[node][int(bits[-1])] = str(network)
    data, places = b"", {}
    for name, record in records.items():
        places[name] = len(tree) + 16 + len(data)
        data += field(record)
    empty = len(tree)
    slots = [empty if s is None else places[s] if isinstance(s, str) else s for node in tree for s in node]
    metadata: Value = {
        "node_count": number(len(tree), 4),
        "record_size": number(24, 2),
        "ip_version": number(4, 2),
        "binary_format_major_version": number(2, 2),
        "binary_format_minor_version": number(0, 2),
        "build_epoch": number(1, 8),
        "database_type": "Test-Country",
        "languages": ["en"],
        "description": {"en": "for tests"},
    }
    path.write_bytes(
        b"".join(s.to_bytes(3, "big") for s in slots) + bytes(16) + data + MARKER + field(metadata)
    )


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "countries.mmdb"
    write_database(
        path,
        {
            "203.0.113.0/24": {"country": {"iso_code": "DE"}},
            "198.51.100.0/25": {"country": {"iso_code": "fr"}},
            "192.0.2.0/24": {"country": {"iso_code": "Atlantis"}},
            "10.0.0.0/8": {"registered_country": {"iso_code": "US"}},
            "11.0.0.0/8": "no record of a country",
        },
    )
    return path
