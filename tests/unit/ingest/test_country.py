"""Countries from a real MaxMind database file, which the test writes itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from missioncontrol.errors import ConfigError
from missioncontrol.ingest.country import CountryLookup

MARKER = b"\xab\xcd\xefMaxMind.com"


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
    database.write_bytes(content.replace(b"\xe1\x48iso_code\x42DE", b"\x38\xff\xff\xff\xff" + bytes(8)))
    assert CountryLookup(str(database)).country_of("203.0.113.9") == "??"


def test_a_missing_database_is_a_config_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        CountryLookup(str(tmp_path / "nowhere.mmdb"))
    assert (caught.value.code, "geo_database" in caught.value.hint) == ("geo_database_missing", True)


@pytest.mark.parametrize("content", [b"", b"this is no database", MARKER, MARKER + b"\xe1\xff"])
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
