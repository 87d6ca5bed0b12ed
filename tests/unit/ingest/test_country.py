"""Countries from a real MaxMind database file, which the test writes itself."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.ingest.country import CountryLookup

Value = dict[str, "Value"] | list[str] | str | bytes
_MARKER = b"\xab\xcd\xefMaxMind.com"


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
        b"".join(s.to_bytes(3, "big") for s in slots) + bytes(16) + data + _MARKER + field(metadata)
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


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("203.0.113.9", "DE"),
        ("198.51.100.1", "FR"),
        ("198.51.100.200", "??"),
        ("192.0.2.1", "??"),
        ("10.1.1.1", "??"),
        ("11.1.1.1", "??"),
        ("8.8.8.8", "??"),
        ("2001:db8::1", "??"),
        ("nonsense", "??"),
        ("", "??"),
        (None, "??"),
    ],
)
def test_a_known_address_has_two_upper_case_letters_and_any_other_is_unknown(
    database: Path, address: str | None, country: str
) -> None:
    lookup = CountryLookup(str(database))
    assert lookup.knows_countries
    assert lookup.country_of(address) == country
    lookup.close()
    assert lookup.country_of(address) == "??"


def test_without_a_database_every_country_is_unknown() -> None:
    assert not CountryLookup().knows_countries
    assert CountryLookup().country_of("203.0.113.9") == "??"


def test_a_damaged_record_is_an_unknown_country(database: Path) -> None:
    content = database.read_bytes()
    # A pointer far behind the end of the data instead of the record.
    database.write_bytes(content.replace(field({"iso_code": "DE"}), b"\x38\xff\xff\xff\xff" + bytes(8)))
    assert CountryLookup(str(database)).country_of("203.0.113.9") == "??"


def test_a_missing_database_is_a_config_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        CountryLookup(str(tmp_path / "nowhere.mmdb"))
    assert (caught.value.code, "geo_database" in caught.value.hint) == ("geo_database_missing", True)


@pytest.mark.parametrize("content", [b"", b"this is no database", _MARKER, _MARKER + b"\xe1\xff"])
def test_a_corrupt_database_is_a_config_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mmdb"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        CountryLookup(str(path))
    assert caught.value.code == "geo_database_invalid"


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        CountryLookup(str(tmp_path))
    assert caught.value.code == "geo_database_invalid"
