"""What can be searched by whom: the names that a parameter may have.

A name that does not exist is a bad request; one that exists and is protected is refused to those who may not see it,
before anything is looked for: so a refusal says nothing about any crash.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from missioncontrol.errors import BadRequest, Forbidden

Kind = Literal["keyword", "text", "number", "bool", "date"]

ALIASES = {"build_id": "build", "platform": "os_name", "platform_pretty_version": "os_pretty_version"}
"""Socorro's name -> ours, where they differ. An answer has the name that was asked for."""


class SearchField(msgspec.Struct, frozen=True):
    """A field that can be searched."""

    name: str
    kind: Kind
    home: str
    """The column of `crashes` that holds it."""
    stored: str
    """The lake's type of that column; `text_map`: it is the entry `name` of it."""
    description: str = ""
    whole: bool = False
    """Numbers: they have no fraction."""
    many: bool = False
    """It is a list, searched and counted by item."""
    protected: bool = False
    facet: bool = False
    """It is offered where values are counted."""


class SearchFields:
    """The fields of one moment."""

    def __init__(self, fields: Iterable[SearchField]) -> None:
        self._fields = {field.name: field for field in fields}

    def __iter__(self) -> Iterator[SearchField]:
        return iter(self._fields.values())

    def find(self, name: str, may_read_protected: bool) -> SearchField:
        """The field of that name.

        Raises `BadRequest` (`unknown_field`) and `Forbidden` (`protected_field`).
        """
        field = self._fields.get(ALIASES.get(name, name)) or self._fields.get(name)
        if field is None:
            close = difflib.get_close_matches(name[:80], [*self._fields, *ALIASES], 1)
            hint = f"Did you mean `{close[0]}`?" if close else "All fields: /api/SuperSearchFields/."
            raise BadRequest("unknown_field", f"There is no field {name[:80]!r}.", hint)
        if field.protected and not may_read_protected:
            raise Forbidden(
                "protected_field",
                f"The field {field.name!r} is protected: it can be neither searched nor shown nor counted.",
                "Sign in, or send a token with the scope `protected`.",
            )
        return field
