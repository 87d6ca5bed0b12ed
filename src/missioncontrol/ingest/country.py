"""Country of an address, from a MaxMind database of countries or cities.

Without a database, and for every address that it does not know, the country is `??`. Nothing is looked up
over a network.
"""

from __future__ import annotations

import re
from pathlib import Path

import maxminddb

from missioncontrol.errors import ConfigError

UNKNOWN = "??"

_CODE = re.compile(r"[A-Za-z]{2}").fullmatch
_HINT = "Set edge.geo_database to a MaxMind country or city database (.mmdb), or leave it empty."


class CountryLookup:
    """Answers with two upper-case letters (ISO 3166), or `??`."""

    def __init__(self, path: str = "") -> None:
        """Open the database; raises `ConfigError` (`geo_database_missing`, `geo_database_invalid`)."""
        self._reader = _open(path) if path else None

    @property
    def knows_countries(self) -> bool:
        """Whether there is a database at all."""
        return self._reader is not None

    def country_of(self, address: str | None) -> str:
        """Country of an IP address as text; `??` for one that is unknown or unreadable."""
        if self._reader is None or not address:
            return UNKNOWN
        try:
            found = self._reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            # No address, IPv6 in an IPv4 database, or a damaged record: a ping is not lost for that.
            return UNKNOWN
        country = found.get("country") if isinstance(found, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code.upper() if isinstance(code, str) and _CODE(code) else UNKNOWN

    def close(self) -> None:
        """Release the database."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _open(path: str) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(Path(path))
    except FileNotFoundError:
        raise ConfigError("geo_database_missing", f"There is no geo database {path}.", _HINT) from None
    except (maxminddb.InvalidDatabaseError, OSError, ValueError) as error:
        raise ConfigError("geo_database_invalid", f"{path} is no MaxMind database: {error}", _HINT) from None
