"""Scopes: the six things that somebody can be allowed.

Pure functions of names. What a scope opens is decided where the thing is served.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from missioncontrol.errors import BadRequest

MEANINGS = {
    "read": "aggregates, SQL, pages and crash reports without what is protected",
    "protected": "raw pings, raw dumps, ids of clients, URLs, comments, e-mails, memory contents",
    "reprocess": "have days, measures and crashes made again; say which bugs signatures have and what was released",
    "symbols": "upload symbols",
    "ingest": "send crash reports for products that ask for a key",
    "admin": "all of these, and what changes the installation",
}
SCOPES = tuple(MEANINGS)
ALL = frozenset(SCOPES)


def parse_scopes(names: Iterable[str]) -> tuple[str, ...]:
    """The scopes named (also several in one text, separated by commas or spaces), each once, in a fixed order.

    Raises `BadRequest` (`unknown_scope`, `no_scope`).
    """
    given = [name for text in names for name in text.replace(",", " ").split()]
    for name in given:
        if name not in SCOPES:
            close = difflib.get_close_matches(name[:40], SCOPES, 1)
            hint = f"Did you mean {close[0]}?" if close else f"Scopes: {', '.join(SCOPES)}."
            raise BadRequest("unknown_scope", f"There is no scope {name[:40]!r}.", hint)
    if not given:
        raise BadRequest("no_scope", "Name at least one scope.", f"Scopes: {', '.join(SCOPES)}.")
    return tuple(scope for scope in SCOPES if scope in given)


def implied(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes with those that they imply: `admin` is all."""
    held = frozenset(scopes) & ALL
    return ALL if "admin" in held else held
